"""The checks in their order: the first that refuses ends the build."""

from collections.abc import Mapping

from headrace.checks.base import Check, Output, OutputReader
from headrace.checks.entry_page import EntryPage
from headrace.checks.image_server import ImageServer
from headrace.checks.leaked_secret import LeakedSecret
from headrace.checks.output_not_empty import OutputNotEmpty
from headrace.checks.regular_files import RegularFiles
from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure
from headrace.model.plan import BuildPlan


def verify(
    plan: BuildPlan, output: Output, reader: OutputReader, secrets: Mapping[str, str] | None = None
) -> list[str]:
    """
    Warnings of the checks. Raises StepFailed with the first refusal.

    `secrets` are the values, by their variables' names, that must not be published.
    """
    checks: tuple[Check, ...] = (
        OutputNotEmpty(),
        RegularFiles(),
        EntryPage(),
        ImageServer(),
        LeakedSecret(secrets or {}),
    )
    warnings: list[str] = []
    for check in checks:
        said = check.run(plan, output, reader)
        if isinstance(said, Failure):
            raise StepFailed(said)
        warnings += said
    return warnings
