"""
What was proven of an executor's controls, remembered, so that it costs nothing until something changes; and the refusal of an
executor that lacks one, unless the operator has accepted that by name.
"""

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from headrace import linux
from headrace.disk import locked
from headrace.errors import ExecutorUnavailable, InvalidSetting
from headrace.executor._cgroup import cgroup_mounts
from headrace.executor._controls import BY_NUMBER
from headrace.executor._instructions import write_aside
from headrace.executor._prove import Held
from headrace.model.sandbox import Finding
from headrace.settings import Settings

_log = logging.getLogger(__name__)

SETTING = "HEADRACE_ACCEPT_WEAKER_SANDBOX"
#: Records of other runtimes, kernels and versions of Headrace that are kept beside the newest.
_KEPT = 8
#: It takes some seconds, and a minute on a machine that has much else to do.
_MOST_SECONDS = 180


class Proof:
    """
    `place` is a directory, `about` what else the controls depend on than this machine's kernel and Headrace's own code: the
    runtime, the base system, settings.
    """

    def __init__(self, place: Path, about: Sequence[object]) -> None:
        self._fingerprint = json.dumps([list(map(str, about)), *_machine()])
        name = hashlib.sha256(self._fingerprint.encode()).hexdigest()[:16]
        self._path = place / f".proven-{name}.json"
        self._lock = place / ".proving.lock"

    async def of(self, prove: Callable[[], Awaitable[Sequence[Held]]], accepted: Iterable[str]) -> Sequence[Held]:
        """What holds: remembered, or found out now by `prove`, by one process at a time. What may have been mended is tried again."""
        accepted = accepted_controls(accepted)
        while True:
            held = self._read()
            if held and not missing(held, accepted):
                return held
            with locked(self._lock) as mine:
                if mine:
                    return self._remember(await _for_certain(prove, accepted))
            await asyncio.sleep(0.1)

    async def anew(self, prove: Callable[[], Awaitable[Sequence[Held]]]) -> Sequence[Held]:
        """What `prove` finds now, also when something is remembered."""
        while True:
            with locked(self._lock) as mine:
                if mine:
                    return self._remember(await _for_certain(prove, frozenset()))
            await asyncio.sleep(0.1)

    def _remember(self, held: Sequence[Held]) -> Sequence[Held]:
        write_aside(self._path, json.dumps(held).encode())
        others = sorted(self._path.parent.glob(".proven-*.json"), key=_modified, reverse=True)
        for path in others[_KEPT:]:
            path.unlink(missing_ok=True)
        return held

    def _read(self) -> Sequence[Held] | None:
        with suppress(OSError, ValueError, TypeError):
            return [Held(*entry) for entry in json.loads(self._path.read_bytes())]
        return None


async def _for_certain(prove: Callable[[], Awaitable[Sequence[Held]]], accepted: frozenset[str]) -> Sequence[Held]:
    """
    What holds. What did not is tried again: on a machine that is busy a limit of seconds may be met late once. Raises
    ExecutorUnavailable when it takes much too long, so that others get their turn.
    """
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            held = await prove()
            return await prove() if missing(held, accepted) else held
    except TimeoutError as exc:
        raise ExecutorUnavailable(f"trying the sandbox's controls took longer than {_MOST_SECONDS} s") from exc


def refuse_weak(held: Iterable[Held], accepted: Iterable[str], executor: str) -> None:
    """Raises ExecutorUnavailable when a control does not hold that the operator has not accepted to lack."""
    held = list(held)
    accepted = accepted_controls(accepted)
    if lacking := missing(held, accepted):
        named = "; ".join(f"{entry.control} {BY_NUMBER[entry.control].name}: {entry.seen[:200]}" for entry in lacking)
        everything = _acceptance({*accepted, *(entry.control for entry in lacking)})
        raise ExecutorUnavailable(
            f"the executor {executor} lacks what a sandbox must have on this machine: {named}",
            hint=f"`headrace doctor` says what was tried; to accept a weaker sandbox: {everything}",
            code="executor.controls_missing",
        )
    if weak := [entry.control for entry in missing(held, frozenset())]:
        _log.warning("a weaker sandbox is accepted: %s", ", ".join(f"{n} {BY_NUMBER[n].name}" for n in weak))


def missing(held: Iterable[Held], accepted: Iterable[str]) -> list[Held]:
    accepted = frozenset(accepted)
    return [entry for entry in held if not entry.holds and entry.control not in accepted]


def control_findings(held: Iterable[Held], settings: Settings) -> list[Finding]:
    """What `headrace doctor` says of each control."""
    held = list(held)
    accepted = accepted_controls(settings.accept_weaker_sandbox)
    everything = _acceptance({*accepted, *(entry.control for entry in missing(held, accepted))})
    return [_finding(entry, accepted, everything) for entry in held]


def _finding(entry: Held, accepted: frozenset[str], everything: str) -> Finding:
    control = BY_NUMBER[entry.control]
    about = {"subject": f"{control.number} {control.name}", "control": control.number, "chapter": control.chapter}
    if entry.holds:
        return Finding(status="ok", detail=control.must, **about)
    if control.number in accepted:
        detail, fix = f"does not hold, and is accepted: {entry.seen}", f"take {control.number} out of {SETTING}"
        return Finding(status="warning", detail=detail, fix=fix, **about)
    fix = f"use another runtime, kernel or user; to accept all that is missing here: {everything}"
    return Finding(status="missing", detail=f"does not hold ({control.must}): {entry.seen}", fix=fix, **about)


def _acceptance(controls: Iterable[str]) -> str:
    return f"{SETTING}={','.join(sorted(controls, key=_order))}"


def accepted_controls(named: Iterable[str]) -> frozenset[str]:
    """Raises InvalidSetting for what is no control, or none that an executor is refused for."""
    named = frozenset(named)
    if unknown := sorted(name for name in named if name not in BY_NUMBER or not BY_NUMBER[name].required):
        raise InvalidSetting(
            f"{SETTING}: {', '.join(unknown)} is no control that a sandbox can be refused for",
            hint="the table of docs/security.md has them",
        )
    return named


def _machine() -> list[object]:
    """What a kernel and its set-up are, and which code asks."""
    kernel = os.uname()
    trees = [[mount.path, *sorted(mount.controllers)] for mount in cgroup_mounts()]
    return [kernel.release, kernel.version, kernel.machine, os.geteuid(), trees, _own_code()]


def _own_code() -> str:
    digest = hashlib.sha256()
    for path in [Path(linux.__file__), *sorted(Path(__file__).parent.rglob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _modified(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _order(number: str) -> int:
    return int(number.removeprefix("H"))
