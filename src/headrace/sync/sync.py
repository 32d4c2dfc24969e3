"""Sync: a few changed files become a version of their project, merged with what others changed meanwhile."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from headrace.errors import Conflict, InvalidInput, TooLarge, Unavailable, found
from headrace.model.change import Change, FileDelta, Files
from headrace.model.digest import Digest, digest_of
from headrace.model.ids import id_after, is_id, made_at
from headrace.model.limits import MIB
from headrace.model.project import Project
from headrace.model.trust import Trust
from headrace.model.version import TreeFile, Version
from headrace.pipeline.services import Services
from headrace.records import projects, versions
from headrace.sync.combine import Read, combine
from headrace.sync.entries import Sent, SyncLimits, check_edits, check_result, read_edits
from headrace.sync.errors import VersionConflict
from headrace.sync.fitting import check_links_stay
from headrace.sync.known_tree import KnownTree
from headrace.sync.recent import RecentTrees

#: Told a version's id, the files that it changes and those that it removes, before they are stored. Must not block.
Early = Callable[[str, Mapping[str, bytes], Sequence[str]], None]

#: How often a merge is made anew because another process was faster. Each time that one has got its version through, and takes
#: part in the next race like everybody else.
_TRIES = 40
#: As many versions back, digests are known without being sent again.
_REMEMBERED = 20


@dataclass(frozen=True)
class Synced:
    #: The project's newest version; None when it has none and nothing was sent.
    version: Version | None
    #: What leads to it from the version before. Nothing: the project held all of it already, and no version was made.
    changes: tuple[FileDelta, ...] = ()
    #: Whether the version holds more than the sender had seen: what others changed since the base version.
    merged: bool = False


@dataclass(frozen=True)
class _Prepared:
    before: KnownTree
    new: Files
    after: KnownTree
    #: `after`, as it is stored.
    canonical: bytes
    contents: Mapping[Digest, bytes]


async def sync_files(
    services: Services, recent: RecentTrees, project: Project, change: Change, early: Early | None = None
) -> Synced:
    """
    Make the version that `change` leads to. Everything that it names counts, or nothing does.

    Raises InvalidInput and TooLarge for entries that are refused, VersionConflict when others changed the same lines since the
    base version. Deleting what isn't there is no mistake: it is what the sender wanted.

    `early` is told before the version is stored, so that a preview can begin meanwhile. It is a promise that can be broken:
    when storing fails, this raises and there is no such version; when another process was faster, `early` is told again, with
    another id. Who acted on it compares with the version that is shown in the end (`Synced.version`, or the project's newest
    one after an error) and puts the files right that differ: bytes given early for other ids count for nothing. Syncs of one
    project take turns in this process; between processes the database decides.
    """
    async with recent.turn(project.id):
        # What this process made last is taken for the newest; storing finds out when it is not.
        if (head := recent.head(project.id)) is not None:
            with suppress(InvalidInput, TooLarge, Conflict):  # because of what was there then, perhaps
                synced = await _attempt(services, recent, project, change, head, early)
                if synced is not None and synced.changes:
                    return synced
        for _ in range(_TRIES):
            head = await _newest(services, project)
            synced = await _attempt(services, recent, project, change, head, early)
            if synced is not None:
                return synced
    raise Unavailable("others change this project all the time", code="version.busy", hint="try again")


async def _attempt(
    services: Services,
    recent: RecentTrees,
    project: Project,
    change: Change,
    head: Version | None,
    early: Early | None,
) -> Synced | None:
    """What comes of the change when `head` is the newest version. None when it is not any more; nothing was done then."""
    base = await _base_version(services, project, change, head)
    prepared = await _prepare(services, recent, project, change, base, head)
    merged = base is not head
    if not prepared.new:
        return Synced(head, merged=merged)
    version = _version(project, change, head, prepared)
    if early is not None:
        early(version.id, await _written(services, prepared), _removed(prepared))
    if not await _store(services, head, version, prepared):
        return None
    recent.remember(version, prepared.after)
    return Synced(version, _deltas(prepared.before, prepared.new), merged)


async def _newest(services: Services, project: Project) -> Version | None:
    async with services.db.read() as c:
        newest = await versions.newest(c, project.id)
        if newest is None:
            found(await projects.get(c, project.id), project.id)
    return newest


async def _base_version(services: Services, project: Project, change: Change, head: Version | None) -> Version | None:
    """The version that the sender has seen; `head` itself when it is that one, or when the sender does not say."""
    wanted = change.base_version
    if wanted is None or (head is not None and head.id == wanted):
        return head
    async with services.db.read() as c:
        base = await versions.get(c, wanted) if is_id(wanted) else None
    if base is None or base.project_id != project.id:
        raise InvalidInput(
            "the base version is no version of this project",
            code="version.unknown",
            field="/base_version",
            hint="GET /projects/{id}/files names the newest version with its files",
        )
    if base.trust is not Trust.TRUSTED:
        raise InvalidInput(
            "the base version is untrusted, and what a sync makes is not",
            code="version.untrusted",
            field="/base_version",
            hint="send the change on the project's newest version: GET /projects/{id}/files",
        )
    return head if head is not None and head.tree == base.tree else base


async def _prepare(
    services: Services,
    recent: RecentTrees,
    project: Project,
    change: Change,
    base: Version | None,
    head: Version | None,
) -> _Prepared:
    limits = SyncLimits.of(services.settings)
    ours = await recent.get(head.tree) if head else KnownTree.empty()
    theirs = ours if base is head or base is None else await recent.get(base.tree)

    def read() -> Sent:
        check_edits(change.edits, theirs, limits)
        return read_edits(change.edits, theirs, ours, known)

    known = await _known_digests(services, recent, project, change, (theirs, ours))
    size = sum(len(edit.content or b"") for edit in change.edits)
    # Hashing megabytes would keep everybody else waiting.
    sent = await asyncio.to_thread(read) if size > MIB or len(change.edits) > 500 else read()
    combined = await combine(theirs, ours, sent.files, _reader(services, sent))
    if combined.conflicts and head is not None:
        raise VersionConflict(combined.conflicts, head.id)
    if not combined.new:
        return _Prepared(ours, {}, ours, b"", {})
    after = ours.changed(combined.new)
    check_links_stay(combined.new, ours, after)
    check_result(ours, after, limits)
    wanted = {file.digest for file in combined.new.values() if file is not None}
    contents = {digest: data for digest, data in {**sent.contents, **combined.made}.items() if digest in wanted}
    return _Prepared(ours, combined.new, after, after.canonical(), contents)


async def _known_digests(
    services: Services, recent: RecentTrees, project: Project, change: Change, trees: Sequence[KnownTree]
) -> dict[Digest, int]:
    """
    The size of each digest that was sent without content and that a version of this project has. One that another project has is
    unknown here: to know a digest is not to have the file.
    """
    wanted = {edit.digest for edit in change.edits if edit.content is None and edit.digest is not None}
    if not wanted:
        return {}
    known = _sizes(trees, wanted)
    if wanted - known.keys():
        async with services.db.read() as c:
            earlier = await versions.page(c, project.id, trust=Trust.TRUSTED, limit=_REMEMBERED)
        for version in earlier:
            if not (left := wanted - known.keys()):
                break
            known |= _sizes([await recent.get(version.tree)], left)
    # A blob that was found damaged is gone: its sender may have it still.
    lost = await services.store.missing(known.keys())
    return {digest: size for digest, size in known.items() if digest not in lost}


def _sizes(trees: Sequence[KnownTree], wanted: set[Digest]) -> dict[Digest, int]:
    return {file.digest: file.size for tree in trees for file in tree.all() if file.digest in wanted}


def _reader(services: Services, sent: Sent) -> Read:
    async def read(digest: Digest) -> bytes:
        found = sent.contents.get(digest)
        return found if found is not None else await services.store.read(digest)

    return read


def _version(project: Project, change: Change, head: Version | None, prepared: _Prepared) -> Version:
    version_id = id_after("ver", head.id if head else None)
    return Version(
        id=version_id,
        project_id=project.id,
        tree=digest_of(prepared.canonical),
        parent=head.id if head else None,
        author=change.author,
        message=change.message,
        files=len(prepared.after),
        bytes=prepared.after.bytes,
        created_at=made_at(version_id),
    )


async def _written(services: Services, prepared: _Prepared) -> Mapping[str, bytes]:
    written: dict[str, bytes] = {}
    for path, file in prepared.new.items():
        if file is not None and file.digest is not None:
            known = prepared.contents.get(file.digest)
            written[path] = known if known is not None else await services.store.read(file.digest)
    return written


def _removed(prepared: _Prepared) -> Sequence[str]:
    return [path for path, file in prepared.new.items() if file is None]


async def _store(services: Services, head: Version | None, version: Version, prepared: _Prepared) -> bool:
    """Store blobs, then the row that names them. False when the project has another newest version by now."""
    before = {file.digest: prepared.before.get(path) for path, file in prepared.new.items() if file is not None}
    likes = [old.digest if (old := before[digest]) else None for digest in prepared.contents]
    await services.store.put_many(
        [*prepared.contents.values(), prepared.canonical], likes=[*likes, head.tree if head else None]
    )
    async with services.db.write() as c:
        return await versions.insert_next(c, version)


def _deltas(before: KnownTree, new: Files) -> tuple[FileDelta, ...]:
    return tuple(_delta(path, before.get(path), new[path]) for path in sorted(new))


def _delta(path: str, old: TreeFile | None, now: TreeFile | None) -> FileDelta:
    change = "added" if old is None else "deleted" if now is None else "modified"
    return FileDelta(
        path=path,
        change=change,
        before=old.digest if old else None,
        after=now.digest if now else None,
    )
