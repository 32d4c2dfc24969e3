"""Syncs of one project: what they refuse, how they meet, and that random ones agree with a naive model."""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from headrace.errors import InvalidInput, NotFound, StoreFull, TooLarge
from headrace.model.change import Change, Edit, FileConflict
from headrace.model.digest import Digest, digest_of
from headrace.model.project import Project
from headrace.model.version import Author, Tree, TreeFile, Version
from headrace.pipeline.services import Services
from headrace.records import projects, versions
from headrace.store.local import LocalStore
from headrace.sync.errors import VersionConflict
from headrace.sync.recent import RecentTrees
from headrace.sync.sync import Synced, sync_files
from headrace.tree import check_tree, load_tree, store_entries

AGENT = Author(kind="agent", name="coder")


def change(files: Mapping[str, bytes | None], base: Version | None = None) -> Change:
    edits = tuple(Edit(path=path, content=content, delete=content is None) for path, content in files.items())
    return Change(edits=edits, base_version=base.id if base else None, author=AGENT)


class Syncs:
    """Shorter words for tests."""

    def __init__(self, services: Services, recent: RecentTrees, project: Project) -> None:
        self.services, self.recent, self.project = services, recent, project

    async def send(self, files: Mapping[str, bytes | None], base: Version | None = None) -> Version:
        synced = await self.sync(change(files, base))
        assert synced.version is not None
        return synced.version

    async def sync(self, wanted: Change) -> Synced:
        return await sync_files(self.services, self.recent, self.project, wanted)

    async def files(self, version: Version) -> dict[str, bytes]:
        tree = await load_tree(self.services.store, version.tree)
        check_tree(tree)
        assert (version.files, version.bytes) == (len(tree.files), sum(file.size for file in tree.files))
        return {file.path: await self.services.store.read(file.digest) for file in tree.files if file.digest}

    async def newest(self) -> Version | None:
        async with self.services.db.read() as c:
            return await versions.newest(c, self.project.id)

    async def with_links(self, links: Mapping[str, str], files: Mapping[str, bytes]) -> Version:
        """A version that came through another door: with symbolic links."""
        entries = [TreeFile(path=path, link=target) for path, target in links.items()]
        for path, content in files.items():
            entries.append(TreeFile(path=path, digest=await self.services.store.put(content), size=len(content)))
        tree = await store_entries(self.services.store, Tree(files=tuple(sorted(entries, key=lambda f: f.path))))
        made = Version(
            id="ver_01m7xpeyhy9gptce7gk34taj0d",
            project_id=self.project.id,
            tree=tree,
            author=AGENT,
            files=len(entries),
            bytes=sum(map(len, files.values())),
            created_at="",
        )
        async with self.services.db.write() as c:
            await versions.insert(c, made)
        return made


@pytest.fixture
def syncs(services: Services, recent: RecentTrees, project: Project) -> Syncs:
    return Syncs(services, recent, project)


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"dir/x": b"1"}, "path.symlink"),
        ({"dir/x": None}, "path.symlink"),
        ({"dir/../x": b"1"}, "path.invalid"),
        ({"file": b"1"}, "path.symlink"),
        ({"dir": b"1"}, "path.symlink"),
        ({"real": b"1"}, "path.invalid"),
        ({"real": None}, "path.invalid"),
        ({"real/a/b": b"1"}, "path.invalid"),
    ],
)
async def test_nothing_goes_through_or_onto_a_link(syncs: Syncs, files: Mapping[str, bytes | None], code: str) -> None:
    before = await syncs.with_links({"dir": "real", "file": "real/a"}, {"real/a": b"kept"})
    with pytest.raises(InvalidInput) as refused:
        await syncs.send({"fine": b"", **files})
    assert (refused.value.exact_code, refused.value.field) == (code, "/files/1/path")
    assert await syncs.newest() == before


async def test_a_link_may_go_and_files_come_in_its_place(syncs: Syncs) -> None:
    await syncs.with_links({"dir": "real"}, {"real/a": b"kept"})
    made = await syncs.send({"dir": None, "dir/x": b"1"})
    assert await syncs.files(made) == {"dir/x": b"1", "real/a": b"kept"}


