"""Trees that are changed in memory are the trees that would be made from their files."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.model.digest import digest_of
from headrace.model.version import Tree, TreeFile
from headrace.sync.known_tree import KnownTree
from headrace.tree import canonical

PATHS = st.sampled_from(["a", "a.b", "a/b", "a/b/c", "a0", "b", "b/é", "z"])
FILES = st.builds(lambda n, x: (digest_of(bytes([n])), n, x), st.integers(0, 3), st.booleans())
CHANGES = st.lists(st.dictionaries(PATHS, st.one_of(st.none(), FILES)), max_size=6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(CHANGES)
def test_a_changed_tree_is_the_tree_of_its_files(changes: list[dict[str, tuple[str, int, bool] | None]]) -> None:
    known, model = KnownTree.empty(), dict[str, TreeFile]()
    for change in changes:
        new: dict[str, TreeFile | None] = {}
        for path, said in change.items():
            new[path] = TreeFile(path=path, digest=said[0], size=said[1], executable=said[2]) if said else None
        before, old = known.canonical(), dict(model)
        changed = known.changed(new)
        model = {path: file for path, file in ({**model, **new}).items() if file is not None}
        assert known.canonical() == before == _tree(old)
        known = changed
        assert known.canonical() == _tree(model)
        assert (len(known), known.bytes) == (len(model), sum(file.size for file in model.values()))
    for path in ("a", "a/b", "b", "z", "q"):
        assert known.is_directory(path) == any(other.startswith(path + "/") for other in model)
    again = KnownTree.of(Tree(files=tuple(known.all())))
    assert again.canonical() == known.canonical()


def _tree(model: dict[str, TreeFile]) -> bytes:
    return canonical(Tree(files=tuple(model[path] for path in sorted(model))))
