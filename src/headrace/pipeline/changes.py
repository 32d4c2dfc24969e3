"""What changed between two versions, as a unified diff."""

import asyncio
import difflib
from collections.abc import Iterator

from headrace.model.digest import Digest
from headrace.model.version import Tree, TreeFile
from headrace.store.base import Store
from headrace.tree import load_tree

#: Larger files are named, not compared: difflib needs quadratic time.
_FILE_BYTES = 256 * 1024
_LINES = 5_000
#: A diff that nobody reads to its end is cut.
_DIFF_CHARACTERS = 1024 * 1024


async def unified_diff(store: Store, before: Digest | None, after: Digest) -> str:
    """Difference of two stored trees, files in the order of their paths. Binary and very large files are only named."""
    old = await load_tree(store, before) if before else Tree(files=())
    new = await load_tree(store, after)
    was, now = ({file.path: file for file in tree.files} for tree in (old, new))
    parts: list[str] = []
    size = 0
    for path in sorted(was.keys() | now.keys()):
        if _same(was.get(path), now.get(path)):
            continue
        part = await _file_diff(store, path, was.get(path), now.get(path))
        parts.append(part)
        size += len(part)
        if size > _DIFF_CHARACTERS:
            parts.append("# The rest of the difference is left out.\n")
            break
    return "".join(parts)


async def _file_diff(store: Store, path: str, was: TreeFile | None, now: TreeFile | None) -> str:
    head = f"diff --git a/{_shown(path)} b/{_shown(path)}\n" + "".join(_modes(was, now))
    old, new = await _lines(store, was), await _lines(store, now)
    if old is None or new is None:
        return f"{head}Binary files differ\n"
    names = (f"a/{_shown(path)}" if was else "/dev/null", f"b/{_shown(path)}" if now else "/dev/null")
    return head + await asyncio.to_thread(_compare, old, new, names)


def _compare(old: list[str], new: list[str], names: tuple[str, str]) -> str:
    lines = difflib.unified_diff(old, new, *names)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _modes(was: TreeFile | None, now: TreeFile | None) -> Iterator[str]:
    if was is None and now is not None:
        yield f"new file mode {_mode(now)}\n"
    elif was is not None and now is None:
        yield f"deleted file mode {_mode(was)}\n"
    elif was is not None and now is not None and _mode(was) != _mode(now):
        yield f"old mode {_mode(was)}\nnew mode {_mode(now)}\n"


def _mode(file: TreeFile) -> str:
    if file.link is not None:
        return "120000"
    return "100755" if file.executable else "100644"


async def _lines(store: Store, file: TreeFile | None) -> list[str] | None:
    """None for what is not text, or too much of it."""
    if file is None:
        return []
    if file.digest is None:
        return [file.link or ""]
    if file.size > _FILE_BYTES:
        return None
    data = await store.read(file.digest)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    # Only a newline ends a line: U+2028 and form feeds are part of one.
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    lines = lines if lines[-1] else lines[:-1]
    return None if "\0" in text or len(lines) > _LINES else lines


def _same(was: TreeFile | None, now: TreeFile | None) -> bool:
    return (
        was is not None and now is not None and (was.digest, was.link, _mode(was)) == (now.digest, now.link, _mode(now))
    )


def _shown(path: str) -> str:
    return "".join(c if c.isprintable() else f"\\{ord(c):03o}" for c in path)
