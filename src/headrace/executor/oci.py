"""Sandboxes by an OCI runtime, runc or crun: user namespace, own network, read-only root, limits by control groups."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from headrace.errors import ExecutorUnavailable, HeadraceError, NotFetched
from headrace.executor._base_system import base_system_name, has_base_system, put_aside_if_damaged
from headrace.executor._cgroup import Delegated, take_delegated
from headrace.executor._container_plan import (
    Machine,
    SandboxPlace,
    container_instructions,
    processors_wanted,
    read_machine,
)
from headrace.executor._entry import RootEntry, UserEntry
from headrace.executor._follow import Spawner
from headrace.executor._instructions import Instructions, write_aside
from headrace.executor._keeper import parts_of
from headrace.executor._mounts import STAGE
from headrace.executor._namespace import GivenIds, Ground, given_ids
from headrace.executor._ordinary_user import as_weaker, give_ids, user_name, weaker_controls
from headrace.executor._proof import Proof, accepted_controls, refuse_weak
from headrace.executor._prove import Held, Promise, prove
from headrace.executor._runtime import Runtime
from headrace.executor._sandbox_directory import (
    FIRST_IDS,
    SandboxDirectory,
    allot,
    cgroup_of,
    existing,
    make_directory,
)
from headrace.executor._setup import Setup, base_system
from headrace.executor._spec import HOSTNAME, MOUNTS, environment
from headrace.executor._supervised import SupervisedSandbox
from headrace.executor._ungrouped import Contained
from headrace.executor.base import Tell, tell_nobody
from headrace.model.limits import Limits, NetworkPhase
from headrace.model.plan import StepId
from headrace.model.sandbox import Finding, SandboxCommand, SandboxSpec, SetupWork
from headrace.settings import Settings

#: The faster one first.
RUNTIMES = ("crun", "runc")
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class OciExecutor:
    """Implements `Executor`."""

    name: ClassVar[str] = "oci"
    isolated: ClassVar[bool] = True

    def __init__(self, settings: Settings, *, machine: Machine | None = None, place: str = "sandboxes") -> None:
        accepted_controls(settings.accept_weaker_sandbox)
        self.base_system = base_system_name()
        self._settings = settings
        data_dir = settings.data_dir.absolute()
        self._root = data_dir / place
        as_root = os.geteuid() == 0
        self.ground = Ground(STAGE, None) if as_root else Ground(str(data_dir / "stage"), given_ids())
        # Groups keep the processes of a sandbox together; only root can count on having some.
        self._ungrouped = None if as_root else Contained(self.ground.stage)
        self._spawner = Spawner(self.ground)
        self._machine = machine
        self._unproven: Machine | None = None
        self._preparing = asyncio.Lock()
        self._setup = Setup()

    async def prepare(self, tell: Tell = tell_nobody) -> None:
        with self._setup.told(tell):
            await asyncio.gather(self.machine(), asyncio.to_thread(self._spawner.warm))

    async def open(self, spec: SandboxSpec) -> SupervisedSandbox:
        if spec.offline and self._machine is None and not has_base_system(self._settings.data_dir):
            raise NotFetched("the base system of sandboxes")
        return await self._open(spec, await self.machine())

    async def existing(self) -> Sequence[str]:
        return await asyncio.to_thread(existing, self._root)

    async def memory_of(self, sandbox_id: str) -> int | None:
        return await asyncio.to_thread(self._directory(sandbox_id).memory)

    async def discard(self, sandbox_id: str) -> None:
        await asyncio.to_thread(self._directory(sandbox_id).remove)

    async def examine(self, tell: Tell = tell_nobody) -> Sequence[Finding]:
        from headrace.executor._examine import examine  # noqa: PLC0415 - only `headrace doctor` needs it

        with self._setup.told(tell):
            return await examine(self, self._settings)

    async def machine(self) -> Machine:
        """
        Everything that is decided once for all sandboxes. Makes the base system when it isn't there, and tries the controls of
        the sandbox when it isn't known whether they hold here. Raises ExecutorUnavailable, which says what is missing.
        """
        async with self._preparing:
            if self._machine is not None and not self._machine.base.is_dir():
                self._machine = self._unproven = None
            if self._machine is None:
                machine = self._unproven = self._unproven or await self._prepare()
                accepted = self._settings.accept_weaker_sandbox
                held = await self._proof(machine).of(partial(self._prove, machine), accepted)
                refuse_weak(held, accepted, self.name)
                self._machine = machine
            return self._machine

    async def unproven(self) -> Machine:
        """The same without looking at the controls: for those who do that themselves."""
        async with self._preparing:
            self._unproven = self._unproven or await self._prepare()
            return self._unproven

    async def prove(self, machine: Machine) -> Sequence[Held]:
        """Try every control of the sandbox now, and remember what was found."""
        return await self._proof(machine).anew(partial(self._prove, machine))

    def beside(self, machine: Machine) -> "OciExecutor":
        """One whose sandboxes lie elsewhere: whoever removes what no build needs does not see them."""
        return OciExecutor(self._settings, machine=machine, place="proving")

    async def _prove(self, machine: Machine) -> Sequence[Held]:
        executor = self.beside(machine)
        for left in await executor.existing():
            await executor.discard(left)
        promise = Promise(
            hostname=HOSTNAME,
            mounts=MOUNTS,
            variables=lambda command: list(environment(command, proxy=command.egress.phase is not NetworkPhase.NONE)),
            descriptors=machine.descriptors,
            io_bytes=self._settings.disk_io_bytes,
        )
        with TemporaryDirectory(prefix="headrace-proving-") as place, self._setup.step(SetupWork.CONTROLS):
            held = await prove(executor.open, promise, Path(place))
        return held if self.ground.given is None else as_weaker(held, weaker_controls(machine.delegated))

    def _proof(self, machine: Machine) -> Proof:
        given = [*(machine.ground.given or ()), *sorted(machine.delegated.controllers)]
        about = [_fingerprint(machine.runtime), self.base_system, self._settings.disk_io_bytes, *given]
        return Proof(machine.base.parent, about)

    async def _prepare(self) -> Machine:
        found = find_runtimes(self._settings.oci_runtime)
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(self.ground.stage).mkdir(exist_ok=True, mode=0o711)
        delegated = Delegated()
        if self.ground.given is not None:
            found = _fit_for_users(found, self.ground.given)
            delegated = take_delegated()
        base = await base_system(self._settings, self._setup)
        machines = [read_machine(base, runtime, self._settings, self.ground, delegated) for runtime in found]
        return machines[0] if len(machines) == 1 else await self._first_that_works(machines)

    async def _first_that_works(self, machines: Sequence[Machine]) -> Machine:
        """Runtimes refuse some machines, so each is tried. What worked is written down for the next process."""
        written = self._root / ".runtime"
        with suppress(OSError):
            known = written.read_text()
            for machine in machines:
                if known == _fingerprint(machine.runtime):
                    return machine
        refusals = []
        for machine in machines:
            try:
                await self._try(machine)
            except HeadraceError as exc:
                refusals.append(f"{machine.runtime.kind}: {exc.message}")
                continue
            write_aside(written, _fingerprint(machine.runtime).encode())
            return machine
        raise ExecutorUnavailable(
            f"no OCI runtime works on this machine: {'; '.join(refusals)}", hint="try: headrace doctor"
        )

    async def _try(self, machine: Machine) -> None:
        spec = SandboxSpec(id=f"try-{machine.runtime.kind}-{os.getpid()}", build_id="build_try", layers=())
        try:
            sandbox = await self._open(spec, machine)
            command = SandboxCommand(index=0, step=StepId.BUILD, argv=("/bin/true",), limits=Limits(seconds=30))
            result = await sandbox.run(command, self._root / spec.id / "log.ndjson")
            if result.exit_code != 0:
                raise ExecutorUnavailable(f"`true` ended with {result.exit_code or result.killed_by}")
        finally:
            # Also what an opening has made that failed, as it does on a full disk.
            await self.discard(spec.id)

    async def _open(self, spec: SandboxSpec, machine: Machine) -> SupervisedSandbox:
        directory = self._directory(spec.id)
        kept = await asyncio.to_thread(make_directory, directory.path, lambda _: self._decide(machine))
        where = SandboxPlace(
            first_id=kept["first_id"],
            processor=kept.get("processor", 0),
            cgroup=cgroup_of(self._root, spec.id),
            groups=kept.get("groups", ()),
        )

        def plan(command: SandboxCommand, place: Path, log: Path) -> Instructions:
            return container_instructions(machine, spec, command, place, log, where)

        entry = UserEntry(self._spawner) if self.ground.given is not None else RootEntry()
        return SupervisedSandbox(
            spec,
            directory,
            spawner=self._spawner,
            plan=plan,
            below=spec.layers,
            entry=entry,
            cause=partial(self._damaged, machine),
        )

    def _damaged(self, machine: Machine) -> ExecutorUnavailable | None:
        if not put_aside_if_damaged(machine.base):
            return None
        self._machine = self._unproven = None
        said = "the base system of sandboxes is gone or damaged, and is made again"
        return ExecutorUnavailable(said, code="executor.base_damaged", hint="build again")

    def _directory(self, name: str) -> SandboxDirectory:
        return SandboxDirectory(self._root, name, self._ungrouped)

    def _decide(self, machine: Machine) -> dict[str, Any]:
        """What stays as it is for a new sandbox."""
        given = self.ground.given
        ids = FIRST_IDS if given is None else range(1, given.length + 1) or range(1)
        wanted = processors_wanted(self._settings.cpus)
        kept = allot(self._root, ids, processors=len(machine.processors), of_each=wanted)._asdict()
        return kept if given is None else {**kept, "groups": parts_of(machine.delegated.mounts)}


def find_runtimes(wanted: str | None) -> list[Runtime]:
    """Runtimes that are installed; only the `wanted` one, a name or a path, when there is one. Raises ExecutorUnavailable."""
    found = []
    for name in (wanted,) if wanted else RUNTIMES:
        path = shutil.which(name, path=_SEARCH)
        if path and Path(name).name in RUNTIMES:
            found.append(Runtime(Path(name).name, path))
    if not found:
        raise ExecutorUnavailable(
            f"no sandbox runtime is installed (looked for {wanted or ', '.join(RUNTIMES)})",
            hint="apt-get install -y crun",
        )
    return found


def _fingerprint(runtime: Runtime) -> str:
    about = Path(runtime.path).stat()
    return f"{runtime.path} {about.st_size} {about.st_mtime_ns} {os.uname().release}"


def _fit_for_users(found: Sequence[Runtime], given: GivenIds) -> list[Runtime]:
    """Those that can do with the ids that this user has. Raises ExecutorUnavailable."""
    fit = [runtime for runtime in found if given.length or runtime.kind != "runc"]
    if not fit:
        raise ExecutorUnavailable(
            "runc needs ids to give to sandboxes, and this user has none",
            hint=f"sudo apt-get install -y crun, or uidmap and: {give_ids(user_name())}",
        )
    return fit
