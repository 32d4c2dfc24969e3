"""A token that nobody set is the cause, not the registry that was asked instead."""

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult


def test_a_variable_that_pnpm_misses_in_npmrc_goes_before_the_package_that_it_did_not_find() -> None:
    printed = (
        '\u2009WARN\u2009 Issue while reading "/app/.npmrc". Failed to replace env in config: ${GITHUB_TOKEN}',
        "\u2009ERR_PNPM_FETCH_404\u2009 GET https://registry.npmjs.org/@acme%2Fui: Not Found - 404",
    )
    sources = {
        ".npmrc": b"@acme:registry=https://npm.pkg.github.com\n//npm.pkg.github.com/:_authToken=${GITHUB_TOKEN}\n"
    }
    failure = diagnose(
        StepId.DEPENDENCIES,
        PlannedCommand(argv=("pnpm", "install")),
        CommandResult(exit_code=1, seconds=1),
        [LogLine(seq=number, text=text) for number, text in enumerate(printed)],
        [".npmrc", "package.json"],
        sources.get,
    )
    assert failure.reason == "missing_env"
    assert (failure.diagnostics[0].file, failure.diagnostics[0].line) == (".npmrc", 2)
    assert "install_secrets" in (failure.hint or "")
