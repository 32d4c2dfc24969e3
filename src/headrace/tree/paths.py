"""Which paths and links a tree may have."""

from collections import deque
from collections.abc import Iterable, Mapping

from headrace.errors import InvalidInput
from headrace.model.version import Tree

_PATH_BYTES = 3900  # Linux takes 4,095 with the directory in front
_NAME_BYTES = 255
#: Characters of a path that can't be over a limit, at four bytes each.
_SURELY_SHORT = _NAME_BYTES // 4
_SPECIAL = {"", ".", ".."}
#: As many links as Linux follows in one path.
_HOPS = 40


def shown(path: str) -> str:
    """A path for a message: control characters and bytes that are no text are escaped, and the middle of a long one is cut."""
    text = path if len(path) <= 200 else f"{path[:120]}…{path[-60:]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def is_text(name: str) -> bool:
    """False for a name from the file system that is not UTF-8: Python gives it with lone surrogates, which JSON can't hold."""
    return not any("\ud800" <= c <= "\udfff" for c in name) if not name.isascii() else True


def check_path(path: str) -> None:
    """
    Raises InvalidInput (`path.invalid`) unless `path` names a file below a root: relative, without `.`, `..` and empty parts,
    and text. Newlines and other odd characters are fine, as they are for Linux and for JSON.
    """
    if not is_text(path):
        raise _invalid(path, "its name is not UTF-8")
    parts = path.split("/")
    if "\0" in path or not _SPECIAL.isdisjoint(parts):
        raise _invalid(path, "it is no plain relative path")
    if len(path) <= _SURELY_SHORT:
        return
    if len(path.encode()) > _PATH_BYTES or any(len(part.encode()) > _NAME_BYTES for part in parts):
        raise _invalid(path, f"it is longer than {_PATH_BYTES} bytes, or one of its parts than {_NAME_BYTES}")


def check_tree(tree: Tree) -> None:
    """
    Raises InvalidInput unless `tree` can be written out without leaving its root: good paths, in order, each once, none below
    a file or a link, and links that stay inside.
    """
    previous = ""
    not_directories: set[str] = set()
    directories: set[str] = set()
    for file in tree.files:
        check_path(file.path)
        if file.path <= previous:
            raise _invalid(file.path, "it is not in order, or there twice")
        if (file.digest is None) == (file.link is None):
            raise _invalid(file.path, "it must have either a digest or a link's target")
        previous = file.path
        not_directories.add(file.path)
        parent = file.path.rpartition("/")[0]
        while parent and parent not in directories:
            directories.add(parent)
            parent = parent.rpartition("/")[0]
    if both := not_directories & directories:
        raise _invalid(min(both), "it is a file and a directory")
    check_links({file.path: file.link for file in tree.files if file.link is not None})


def check_links(links: Mapping[str, str]) -> None:
    """Raises InvalidInput (`config.symlink_forbidden`) if one of the links (path -> target) can lead out of the root."""
    for path, target in links.items():
        if not _stays_inside(path, links):
            raise InvalidInput(
                f"the link {shown(path)} -> {shown(target)} leads out of the project",
                code="config.symlink_forbidden",
                hint="replace it by a copy, or by a relative link to a file of the project",
            )


def _stays_inside(path: str, links: Mapping[str, str]) -> bool:
    """Walks like Linux: a link in the middle of a target moves the place that `..` starts from."""
    at: list[str] = []
    left = deque(path.split("/"))
    hops = 0
    while left:
        part = left.popleft()
        if part == "..":
            if not at:
                return False
            at.pop()
        elif part not in ("", "."):
            at.append(part)
            target = links.get("/".join(at))
            if target is None:
                continue
            hops += 1
            if hops > _HOPS:
                return True  # Linux refuses to follow it; a link that goes in circles harms nobody
            if target.startswith("/") or not target or "\0" in target:
                return False
            at.pop()
            left.extendleft(reversed(target.split("/")))
    return True


def parents(paths: Iterable[str]) -> list[str]:
    """All directories above `paths`, each once, parents first."""
    found: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return sorted(found)


def _invalid(path: str, why: str) -> InvalidInput:
    return InvalidInput(f"the path {shown(path)!r} can't be used: {why}", code="path.invalid", hint="rename the file")
