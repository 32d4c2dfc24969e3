"""Brings a commit into a mirror, and makes sure that it is a commit, and one of this repository's own."""

from pathlib import Path

from headrace.disk import remove_tree
from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.source._failures import source_failed, too_large
from headrace.source._mirror import Mirror
from headrace.source._process import GitFailed, run_git
from headrace.source._refs import Wanted
from headrace.source._remote import wrong_commit
from headrace.source._said import looks_damaged, was_refused
from headrace.source._session import Session

#: What git takes as "all of it", for a shallow repository and for any other.
_WHOLE_HISTORY = "--depth=2147483647"
_BRANCHES = "+refs/heads/*:refs/heads/*"


def bring(session: Session, mirror: Mirror, wanted: Wanted) -> None:
    """Fetch what is missing. Only under the mirror's lock. Raises StepFailed; InvalidInput for what isn't a commit."""
    if mirror.has(wanted.commit):
        return
    mirror.tidy()
    if not mirror.path.exists():
        session.make_repository(mirror.path)
    try:
        came_with_branches = _fetch(session, mirror, wanted.commit)
    except BaseException:
        # A fetch that was killed leaves all that it had received.
        mirror.drop_leftovers()
        raise
    _check_kind(session, mirror, wanted.commit)
    if not wanted.is_tip and not came_with_branches and not _is_in_a_branch(session, mirror, wanted.commit):
        raise source_failed(
            FailureReason.SOURCE_FORBIDDEN,
            f"the commit {wanted.commit[:12]} is in no branch of this repository (source.commit_not_in_branch)",
            hint="push it to a branch; a commit of somebody's fork is not built",
        )
    mirror.keep(wanted.commit)


def _fetch(session: Session, mirror: Mirror, commit: str) -> bool:
    """True when the server gives no single commits and all branches and tags were fetched instead."""
    try:
        session.fetch(mirror.path, "--depth=1", f"+{commit}:refs/fetched/{commit}")
        return False
    except GitFailed as exc:
        if not was_refused(exc.text):
            raise _failure(session, mirror, exc) from exc
    _fetch_or_fail(session, mirror, mirror.path, _WHOLE_HISTORY, _BRANCHES, "+refs/tags/*:refs/tags/*")
    return True


def _fetch_or_fail(session: Session, mirror: Mirror, repository: Path, how: str, *refspecs: str) -> None:
    try:
        session.fetch(repository, how, *refspecs)
    except GitFailed as exc:
        raise _failure(session, mirror, exc) from exc


def _failure(session: Session, mirror: Mirror, exc: GitFailed) -> StepFailed:
    if mirror.drop_leftovers() >= session.most_file_bytes:
        # The system ended git at its limit, and git's own words don't say so.
        return too_large("the repository is larger than this server takes")
    if looks_damaged(exc.text):
        # The next fetch finds no mirror and makes a whole one.
        remove_tree(mirror.path)
    return session.failure(exc)


def _check_kind(session: Session, mirror: Mirror, commit: str) -> None:
    try:
        kind = run_git(session.here(mirror.path, "cat-file", "-t", commit), session.stop).strip()
    except GitFailed:
        raise source_failed(
            FailureReason.SOURCE_NOT_FOUND,
            f"the repository does not have the commit {commit[:12]} (any more)",
            hint="it may have been replaced by a forced push: build the branch's newest commit",
        ) from None
    if kind != b"commit":
        raise wrong_commit(f"this is the name of a {kind.decode()}, not of a commit")


def _is_in_a_branch(session: Session, mirror: Mirror, commit: str) -> bool:
    """Asks the branches' history, which is fetched without trees and files into a repository of its own."""
    history = mirror.path / "history"
    if not history.exists():
        session.make_repository(history)
    _fetch_or_fail(session, mirror, history, "--filter=tree:0", _BRANCHES)
    command = session.here(history, "for-each-ref", "--count=1", f"--contains={commit}", "refs/heads")
    try:
        return bool(run_git(command, session.stop))
    except GitFailed:
        # The commit is not among them, so git does not know its name.
        return False
