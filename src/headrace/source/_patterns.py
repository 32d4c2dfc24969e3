"""
The patterns of `.gitignore` and `.headraceignore`, as git reads them.

A pattern is asked about one entry at a time, from the top of a tree down, as git does: an ignored directory is never entered, so
a pattern only has to match the entry itself. (pathspec asks whole paths; it disagrees with git on directories that are taken
back in, such as `*` with `!*/`.) Every match is linear in the length of the name, whatever the pattern: both come from tenants.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

#: Classes of git's wildmatch, which knows ASCII only.
_CLASSES = {
    b"alnum": b"0-9A-Za-z",
    b"alpha": b"A-Za-z",
    b"blank": b" \\t",
    b"cntrl": b"\\x00-\\x1f\\x7f",
    b"digit": b"0-9",
    b"graph": b"!-~",
    b"lower": b"a-z",
    b"print": b" -~",
    b"punct": b"!-/:-@\\[-`{-~",
    b"space": b" \\t-\\r",
    b"upper": b"A-Z",
    b"xdigit": b"0-9A-Fa-f",
}


class _Hopeless(Exception):
    """The pattern can't match anything: a bracket or an escape that doesn't end."""


@dataclass(frozen=True)
class Rule:
    """One line of a file. `parts` has one expression for each level, None for `**`; a single one is asked about the last name."""

    ignores: bool
    directories_only: bool
    anchored: bool
    parts: Sequence["re.Pattern[bytes] | None"]

    def matches(self, parts: Sequence[bytes], *, is_directory: bool) -> bool:
        """Whether the entry at `parts`, relative to the directory of the rule's file, is meant."""
        if self.directories_only and not is_directory:
            return False
        if not self.anchored:
            expression = self.parts[0]
            return expression is not None and expression.fullmatch(parts[-1]) is not None
        return self._matches_path(parts)

    def _matches_path(self, parts: Sequence[bytes]) -> bool:
        reached = {0}
        for part in parts:
            following: set[int] = set()
            for at in self._behind_stars(reached):
                if at == len(self.parts):
                    continue
                expression = self.parts[at]
                if expression is None:
                    following.add(at)
                    if at == len(self.parts) - 1:
                        following.add(at + 1)
                elif expression.fullmatch(part):
                    following.add(at + 1)
            reached = following
        return len(self.parts) in reached

    def _behind_stars(self, reached: set[int]) -> set[int]:
        """`**` may stand for no level at all, but not at the end: `a/**` is what is in `a`, not `a`."""
        found = set(reached)
        for start in reached:
            at = start
            while at < len(self.parts) - 1 and self.parts[at] is None:
                at += 1
                found.add(at)
        return found


class Rules:
    """The rules of one directory, in order; the last that matches decides."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules

    @cached_property
    def _names(self) -> "re.Pattern[bytes] | None":
        """One expression for all rules about names: most entries match none of them, and are told so at once."""
        expressions = [rule.parts[0].pattern for rule in self.rules if not rule.anchored and rule.parts[0]]
        return re.compile(b"|".join(b"(?:%b)" % one for one in expressions), re.DOTALL) if expressions else None

    @cached_property
    def _has_paths(self) -> bool:
        return any(rule.anchored for rule in self.rules)

    def decide(self, parts: Sequence[bytes], *, is_directory: bool) -> bool | None:
        """True: ignored. False: taken back in. None: these rules say nothing."""
        if not self._has_paths and not (self._names and self._names.fullmatch(parts[-1])):
            return None
        for rule in reversed(self.rules):
            if rule.matches(parts, is_directory=is_directory):
                return rule.ignores
        return None


def parse_rules(text: bytes) -> list[Rule]:
    lines = text.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [rule for line in lines if (rule := _parse(line.removesuffix(b"\r"))) is not None]


def _parse(line: bytes) -> Rule | None:
    if line.startswith(b"#"):
        return None
    line = _without_trailing_blanks(line)
    ignores = not line.startswith(b"!")
    line = line if ignores else line[1:]
    directories_only = line.endswith(b"/")
    line = line.removesuffix(b"/")
    anchored = b"/" in line
    line = line.removeprefix(b"/")
    if not line:
        return None
    try:
        parts = list(_levels(line)) if anchored else [_expression(line)]
    except _Hopeless:
        return None
    return Rule(ignores=ignores, directories_only=directories_only, anchored=anchored, parts=parts)


def _without_trailing_blanks(line: bytes) -> bytes:
    bare = line.rstrip(b" ")
    cut = len(line) - len(bare)
    backslashes = len(bare) - len(bare.rstrip(b"\\"))
    # A blank behind a backslash belongs to the pattern.
    return bare + b" " if cut and backslashes % 2 else bare


def _levels(line: bytes) -> Iterator["re.Pattern[bytes] | None"]:
    for level in _split(line):
        yield None if level == b"**" else _expression(level)


def _split(line: bytes) -> list[bytes]:
    """Levels of a pattern. A slash inside brackets can't match a name, so a pattern with one matches nothing."""
    levels = line.split(b"/")
    for level in levels:
        if not level:
            raise _Hopeless
    return levels


def _expression(level: bytes) -> "re.Pattern[bytes]":
    """
    A level as an expression. Each star is followed by a piece of fixed length and takes as little as it can, for good: the first
    place where the piece fits is as good as any later one. So nothing is tried twice.
    """
    pieces: list[list[bytes]] = [[]]
    at = 0
    while at < len(level):
        char = level[at : at + 1]
        at += 1
        if char == b"*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append([])
        elif char == b"?":
            pieces[-1].append(b".")
        elif char == b"[":
            expression, at = _bracket(level, at)
            pieces[-1].append(expression)
        elif char == b"\\":
            if at == len(level):
                raise _Hopeless
            pieces[-1].append(re.escape(level[at : at + 1]))
            at += 1
        else:
            pieces[-1].append(re.escape(char))
    first, *between = (b"".join(piece) for piece in pieces)
    last = [b".*" + between.pop()] if between else []
    return re.compile(b"".join([first, *(b"(?>.*?%b)" % piece for piece in between), *last]), re.DOTALL)


def _bracket(level: bytes, at: int) -> tuple[bytes, int]:
    """What is behind an opening bracket, as a class, and where it ends."""
    negated = level[at : at + 1] in {b"!", b"^"}
    at += negated
    members: list[bytes] = []
    first = True
    while True:
        char = level[at : at + 1]
        if not char:
            raise _Hopeless
        if char == b"]" and not first:
            break
        first = False
        if char == b"[" and level[at + 1 : at + 2] == b":":
            end = level.find(b":]", at + 2)
            name = level[at + 2 : end]
            if end < 0 or name not in _CLASSES:
                raise _Hopeless
            members.append(_CLASSES[name])
            at = end + 2
            continue
        low, at = _member(level, at)
        if level[at : at + 1] == b"-" and level[at + 1 : at + 2] not in {b"]", b""}:
            high, at = _member(level, at + 1)
            if low <= high:
                members.append(_hex(low) + b"-" + _hex(high))
        else:
            members.append(_hex(low))
    if not members:
        # A range from high to low has no member.
        return (b"." if negated else b"(?!)"), at + 1
    return b"[%b%b]" % (b"^" if negated else b"", b"".join(members)), at + 1


def _member(level: bytes, at: int) -> tuple[bytes, int]:
    if level[at : at + 1] == b"\\":
        at += 1
    if at >= len(level):
        raise _Hopeless
    return level[at : at + 1], at + 1


def _hex(char: bytes) -> bytes:
    return b"\\x%02x" % char[0]
