"""
Git over https: the tree of one commit, fetched into a kept mirror and written out without a checkout.

git runs with the environment and the limits of `_command`, in the isolation of `_confine`, one process group at a time, all of it
gone when the call returns.
"""

import asyncio
from pathlib import Path
from typing import ClassVar

from headrace.disk import remove_tree
from headrace.egress.lookup import Resolve, resolve
from headrace.model.diagnostic import FailureReason
from headrace.model.version import Author, GitSource, Source
from headrace.settings import Settings
from headrace.source._address import addresses_of
from headrace.source._aside import filled
from headrace.source._bring import bring
from headrace.source._checkout import Listing, Local, list_commit, write_out
from headrace.source._command import GitCommand
from headrace.source._commit import author_and_message
from headrace.source._confine import confined, why_not_isolated
from headrace.source._failures import source_failed, too_large
from headrace.source._mirror import Mirror, mirror_path, prune_mirrors
from headrace.source._process import GitFailed, TooMuchOutput, run_git
from headrace.source._refs import Wanted, branch_of, choose
from headrace.source._remote import Credential, check_commit, check_ref, parse_remote, split_credential
from headrace.source._session import Session
from headrace.source._stop import Stop, run_in_thread
from headrace.source.base import Fetched

__all__ = ["Credential", "GitFetcher", "check_git_source", "prune_mirrors", "split_credential", "why_not_isolated"]


def check_git_source(source: GitSource, settings: Settings) -> None:
    """Everything that can be said of a source without asking anyone. Raises InvalidInput."""
    parse_remote(split_credential(source.url)[0], allow_files=settings.allow_file_urls)
    if source.commit is not None:
        check_commit(source.commit)
    if source.ref is not None:
        check_ref(source.ref)


#: A mirror that nobody fetched with for this long goes.
MIRROR_SECONDS = 30 * 24 * 3600.0


class GitFetcher:
    """
    Fetches a branch, a tag, the default branch or an exact commit.

    An address may carry its credential (`https://user:token@host/…`); it is split off before anything else happens and reaches
    git through its environment alone.
    """

    kind: ClassVar[str] = "git"

    def __init__(self, settings: Settings, *, resolve: Resolve = resolve) -> None:
        self._settings = settings
        self._resolve = resolve

    async def tidy(self) -> None:
        await asyncio.to_thread(prune_mirrors, self._settings.data_dir / "mirrors", unused_seconds=MIRROR_SECONDS)

    async def fetch(
        self,
        source: Source,
        into: Path,
        *,
        seconds: float,
        project_id: str = "",  # noqa: ARG002 - a repository is one
        credential: Credential | None = None,
    ) -> Fetched:
        assert isinstance(source, GitSource)  # noqa: S101 - sources are chosen by their kind
        check_git_source(source, self._settings)
        url, own = split_credential(source.url)
        remote = parse_remote(url, allow_files=self._settings.allow_file_urls)

        def work(stop: Stop) -> Fetched:
            addresses = addresses_of(remote, self._settings.git_hosts, stop, self._resolve) if remote.host else ()
            mirrors = self._settings.data_dir / "mirrors"
            with confined(self._settings, (mirrors, into.parent), remote, addresses) as place:
                session = Session(self._settings, remote, own or credential, addresses, stop, place)
                return _fetch(session, source, into).but(network=place.network())

        return await run_in_thread(work, seconds=seconds)


def _fetch(session: Session, source: GitSource, into: Path) -> Fetched:
    mirror = Mirror(mirror_path(session.settings.data_dir / "mirrors", session.remote, session.credential))
    commit = check_commit(source.commit) if source.commit else None
    if commit and mirror.has(commit):
        # What a name stands for never changes, and this one was fetched with the same credential before.
        wanted = Wanted(commit=commit, branch=branch_of(source.ref), is_tip=True)
    else:
        wanted = choose(session.advertised(), source.ref, commit)
    if not mirror.has(wanted.commit):
        with mirror.held(session.stop):
            bring(session, mirror, wanted)
    try:
        with mirror.held(session.stop, shared=True):
            return _write(session, mirror, wanted, into)
    except GitFailed:
        # A mirror is a cache: one that can't be read is begun anew, once.
        with mirror.held(session.stop):
            remove_tree(mirror.path)
            bring(session, mirror, wanted)
            return _write(session, mirror, wanted, into)


def _write(session: Session, mirror: Mirror, wanted: Wanted, into: Path) -> Fetched:
    def git(*arguments: str) -> GitCommand:
        return session.here(mirror.path, *arguments)

    settings, stop = session.settings, session.stop
    listing = list_commit(git, wanted.commit, stop, most_files=settings.upload_files, most_bytes=settings.upload_bytes)
    if not listing.files:
        raise source_failed(FailureReason.SOURCE_EMPTY, "the commit has no files", hint="push some files first")
    author, message = _who_and_why(git, wanted.commit, stop)
    with filled(into) as aside:
        pointers = write_out(git, listing, aside, stop)
    return Fetched(
        root=into,
        author=Author(kind="git", name=author),
        message=message,
        commit=wanted.commit,
        branch=wanted.branch,
        notes=_notes(listing, pointers),
    )


def _who_and_why(git: Local, commit: str, stop: Stop) -> tuple[str, str]:
    try:
        return author_and_message(run_git(git("cat-file", "commit", commit), stop))
    except TooMuchOutput:
        raise too_large("the commit itself, its message and its parents, has more than 1 MiB") from None


def _notes(listing: Listing, pointers: int) -> list[str]:
    notes = []
    if listing.submodules:
        shown = ", ".join(repr(path) for path in listing.submodules[:5])
        notes.append(f"{len(listing.submodules)} submodules were left out: {shown}")
    if pointers:
        notes.append(f"{pointers} files are pointers of Git LFS; their content was not fetched")
    return notes
