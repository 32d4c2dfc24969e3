"""Git sources against a real `git http-backend` behind TLS: what people have, and what they should not be able to do."""

import asyncio
import os
import stat
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import InvalidInput, StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.model.version import GitSource
from headrace.settings import Settings
from headrace.source.base import Fetched
from headrace.source.git import GitFetcher, prune_mirrors

TOKEN = "tok-4f1c-Secret+/="
#: As it is written inside an address.
QUOTED = "tok-4f1c-Secret%2B%2F%3D"


@pytest.fixture
def settings(tmp_path: Path, git_host: Any) -> Settings:
    return Settings(data_dir=tmp_path / "data", git_hosts=("localhost", "git.example"), ca_file=git_host.certificate)


async def fetch(settings: Settings, into: Path, source: GitSource, seconds: float = 60) -> Fetched:
    return await GitFetcher(settings).fetch(source, into, seconds=seconds)


async def refused(settings: Settings, into: Path, source: GitSource, seconds: float = 60) -> Any:
    with pytest.raises(StepFailed) as caught:
        await fetch(settings, into, source, seconds)
    assert not into.exists()
    assert not list(into.parent.glob(f".{into.name}*"))
    return caught.value.failure


async def test_the_default_branch_arrives_with_its_author_and_message(
    settings: Settings, git_host: Any, tmp_path: Path
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


async def test_a_branch_a_tag_and_an_exact_commit_are_found(settings: Settings, git_host: Any, tmp_path: Path) -> None:
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


async def test_the_modes_of_files_and_links_are_kept(settings: Settings, git_host: Any, tmp_path: Path) -> None:
    repository = git_host.repository("r")
    run, target = repository.blob(b"#!/bin/sh\n"), repository.blob(b"bin/run")
    sub = repository.tree({b"run": ("100755", run)})
    repository.commit_tree(repository.tree({b"bin": ("40000", sub), b"link": ("120000", target)}))
    await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
    assert str((tmp_path / "out/link").readlink()) == "bin/run"
    assert stat.S_IMODE((tmp_path / "out/bin/run").stat().st_mode) & 0o111


async def test_nothing_new_fetches_nothing_and_a_known_commit_asks_nobody(
    settings: Settings, git_host: Any, tmp_path: Path
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


async def test_a_damaged_mirror_is_begun_anew(settings: Settings, git_host: Any, tmp_path: Path) -> None:
    git_host.repository("r").commit({"a": b"1" * 100_000})
    await fetch(settings, tmp_path / "1", GitSource(url=git_host.url("r")))
    for pack in (tmp_path / "data/mirrors").rglob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"PACK rubbish")
    await fetch(settings, tmp_path / "2", GitSource(url=git_host.url("r")))
    assert (tmp_path / "2/a").read_bytes() == b"1" * 100_000


async def test_what_a_killed_fetch_left_in_the_mirror_does_not_stop_the_next(
    settings: Settings, git_host: Any, tmp_path: Path
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
    settings: Settings, git_host: Any, tmp_path: Path
) -> None:
    git_host.repository("r").commit({"a": b"1"})
    source = GitSource(url=git_host.url("r"))
    both = await asyncio.gather(fetch(settings, tmp_path / "1", source), fetch(settings, tmp_path / "2", source))
    assert both[0].commit == both[1].commit


async def test_unused_mirrors_go(settings: Settings, git_host: Any, tmp_path: Path) -> None:
    git_host.repository("r").commit({"a": b"1"})
    await fetch(settings, tmp_path / "1", GitSource(url=git_host.url("r")))
    mirrors = tmp_path / "data/mirrors"
    assert prune_mirrors(mirrors, unused_seconds=3600) == []
    assert len(prune_mirrors(mirrors, unused_seconds=-1)) == 1
    assert not [path for path in mirrors.iterdir() if path.is_dir()]


class TestPrivate:
    async def test_a_token_reads_a_private_repository_and_stays_out_of_sight(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        git_host.repository("private/r").commit({"a": b"1"})
        url = f"https://ann:{QUOTED}@localhost:{git_host.port}/private/r"
        seen: set[str] = set()
        task = asyncio.create_task(fetch(settings, tmp_path / "out", GitSource(url=url)))
        while not task.done():
            seen |= _argument_lists()
            await asyncio.sleep(0)
        fetched = await task
        assert any("git-upload-pack" in line or "ls-remote" in line for line in seen)
        kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
        for text in (" ".join(seen), fetched.model_dump_json(), kept.decode(errors="replace")):
            assert TOKEN not in text
            assert QUOTED not in text

    @pytest.mark.parametrize("user", ["", "ann:wrong@", "ann@"])
    async def test_without_the_right_token_it_ends_at_once_and_asks_nobody(
        self, settings: Settings, git_host: Any, tmp_path: Path, user: str
    ) -> None:
        git_host.repository("private/r").commit({"a": b"1"})
        started = time.monotonic()
        failure = await refused(
            settings, tmp_path / "out", GitSource(url=f"https://{user}localhost:{git_host.port}/private/r")
        )
        assert failure.reason is FailureReason.SOURCE_AUTH_FAILED
        assert time.monotonic() - started < 15
        assert "wrong" not in failure.model_dump_json()

    async def test_a_mirror_that_was_fetched_with_a_token_is_not_read_without_it(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        commit = git_host.repository("private/r").commit({"a": b"1"})
        await fetch(
            settings, tmp_path / "1", GitSource(url=f"https://ann:{QUOTED}@localhost:{git_host.port}/private/r")
        )
        failure = await refused(settings, tmp_path / "2", GitSource(url=git_host.url("private/r"), commit=commit))
        assert failure.reason is FailureReason.SOURCE_AUTH_FAILED


class TestMissing:
    async def test_a_repository_that_is_not_there(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("nothing")))
        assert failure.reason is FailureReason.SOURCE_NOT_FOUND

    async def test_a_branch_that_is_not_there_names_one_that_is_near(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        git_host.repository("r").commit({"a": b"1"})
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r"), ref="mian"))
        assert failure.reason is FailureReason.SOURCE_NOT_FOUND
        assert "main" in failure.hint

    async def test_an_empty_repository(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        git_host.repository("r")
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_EMPTY

    async def test_a_default_branch_without_commits(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        git_host.repository("r").commit({"a": b"1"}, branch="other")
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_EMPTY
        assert "other" in failure.hint

    async def test_a_commit_without_files(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        repository = git_host.repository("r")
        repository.commit_tree(repository.tree({}))
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_EMPTY

    @pytest.mark.parametrize("name", ["r", "old/r"])
    async def test_a_commit_that_is_gone(self, settings: Settings, git_host: Any, tmp_path: Path, name: str) -> None:
        git_host.repository("r").commit({"a": b"1"})
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url(name), commit="ab" * 20))
        assert failure.reason is FailureReason.SOURCE_NOT_FOUND
        assert "newest commit" in failure.hint

    async def test_a_tree_and_a_tag_are_not_commits(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        repository = git_host.repository("r")
        commit = repository.commit({"a": b"1"})
        repository.git("tag", "-a", "v1", "-m", "x", commit)
        for name in (repository.git("rev-parse", "v1"), repository.git("rev-parse", f"{commit}^{{tree}}")):
            with pytest.raises(InvalidInput) as caught:
                await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r"), commit=name))
            assert caught.value.exact_code == "source.commit_invalid"


class TestCommits:
    async def test_a_commit_of_a_fork_is_not_built(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
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
        self, settings: Settings, git_host: Any, tmp_path: Path
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
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        repository = git_host.repository("r")
        repository.commit({"a": b"1"})
        await fetch(settings, tmp_path / "1", GitSource(url=git_host.url("r")))
        repository.git("update-ref", "-d", "refs/heads/main")
        repository.commit({"a": b"2"})
        await fetch(settings, tmp_path / "2", GitSource(url=git_host.url("r")))
        assert (tmp_path / "2/a").read_bytes() == b"2"


class TestHosts:
    async def test_a_private_address_is_refused_unless_the_operator_lists_the_host(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        git_host.repository("r").commit({"a": b"1"})
        for host in ("127.0.0.1", "other.example"):
            fetcher = GitFetcher(settings, resolve=lambda host, port: ["127.0.0.1"])
            with pytest.raises(InvalidInput) as caught:
                await fetcher.fetch(GitSource(url=git_host.url("r", host)), tmp_path / "out", seconds=20)
            assert caught.value.exact_code == "source.address_forbidden"
        assert git_host.requests == []

    async def test_the_connection_goes_where_the_check_looked(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        # No name server knows git.example: only the pinned address can have been used.
        git_host.repository("r").commit({"a": b"1"})
        lookups: list[str] = []

        def resolve(host: str, port: int) -> Collection[str]:
            lookups.append(host)
            return ["127.0.0.1"]

        fetcher = GitFetcher(settings, resolve=resolve)
        await fetcher.fetch(GitSource(url=git_host.url("r", "git.example")), tmp_path / "out", seconds=20)
        assert lookups == ["git.example"]

    @pytest.mark.parametrize("to", ["https://127.0.0.1:9/r", "file:///etc", "http://169.254.169.254/"])
    async def test_a_redirect_is_not_followed(self, settings: Settings, git_host: Any, tmp_path: Path, to: str) -> None:
        git_host.moved_to = to
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("moved/r")))
        assert failure.reason is FailureReason.SOURCE_FORBIDDEN
        assert "source.redirect_forbidden" in failure.message

    async def test_a_certificate_that_is_not_trusted_ends_it(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        git_host.repository("r").commit({"a": b"1"})
        other = settings.model_copy(update={"ca_file": Path("/etc/ssl/certs/ca-certificates.crt")})
        failure = await refused(other, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_UNREACHABLE
        assert "HEADRACE_CA_FILE" in failure.hint

    async def test_a_port_where_nobody_listens(self, settings: Settings, tmp_path: Path) -> None:
        failure = await refused(settings, tmp_path / "out", GitSource(url="https://localhost:9/r"))
        assert failure.reason is FailureReason.SOURCE_UNREACHABLE

    async def test_a_host_that_never_answers_costs_the_limit_and_leaves_no_process(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        started = time.monotonic()
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("silent/r")), seconds=1)
        assert failure.reason is FailureReason.SOURCE_TIMEOUT
        assert time.monotonic() - started < 4
        assert not any("silent/r" in line for line in _argument_lists())

    async def test_a_host_that_sends_a_byte_at_a_time_costs_the_limit(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        git_host.repository("r").commit({"a": os.urandom(10_000)})
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("trickle/r")), seconds=2)
        assert failure.reason is FailureReason.SOURCE_TIMEOUT

    async def test_a_connection_that_ends_in_the_middle_leaves_nothing_half(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        git_host.repository("r").commit({"a": os.urandom(200_000)})
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("broken/r")))
        assert failure.reason is FailureReason.SOURCE_UNREACHABLE

    async def test_cancelling_ends_every_process(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        task = asyncio.create_task(fetch(settings, tmp_path / "out", GitSource(url=git_host.url("silent/r"))))
        while not any("git-remote-https" in line for line in _argument_lists()):  # noqa: ASYNC110 - a process, not a task
            await asyncio.sleep(0.01)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 2
        assert not any("silent/r" in line for line in _argument_lists())


class TestHostile:
    """Rows B47 to B61 of the list of bad inputs."""

    async def test_links_out_of_the_tree_arrive_as_links_and_are_never_followed(
        self, settings: Settings, git_host: Any, tmp_path: Path
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
        self, settings: Settings, git_host: Any, tmp_path: Path, name: bytes
    ) -> None:
        repository = git_host.repository("r")
        blob = repository.blob(b"touch /tmp/C")
        repository.commit_tree(repository.tree({name: ("40000", repository.tree({b"x": ("100644", blob)}))}))
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_FORBIDDEN

    async def test_a_file_below_a_link_of_the_same_name_is_refused(
        self, settings: Settings, git_host: Any, tmp_path: Path
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

    async def test_submodules_are_left_out_and_said(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
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
        self, settings: Settings, git_host: Any, tmp_path: Path, modules: bytes
    ) -> None:
        repository = git_host.repository("r")
        repository.commit_tree(repository.tree({b".gitmodules": ("100644", repository.blob(modules))}))
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_FORBIDDEN
        assert "source.submodule_forbidden" in failure.message

    async def test_attributes_change_nothing(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        attributes = b"* text eol=crlf filter=evil diff=evil merge=evil export-subst ident\nsecret export-ignore\n"
        files = {".gitattributes": attributes, "a": b"$Format:%H$ $Id$\n", "secret": b"kept\n"}
        files[".lfsconfig"] = b"[lfs]\n\turl = http://169.254.169.254/\n"
        git_host.repository("r").commit(files)
        await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == files

    async def test_pointers_of_lfs_stay_pointers_and_are_said(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 1099511627776\n" % (b"ab" * 32)
        git_host.repository("r").commit({"big.bin": pointer})
        fetched = await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert (tmp_path / "out/big.bin").read_bytes() == pointer
        assert "1 files are pointers of Git LFS" in fetched.notes[0]

    async def test_names_are_bytes(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        names = [b"-rf", b"a\nb", b"\x1b[2J", b"x;y", b'"q"', b"n" * 255, "ü".encode()]
        repository = git_host.repository("r")
        blob = repository.blob(b"x")
        repository.commit_tree(repository.tree(dict.fromkeys(sorted(names), ("100644", blob))))
        await fetch(settings, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert sorted(os.fsencode(path.name) for path in (tmp_path / "out").iterdir()) == sorted(names)

    async def test_a_bare_repository_inside_the_tree_has_no_effect(
        self, settings: Settings, git_host: Any, tmp_path: Path
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

    async def test_a_tree_of_trees_is_too_large(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        repository = git_host.repository("r")
        entry = ("100644", repository.blob(b"bomb"))
        for _ in range(10):
            entry = ("40000", repository.tree({b"d%d" % number: entry for number in range(10)}))
        repository.commit_tree(entry[1])
        few = settings.model_copy(update={"upload_files": 10_000})
        failure = await refused(few, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_TOO_LARGE

    async def test_files_beyond_the_limits_are_too_many_or_too_large(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        git_host.repository("r").commit({f"{number}": b"x" * 1000 for number in range(20)})
        for limit in ({"upload_files": 19}, {"upload_bytes": 19_999}):
            failure = await refused(
                settings.model_copy(update=limit), tmp_path / "out", GitSource(url=git_host.url("r"))
            )
            assert failure.reason is FailureReason.SOURCE_TOO_LARGE

    async def test_a_file_that_packs_to_nothing_is_too_large_and_takes_no_room(
        self, settings: Settings, git_host: Any, tmp_path: Path
    ) -> None:
        repository = git_host.repository("r")
        blob = repository.blob(bytes(64 << 20))
        repository.commit_tree(repository.tree({b"zero": ("100644", blob)}))
        small = settings.model_copy(update={"upload_bytes": 10 << 20})
        failure = await refused(small, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_TOO_LARGE
        assert sum(path.stat().st_size for path in (tmp_path / "data").rglob("*") if path.is_file()) < 5 << 20

    async def test_a_pack_beyond_the_limit_is_cut_off(self, settings: Settings, git_host: Any, tmp_path: Path) -> None:
        git_host.repository("r").commit({"noise": os.urandom(18 << 20)})
        small = settings.model_copy(update={"upload_bytes": 1 << 20})
        failure = await refused(small, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_TOO_LARGE
        assert not list((tmp_path / "data").rglob("*.pack"))


def _argument_lists() -> set[str]:
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                found.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return found
