"""Directories become trees and trees directories, without ever leaving the root."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import Conflict, CorruptBlob, InvalidInput, NotFound, TooLarge
from headrace.model.digest import digest_of
from headrace.model.plan import BuildPlan, PlannedCommand
from headrace.model.project import Project
from headrace.model.version import ArchiveSource, DirectorySource, Tree, TreeFile
from headrace.store.memory import MemoryStore
from headrace.tree import (
    canonical,
    check_path,
    check_tree,
    load_tree,
    snapshot,
    store_entries,
    store_tree,
    tree_digest,
    write_tree,
)
from headrace.tree.statindex import StatIndex


def fill(root: Path) -> None:
    (root / "src/deep").mkdir(parents=True)
    (root / "src/deep/a.ts").write_text("export {}\n")
    (root / "src/b.ts").write_text("b")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "empty").write_bytes(b"")
    (root / "link").symlink_to("src/b.ts")
    (root / "src/up").symlink_to("../run.sh")


def paths_of(tree: Tree) -> list[str]:
    return [file.path for file in tree.files]


def test_a_snapshot_lists_files_and_links_sorted_by_path(tmp_path: Path) -> None:
    fill(tmp_path)
    tree = snapshot(tmp_path)
    assert paths_of(tree) == ["empty", "link", "run.sh", "src/b.ts", "src/deep/a.ts", "src/up"]
    by_path = {file.path: file for file in tree.files}
    assert by_path["run.sh"] == TreeFile(path="run.sh", digest=digest_of(b"#!/bin/sh\n"), size=10, executable=True)
    assert by_path["link"] == TreeFile(path="link", link="src/b.ts")


def test_a_snapshot_of_chosen_paths_holds_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / ".env").write_text("SECRET=1")
    tree = snapshot(tmp_path, ["src/deep", "src/deep/a.ts", "link", "gone.txt", "run.sh/no", "src/b.ts/no"])
    assert paths_of(tree) == ["link", "src/deep/a.ts"]
    assert snapshot(tmp_path, []).files == ()


def test_equal_directories_have_equal_digests_whatever_their_times_and_owners(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        fill(tmp_path / name)
    os.utime(tmp_path / "two/run.sh", (1, 1))
    (tmp_path / "two/nothing/in/here").mkdir(parents=True)
    assert tree_digest(snapshot(tmp_path / "one")) == tree_digest(snapshot(tmp_path / "two"))
    (tmp_path / "two/src/b.ts").chmod(0o755)
    assert tree_digest(snapshot(tmp_path / "one")) != tree_digest(snapshot(tmp_path / "two"))


@pytest.mark.parametrize("name", ["new\nline", "\x1b[31mred", "-rf", "; rm", 'quo"te', "ünï", "a\\b", "e" * 255, " "])
def test_odd_names_are_fine(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    tree = snapshot(tmp_path)
    assert paths_of(tree) == [name]
    assert Tree.model_validate_json(canonical(tree)) == tree


def test_a_name_that_is_no_utf8_is_refused_and_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9\x1b")).write_text("x")
    with pytest.raises(InvalidInput) as caught:
        snapshot(tmp_path)
    assert caught.value.exact_code == "path.invalid"
    assert "caf\\\\udce9\\\\x1b" in caught.value.message


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_fifos_and_sockets_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "d"
    path.mkdir()
    if kind == "fifo":
        os.mkfifo(path / "odd")
    else:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(path / "odd"))
    with pytest.raises(InvalidInput) as caught:
        snapshot(tmp_path)
    assert caught.value.exact_code == "source.entry_forbidden"
    assert "d/odd" in caught.value.message


@pytest.mark.parametrize(
    "links",
    [
        {"dist": "/etc"},
        {"a": ".."},
        {"d/a": "../../x"},
        {"d/a": "x/../../../etc/passwd"},
        # Looks as if it stayed inside, but d/e is a link to a place higher up.
        {"d/e/f": "../../top", "top/x": "f", "out": "d/e/f/../../etc"},
    ],
)
def test_links_that_leave_the_root_are_refused(tmp_path: Path, links: dict[str, str]) -> None:
    for path, target in links.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(target)
    with pytest.raises(InvalidInput) as caught:
        snapshot(tmp_path)
    assert caught.value.exact_code == "config.symlink_forbidden"


def test_links_that_dangle_or_go_in_circles_harm_nobody(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    (tmp_path / "b").symlink_to("c/../nowhere")
    for number in range(100):
        (tmp_path / f"chain{number}").symlink_to(f"chain{number + 1}")
    assert len(snapshot(tmp_path).files) == 102


def test_a_directory_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/real").mkdir()
    (tmp_path / "root/real/f").write_text("x")
    (tmp_path / "root/alias").symlink_to("real")
    assert paths_of(snapshot(tmp_path / "root")) == ["alias", "real/f"]
    assert snapshot(tmp_path / "root", ["alias/f"]).files == ()


def test_too_many_files_bytes_and_levels_are_refused(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).write_text("12345")
    assert len(snapshot(tmp_path, max_files=5, max_bytes=25).files) == 5
    with pytest.raises(TooLarge) as caught:
        snapshot(tmp_path, max_files=4)
    assert caught.value.exact_code == "source.too_many_files"
    with pytest.raises(TooLarge) as caught:
        snapshot(tmp_path, max_bytes=24)
    assert caught.value.exact_code == "source.too_large"
    (tmp_path / ("d/" * 300)).mkdir(parents=True)
    with pytest.raises(TooLarge):
        snapshot(tmp_path)


async def test_a_tree_that_was_stored_is_written_out_the_same(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    fill(tmp_path / "in")
    (tmp_path / "in/large.bin").write_bytes(os.urandom(5_000_000))
    store = MemoryStore()
    tree = snapshot(tmp_path / "in")
    digest = await store_tree(store, tmp_path / "in", tree)
    assert digest == tree_digest(tree)
    assert await load_tree(store, digest) == tree
    await write_tree(store, tree, tmp_path / "out")
    assert snapshot(tmp_path / "out") == tree
    assert (tmp_path / "out/src/up").readlink() == Path("../run.sh")


async def test_entries_alone_are_stored_as_a_tree(tmp_path: Path) -> None:
    store = MemoryStore()
    part = Tree(files=(TreeFile(path="package.json", digest=await store.put(b"{}"), size=2),))
    assert await store_entries(store, part) == tree_digest(part)
    assert await load_tree(store, tree_digest(part)) == part


@pytest.mark.parametrize("size", [10, 5_000_000])
async def test_a_file_that_changed_after_the_snapshot_is_not_stored_as_something_else(
    tmp_path: Path, size: int
) -> None:
    (tmp_path / "f").write_bytes(b"x" * size)
    tree = snapshot(tmp_path)
    (tmp_path / "f").write_bytes(b"y" * size)
    store = MemoryStore()
    with pytest.raises(Conflict) as caught:
        await store_tree(store, tmp_path, tree)
    assert caught.value.exact_code == "source.changed"
    assert await store.missing([tree_digest(tree)])


async def test_a_directory_swapped_for_a_link_after_the_snapshot_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "root/d").mkdir(parents=True)
    (tmp_path / "root/d/f").write_text("same")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").write_text("same")
    tree = snapshot(tmp_path / "root")
    (tmp_path / "root/d/f").unlink()
    (tmp_path / "root/d").rmdir()
    (tmp_path / "root/d").symlink_to("../outside")
    with pytest.raises(Conflict):
        await store_tree(MemoryStore(), tmp_path / "root", tree)


async def test_a_blob_that_is_no_tree_is_corrupt() -> None:
    store = MemoryStore()
    with pytest.raises(CorruptBlob):
        await load_tree(store, await store.put(b'{"files":7}'))


async def test_a_missing_file_stops_the_writing(tmp_path: Path) -> None:
    tree = Tree(files=(TreeFile(path="f", digest=digest_of(b"gone"), size=4),))
    with pytest.raises(NotFound):
        await write_tree(MemoryStore(), tree, tmp_path / "out")


async def test_a_tree_is_not_written_over_files(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    with pytest.raises(Conflict):
        await write_tree(MemoryStore(), Tree(files=()), tmp_path)


BLOB = digest_of(b"x")


@pytest.mark.parametrize(
    "files",
    [
        [TreeFile(path="/etc/passwd", digest=BLOB)],
        [TreeFile(path="../x", digest=BLOB)],
        [TreeFile(path="a/../../x", digest=BLOB)],
        [TreeFile(path="a//b", digest=BLOB)],
        [TreeFile(path="", digest=BLOB)],
        [TreeFile(path="a\0b", digest=BLOB)],
        [TreeFile(path="n" * 256, digest=BLOB)],
        [TreeFile(path="a", digest=BLOB), TreeFile(path="a", digest=BLOB)],
        [TreeFile(path="b", digest=BLOB), TreeFile(path="a", digest=BLOB)],
        [TreeFile(path="a")],
        [TreeFile(path="a", digest=BLOB, link="b")],
        [TreeFile(path="d", link="e"), TreeFile(path="d/f", digest=BLOB)],
        [TreeFile(path="d", link="/etc")],
        [TreeFile(path="d", link="")],
    ],
)
async def test_a_tree_that_could_leave_its_root_is_not_written(tmp_path: Path, files: list[TreeFile]) -> None:
    store = MemoryStore()
    await store.put(b"x")
    with pytest.raises(InvalidInput):
        await write_tree(store, Tree(files=tuple(files)), tmp_path / "root/out")
    assert not (tmp_path / "root").exists()


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "/", "a/b", "../a"]), min_size=1, max_size=6).map("/".join))
def test_a_path_that_passes_names_a_file_below_the_root(path: str) -> None:
    try:
        check_path(path)
    except InvalidInput:
        return
    assert os.path.normpath(path) == path
    assert not path.startswith(("/", "../"))


@settings(derandomize=True, deadline=None)
@given(st.dictionaries(st.text("abc/.", max_size=8), st.text("ab./", max_size=12), max_size=5))
def test_links_that_pass_stay_inside_when_linux_follows_them(links: dict[str, str]) -> None:
    tree = Tree(files=tuple(TreeFile(path=path, link=links[path]) for path in sorted(links)))
    try:
        check_tree(tree)
    except InvalidInput:
        return
    import tempfile

    with tempfile.TemporaryDirectory() as outer:
        root = Path(outer, "root")
        for path, target in links.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(target)
        for path in links:
            try:
                real = (root / path).resolve(strict=False)
            except (RuntimeError, OSError):
                continue  # a circle
            assert real == root.resolve() or root.resolve() in real.parents


def test_the_index_spares_hashing_and_notices_every_change(tmp_path: Path) -> None:
    root, index = tmp_path / "root", tmp_path / "index"
    root.mkdir()
    fill(root)
    for path in ("empty", "run.sh", "src/b.ts", "src/deep/a.ts"):
        os.utime(root / path, (1, 1))
    fresh = snapshot(root, index=index)
    # Everything was written just now, so nothing may be trusted yet.
    assert StatIndex(index).digest("src/b.ts", (root / "src/b.ts").stat()) is None
    (root / "src/b.ts").write_text("c")
    os.utime(root / "src/b.ts", (1, 1))
    assert snapshot(root, index=index) == snapshot(root) != fresh


def test_an_index_remembers_settled_files_only_while_they_look_the_same(tmp_path: Path) -> None:
    status = os.stat_result((0o100644, 7, 1, 1, 0, 0, 5, 1, 1, 1), {"st_mtime_ns": 10**9, "st_ctime_ns": 10**9})
    later = os.stat_result((0o100644, 7, 1, 1, 0, 0, 5, 1, 1, 1), {"st_mtime_ns": 10**9, "st_ctime_ns": 10**9 + 1})
    index = StatIndex(tmp_path / "index")
    index.remember("f", status, BLOB)
    index.save()
    assert StatIndex(tmp_path / "index").digest("f", status) == BLOB
    assert StatIndex(tmp_path / "index").digest("f", later) is None
    assert StatIndex(tmp_path / "index").digest("g", status) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"form":1,"files":{"a":[1]}}', b'{"form":9}', b"\xff"])
def test_a_damaged_index_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index").write_bytes(content)
    fill(tmp_path)
    expected = snapshot(tmp_path, ["src"])
    assert snapshot(tmp_path, ["src"], index=tmp_path / "index") == expected


def test_canonical_json_has_sorted_keys_no_spaces_and_no_defaults() -> None:
    tree = Tree(files=(TreeFile(path="ü", digest=BLOB, size=1),))
    assert canonical(tree) == f'{{"files":[{{"digest":"{BLOB}","path":"ü","size":1}}]}}'.encode()


def test_the_digest_of_a_tree_never_changes() -> None:
    tree = Tree(files=(TreeFile(path="a", digest=BLOB, size=1), TreeFile(path="b", link="a")))
    assert tree_digest(tree) == digest_of(
        f'{{"files":[{{"digest":"{BLOB}","path":"a","size":1}},{{"link":"a","path":"b"}}]}}'.encode()
    )
    assert tree_digest(tree) == "sha256:43bea4b6706d0aad3437c1fa4bf70b536ef629112248bd3fea5a19cfb269f262"


def test_members_of_a_union_differ_in_their_canonical_form() -> None:
    assert canonical(DirectorySource(path="/x")) != canonical(ArchiveSource(path="/x"))
    project = Project(
        id="p",
        workspace="w",
        name="n",
        slug="s",
        source=ArchiveSource(path="/x"),
        created_at="2026-01-01T00:00:00.000Z",
    )
    assert Project.model_validate_json(canonical(project)) == project


def test_canonical_json_reads_back_as_the_same_plan() -> None:
    plan = BuildPlan(
        framework="vite", build=PlannedCommand(argv=("npm", "run", "build"), env={"B": "2", "A": "1"}), output="dist"
    )
    assert BuildPlan.model_validate_json(canonical(plan)) == plan
    assert canonical(plan) == canonical(BuildPlan.model_validate_json(canonical(plan)))
