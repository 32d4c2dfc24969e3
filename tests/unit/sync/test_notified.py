"""Files that are only named: the server gets them from the project's bucket, here a directory that is used like one."""

from dataclasses import replace
from pathlib import Path

import pytest

from headrace.errors import Conflict, InvalidInput, TooLarge
from headrace.model.bucket import BucketAccess
from headrace.model.change import Change
from headrace.model.project import Project
from headrace.model.version import Author, BucketSource, DirectorySource
from headrace.pipeline.services import Services
from headrace.source.bucket import BucketFetcher
from headrace.sync.notified import Named, fetch_edits
from headrace.sync.recent import RecentTrees
from headrace.sync.sync import sync_files


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "bucket").mkdir()
    return tmp_path / "bucket"


@pytest.fixture
def wired(services: Services, place: Path) -> Services:
    access = {"main": BucketAccess(url=f"file://{place}")}
    settings = services.settings.model_copy(update={"buckets": access, "upload_bytes": 1000})
    return replace(services, settings=settings, sources={"bucket": BucketFetcher(settings)})


@pytest.fixture
def in_bucket(project: Project, place: Path) -> Project:
    return project.but(source=BucketSource(url=f"file://{place}"))


def put(place: Path, project: Project, path: str, content: bytes) -> None:
    target = place / project.id / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


async def test_just_the_named_files_are_fetched(
    wired: Services, in_bucket: Project, place: Path, recent: RecentTrees
) -> None:
    put(place, in_bucket, "frontend/src/App.tsx", b"app")
    put(place, in_bucket, "frontend/other.ts", b"not named")
    named = [Named("src/App.tsx", "frontend"), Named("frontend/src/App.tsx", "frontend"), Named("backend/gone.py")]
    edits = await fetch_edits(wired, in_bucket, named)
    assert [(edit.path, edit.content, edit.delete) for edit in edits] == [
        ("frontend/src/App.tsx", b"app", False),
        ("backend/gone.py", None, True),
    ]
    change = Change(edits=edits, author=Author(kind="agent", name="bucket"))
    synced = await sync_files(wired, recent, in_bucket, change)
    assert [(delta.path, delta.change) for delta in synced.changes] == [("frontend/src/App.tsx", "added")]


async def test_a_file_may_be_named_as_it_is_in_the_bucket(wired: Services, in_bucket: Project, place: Path) -> None:
    put(place, in_bucket, "backend/main.py", b"x")
    (edit,) = await fetch_edits(wired, in_bucket, [Named(f"{in_bucket.id}/backend/main.py", "backend")])
    assert (edit.path, edit.content) == ("backend/main.py", b"x")


@pytest.mark.parametrize("path", ["../other/frontend/x", "frontend/../../x", "frontend/.git/x", "/etc/passwd", ""])
async def test_bad_names_reach_no_bucket(wired: Services, in_bucket: Project, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await fetch_edits(wired, in_bucket, [Named("frontend/fine"), Named(path)])
    assert refused.value.exact_code in ("path.invalid", "path.reserved")
    assert refused.value.field == "/changed_files/1/path"


async def test_files_that_are_too_large_together_are_refused(wired: Services, in_bucket: Project, place: Path) -> None:
    for name in ("a", "b"):
        put(place, in_bucket, f"frontend/{name}", b"x" * 600)
    with pytest.raises(TooLarge) as refused:
        await fetch_edits(wired, in_bucket, [Named("frontend/a"), Named("frontend/b")])
    assert refused.value.exact_code == "file.too_large"


async def test_other_sources_have_no_single_files(wired: Services, project: Project) -> None:
    for source in (None, DirectorySource(path="/srv")):
        with pytest.raises(Conflict) as refused:
            await fetch_edits(wired, project.but(source=source), [Named("a")])
        assert refused.value.exact_code == "project.no_bucket"
