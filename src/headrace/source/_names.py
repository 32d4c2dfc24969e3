"""Names inside a project that no source may bring, because git or another system would take them for its own."""

import re

#: What HFS+ leaves out of a name when it compares: `.g<U+200C>it` is `.git` there.
_LEFT_OUT = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
#: Part of a path that is `.git` for Windows: its short name, a trailing dot or blank, a stream behind a colon.
_WINDOWS_GIT = re.compile(r"(\.git|git~[0-9]+)[ .]*(:.*)?", re.IGNORECASE | re.DOTALL)

#: Longest path of a file; leaves room for the directory that it is written to.
PATH_BYTES = 3500
NAME_BYTES = 255


def is_git_name(name: str) -> bool:
    """Whether some system takes this name for `.git`."""
    return _WINDOWS_GIT.fullmatch(_LEFT_OUT.sub("", name)) is not None
