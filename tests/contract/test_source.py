"""Every kind of source, the same rules: files arrive whole or not at all, and nothing is left behind."""

import asyncio
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.errors import HeadraceError, StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.model.version import ArchiveSource, DirectorySource, GitSource, Source
from headrace.registry import find
from headrace.settings import Settings
from headrace.source.base import Fetched, SourceFetcher

FILES = {
    "package.json": b'{"name":"x"}',
    "src/a.ts": b"export {}\r\n",
    "src/deep/er/b.bin": bytes(range(256)),
    "empty": b"",
    "odd \n name": b"x",
    ".gitignore": b"dist\n",
}


@dataclass(frozen=True)
class Case:
    """A kind of source, and how a test gets the files to where it fetches them from."""

    kind: str
    make: Callable[[Path, dict[str, bytes]], Source]
    missing: Callable[[Path], Source]


def write(root: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    root.mkdir(exist_ok=True)


def _directory(place: Path, files: dict[str, bytes]) -> Source:
    write(place / "project", files)
    return DirectorySource(path=str(place / "project"))


def _archive(place: Path, files: dict[str, bytes]) -> Source:
    with tarfile.open(place / "upload.tar.gz", "w:gz") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return ArchiveSource(path=str(place / "upload.tar.gz"))


def _git(place: Path, files: dict[str, bytes]) -> Source:
    root = place / "repository"
    write(root, files)
    env = {"PATH": os.environ["PATH"], "HOME": str(place), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    env |= {"GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "a@example.org"}
    env |= {"GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "a@example.org"}
    for command in (
        ["init", "--quiet", "-b", "main"],
        ["add", "--force", "."],
        ["commit", "--quiet", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(root), *command], env=env, check=True)
    return GitSource(url=f"file://{root}")


CASES = [
    Case("directory", _directory, lambda place: DirectorySource(path=str(place / "nowhere"))),
    Case("archive", _archive, lambda place: ArchiveSource(path=str(place / "nowhere.tar"))),
    Case("git", _git, lambda place: GitSource(url=f"file://{place}/nowhere")),
]


@pytest.fixture(params=CASES, ids=lambda case: case.kind)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", allow_file_urls=True, upload_files=50, upload_bytes=1 << 20)


@pytest.fixture
def fetcher(case: Case, settings: Settings) -> SourceFetcher:
    opened: SourceFetcher = find("source", case.kind)(settings)
    return opened


@pytest.fixture
def into(tmp_path: Path) -> Path:
    made = tmp_path / "scratch" / "source"
    made.mkdir(parents=True)
    return made


def files_of(fetched: Fetched) -> dict[str, bytes]:
    """The version that the fetched files are."""
    paths = fetched.paths
    if paths is None:
        paths = [str(path.relative_to(fetched.root)) for path in fetched.root.rglob("*") if path.is_file()]
    return {path: (fetched.root / path).read_bytes() for path in paths}


async def test_the_files_arrive_byte_for_byte(case: Case, fetcher: SourceFetcher, tmp_path: Path, into: Path) -> None:
    fetched = await fetcher.fetch(case.make(tmp_path, FILES), into, seconds=60)
    assert files_of(fetched) == FILES
    assert fetcher.kind == case.kind


async def test_what_is_ignored_is_not_part_of_the_version(
    case: Case, fetcher: SourceFetcher, tmp_path: Path, into: Path
) -> None:
    ignored = {"dist/out.js": b"x", "node_modules/a/b": b"x"}
    source = case.make(tmp_path, FILES | ignored)
    # What is committed is part of the version, whatever its ignore files say.
    expected = FILES | ignored if case.kind == "git" else FILES
    assert files_of(await fetcher.fetch(source, into, seconds=60)) == expected


async def test_a_source_without_files_is_refused(
    case: Case, fetcher: SourceFetcher, tmp_path: Path, into: Path
) -> None:
    with pytest.raises((StepFailed, HeadraceError)) as caught:
        await fetcher.fetch(case.make(tmp_path, {}), into, seconds=60)
    if isinstance(caught.value, StepFailed):
        assert caught.value.failure.reason is FailureReason.SOURCE_EMPTY
    assert list(into.iterdir()) == []


async def test_a_source_that_is_gone_is_a_result(
    case: Case, fetcher: SourceFetcher, tmp_path: Path, into: Path
) -> None:
    with pytest.raises(StepFailed) as caught:
        await fetcher.fetch(case.missing(tmp_path), into, seconds=60)
    assert caught.value.failure.reason is FailureReason.SOURCE_NOT_FOUND
    assert caught.value.failure.hint


async def test_too_many_files_leave_nothing(case: Case, fetcher: SourceFetcher, tmp_path: Path, into: Path) -> None:
    source = case.make(tmp_path, {f"f{number}": b"" for number in range(51)})
    with pytest.raises((StepFailed, HeadraceError)):
        await fetcher.fetch(source, into, seconds=60)
    assert [path.name for path in into.parent.iterdir()] == ["source"]
    assert list(into.iterdir()) == []


async def test_no_time_is_a_timeout_and_leaves_nothing(
    case: Case, fetcher: SourceFetcher, tmp_path: Path, into: Path
) -> None:
    source = case.make(tmp_path, FILES)
    with pytest.raises(StepFailed) as caught:
        await fetcher.fetch(source, into, seconds=0)
    assert caught.value.failure.reason is FailureReason.SOURCE_TIMEOUT
    assert [path.name for path in into.parent.iterdir()] == ["source"]
    assert list(into.iterdir()) == []


async def test_cancelling_waits_for_the_work_to_end(
    case: Case, fetcher: SourceFetcher, tmp_path: Path, into: Path
) -> None:
    source = case.make(tmp_path, FILES)
    task = asyncio.create_task(fetcher.fetch(source, into, seconds=60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [thread for thread in threading.enumerate() if thread.name == "source" and thread.is_alive()]
    assert [path.name for path in into.parent.iterdir()] == ["source"]


async def test_several_fetches_at_once_do_not_disturb_each_other(
    case: Case, fetcher: SourceFetcher, tmp_path: Path, into: Path
) -> None:
    source = case.make(tmp_path, FILES)
    fetched = await asyncio.gather(*(fetcher.fetch(source, into.with_name(f"s{n}"), seconds=60) for n in range(4)))
    assert [files_of(one) for one in fetched] == [FILES] * 4