async def test_a_link_that_would_lead_out_without_another_one_goes_with_it(syncs: Syncs) -> None:
    # `deep` is two directories down, so that `up` stays inside as long as the link is there.
    await syncs.with_links({"deep": "a/b", "up": "deep/../../x"}, {"a/b/c": b"", "x": b""})
    with pytest.raises(InvalidInput) as refused:
        await syncs.send({"deep": None, "deep/y": b"1"})
    assert refused.value.exact_code == "path.symlink"
    made = await syncs.send({"deep": None, "deep/y": b"1", "up": None})
    assert sorted(await syncs.files(made)) == ["a/b/c", "deep/y", "x"]


async def test_the_same_name_in_other_characters_is_no_second_file(syncs: Syncs) -> None:
    await syncs.with_links({}, {"e\u0301/a": b"1"})
    with pytest.raises(InvalidInput):
        await syncs.send({"\u00e9/b": b"1"})
    made = await syncs.send({"e\u0301/a": b"2", "e\u0301/b": b"1"})
    assert await syncs.files(made) == {"e\u0301/a": b"2", "e\u0301/b": b"1"}


async def test_the_executable_bit_stays_when_nothing_is_said_of_it(syncs: Syncs) -> None:
    def edit(content: bytes, executable: bool | None) -> Change:
        return Change(edits=(Edit(path="run", content=content, executable=executable),), author=AGENT)

    seen = []
    for wanted in (edit(b"1", True), edit(b"2", None), edit(b"2", False), edit(b"3", None)):
        version = (await syncs.sync(wanted)).version
        assert version is not None
        seen.append((await load_tree(syncs.services.store, version.tree)).files[0].executable)
    assert seen == [True, True, False, False]


async def test_a_project_stays_within_its_limits_and_may_always_shrink(syncs: Syncs) -> None:
    settings = syncs.services.settings
    syncs.services = replace(syncs.services, settings=settings.model_copy(update={"upload_files": 3}))
    await syncs.send({"a": b"", "b": b"", "c": b""})
    with pytest.raises(TooLarge, match="4 files"):
        await syncs.send({"d": b""})
    assert (await syncs.send({"d": b"", "a": None})).files == 3
    syncs.services = replace(syncs.services, settings=settings.model_copy(update={"upload_bytes": 5_000}))
    with pytest.raises(TooLarge, match="5001 bytes"):
        await syncs.send({"d": b"x" * 2500, "e": b"y" * 2501})
    syncs.services = replace(syncs.services, settings=settings.model_copy(update={"upload_files": 1}))
    assert (await syncs.send({"b": None})).files == 2


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ({"a": b"2"}, {"a": b"3"}, "lines"),
        ({"a": b"\0ours"}, {"a": b"\0theirs"}, "binary"),
        ({"a": None}, {"a": b"3"}, "deleted_here"),
        ({"a": b"3"}, {"a": None}, "deleted_there"),
        ({"new": b"1"}, {"new": b"2"}, "both_added"),
        ({"new/x": b"1"}, {"new": b"2"}, "directory"),
        ({"new": b"1"}, {"new/x": b"2"}, "directory"),
        ({"a": b"x" * 1_100_000}, {"a": b"y"}, "too_large"),
    ],
)
async def test_what_contradicts_is_a_conflict(
    syncs: Syncs, ours: Mapping[str, bytes | None], theirs: Mapping[str, bytes | None], why: str
) -> None:
    base = await syncs.send({"a": b"1", "b": b""})
    head = await syncs.send(ours, base)
    with pytest.raises(VersionConflict) as refused:
        await syncs.send({**theirs, "b": b"more"}, base)
    assert [conflict.why for conflict in refused.value.conflicts] == [why]
    assert refused.value.version == head.id
    assert await syncs.newest() == head


async def test_an_answer_with_many_conflicts_stays_readable(syncs: Syncs) -> None:
    names = [f"{n}\u202e.txt" for n in range(30)]
    base = await syncs.send(dict.fromkeys(names, b"base\n" * 1000))
    await syncs.send(dict.fromkeys(names, b"ours of some length\n" * 1000), base)
    with pytest.raises(VersionConflict) as refused:
        await syncs.send(dict.fromkeys(names, b"theirs of some length\n" * 1000), base)
    conflicts = refused.value.conflicts
    assert (len(conflicts), bool(conflicts[0].hunks), conflicts[-1].hunks) == (30, True, ())
    assert "\u202e" not in refused.value.message
    assert len(str(refused.value.more)) < 400_000


