"""Buckets of every kind keep to the same rules. Where servers differ, the difference ends in our adapter."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import BucketUnreachable, Conflict, HeadraceError, InvalidInput, NotFound, StepFailed, TooLarge
from headrace.model.diagnostic import FailureReason
from headrace.model.version import BucketSource, Tree, TreeFile
from headrace.settings import Settings
from headrace.source._bucket import AT_ONCE, PIECE
from headrace.source.bucket import BucketFetcher
from headrace.store.memory import MemoryStore

pytestmark = pytest.mark.xdist_group("buckets")

PROJECT = "prj_01m7xpeyhy9gptce7gk34taj0d"
FILES = {
    "frontend/package.json": b'{"name":"x"}',
    "frontend/app/[slug]/(group)/page.tsx": b"export {}\r\n",
    "frontend/a b%20 \u00fc#?+&.txt": b"odd",
    "frontend/big.bin": bytes(range(256)) * (PIECE // 256) + b"tail",
    "frontend/empty": b"",
    "backend/main.py": b"print()\n",
}


def source_of(kind: Any, below: str = "") -> BucketSource:
    return BucketSource(url=kind.access.url + below)


def fill(kind: Any, files: dict[str, bytes], *, project: str = PROJECT, below: str = "") -> BucketSource:
    for path, data in files.items():
        kind.put(f"{below.lstrip('/')}{'/' if below else ''}{project}/{path}", data)
    return source_of(kind, below)


def files_below(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def stored(files: dict[str, bytes]) -> tuple[Tree, MemoryStore]:
    store = MemoryStore()
    entries = [TreeFile(path=path, digest=await store.put(data), size=len(data)) for path, data in files.items()]
    return Tree(files=tuple(sorted(entries, key=lambda file: file.path))), store


async def refused(fetcher: BucketFetcher, source: BucketSource, into: Path) -> StepFailed | HeadraceError:
    """The error of a fetch that must leave nothing."""
    with pytest.raises((StepFailed, HeadraceError)) as caught:
        await fetcher.fetch(source, into, seconds=60, project_id=PROJECT)
    assert [path.name for path in into.parent.iterdir()] == ["source"]
    assert list(into.iterdir()) == []
    assert isinstance(caught.value, StepFailed | HeadraceError)
    return caught.value


# -- fetching ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "/teams/blue"])
async def test_the_files_of_one_project_arrive_byte_for_byte(
    kind: Any, fetcher: BucketFetcher, into: Path, below: str
) -> None:
    source = fill(kind, FILES, below=below)
    fill(kind, {"frontend/theirs": b"x"}, project="prj_other", below=below)
    fill(kind, {"artifacts/a": b"x", "README": b"x", "frontend-old/x": b"x"}, below=below)
    fetched = await fetcher.fetch(source, into, seconds=60, project_id=PROJECT)
    assert files_below(fetched.root) == FILES
    assert fetched.notes == []


@pytest.mark.parametrize("part", ["frontend", "backend"])
async def test_one_of_the_two_parts_is_enough(kind: Any, fetcher: BucketFetcher, into: Path, part: str) -> None:
    source = fill(kind, {f"{part}/a": b"1"})
    fetched = await fetcher.fetch(source, into, seconds=60, project_id=PROJECT)
    assert files_below(fetched.root) == {f"{part}/a": b"1"}


async def test_a_project_without_files_is_said_to_be_empty(kind: Any, fetcher: BucketFetcher, into: Path) -> None:
    error = await refused(fetcher, fill(kind, {"README": b"x"}), into)
    assert isinstance(error, StepFailed)
    assert error.failure.reason is FailureReason.SOURCE_EMPTY
    assert "bucket.empty" in error.failure.message
    assert f"{PROJECT}/frontend/" in error.failure.message


async def test_what_is_never_part_of_a_project_is_left_out_and_said(
    kind: Any, fetcher: BucketFetcher, into: Path
) -> None:
    files = {"frontend/a": b"1", "frontend/node_modules/b/c.js": b"2", "backend/.git/config": b"3"}
    fetched = await fetcher.fetch(fill(kind, files), into, seconds=60, project_id=PROJECT)
    assert files_below(fetched.root) == {"frontend/a": b"1"}
    assert fetched.notes == ["2 files of .git, node_modules or .headrace were left out"]


@pytest.mark.parametrize("kind", ["s3"], indirect=True)
async def test_markers_of_directories_are_no_files(kind: Any, fetcher: BucketFetcher, into: Path) -> None:
    files = {"frontend/": b"", "frontend/src/": b"", "frontend/src/a": b"1", "frontend/alone/": b"", "frontend/no": b""}
    source = fill(kind, files)
    wanted = {"frontend/src/a": b"1", "frontend/no": b""}
    assert [file.path for file in await fetcher.list_files(source, PROJECT)] == sorted(wanted)
    fetched = await fetcher.fetch(source, into, seconds=60, project_id=PROJECT)
    assert files_below(fetched.root) == wanted


@pytest.mark.parametrize("kind", ["s3"], indirect=True)
@pytest.mark.parametrize(
    "name", ["../up", "a//b", "a/./b", "con\x01trol", "back\\slash", "git~1/config", "x" * 256, "a/../../b"]
)
async def test_a_name_that_is_no_path_is_refused_by_its_name(
    kind: Any, fetcher: BucketFetcher, into: Path, name: str
) -> None:
    error = await refused(fetcher, fill(kind, {"frontend/a": b"1", f"frontend/{name}": b"2"}), into)
    assert isinstance(error, InvalidInput)
    assert error.exact_code == "bucket.path_invalid"
    assert error.message.isprintable()


@pytest.mark.parametrize("kind", ["memory", "s3", "azure"], indirect=True)
async def test_a_file_that_is_a_directory_too_is_refused(kind: Any, fetcher: BucketFetcher, into: Path) -> None:
    error = await refused(fetcher, fill(kind, {"frontend/a": b"1", "frontend/a/b": b"2"}), into)
    assert isinstance(error, InvalidInput)
    assert error.exact_code == "bucket.path_invalid"


@pytest.mark.parametrize("files", [{f"frontend/{n}": b"" for n in range(61)}, {"frontend/a": b"x" * ((8 << 20) + 1)}])
async def test_more_than_the_limits_is_not_fetched(
    kind: Any, fetcher: BucketFetcher, into: Path, files: dict[str, bytes]
) -> None:
    error = await refused(fetcher, fill(kind, files), into)
    assert isinstance(error, StepFailed)
    assert error.failure.reason is FailureReason.SOURCE_TOO_LARGE
    assert "bucket.too_large" in error.failure.message


async def test_no_time_is_a_timeout(kind: Any, fetcher: BucketFetcher, into: Path) -> None:
    source = fill(kind, FILES)
    with pytest.raises(StepFailed) as caught:
        await fetcher.fetch(source, into, seconds=0, project_id=PROJECT)
    assert caught.value.failure.reason is FailureReason.SOURCE_TIMEOUT
    assert [path.name for path in into.parent.iterdir()] == ["source"]


async def test_a_cancelled_fetch_leaves_nothing(kind: Any, fetcher: BucketFetcher, into: Path) -> None:
    source = fill(kind, FILES)
    task = asyncio.create_task(fetcher.fetch(source, into, seconds=60, project_id=PROJECT))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [path.name for path in into.parent.iterdir()] == ["source"]
    assert list(into.iterdir()) == []


async def test_several_fetches_at_once_do_not_disturb_each_other(kind: Any, fetcher: BucketFetcher, into: Path) -> None:
    source = fill(kind, FILES)
    places = [into.with_name(f"s{n}") for n in range(4)]
    await asyncio.gather(*(fetcher.fetch(source, place, seconds=60, project_id=PROJECT) for place in places))
    assert [files_below(place) for place in places] == [FILES] * 4


# -- listing and single files ------------------------------------------------------------------------------------------


async def test_a_listing_has_names_sizes_and_tags_that_differ_with_the_bytes(kind: Any, fetcher: BucketFetcher) -> None:
    source = fill(kind, FILES)
    before = await fetcher.list_files(source, PROJECT)
    assert {file.path: file.size for file in before} == {path: len(data) for path, data in FILES.items()}
    assert [file.path for file in before] == sorted(FILES)
    kind.put(f"{PROJECT}/backend/main.py", b"print(2)")
    after = {file.path: file for file in await fetcher.list_files(source, PROJECT)}
    assert [file.path for file in before if after[file.path].etag != file.etag] == ["backend/main.py"]
    assert all(file.modified.startswith("20") and file.modified.endswith("+00:00") for file in before)


async def test_a_listing_of_nothing_is_empty(kind: Any, fetcher: BucketFetcher) -> None:
    assert await fetcher.list_files(source_of(kind), PROJECT) == []


async def test_single_files_are_read_as_they_are_now(kind: Any, fetcher: BucketFetcher) -> None:
    source = fill(kind, FILES)
    wanted = [
        "backend/main.py",
        "frontend/empty",
        "frontend/none",
        "frontend/app",
        "frontend/app/[slug]/(group)/page.tsx",
    ]
    found = await fetcher.read_files(source, PROJECT, wanted, most_bytes=1000)
    assert found == {path: FILES.get(path) for path in wanted}


@pytest.mark.parametrize("most", [7, 12, 19])
async def test_single_files_together_have_a_limit(kind: Any, fetcher: BucketFetcher, most: int) -> None:
    source = fill(kind, FILES)
    with pytest.raises(TooLarge) as caught:
        await fetcher.read_files(source, PROJECT, ["backend/main.py", "frontend/package.json"], most_bytes=most)
    assert caught.value.exact_code == "file.too_large"


@pytest.mark.parametrize("path", ["../x", "/frontend/a", "frontend", "frontend/../../b", "other/a", "frontend/a\\b"])
async def test_only_files_of_the_two_parts_can_be_asked_for(kind: Any, fetcher: BucketFetcher, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await fetcher.read_files(source_of(kind), PROJECT, [path], most_bytes=100)
    assert caught.value.exact_code == "bucket.path_invalid"


# -- writing -----------------------------------------------------------------------------------------------------------


async def test_a_version_that_is_written_can_be_fetched(kind: Any, fetcher: BucketFetcher, into: Path) -> None:
    tree, store = await stored(FILES)
    written = await fetcher.write_version(source_of(kind), PROJECT, tree, store, seconds=60)
    assert (written.sent, written.removed) == (len(FILES), 0)
    assert kind.all() == {f"{PROJECT}/{path}": data for path, data in FILES.items()}
    fetched = await fetcher.fetch(source_of(kind), into, seconds=60, project_id=PROJECT)
    assert files_below(fetched.root) == FILES


async def test_writing_replaces_what_differs_and_removes_what_is_gone_and_nothing_else(
    kind: Any, fetcher: BucketFetcher
) -> None:
    kept = {"artifacts/a": b"x", "frontend/node_modules/m": b"x"}
    source = fill(kind, {"frontend/old/deep/a": b"1", "frontend/b": b"2", "backend/c": b"3", **kept})
    fill(kind, {"frontend/theirs": b"x"}, project="prj_other")
    tree, store = await stored({"frontend/b": b"new", "frontend/d": b"4", "backend/c": b"3"})
    written = await fetcher.write_version(source, PROJECT, tree, store, seconds=60)
    assert written.removed == 1
    mine = {"frontend/b": b"new", "frontend/d": b"4", "backend/c": b"3", **kept}
    assert kind.all() == {f"{PROJECT}/{path}": data for path, data in mine.items()} | {
        "prj_other/frontend/theirs": b"x"
    }
    again = await fetcher.write_version(source, PROJECT, tree, store, seconds=60)
    assert (again.sent + again.kept, again.removed) == (3, 0)
    assert again.kept == (3 if kind.name in {"s3", "oss"} else 0)


async def test_creating_refuses_to_touch_what_is_there(kind: Any, fetcher: BucketFetcher) -> None:
    source = fill(kind, {"backend/c": b"3"})
    tree, store = await stored(FILES)
    with pytest.raises(Conflict) as caught:
        await fetcher.write_version(source, PROJECT, tree, store, seconds=60, create_only=True)
    assert caught.value.exact_code == "bucket.not_empty"
    assert kind.all() == {f"{PROJECT}/backend/c": b"3"}


async def test_a_tree_of_nothing_removes_all(kind: Any, fetcher: BucketFetcher) -> None:
    source = fill(kind, FILES)
    written = await fetcher.write_version(source, PROJECT, Tree(files=()), MemoryStore(), seconds=60)
    assert (written.sent, written.removed) == (0, len(FILES))
    assert kind.all() == {}


async def test_links_are_written_as_the_files_they_point_to(kind: Any, fetcher: BucketFetcher) -> None:
    tree, store = await stored({"frontend/a": b"1"})
    links = {"frontend/l": "a", "frontend/x/m": "../l", "frontend/broken": "none", "frontend/loop": "loop"}
    with_links = Tree(files=(*tree.files, *(TreeFile(path=path, link=to) for path, to in links.items())))
    await fetcher.write_version(source_of(kind), PROJECT, with_links, store, seconds=60)
    assert kind.all() == {f"{PROJECT}/frontend/{name}": b"1" for name in ("a", "l", "x/m")}


async def test_what_would_not_be_fetched_is_not_written(kind: Any, fetcher: BucketFetcher) -> None:
    tree, store = await stored({"frontend/a": b"1", "frontend/node_modules/b/c": b"2"})
    await fetcher.write_version(source_of(kind), PROJECT, tree, store, seconds=60)
    assert kind.all() == {f"{PROJECT}/frontend/a": b"1"}


async def test_objects_say_what_they_are(kind: Any, fetcher: BucketFetcher) -> None:
    tree, store = await stored({"frontend/index.html": b"<p>", "frontend/x.js": b"", "frontend/y.bin": b"\xff"})
    await fetcher.write_version(source_of(kind), PROJECT, tree, store, seconds=60)
    types = {"index.html": "text/html; charset=utf-8", "x.js": "text/javascript; charset=utf-8"}
    types["y.bin"] = "application/octet-stream"
    found = {name: kind.media_type(f"{PROJECT}/frontend/{name}") for name in types}
    assert found == (dict.fromkeys(types) if kind.name == "directory" else types)


async def test_a_tree_with_other_parts_is_not_written(kind: Any, fetcher: BucketFetcher) -> None:
    tree, store = await stored({"frontend/a": b"1", "README.md": b"2"})
    with pytest.raises(InvalidInput):
        await fetcher.write_version(source_of(kind), PROJECT, tree, store, seconds=60)
    assert kind.all() == {}


async def test_many_files_are_written_and_removed(kind: Any, fetcher: BucketFetcher) -> None:
    files = {f"frontend/{n}/f": b"%d" % n for n in range(3 * AT_ONCE)}
    tree, store = await stored(files)
    await fetcher.write_version(source_of(kind), PROJECT, tree, store, seconds=60)
    assert len(await fetcher.list_files(source_of(kind), PROJECT)) == len(files)


async def test_writing_has_a_time_limit(kind: Any, fetcher: BucketFetcher) -> None:
    tree, store = await stored(FILES)
    with pytest.raises(BucketUnreachable):
        await fetcher.write_version(source_of(kind), PROJECT, tree, store, seconds=0)


# -- what servers do differently ---------------------------------------------------------------------------------------


async def test_removing_what_is_not_there_is_fine_everywhere(kind: Any) -> None:
    bucket = kind.open(kind.access)
    kind.put("p/a", b"1")
    await bucket.delete(["p/none", "p/a", "p/none/deeper"])
    assert kind.all() == {}


async def test_an_object_that_is_not_there_is_none_and_a_place_without_objects_is_empty(kind: Any) -> None:
    bucket = kind.open(kind.access)
    assert await bucket.read_now("p/none", 10) is None
    assert not await bucket.exists("p/none")
    assert [page async for page in bucket.pages("p/none/") if page] == []


@pytest.mark.parametrize("kind", ["directory", "s3", "azure"], indirect=True)
async def test_a_bucket_that_is_not_there_is_said_to_be_missing(kind: Any, settings: Settings, into: Path) -> None:
    access = kind.access.model_copy(update={"url": f"{kind.access.url}-gone"})
    fetcher = BucketFetcher(settings.model_copy(update={"buckets": {"main": access}}))
    source = BucketSource(url=access.url)
    error = await refused(fetcher, source, into)
    assert isinstance(error, StepFailed)
    assert error.failure.reason is FailureReason.SOURCE_NOT_FOUND
    for call in (
        fetcher.list_files(source, PROJECT),
        fetcher.write_version(source, PROJECT, *await stored(FILES), seconds=9),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.exact_code == "bucket.not_found"
