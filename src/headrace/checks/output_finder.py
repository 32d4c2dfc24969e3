"""Where a build's result is: the planned directory, else one that such projects use, else an answer that says what is there."""

import os
from collections import deque

from headrace.checks.refusal import named
from headrace.errors import StepFailed
from headrace.linux import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, open_beneath
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import BuildPlan, StepId

_SKIPPED = frozenset({"node_modules", ".git", ".pnpm-store"})
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY

#: Directories that are looked at before the search gives up; a build can't make it longer.
_LOOKED_AT = 2000
_DEPTH = 4


def find_output(tree_fd: int, plan: BuildPlan) -> str:
    """
    The output directory below `tree_fd`, relative to it. Links are not followed.

    Raises StepFailed, naming the directories that did appear, when neither the planned one nor a candidate is there.
    """
    if _is_directory(tree_fd, plan.output):
        return plan.output
    for candidate in plan.output_candidates:
        if _has_page(tree_fd, candidate):
            return candidate
    raise StepFailed(_missing(tree_fd, plan))


def _open(tree_fd: int, path: str) -> int:
    return open_beneath(tree_fd, path or ".", _DIRECTORY, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


def _is_directory(tree_fd: int, path: str) -> bool:
    try:
        os.close(_open(tree_fd, path))
    except OSError:
        return False
    return True


def _has_page(tree_fd: int, path: str) -> bool:
    page = f"{path}/index.html" if path else "index.html"
    try:
        os.close(
            open_beneath(tree_fd, page, os.O_RDONLY | os.O_NONBLOCK, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        )
    except OSError:
        return False
    return True


def _missing(tree_fd: int, plan: BuildPlan) -> Failure:
    pages = [directory for directory in _directories(tree_fd, plan.root) if _has_page(tree_fd, directory)]
    there = [name for name in _children(tree_fd, plan.root) if not name.startswith(".")]
    looked = ", ".join(name or "." for name in (plan.output, *plan.output_candidates)[:8])
    if pages:
        message = f"the build made no {plan.output!r}; directories with an index.html: {named(pages)}"
        best = pages[0].removeprefix(f"{plan.root}/") if plan.root else pages[0]
        hint = f'set output = "{best}" below [build] in headrace.toml, if that is the result'
    else:
        message = f"the build made no {plan.output!r}; looked for {looked}; the directories that are there: {named(there) or 'none'}"
        hint = "have the build write its result there, or set output below [build] in headrace.toml"
    if plan.build is None:
        message = message.replace("the build made no", "there is no")
    return Failure(reason=FailureReason.OUTPUT_MISSING, step=StepId.VERIFY, message=message[:2000], hint=hint)


def _children(tree_fd: int, directory: str) -> list[str]:
    """Names of the directories in a directory, sorted."""
    try:
        descriptor = _open(tree_fd, directory)
    except OSError:
        return []
    try:
        with os.scandir(descriptor) as entries:
            return sorted(e.name for e in entries if e.name not in _SKIPPED and e.is_dir(follow_symlinks=False))
    finally:
        os.close(descriptor)


def _directories(tree_fd: int, root: str) -> list[str]:
    """Directories below the root, the nearest first."""
    found: list[str] = []
    waiting = deque([(root, 0)])
    while waiting and len(found) < _LOOKED_AT:
        directory, depth = waiting.popleft()
        if depth == _DEPTH:
            continue
        for name in _children(tree_fd, directory):
            path = f"{directory}/{name}" if directory else name
            found.append(path)
            waiting.append((path, depth + 1))
    return found
