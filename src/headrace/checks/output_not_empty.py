"""The output holds files at all."""

from collections.abc import Sequence
from typing import ClassVar

from headrace.checks.base import Output, OutputReader
from headrace.checks.refusal import refusal
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import BuildPlan


class OutputNotEmpty:
    name: ClassVar[str] = "output_not_empty"

    def run(self, plan: BuildPlan, output: Output, reader: OutputReader) -> Failure | Sequence[str]:
        del plan, reader
        if output.files:
            return ()
        return refusal(
            FailureReason.OUTPUT_EMPTY,
            f"the output directory {output.directory or '.'!r} has no files",
            hint="look at the log of the build: it ended well and wrote nothing there",
        )
