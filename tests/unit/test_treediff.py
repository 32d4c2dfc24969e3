"""What changed between two trees. git itself says whether a diff is right: it must lead from one tree to the other."""

import difflib
import os
import random
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import NotFound
from headrace.model.digest import Digest, digest_of
from headrace.model.version import Tree, TreeFile
from headrace.treediff import ChangeKind, ChangeSet, DiffLimits, compare_trees, diff_files, unified_diff_text
from headrace.treediff.lines import matching_lines


class Blobs:
    """A tree's files as they are written in a test: text, bytes, a link as `-> target`, or an executable as (bytes, True)."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}

    def tree(self, files: dict[str, bytes | str]) -> Tree:
        return Tree(files=tuple(self._file(path, content) for path, content in sorted(files.items())))

    def _file(self, path: str, content: bytes | str) -> TreeFile:
        if isinstance(content, str):
            return TreeFile(path=path, link=content)
        executable = content.startswith(b"#!")
        self.blobs[digest_of(content)] = content
        return TreeFile(path=path, digest=digest_of(content), size=len(content), executable=executable)

    async def read(self, digest: Digest) -> bytes:
        if digest not in self.blobs:
            raise NotFound("no such blob")
        return self.blobs[digest]


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


async def diff(
    blobs: Blobs, before: dict[str, bytes | str] | None, after: dict[str, bytes | str], **limits: int
) -> str:
    old = None if before is None else blobs.tree(before)
    return await unified_diff_text(compare_trees(old, blobs.tree(after)), blobs.read, DiffLimits(**limits))


def write(root: Path, files: dict[str, bytes | str]) -> None:
    root.mkdir(exist_ok=True)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (root / path).symlink_to(content)
        else:
            (root / path).write_bytes(content)
            (root / path).chmod(0o755 if content.startswith(b"#!") else 0o644)


def read_all(root: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def apply(root: Path, before: dict[str, bytes | str], text: str) -> dict[str, bytes | str]:
    """The tree that git makes of `before` with the diff."""
    write(root, before)
    if text:
        env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
        env["GIT_CEILING_DIRECTORIES"] = str(root.parent)
        git = ["git", "apply", "--whitespace=nowarn", "-"]
        subprocess.run(git, cwd=root, env=env, input=text.encode(), check=True)
    return read_all(root)


def kinds(changes: ChangeSet) -> list[tuple[str, str]]:
    return [(change.path, change.kind.value) for change in changes.changes]


def test_a_change_set_names_each_file_that_differs_and_how(blobs: Blobs) -> None:
    before = blobs.tree({"same": b"1", "gone": b"2", "edited": b"3", "old/name": b"moved", "run": b"x", "link": "a"})
    after = blobs.tree({"same": b"1", "new": b"4", "edited": b"5", "new/name": b"moved", "link": "b"})
    files = (*after.files, TreeFile(path="run", digest=digest_of(b"x"), size=1, executable=True))
    changes = compare_trees(before, Tree(files=tuple(sorted(files, key=lambda file: file.path))))
    assert kinds(changes) == [
        ("edited", "modified"),
        ("gone", "deleted"),
        ("link", "modified"),
        ("new", "added"),
        ("new/name", "renamed"),
        ("run", "mode"),
    ]
    assert ChangeSet.model_validate_json(changes.model_dump_json()) == changes


def test_equal_trees_have_no_change(blobs: Blobs) -> None:
    tree = blobs.tree({"a": b"1"})
    assert compare_trees(tree, tree).changes == ()
    assert kinds(compare_trees(None, tree)) == [("a", "added")]


def test_a_renamed_file_is_paired_with_the_one_of_its_name_and_an_empty_one_with_none(blobs: Blobs) -> None:
    before = blobs.tree({"a/x": b"same", "b/y": b"same", "empty": b""})
    after = blobs.tree({"c/y": b"same", "d/x": b"same", "other": b""})
    pairs = {
        (change.before.path, change.after.path)
        for change in compare_trees(before, after).changes
        if change.kind is ChangeKind.RENAMED and change.before and change.after
    }
    assert pairs == {("a/x", "d/x"), ("b/y", "c/y")}


async def test_the_text_is_what_git_writes(blobs: Blobs) -> None:
    text = await diff(blobs, {"a.txt": b"one\ntwo\nthree\n", "gone": b"x"}, {"a.txt": b"one\n2\nthree\n", "n": b""})
    a, b = digest_of(b"one\ntwo\nthree\n")[7:19], digest_of(b"one\n2\nthree\n")[7:19]
    assert text == (
        f"diff --git a/a.txt b/a.txt\nindex {a}..{b} 100644\n--- a/a.txt\n+++ b/a.txt\n"
        "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
        f"diff --git a/gone b/gone\ndeleted file mode 100644\nindex {digest_of(b'x')[7:19]}..000000000000\n"
        "--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n"
        f"diff --git a/n b/n\nnew file mode 100644\nindex 000000000000..{digest_of(b'')[7:19]}\n"
    )


CHANGES: dict[str, tuple[dict[str, bytes | str], dict[str, bytes | str]]] = {
    "lines": (
        {"a": b"".join(b"%d\n" % n for n in range(50))},
        {"a": b"".join(b"%d\n" % n for n in range(50) if n not in (7, 30))},
    ),
    "no final newline before": ({"a": b"1\n2"}, {"a": b"1\n2\n"}),
    "no final newline after": ({"a": b"1\n2\n"}, {"a": b"1\n2"}),
    "no final newline at all": ({"a": b"1\n2"}, {"a": b"0\n2"}),
    "carriage returns": ({"a": b"1\r\n2\r\n3\r\n"}, {"a": b"1\r\n2\n3\r\n"}),
    "old line ends": ({"a": b"1\r2\r3"}, {"a": b"1\r2\r4"}),
    "odd spaces": ({"a": "1\u2028x\n\x0c2\n\x853\n".encode()}, {"a": "1\u2028x\n\x0c2\n\x854\n".encode()}),
    "from empty": ({"a": b""}, {"a": b"1\n"}),
    "to empty": ({"a": b"1\n2\n"}, {"a": b""}),
    "names": (
        {"a b": b"1\n", "t\tb": b"1\n", 'q"': b"1\n"},
        {"a b": b"2\n", "t\tb": b"2\n", 'q"': b"2\n", "n\nl": b"3\n", "ü": b"4\n"},
    ),
    "renamed": ({"a b/x": b"same\n"}, {"c\td/x": b"same\n"}),
    "made executable": ({"a": b"echo\n"}, {"a": b"#!/bin/sh\necho\n"}),
    "link": ({"l": "a", "a": b""}, {"l": "b/c", "a": b""}),
    "file to link": ({"l": b"text\nmore\n", "a": b""}, {"l": "a", "a": b""}),
    "link to file": ({"l": "a", "a": b""}, {"l": b"text", "a": b""}),
    "byte order mark": ({"a": b"\xef\xbb\xbfx\n"}, {"a": b"\xef\xbb\xbfy\n"}),
    "minus and plus": ({"a": b"-- a\n++ b\n"}, {"a": b"++ b\n-- c\n"}),
    "everything": ({"a": b"1\n2\n3\n"}, {"b": b"4\n5\n6\n"}),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_git_gets_from_one_tree_to_the_other_by_the_text(blobs: Blobs, tmp_path: Path, name: str) -> None:
    before, after = CHANGES[name]
    assert apply(tmp_path / "t", before, await diff(blobs, before, after)) == after


_TEXTS = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"d\n", b"\n", b"e"]), max_size=25).map(b"".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.tuples(_TEXTS, _TEXTS), min_size=1, max_size=3), context=st.integers(1, 4))
async def test_git_gets_from_any_text_to_any_other(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[bytes, bytes]], context: int
) -> None:
    before: dict[str, bytes | str] = {f"f{number}": old for number, (old, _) in enumerate(texts)}
    after: dict[str, bytes | str] = {f"f{number}": new for number, (_, new) in enumerate(texts)}
    text = await diff(Blobs(), before, after, context=context)
    assert apply(tmp_path_factory.mktemp("t"), before, text) == after


@given(
    st.lists(st.sampled_from(b"abcdef"), max_size=40),
    st.lists(st.sampled_from(b"abcdef"), max_size=40),
    st.integers(0, 500),
)
def test_matches_are_true_and_rise_whatever_the_budget(old: list[int], new: list[int], steps: int) -> None:
    a, b = [bytes([x]) for x in old], [bytes([x]) for x in new]
    end_a = end_b = -1
    for i, j, length in matching_lines(a, b, steps=steps):
        assert length > 0
        assert i >= end_a
        assert j >= end_b
        assert (i, j) != (end_a, end_b)
        assert a[i : i + length] == b[j : j + length]
        end_a, end_b = i + length, j + length


async def test_a_binary_file_is_said_to_differ(blobs: Blobs) -> None:
    text = await diff(
        blobs, {"i.png": b"\x89PNG\0\1", "u": "x\n".encode("utf-16")}, {"i.png": b"\x89PNG\0\2", "u": b"x\n"}
    )
    assert "Binary files a/i.png and b/i.png differ\n" in text
    assert "Binary files a/u and b/u differ\n" in text
    assert "@@" not in text


async def test_a_new_binary_file_comes_from_nothing(blobs: Blobs) -> None:
    assert "Binary files /dev/null and b/i differ\n" in await diff(blobs, None, {"i": b"\0"})


async def test_text_of_another_encoding_is_shown_as_well_as_it_can_be(blobs: Blobs) -> None:
    text = await diff(blobs, {"a": b"caf\xe9\n"}, {"a": b"caf\xe8\n"})
    assert "-caf\ufffd\n+caf\ufffd\n" in text


async def test_a_file_beyond_the_limit_is_named_and_never_read(blobs: Blobs) -> None:
    tree = Tree(files=(TreeFile(path="big", digest=digest_of(b"not stored"), size=10_000_000),))
    text = await unified_diff_text(compare_trees(None, tree), blobs.read)
    assert "# too large to show: 10000000 bytes\n" in text


async def test_beyond_the_limit_of_the_whole_the_rest_is_named(blobs: Blobs) -> None:
    text = await diff(blobs, None, {f"f{n}": b"x" * 99 + b"\n" for n in range(5)}, characters=150)
    assert text.count("@@ -0,0") == 2
    assert text.count("# not shown") == 3
    assert "diff --git a/f4 b/f4\n" in text


async def test_hunks_are_data_too(blobs: Blobs) -> None:
    changes = compare_trees(blobs.tree({"a": b"1\n2\n"}), blobs.tree({"a": b"1\n3\n"}))
    (found,) = [one async for one in diff_files(changes, blobs.read)]
    (hunk,) = found.hunks
    assert (hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines) == (1, 2, 1, 2)
    assert hunk.lines == (" 1\n", "-2\n", "+3\n")


@pytest.mark.parametrize("kind", ["shuffled", "few kinds of lines", "nothing in common", "moved"])
def test_a_large_file_takes_no_long_time(kind: str) -> None:
    chance = random.Random(1)  # noqa: S311 - the same lines each time
    lines = [b"line %d" % number for number in range(50_000)]
    other = {
        "shuffled": lambda: chance.sample(lines, len(lines)),
        "few kinds of lines": lambda: [chance.choice([b"}", b"", b"{"]) for _ in lines],
        "nothing in common": lambda: [line + b"!" for line in lines],
        "moved": lambda: lines[25_000:] + lines[:25_000],
    }[kind]()
    if kind == "few kinds of lines":
        lines = [chance.choice([b"}", b"", b"{"]) for _ in lines]
    started = time.process_time()
    matching_lines(lines, other)
    assert time.process_time() - started < 8


def test_the_result_is_about_as_short_as_that_of_difflib() -> None:
    chance = random.Random(2)  # noqa: S311 - the same lines each time
    old = [b"%d" % chance.randrange(200) for _ in range(400)]
    new = [line for line in old if chance.random() > 0.1]
    for _ in range(30):
        new.insert(chance.randrange(len(new)), b"new %d" % chance.randrange(1000))
    ours = sum(length for _, _, length in matching_lines(old, new))
    theirs = sum(block.size for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks())
    assert ours >= theirs * 0.95
