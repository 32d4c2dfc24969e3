"""
Which programs a process and all that it started ran, as strace saw it, and whether a stranger's words decided about any.

What runs in a sandbox is the stranger's own to decide; everything before the sandbox's first process is ours.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_until

#: First process of a sandbox: what it starts is inside.
_INSIDE = "/usr/lib/headrace/init"
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "busybox", "ash"})

_EXEC = re.compile(r"^(\d+) +execve(?:at)?\((.*)")
_CLONE = re.compile(r"^(\d+) .*(?:clone3?|v?fork)\b.*\) += (\d+)(?: /\* (\d+) in strace's PID NS \*/)?$")
_LIST = re.compile(r"\[([^\]]*)\]")
_WORD = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True)
class Exec:
    argv: Sequence[str]
    env: Sequence[str]
    #: Whether it was done by something that a sandbox had begun with.
    inside: bool


def strace(log: Path) -> list[str]:
    """The beginning of a command line whose programs are recorded in `log`."""
    tracer = shutil.which("strace")
    assert tracer, "strace is missing: scripts/setup installs it"
    options = ["-D", "-f", "--seccomp-bpf", "--decode-pids=pidns", "-q", "-xx", "-v", "-s", "1000000"]
    return [
        tracer,
        *options,
        "-e",
        "trace=execve,execveat,clone,clone3,fork,vfork",
        "-e",
        "signal=none",
        "-o",
        str(log),
    ]


def wait_until_traced(log: Path, pid: int | None = None) -> None:
    """Until the tracer has noted the end of `pid`, or of whoever was its first."""
    first = str(pid or log.read_text().split(maxsplit=1)[0])
    ended = re.compile(rf"^{first} +\+\+\+ ", re.MULTILINE)
    wait_until(lambda: ended.search(log.read_text(errors="replace")) is not None, seconds=30)


def read_execs(log: Path) -> list[Exec]:
    lines = log.read_text(errors="replace").splitlines()
    parents = {child: parent for line in lines for parent, child in _forks(line)}
    begun = {found[1] for line in lines if (found := _EXEC.match(line)) and _INSIDE in _words(found[2])[:1]}

    def inside(pid: str | None) -> bool:
        while pid is not None and pid not in begun:
            pid = parents.get(pid)
        return pid is not None

    execs = []
    for pid, rest in [(match[1], match[2]) for line in lines if (match := _EXEC.match(line))]:
        lists = [_words(part) for part in _LIST.findall(rest)]
        argv, env = (*lists, [], [])[:2]
        execs.append(Exec(argv=argv, env=env, inside=inside(pid)))
    return execs


def _forks(line: str) -> Iterator[tuple[str, str]]:
    if found := _CLONE.match(line):
        yield found[1], found[3] or found[2]


def _words(text: str) -> list[str]:
    return [bytes.fromhex(word.replace("\\x", "")).decode(errors="replace") for word in _WORD.findall(text)]


def violations(execs: Sequence[Exec], mark: str) -> list[str]:
    """What a stranger's words, which all have `mark` in them, did outside of a sandbox beyond being one value of git's."""
    return [f"{why}: {list(ran.argv)[:40]}" for ran in execs if not ran.inside and (why := _wrong(ran, mark))]


def _wrong(ran: Exec, mark: str) -> str | None:
    if any(mark in variable for variable in ran.env):
        return "a stranger's words in the environment"
    if Path(ran.argv[0]).name == "touch":
        return "somebody's command was run"
    argv = list(ran.argv)
    if Path(argv[0]).name in _SHELLS:
        # A fixed script, which runs the command that its own arguments are.
        if mark in " ".join(argv[:3]):
            return "a stranger's words in a shell's script"
        argv = argv[3:]
    marked = [at for at, word in enumerate(argv) if mark in word]
    if not marked or _is_transport(argv):
        return None
    end = argv.index("--end-of-options") if "--end-of-options" in argv else len(argv)
    git = next((at for at, word in enumerate(argv) if Path(word).name == "git"), None)
    return None if git is not None and all(at > end for at in marked) else "a stranger's words in an argument"


def _is_transport(argv: Sequence[str]) -> bool:
    """git's own helper, which git gives the address that it was given: `git remote-https ADDRESS ADDRESS`."""
    words = [Path(argv[0]).name, *argv[1:]]
    if words[0] == "git":
        words = words[1:]
    name, *rest = words or [""]
    return name.removeprefix("git-") == "remote-https" and all(word.startswith("https://") for word in rest)
