"""Where a build's result is: the planned directory, else one that such projects use, else an answer that says what is there."""

import os
from collections import deque
from collections.abc import Collection

from headrace.checks.refusal import named
from headrace.errors import StepFailed
from headrace.linux import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, leads_nowhere, open_beneath
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import BuildPlan, StepId

_SKIPPED = frozenset({"node_modules", ".git", ".pnpm-store"})
#: Directories with pages that are about a project, not of it.
_NOT_PAGES = frozenset(
    {"coverage", "test", "tests", "__tests__", "test-results", "playwright-report", "reports", "fixtures"}
)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY

#: Directories that are looked at before the search gives up; a build can't make it longer.
_LOOKED_AT = 2000
_DEPTH = 4


def find_output(tree_fd: int, plan: BuildPlan, before: Collection[str] | None = None) -> str:
    """
    The output directory below `tree_fd`, relative to it. Links are not followed.

    `before` has the paths that were there before the build: a page among them was not built. Without a setting that names
    the output, the one directory of pages that appeared is taken, wherever it is. Without `before` nothing is known of that.

    Raises StepFailed, naming the directories that did appear, when there is none, and OSError when that can't be known.
    """
    guess = before is not None and plan.build is not None and bool(plan.output_candidates)
    before, ordered = before or (), not plan.output_candidates
    there = _is_directory(tree_fd, plan.output)
    if there and (ordered or plan.build is None or _has_page(tree_fd, plan.output)):
        return plan.output
    pages = [candidate for candidate in plan.output_candidates if _has_page(tree_fd, candidate)]
    made = [candidate for candidate in pages if _page(candidate) not in before]
    if made or (pages and not there):
        return (made or pages)[0]
    if there:
        return plan.output
    if guess and (found := _the_one_that_appeared(tree_fd, plan, before)):
        return found
    raise StepFailed(_missing(tree_fd, plan, before))


def _page(directory: str) -> str:
    return f"{directory}/index.html" if directory else "index.html"


def _the_one_that_appeared(tree_fd: int, plan: BuildPlan, before: Collection[str]) -> str | None:
    """The directory of pages that the build made, when there is one alone. What tests and tools write is none."""
    made = [name for name in _appeared(tree_fd, plan, before) if not _NOT_PAGES.intersection(name.split("/"))]
    made = [name for name in made if not any(part.startswith(".") for part in name.split("/"))]
    highest = [name for name in made if not any(name.startswith(f"{other}/") for other in made)]
    return highest[0] if len(highest) == 1 else None


def _appeared(tree_fd: int, plan: BuildPlan, before: Collection[str]) -> list[str]:
    found = [directory for directory in _directories(tree_fd, plan.root) if _has_page(tree_fd, directory)]
    return [directory for directory in found if _page(directory) not in before]


def _open(tree_fd: int, path: str) -> int:
    return open_beneath(tree_fd, path or ".", _DIRECTORY, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


def _is_directory(tree_fd: int, path: str) -> bool:
    try:
        os.close(_open(tree_fd, path))
    except OSError as exc:
        if leads_nowhere(exc):
            return False
        raise
    return True


def _has_page(tree_fd: int, path: str) -> bool:
    try:
        os.close(
            open_beneath(
                tree_fd, _page(path), os.O_RDONLY | os.O_NONBLOCK, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
            )
        )
    except OSError as exc:
        if leads_nowhere(exc):
            return False
        raise
    return True


def _missing(tree_fd: int, plan: BuildPlan, before: Collection[str]) -> Failure:
    pages = _appeared(tree_fd, plan, before)
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
    except OSError as exc:
        if leads_nowhere(exc):
            return []
        raise
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
