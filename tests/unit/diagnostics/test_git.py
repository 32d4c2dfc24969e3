"""A git dependency that can't be fetched is found in package.json, however its manager writes the address."""

import pytest

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult

MANIFEST = b'{\n  "dependencies": {\n    "x": "github:octocat/Hello-World"\n  }\n}\n'
PRINTED = {
    "npm": (
        "npm error code 128",
        "npm error An unknown git error occurred",
        "npm error command git --no-replace-objects ls-remote ssh://git@github.com/octocat/Hello-World.git",
        "npm error fatal: Could not read from remote repository.",
    ),
    "pnpm": (
        "\u2009ERROR\u2009 Command failed with exit code 128: git ls-remote git+ssh://git@github.com/octocat/Hello-World.git HEAD",
        "error: cannot run ssh: No such file or directory",
        "fatal: unable to fork",
    ),
    "yarn": (
        "yarn install v1.22.22",
        "error Command failed.",
        "Exit code: 128",
        "Command: git",
        "Arguments: ls-remote --tags --heads https://github.com/octocat/Hello-World.git",
        "fatal: unable to access 'https://github.com/octocat/Hello-World.git/': CONNECT tunnel failed, response 403",
    ),
    "bun": (
        "bun install v1.4.5 (1234abcd)",
        "error: ProxyConnectFailed (403) downloading tarball x@github:octocat/Hello-World",
    ),
}


@pytest.mark.parametrize("manager", PRINTED)
def test_a_repository_that_is_out_of_reach_is_named_with_its_line(manager: str) -> None:
    failure = diagnose(
        StepId.DEPENDENCIES,
        PlannedCommand(argv=(manager, "install")),
        CommandResult(exit_code=1, seconds=1),
        [LogLine(seq=number, text=text) for number, text in enumerate(PRINTED[manager])],
        ["package.json"],
        {"package.json": MANIFEST}.get,
    )
    assert failure.reason == "git_dependency_failed"
    assert (failure.diagnostics[0].file, failure.diagnostics[0].line) == ("package.json", 3)
