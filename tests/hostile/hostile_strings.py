"""What somebody writes into a field who hopes that it ends up in a shell, in an option, in a template or in a path."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

#: Part of each of them, so that it is found wherever it went.
MARK = "h5tl"


def hostile_strings(canary: Path) -> list[str]:
    """Each of them makes the file `canary`, if somebody runs it."""
    touch = f"touch {canary}"
    return [
        f"{MARK};{touch};",
        f"{MARK}$({touch})",
        f"{MARK}`{touch}`",
        f"{MARK}|{touch}",
        f"{MARK}&&{touch}",
        f"{MARK}\n{touch}\n",
        f"{MARK}\r\n{touch}\r\n",
        f"{MARK}'\";{touch};'\"",
        f"{MARK}${{IFS}};touch${{IFS}}{canary}",
        f"--upload-pack={touch} {MARK}",
        f"-oProxyCommand={touch} {MARK}",
        f"--config=core.fsmonitor={touch} {MARK}",
        f"-c{MARK}.{touch}",
        f"--{MARK}",
        f"ext::sh -c {touch.replace(' ', '% ')}% {MARK}",
        f"../../../../{MARK}/../{canary}",
        f"/{MARK}/../../{canary}",
        f"{{{{{MARK}}}}}{{% {touch} %}}${{{touch}}}",
        f"%({MARK})s %n %s {{0.__class__}}",
        f"!{touch} {MARK}",
        f"@{canary} {MARK}",
        f"~root/{MARK} * ? [a-z]",
        f"{MARK}\x1b]0;{touch}\x07\x1b[2J",
        f"{MARK}\u202e\u200b\ufeff",
        f"%0a{touch}%00{MARK}",
        f"=cmd|'/C {touch}'!{MARK}",
        f"{MARK}' OR '1'='1'; DROP TABLE projects; --",
    ]


def joined(strings: list[str], randomness: Random) -> list[str]:
    """As many as there are, each of them two of these or one with something in its middle."""
    between = ["", " ", "\n", "\0", "=", ":", "/", "'", '"', "\\", "--", "$(", "`", "\t", "%", "\u2028"]
    return [one + randomness.choice(between) + randomness.choice(strings) for one in strings]


def in_turn(strings: list[str], each: int) -> Iterator[list[str]]:
    """Another few of them each time, until all had their turn, and again."""
    at = 0
    while True:
        yield [strings[(at + step) % len(strings)] for step in range(each)]
        at += each
