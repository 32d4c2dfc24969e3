"""Repositories that were made to harm. Rows B47 to B61 of the list of bad inputs."""

import os
from pathlib import Path
from typing import Any

import pytest

from headrace.model.diagnostic import FailureReason
from headrace.model.version import GitSource
from headrace.settings import Settings


class TestHostile:
    """Rows B47 to B61 of the list of bad inputs."""

    async def test_links_out_of_the_tree_arrive_as_links_and_are_never_followed(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        repository = git_host.repository("r")
        entries = {b"a": "a", b"dist": "/etc", b"package.json": "/proc/self/environ", b"up": "../../x"}
        repository.commit_tree(
            repository.tree({name: ("120000", repository.blob(target.encode())) for name, target in entries.items()})
        )
        await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert str((tmp_path / "out/dist").readlink()) == "/etc"
        assert str((tmp_path / "out/a").readlink()) == "a"

    @pytest.mark.parametrize(
        "name",
        [
            b".git",
            b".GIT",
            b"git~1",
            ".g\u200cit".encode(),
            b".git ",
            b".git.",
            b"..",
            b".",
            b".git::$INDEX_ALLOCATION",
        ],
    )
    async def test_a_path_that_some_system_takes_for_git_is_refused(
        self, settings: Settings, git_host: Any, tmp_path: Path, name: bytes, refused: Any
    ) -> None:
        repository = git_host.repository("r")
        blob = repository.blob(b"touch /tmp/C")
        repository.commit_tree(repository.tree({name: ("40000", repository.tree({b"x": ("100644", blob)}))}))
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_FORBIDDEN

    async def test_a_file_below_a_link_of_the_same_name_is_refused(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        repository = git_host.repository("r")
        outside = tmp_path / "outside"
        outside.mkdir()
        link, file = repository.blob(str(outside).encode()), repository.blob(b"gotcha")
        sub = repository.tree({b"x": ("100644", file)})
        # A real tree can't have one name twice; this one is written byte by byte.
        lines = b"120000 d\0" + bytes.fromhex(link) + b"40000 d\0" + bytes.fromhex(sub)
        twice = repository.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=lines)
        repository.commit_tree(twice)
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_FORBIDDEN
        assert not list(outside.iterdir())

    async def test_submodules_are_left_out_and_said(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        repository = git_host.repository("r")
        modules = b'[submodule "m"]\n\tpath = lib\n\turl = https://127.0.0.1:1/m\n'
        entries = {b".gitmodules": ("100644", repository.blob(modules)), b"lib": ("160000", "ab" * 20)}
        repository.commit_tree(repository.tree(entries))
        fetched = await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".gitmodules"]
        assert fetched.notes == ["1 submodules were left out: 'lib'"]

    @pytest.mark.parametrize(
        "modules",
        [
            b'[submodule "m"]\n\tpath = lib\n\turl = --upload-pack=id\n',
            b'[submodule "../../x"]\n\tpath = lib\n\turl = https://h/x\n',
            b'[submodule "m"]\n\tpath = -x\n\turl = https://h/x\n',
            b'[submodule "m"]\n\tpath = lib\n\turl = https://h/x\n\tupdate = !touch /tmp/C\n',
        ],
    )
    async def test_a_file_of_submodules_that_could_harm_is_refused(
        self, settings: Settings, git_host: Any, tmp_path: Path, modules: bytes, refused: Any
    ) -> None:
        repository = git_host.repository("r")
        repository.commit_tree(repository.tree({b".gitmodules": ("100644", repository.blob(modules))}))
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_FORBIDDEN
        assert "source.submodule_forbidden" in failure.message

    async def test_attributes_change_nothing(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        attributes = b"* text eol=crlf filter=evil diff=evil merge=evil export-subst ident\nsecret export-ignore\n"
        files = {".gitattributes": attributes, "a": b"$Format:%H$ $Id$\n", "secret": b"kept\n"}
        files[".lfsconfig"] = b"[lfs]\n\turl = http://169.254.169.254/\n"
        git_host.repository("r").commit(files)
        await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == files

    async def test_pointers_of_lfs_stay_pointers_and_are_said(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 1099511627776\n" % (b"ab" * 32)
        git_host.repository("r").commit({"big.bin": pointer})
        fetched = await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert (tmp_path / "out/big.bin").read_bytes() == pointer
        assert "1 files are pointers of Git LFS" in fetched.notes[0]

    async def test_names_are_bytes(self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any) -> None:
        names = [b"-rf", b"a\nb", b"\x1b[2J", b"x;y", b'"q"', b"n" * 255, "ü".encode()]
        repository = git_host.repository("r")
        blob = repository.blob(b"x")
        repository.commit_tree(repository.tree(dict.fromkeys(sorted(names), ("100644", blob))))
        await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert sorted(os.fsencode(path.name) for path in (tmp_path / "out").iterdir()) == sorted(names)

    async def test_a_bare_repository_inside_the_tree_has_no_effect(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        files = {
            "HEAD": b"ref: refs/heads/main\n",
            "config": b"[core]\n\tfsmonitor = touch /tmp/C\n",
            "objects/x": b"",
            "refs/x": b"",
        }
        git_host.repository("r").commit(files)
        fetched = await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert sum(path.is_file() for path in fetched.root.rglob("*")) == 4

    async def test_a_tree_of_trees_is_too_large(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        repository = git_host.repository("r")
        entry = ("100644", repository.blob(b"bomb"))
        for _ in range(10):
            entry = ("40000", repository.tree({b"d%d" % number: entry for number in range(10)}))
        repository.commit_tree(entry[1])
        few = settings.model_copy(update={"upload_files": 10_000})
        failure = await refused(few, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_TOO_LARGE

    async def test_files_beyond_the_limits_are_too_many_or_too_large(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        git_host.repository("r").commit({f"{number}": b"x" * 1000 for number in range(20)})
        for limit in ({"upload_files": 19}, {"upload_bytes": 19_999}):
            failure = await refused(
                settings.model_copy(update=limit), tmp_path / "out", GitSource(url=git_host.url("r"))
            )
            assert failure.reason is FailureReason.SOURCE_TOO_LARGE

    async def test_a_file_that_packs_to_nothing_is_too_large_and_takes_no_room(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        repository = git_host.repository("r")
        blob = repository.blob(bytes(64 << 20))
        repository.commit_tree(repository.tree({b"zero": ("100644", blob)}))
        small = settings.model_copy(update={"upload_bytes": 10 << 20})
        failure = await refused(small, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_TOO_LARGE
        assert sum(path.stat().st_size for path in (tmp_path / "data").rglob("*") if path.is_file()) < 5 << 20

    async def test_a_pack_beyond_the_limit_is_cut_off(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        git_host.repository("r").commit({"noise": os.urandom(18 << 20)})
        small = settings.model_copy(update={"upload_bytes": 1 << 20})
        failure = await refused(small, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_TOO_LARGE
        assert not list((tmp_path / "data").rglob("*.pack"))
