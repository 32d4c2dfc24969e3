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
#: Almost every path; saves looking at each rule.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_@+=~()\[\]$-][A-Za-z0-9_@+=~()\[\]$.-]*(?<!\.)/)*[A-Za-z0-9_@+=()\[\]$-][A-Za-z0-9_@+=()\[\]$.-]*(?<!\.)")
_CACHE = ("node_modules", ".cache", "headrace")


def refuse_path(path: str) -> PathRefused | None:
    """
    Why no file may be sent for `path`; None when one may. Knows the name alone: links and directories of the project are
    looked at by `headrace.sync.fitting`.
    """
    if len(path) < 200 and "node_modules" not in path and _PLAIN.fullmatch(path):
        return None
    return _malformed(path) or _reserved(path)


def _malformed(path: str) -> PathRefused | None:
    try:
        check_path(path)
    except InvalidInput as exc:
        return PathRefused("path.invalid", exc.message)
    if "\\" in path or _DRIVE.match(path):
        return _invalid(path, "parts are separated by /, and it begins at the project's root")
    if _CONTROL.search(path):
        return _invalid(path, "it has a control character")
    if any(part.endswith((".", " ")) for part in path.split("/")):
        return _invalid(path, "a part of it ends with a dot or a blank, which some systems leave out")
    if not unicodedata.is_normalized("NFC", path):
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