async def test_both_doing_the_same_is_no_conflict(syncs: Syncs) -> None:
    base = await syncs.send({"a": b"1", "b": b"1"})
    head = await syncs.send({"a": b"2", "b": None, "c": b"3"}, base)
    again = await syncs.sync(change({"a": b"2", "b": None, "c": b"3"}, base))
    assert (again.version, again.changes) == (head, ())


async def test_what_was_said_early_is_what_is_stored(syncs: Syncs) -> None:
    said: list[tuple[str, Mapping[str, bytes], Sequence[str]]] = []
    base = await syncs.send({"a": b"1\n2\n3\n4\n5\n", "b": b""})
    await syncs.send({"a": b"one\n2\n3\n4\n5\n"})
    wanted = change({"a": b"1\n2\n3\n4\nfive\n", "b": None}, base)
    synced = await sync_files(syncs.services, syncs.recent, syncs.project, wanted, lambda *what: said.append(what))
    assert synced.version is not None
    assert said == [(synced.version.id, {"a": b"one\n2\n3\n4\nfive\n"}, ["b"])]


class FullStore(LocalStore):
    async def put_many(self, blobs: Iterable[bytes], *, likes: Iterable[Digest | None] = ()) -> Sequence[Digest]:
        raise StoreFull("no space")


async def test_a_version_that_could_not_be_stored_is_none(syncs: Syncs) -> None:
    head = await syncs.send({"a": b"1"})
    said: list[str] = []
    full = replace(syncs.services, store=FullStore(syncs.services.settings.data_dir / "blobs"))
    with pytest.raises(StoreFull):
        await sync_files(full, syncs.recent, syncs.project, change({"a": b"2"}), lambda new, *_: said.append(new))
    assert await syncs.newest() == head
    after = await syncs.send({"b": b"3"}, head)
    assert await syncs.files(after) == {"a": b"1", "b": b"3"}
    assert len(said) == 1


async def test_another_process_that_is_faster_is_merged_with(syncs: Syncs) -> None:
    base = await syncs.send({"a": b"1\n2\n3\n4\n5\n"})
    other = Syncs(syncs.services, RecentTrees(syncs.services.store), syncs.project)

    class Overtaken(LocalStore):
        """Between a sync's first look and its transaction, the other process has its turn."""

        async def put_many(self, blobs: Iterable[bytes], *, likes: Iterable[Digest | None] = ()) -> Sequence[Digest]:
            if not done:
                done.append(await other.send({"a": b"one\n2\n3\n4\n5\n"}, base))
            return await super().put_many(blobs, likes=likes)

    done: list[Version] = []
    slow = replace(syncs.services, store=Overtaken(syncs.services.settings.data_dir / "blobs"))
    said: list[str] = []
    wanted = change({"a": b"1\n2\n3\n4\nfive\n"}, base)
    synced = await sync_files(slow, syncs.recent, syncs.project, wanted, lambda new, *_: said.append(new))
    assert synced.version is not None
    assert (synced.merged, synced.version.parent, said[-1]) == (True, done[0].id, synced.version.id)
    assert len(set(said)) == 2
    assert await syncs.files(synced.version) == {"a": b"one\n2\n3\n4\nfive\n"}


async def test_processes_that_sync_at_once_lose_nothing(syncs: Syncs) -> None:
    base = await syncs.send({"seed": b""})
    others = [Syncs(syncs.services, RecentTrees(syncs.services.store), syncs.project) for _ in range(3)]
    await asyncio.gather(*(other.send({f"{at}-{n}": b"x"}, base) for at, other in enumerate(others) for n in range(5)))
    newest = await syncs.newest()
    assert newest is not None
    assert len(await syncs.files(newest)) == 16


async def test_a_project_that_was_deleted_meanwhile_gets_no_version(syncs: Syncs) -> None:
    async with syncs.services.db.write() as c:
        await projects.delete(c, syncs.project.id)
    with pytest.raises(NotFound):
        await syncs.send({"a": b"1"})


