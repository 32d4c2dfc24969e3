"""What `headrace doctor` says of this machine for the oci executor: its parts, then a real sandbox, seen from inside."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from headrace import linux
from headrace.errors import HeadraceError
from headrace.executor._cgroup import cgroup_mounts, take_delegated
from headrace.executor._host import host_findings
from headrace.executor._ordinary_user import user_findings
from headrace.executor._proof import control_findings
from headrace.executor.base import Executor
from headrace.model.plan import StepId
from headrace.model.sandbox import Finding, SandboxCommand, SandboxSpec
from headrace.settings import Settings

if TYPE_CHECKING:
    from headrace.executor.oci import OciExecutor

#: For root, and for ordinary users: what sandboxes need of the kernel.
_KERNELS = (
    ((5, 19), "layers need idmapped mounts below overlayfs"),
    ((5, 11), "layers need overlayfs in user namespaces"),
)


async def examine(executor: "OciExecutor", settings: Settings) -> Sequence[Finding]:
    given = executor.ground.given
    of_user = [] if given is None else user_findings(given, take_delegated())
    findings = [*_kernel(), *_cgroups(), *of_user, *host_findings()]
    try:
        machine = await executor.unproven()
        if settings.oci_runtime is None:
            findings.insert(0, Finding(subject="runtime", status="ok", detail=machine.runtime.path))
        held = await executor.prove(machine)
        return [*findings, await real_sandbox(executor.beside(machine)), *control_findings(held, settings)]
    except HeadraceError as exc:
        fix = exc.hint or "see the message"
        return [*findings, Finding(subject="sandbox", status="missing", detail=exc.message, fix=fix)]


def _kernel() -> Iterator[Finding]:
    version = linux.kernel_version()
    text = f"{version[0]}.{version[1]}"
    least, why = _KERNELS[os.geteuid() != 0]
    if version < least:
        wanted = ".".join(map(str, least))
        fix = f"install a kernel of {wanted} or later"
        yield Finding(subject="kernel", status="missing", detail=f"{text}: {why}, which came with {wanted}", fix=fix)
    else:
        yield Finding(subject="kernel", status="ok", detail=text)
    most = Path("/proc/sys/user/max_user_namespaces")
    if most.exists() and most.read_text().strip() == "0":
        fix = "sysctl -w user.max_user_namespaces=15000"
        yield Finding(subject="user namespaces", status="missing", detail="switched off on this machine", fix=fix)


def _cgroups() -> Iterator[Finding]:
    mounts = cgroup_mounts()
    versions = [name for name, there in _versions(mounts).items() if there]
    controllers = {name for mount in mounts for name in mount.controllers}
    for mount in mounts:
        if not mount.controllers:
            controllers |= set(Path(mount.path, "cgroup.controllers").read_text().split())
    wanted = {"memory", "pids", "cpu"}
    if wanted <= controllers:
        yield Finding(subject="control groups", status="ok", detail=" and ".join(versions))
        return
    lacking = ", ".join(sorted(wanted - controllers))
    fix = "mount -t cgroup2 none /sys/fs/cgroup" if not mounts else "boot with systemd.unified_cgroup_hierarchy=1"
    yield Finding(
        subject="control groups", status="missing", detail=f"without {lacking}, limits can't be kept", fix=fix
    )


def _versions(mounts: Sequence[object]) -> dict[str, bool]:
    return {
        "version 1": any(getattr(mount, "controllers", None) for mount in mounts),
        "version 2": any(not getattr(mount, "controllers", None) for mount in mounts),
    }


async def real_sandbox(executor: Executor) -> Finding:
    """Open one and time it."""
    name = f"doctor-{os.getpid()}"
    with TemporaryDirectory(prefix="headrace-doctor-") as place:
        command = SandboxCommand(index=0, step=StepId.BUILD, argv=("/bin/true",))
        began = time.perf_counter()
        sandbox = await executor.open(SandboxSpec(id=name, build_id=name, layers=()))
        try:
            result = await sandbox.run(command, Path(place, "log.ndjson"))
        finally:
            await sandbox.close()
        took = time.perf_counter() - began
    if result.exit_code != 0:
        detail = f"`true` ended with {result.killed_by or result.exit_code}"
        fix = "use another runtime: HEADRACE_OCI_RUNTIME"
        return Finding(subject="sandbox", status="missing", detail=detail, fix=fix)
    return Finding(subject="sandbox", status="ok", detail=f"opened, used and removed in {took * 1000:.0f} ms")
