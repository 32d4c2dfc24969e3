"""Runners of tasks put a name in front of every line; what the tasks said is read all the same."""

import pytest

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.diagnostics.tasks import apart
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult

ERROR = (
    "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'fsx' imported from /app/packages/ui/build.js",
    "    at packageResolve (node:internal/modules/esm/resolve:784:25)",
    "  code: 'ERR_MODULE_NOT_FOUND'",
)
OTHER = ("vite v7.0.0 building for production...", "transforming...", "rendering chunks...")
HEADS = {
    "turbo": ("   • Packages in scope: web", "@acme/ui:build: ", "web:build: "),
    "pnpm": ("Scope: 2 of 3 workspace projects", "packages/ui build: ", "apps/web build: "),
    "yarn": ("[@acme/ui]: Process started", "[@acme/ui]: ", "[web]: "),
}


def logged(runner: str) -> list[LogLine]:
    """Two tasks whose lines come by turns."""
    head, one, other = HEADS[runner]
    mixed = [line for pair in zip(ERROR, OTHER, strict=True) for line in (one + pair[0], other + pair[1])]
    return [LogLine(seq=number, text=text) for number, text in enumerate([head, *mixed])]


@pytest.mark.parametrize("runner", HEADS)
def test_the_error_of_one_of_two_tasks_is_found(runner: str) -> None:
    failure = diagnose(
        StepId.BUILD,
        PlannedCommand(argv=("sh", "-c", "build")),
        CommandResult(exit_code=1, seconds=1),
        logged(runner),
        ["packages/ui/build.js", "package.json"],
        {"packages/ui/build.js": b"import fs from 'fsx';\n"}.get,
    )
    first = failure.diagnostics[0]
    assert (failure.reason, first.file, first.line, first.log_seq) == (
        "missing_dependency",
        "packages/ui/build.js",
        1,
        1,
    )


def test_what_npm_says_of_a_script_that_failed_is_not_the_cause() -> None:
    npm = (
        "Lifecycle script `build` failed with error:",
        "code 1",
        "path /app/packages/ui",
        "command sh -c node build.js",
    )
    printed = ["   • Packages in scope: web", *(f"@acme/ui:build: {line}" for line in ERROR)]
    printed += [f"@acme/ui:build: npm error {line}" for line in npm]
    failure = diagnose(
        StepId.BUILD,
        PlannedCommand(argv=("turbo", "run", "build")),
        CommandResult(exit_code=1, seconds=1),
        [LogLine(seq=number, text=text) for number, text in enumerate(printed)],
        ["packages/ui/build.js"],
    )
    assert (failure.reason, failure.diagnostics[0].file) == ("missing_dependency", "packages/ui/build.js")


def test_a_log_of_one_tool_is_left_as_it_is() -> None:
    lines = [LogLine(seq=0, text="src/App.tsx:error: not a task"), LogLine(seq=1, text="[vite]: transforming")]
    assert apart(lines) == lines
