"""Whether new files fit into a tree: nothing is written through a link or onto one, and nothing is a file and a directory."""

from collections.abc import Iterable

from headrace.errors import InvalidInput
from headrace.model.change import Edit, Files
from headrace.sync.known_tree import KnownTree
from headrace.sync.paths import PathRefused
from headrace.tree.paths import check_links, shown


def refuse_edit(edit: Edit, before: KnownTree, after: KnownTree) -> PathRefused | None:
    """
    Why this edit of `before`, which leads to `after`, can't be: a link stands in its way, or a file where it needs a directory.
    Links and files that go in the same change stand in nobody's way.
    """
    tree = before if edit.delete else after
    stands, here = tree.above(edit.path), before.get(edit.path)
    if stands is not None and stands.link is not None:
        return PathRefused("path.symlink", f"{shown(stands.path)} is a link, and {shown(edit.path)} is below it")
    if tree.is_directory(edit.path):
        return PathRefused("path.invalid", f"{shown(edit.path)} is a directory; name its files")
    if edit.delete:
        return None
    if here is not None and here.link is not None:
        return PathRefused(
            "path.symlink", f"{shown(edit.path)} is a link; delete it first, or change what it points at"
        )
    if stands is not None:
        return PathRefused("path.invalid", f"{shown(stands.path)} is a file, and {shown(edit.path)} is below it")
    return None


def clashes(new: Files, after: KnownTree) -> Iterable[str]:
    """Paths of `new` that are a file and a directory in `after`, or stand below a file or a link."""
    for path, file in new.items():
        if file is not None and (after.is_directory(path) or after.above(path) is not None):
            yield path


def check_links_stay(new: Files, before: KnownTree, after: KnownTree) -> None:
    """
    Raises InvalidInput when a link that was harmless leads out of the tree now: one that went on through another link, which is
    gone, and has a directory in its place.
    """
    if any((old := before.get(path)) is not None and old.link is not None for path in new):
        try:
            check_links(after.links())
        except InvalidInput as exc:
            raise InvalidInput(exc.message, code="path.symlink", hint="delete that link in the same request") from exc
