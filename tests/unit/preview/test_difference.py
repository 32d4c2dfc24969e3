"""Applying a difference to one tree gives the other."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.model.digest import digest_of
from headrace.model.version import Tree, TreeFile
from headrace.preview.difference import difference

_files = st.dictionaries(
    st.sampled_from(["a", "b/c", "b/d", "e"]),
    st.tuples(st.sampled_from([b"one", b"two"]), st.booleans()),
)


def _tree(files: dict[str, tuple[bytes, bool]]) -> Tree:
    return Tree(
        files=tuple(
            TreeFile(path=path, digest=digest_of(data), size=len(data), executable=executable)
            for path, (data, executable) in sorted(files.items())
        )
    )


@given(_files, _files)
def test_what_is_written_and_removed_makes_the_other_tree(
    before: dict[str, tuple[bytes, bool]], after: dict[str, tuple[bytes, bool]]
) -> None:
    change = difference(_tree(before), _tree(after))
    made = {file.path: file for file in _tree(before).files}
    for path in change.removed:
        del made[path]
    made |= {file.path: file for file in change.written}
    assert tuple(made[path] for path in sorted(made)) == _tree(after).files


@given(_files)
def test_equal_trees_differ_in_nothing(files: dict[str, tuple[bytes, bool]]) -> None:
    assert len(difference(_tree(files), _tree(files))) == 0


def test_a_link_is_told_apart_from_files() -> None:
    linked = Tree(files=(TreeFile(path="a", link="b"),))
    assert difference(_tree({}), linked).has_links
    assert not difference(linked, _tree({})).has_links
