"""Git sources against a real `git http-backend` behind TLS: what people have."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import InvalidInput
from headrace.model.diagnostic import FailureReason
from headrace.model.version import GitSource
from headrace.settings import Settings
from headrace.source.git import prune_mirrors


async def test_the_default_branch_arrives_with_its_author_and_message(
    settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
) -> None:
    repository = git_host.repository("r")
    commit = repository.commit({"a.txt": b"one\r\n", "dir/b": b"\0\xff"}, "first\n\nwith a body")
    fetched = await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
    assert (fetched.commit, fetched.branch) == (commit, "main")
    assert (fetched.author.kind, fetched.author.name) == ("git", "Ann Ex")
    assert fetched.message == "first\n\nwith a body"
    assert (tmp_path / "out/a.txt").read_bytes() == b"one\r\n"
    assert (tmp_path / "out/dir/b").read_bytes() == b"\0\xff"
    assert not (tmp_path / "out/.git").exists()


async def test_a_branch_a_tag_and_an_exact_commit_are_found(
    settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
) -> None:
    repository = git_host.repository("r")
    old = repository.commit({"a": b"1"})
    new = repository.commit({"a": b"2"})
    side = repository.commit({"a": b"3"}, branch="feature/x")
    repository.git("tag", "-a", "v1", "-m", "release", old)
    url = git_host.url("r")
    for number, (source, commit, branch) in enumerate(
        [
            (GitSource(url=url, ref="feature/x"), side, "feature/x"),
            (GitSource(url=url, ref="refs/heads/main"), new, "main"),
            (GitSource(url=url, ref="v1"), old, None),
            (GitSource(url=url, commit=new), new, None),
            (GitSource(url=url, commit=old, ref="main"), old, "main"),
        ]
    ):
        fetched = await fetch(settings, tmp_path / str(number), source)
        assert (fetched.commit, fetched.branch) == (commit, branch)


async def test_the_modes_of_files_and_links_are_kept(
    settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
) -> None:
    repository = git_host.repository("r")
    run, target = repository.blob(b"#!/bin/sh\n"), repository.blob(b"bin/run")
    sub = repository.tree({b"run": ("100755", run)})
    repository.commit_tree(repository.tree({b"bin": ("40000", sub), b"link": ("120000", target)}))
    await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
    assert str((tmp_path / "out/link").readlink()) == "bin/run"
    assert stat.S_IMODE((tmp_path / "out/bin/run").stat().st_mode) & 0o111


async def test_nothing_new_fetches_nothing_and_a_known_commit_asks_nobody(
    settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
) -> None:
    commit = git_host.repository("r").commit({"a": b"1"})
    url = git_host.url("r")
    await fetch(settings, tmp_path / "1", GitSource(url=url))
    before = len(git_host.requests)
    await fetch(settings, tmp_path / "2", GitSource(url=url))
    assert [path for path, _ in git_host.requests[before:]] == [
        "/r/info/refs?service=git-upload-pack",
        "/r/git-upload-pack",
    ]
    before = len(git_host.requests)
    await fetch(settings, tmp_path / "3", GitSource(url=url, commit=commit))
    assert git_host.requests[before:] == []


async def test_a_damaged_mirror_is_begun_anew(settings: Settings, git_host: Any, tmp_path: Path, fetch: Any) -> None:
    git_host.repository("r").commit({"a": b"1" * 100_000})
    await fetch(settings, tmp_path / "1", GitSource(url=git_host.url("r")))
    for pack in (tmp_path / "data/mirrors").rglob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"PACK rubbish")
    await fetch(settings, tmp_path / "2", GitSource(url=git_host.url("r")))
    assert (tmp_path / "2/a").read_bytes() == b"1" * 100_000


async def test_what_a_killed_fetch_left_in_the_mirror_does_not_stop_the_next(
    settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
) -> None:
    repository = git_host.repository("r")
    repository.commit({"a": b"1"})
    await fetch(settings, tmp_path / "1", GitSource(url=git_host.url("r")))
    (mirror,) = [path for path in (tmp_path / "data/mirrors").iterdir() if path.is_dir()]
    (mirror / "shallow.lock").touch()
    (mirror / "objects/pack/tmp_pack_x").touch()
    repository.commit({"a": b"2"})
    await fetch(settings, tmp_path / "2", GitSource(url=git_host.url("r")))
    assert (tmp_path / "2/a").read_bytes() == b"2"
    assert not list(mirror.rglob("tmp_*"))


async def test_two_fetches_of_one_repository_at_once_both_succeed(
    settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
) -> None:
    git_host.repository("r").commit({"a": b"1"})
    source = GitSource(url=git_host.url("r"))
    both = await asyncio.gather(fetch(settings, tmp_path / "1", source), fetch(settings, tmp_path / "2", source))
    assert both[0].commit == both[1].commit


async def test_unused_mirrors_go(settings: Settings, git_host: Any, tmp_path: Path, fetch: Any) -> None:
    git_host.repository("r").commit({"a": b"1"})
    await fetch(settings, tmp_path / "1", GitSource(url=git_host.url("r")))
    mirrors = tmp_path / "data/mirrors"
    assert prune_mirrors(mirrors, unused_seconds=3600) == []
    assert len(prune_mirrors(mirrors, unused_seconds=-1)) == 1
    assert not [path for path in mirrors.iterdir() if path.is_dir()]


class TestMissing:
    async def test_a_repository_that_is_not_there(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("nothing")))
        assert failure.reason is FailureReason.SOURCE_NOT_FOUND

    async def test_a_branch_that_is_not_there_names_one_that_is_near(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        git_host.repository("r").commit({"a": b"1"})
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r"), ref="mian"))
        assert failure.reason is FailureReason.SOURCE_NOT_FOUND
        assert "main" in failure.hint

    async def test_an_empty_repository(self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any) -> None:
        git_host.repository("r")
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_EMPTY

    async def test_a_default_branch_without_commits(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        git_host.repository("r").commit({"a": b"1"}, branch="other")
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_EMPTY
        assert "other" in failure.hint

    async def test_a_commit_without_files(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        repository = git_host.repository("r")
        repository.commit_tree(repository.tree({}))
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_EMPTY

    @pytest.mark.parametrize("name", ["r", "old/r"])
    async def test_a_commit_that_is_gone(
        self, settings: Settings, git_host: Any, tmp_path: Path, name: str, refused: Any
    ) -> None:
        git_host.repository("r").commit({"a": b"1"})
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url(name), commit="ab" * 20))
        assert failure.reason is FailureReason.SOURCE_NOT_FOUND
        assert "newest commit" in failure.hint

    async def test_a_tree_and_a_tag_are_not_commits(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        repository = git_host.repository("r")
        commit = repository.commit({"a": b"1"})
        repository.git("tag", "-a", "v1", "-m", "x", commit)
        for name in (repository.git("rev-parse", "v1"), repository.git("rev-parse", f"{commit}^{{tree}}")):
            with pytest.raises(InvalidInput) as caught:
                await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r"), commit=name))
            assert caught.value.exact_code == "source.commit_invalid"


class TestCommits:
    async def test_a_commit_of_a_fork_is_not_built(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        repository = git_host.repository("r")
        base = repository.commit({"a": b"1"})
        stranger = repository.git("commit-tree", f"{base}^{{tree}}", "-p", base, "-m", "not yours")
        repository.git("update-ref", "refs/pull/1/head", stranger)
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r"), commit=stranger))
        assert failure.reason is FailureReason.SOURCE_FORBIDDEN
        assert "source.commit_not_in_branch" in failure.message
        # Fetched once and found foreign, it is still foreign.
        await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r"), commit=stranger))

    async def test_an_old_commit_is_found_on_a_server_that_gives_branches_only(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        repository = git_host.repository("r")
        repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
        old = repository.commit({"a": b"old"})
        for number in range(5):
            repository.commit({"a": b"%d" % number})
        await fetch(settings, tmp_path / "1", GitSource(url=git_host.url("old/r")))
        await fetch(settings, tmp_path / "2", GitSource(url=git_host.url("old/r"), commit=old))
        assert (tmp_path / "2/a").read_bytes() == b"old"

    async def test_a_commit_after_a_forced_push_is_the_new_one(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        repository = git_host.repository("r")
        repository.commit({"a": b"1"})
        await fetch(settings, tmp_path / "1", GitSource(url=git_host.url("r")))
        repository.git("update-ref", "-d", "refs/heads/main")
        repository.commit({"a": b"2"})
        await fetch(settings, tmp_path / "2", GitSource(url=git_host.url("r")))
        assert (tmp_path / "2/a").read_bytes() == b"2"
