"""Which paths somebody may send files for."""

import re
import unicodedata
from typing import Literal, NamedTuple

from headrace.errors import InvalidInput
from headrace.source._names import is_git_name
from headrace.tree import check_path
from headrace.tree.paths import shown

Code = Literal["path.invalid", "path.symlink", "path.reserved"]


class PathRefused(NamedTuple):
    code: Code
    why: str


_DRIVE = re.compile(r"[A-Za-z]:")
#: C0, DEL and C1: in a terminal or a log they do things, and in a name nobody means them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CACHE = ("node_modules", ".cache", "headrace")


def refuse_path(path: str, known: str = "") -> PathRefused | None:
    """
    Why no file may be sent for `path`; None when one may. `known` is a beginning of it that the project has already, as a
    directory that ends with a slash: names that came with a repository can't be chosen any more.

    Knows names alone: links and directories of the project are looked at by `headrace.sync.fitting`.
    """
    try:
        check_path(path)
    except InvalidInput as exc:
        return PathRefused("path.invalid", exc.message)
    return _malformed(path, path[len(known) :]) or _reserved(path)


def _malformed(path: str, rest: str) -> PathRefused | None:
    if "\\" in rest or _DRIVE.match(rest):
        return _invalid(path, "parts are separated by /, and it begins at the project's root")
    if _CONTROL.search(rest):
        return _invalid(path, "it has a control character")
    if any(part.endswith((".", " ")) for part in rest.split("/")):
        return _invalid(path, "a part of it ends with a dot or a blank, which some systems leave out")
    if not unicodedata.is_normalized("NFC", rest):
        return _invalid(path, "its characters are decomposed; send it in Unicode's form NFC")
    return None


def _reserved(path: str) -> PathRefused | None:
    parts = path.split("/")
    if any(is_git_name(part) for part in parts):
        return PathRefused("path.reserved", f"{shown(path)!r} belongs to git")
    folded = tuple(part.casefold() for part in parts)
    if ".headrace" in folded or any(folded[at : at + 3] == _CACHE for at in range(len(folded) - 2)):
        return PathRefused("path.reserved", f"{shown(path)!r} belongs to Headrace")
    return None


def _invalid(path: str, why: str) -> PathRefused:
    return PathRefused("path.invalid", f"the path {shown(path)!r} can't be used: {why}")