async def test_trees_that_are_not_used_are_forgotten(services: Services, project: Project) -> None:
    recent = RecentTrees(services.store, files=100, trees=4)
    syncs = Syncs(services, recent, project)
    first = await syncs.send({f"{n}": b"" for n in range(60)})
    for n in range(10):
        await syncs.send({f"{n}": b"changed"})
    assert len(recent._known) <= 4
    late = await syncs.send({"late": b"1", "3": b""}, first)
    assert (await syncs.files(late))["3"] == b"changed"


PATHS = ["a", "b", "dir", "dir/x", "dir/y/z", "src/main.js"]


@pytest.mark.parametrize("seed", range(25))
async def test_random_syncs_from_random_bases_agree_with_a_naive_model(syncs: Syncs, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    history: list[tuple[Version, dict[str, bytes]]] = []
    for _ in range(30):
        base = rng.choice([None, *history]) if history else None
        sent = {path: rng.choice([None, *map(_text, range(4))]) for path in rng.sample(PATHS, rng.randint(1, 3))}
        head = history[-1] if history else None
        before, now = (base or head or (None, {}))[1], (head or (None, {}))[1]
        try:
            synced = await syncs.sync(change(sent, base[0] if base else None))
        except VersionConflict as exc:
            assert base is not None
            _contradict(exc.conflicts, before, now, sent)
            continue
        except InvalidInput:
            assert _clash({**before, **{path: text for path, text in sent.items() if text is not None}}, sent)
            continue
        if synced.version is None:
            assert not history
            continue
        after = await syncs.files(synced.version)
        _follows(before, now, sent, after)
        assert {d.path for d in synced.changes} == {p for p in after.keys() | now.keys() if after.get(p) != now.get(p)}
        if synced.changes:
            history.append((synced.version, after))
    assert len(history) > 5


def _text(n: int) -> bytes:
    """Versions of one text that differ in one line each, far from one another."""
    lines = [f"{at}" for at in range(30)]
    lines[7 * n] = f"changed by {n}"
    return "\n".join(lines).encode()


def _follows(
    before: Mapping[str, bytes], now: Mapping[str, bytes], sent: Mapping[str, bytes | None], after: Mapping[str, bytes]
) -> None:
    for path in before.keys() | now.keys() | sent.keys() | after.keys():
        base, ours, theirs = before.get(path), now.get(path), sent.get(path, before.get(path))
        if theirs in (base, ours):
            assert after.get(path) == ours
        elif ours == base:
            assert after.get(path) == theirs
        else:
            assert base is not None
            assert ours is not None
            assert theirs is not None
            added = (set(ours.splitlines()) | set(theirs.splitlines())) - set(base.splitlines())
            assert added <= set(after[path].splitlines())


def _contradict(
    conflicts: Sequence[FileConflict],
    before: Mapping[str, bytes],
    now: Mapping[str, bytes],
    sent: Mapping[str, bytes | None],
) -> None:
    for conflict in conflicts:
        base, ours, theirs = before.get(conflict.path), now.get(conflict.path), sent[conflict.path]
        assert theirs not in (base, ours)
        assert (conflict.base, conflict.ours, conflict.theirs) == (_digest(base), _digest(ours), _digest(theirs))
        assert ours != base or conflict.why == "directory"


def _digest(content: bytes | None) -> Digest | None:
    return None if content is None else digest_of(content)


def _clash(files: Mapping[str, bytes], sent: Mapping[str, bytes | None]) -> bool:
    """A file with files below it, or the deletion of a directory."""
    return any(other.startswith(path + "/") for path in [*files, *sent] for other in files)


async def test_random_names_are_refused_in_words_of_ours(syncs: Syncs) -> None:
    rng = random.Random(1)  # noqa: S311
    codes: set[str] = set()
    alphabet = ["..", ".", "", "a", "b\\", ".git", "e\u0301", "\x00", "x" * 300]
    for _ in range(200):
        path = "/".join(rng.choices(alphabet, k=rng.randint(1, 4)))
        content = rng.choice([b"", None])
        try:
            await syncs.sync(change({path: content}))
        except InvalidInput as exc:
            codes.add(exc.exact_code)
    assert codes == {"path.invalid", "path.reserved"}
