"""What this machine gives to a user who is not root, what it lacks, and which controls of the sandbox are weaker for it."""

import os
import pwd
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from headrace import linux
from headrace.executor._cgroup import WANTED, Delegated
from headrace.executor._namespace import FILES, GivenIds, missing_programs
from headrace.executor._prove import Held
from headrace.model.sandbox import Finding

_RANGE = 65536
_FIRST = 100_000
#: Processes are counted for each user namespace from this kernel on.
_COUNTED = (5, 14)
_SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "1", "ordinary users may make no user namespaces"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0", "AppArmor lets ordinary users do nothing in namespaces"),
)
_DROP_IN = "/etc/systemd/system/user@.service.d/delegate.conf"


def weaker_controls(delegated: Delegated, kernel: tuple[int, int] | None = None) -> Mapping[str, str]:
    """Controls that are kept in another way than by control groups, or not as well, and how."""
    found = {"H7": "the build user is the user that Headrace runs as, in a namespace where it is nobody"}
    if "memory" not in delegated.controllers:
        found["H49"] = (
            "no control group: a watch adds up what processes use, some times a second, and ends who takes more"
        )
    if "pids" not in delegated.controllers and (kernel or linux.kernel_version()) < _COUNTED:
        found["H50"] = "no control group, and this kernel counts processes of a user as a whole"
    if "cpu" not in delegated.controllers:
        found["H51"] = "no control group: a part of a processor becomes a whole one"
    return found


def as_weaker(held: Sequence[Held], weaker: Mapping[str, str]) -> list[Held]:
    """What was found, with what is known to be weaker though it passed."""
    return [Held(h.control, False, weaker[h.control]) if h.control in weaker else h for h in held]


def user_findings(given: GivenIds, delegated: Delegated) -> Iterator[Finding]:
    name = user_name()
    detail = f"{name} is not root: sandboxes are in a user namespace, and some controls are weaker (docs/rootless.md)"
    yield Finding(subject="user", status="ok", detail=detail)
    yield from _switches(Path("/proc/sys"))
    yield _ids(given, name)
    yield _groups(delegated)


def user_name() -> str:
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid())


def _switches(root: Path) -> Iterator[Finding]:
    for path, closed, opened, why in _SWITCHES:
        with suppress(OSError):
            if (root / path).read_text().strip() == closed:
                setting = f"{path.replace('/', '.')}={opened}"
                fix = f"sudo sysctl -w {setting} && echo {setting} | sudo tee -a /etc/sysctl.d/60-headrace.conf"
                yield Finding(subject=path.replace("/", "."), status="missing", detail=f"is {closed}: {why}", fix=fix)


def _ids(given: GivenIds, name: str) -> Finding:
    if given.length:
        detail = f"{given.length} from {given.users} on, for the root of each sandbox"
        return Finding(subject="ids to give", status="ok", detail=detail)
    steps = ["sudo apt-get install -y uidmap"] if missing_programs() else []
    steps += [give_ids(name)] if not all(_has_line(file, name) for file in FILES) else []
    detail = f"{name} has none: all sandboxes have the same root as their build user, and runc can't be used"
    return Finding(subject="ids to give", status="warning", detail=detail, fix=" && ".join(steps))


def give_ids(name: str, file: Path = FILES[0]) -> str:
    """The command that gives a range of ids to a user, above those that others have."""
    first = _FIRST
    with suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            start, length = map(int, line.split(":")[1:3])
            first = max(first, start + length)
    ids = f"{first}-{first + _RANGE - 1}"
    return f"sudo usermod --add-subuids {ids} --add-subgids {ids} {shlex.quote(name)}"


def _has_line(file: Path, name: str) -> bool:
    with suppress(OSError):
        return any(line.partition(":")[0] in (name, str(os.getuid())) for line in file.read_text().splitlines())
    return False


def _groups(delegated: Delegated) -> Finding:
    lacking = sorted(WANTED - delegated.controllers)
    if not lacking:
        return Finding(subject="control groups", status="ok", detail="this process was given a part of the trees")
    detail = f"nobody gave this process groups for {', '.join(lacking)}: limits are kept by other means, as the controls below say"
    return Finding(subject="control groups", status="warning", detail=detail, fix=_delegate())


def _delegate() -> str:
    if not Path("/run/systemd/system").is_dir():
        owner = f"{os.getuid()}:{os.getgid()}"
        each = f"mkdir -p $d/headrace && chown -R {owner} $d/headrace && echo $PID > $d/headrace/cgroup.procs"
        return f"as root, with PID of the shell that starts Headrace: for d in /sys/fs/cgroup/*/; do {each}; done"
    text = "[Service]\\nDelegate=cpu memory pids\\n"
    drop_in = f"sudo mkdir -p {Path(_DROP_IN).parent} && printf {shlex.quote(text)} | sudo tee {_DROP_IN}"
    return (
        f"{drop_in} && sudo systemctl daemon-reload, log in anew, "
        "and start Headrace with: systemd-run --user --scope -p Delegate=yes ./headrace serve"
    )
