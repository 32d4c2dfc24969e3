"""The output is made of regular files, and none of its links leads out of it."""

import posixpath
from collections.abc import Sequence
from typing import ClassVar

from headrace.checks.base import Output, OutputLink, OutputReader
from headrace.checks.refusal import named, refusal
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import BuildPlan


class RegularFiles:
    name: ClassVar[str] = "regular_files"

    def run(self, plan: BuildPlan, output: Output, reader: OutputReader) -> Failure | Sequence[str]:
        """Links that stay inside are left out with a warning: an artifact is files."""
        del plan, reader
        if output.odd:
            what = [f"{path} is {kind}" for path, kind in output.odd]
            return refusal(
                FailureReason.OUTPUT_INVALID,
                f"the output holds what can't be published: {named(what)}",
                hint="have the build write regular files only",
            )
        leaving = [f"{link.path} -> {link.target}" for link in output.links if _leaves(link)]
        if leaving:
            return refusal(
                FailureReason.OUTPUT_INVALID,
                f"the output holds links that lead out of it: {named(leaving)}",
                hint="have the build copy the files in place of the links",
            )
        if output.links:
            links = named([link.path for link in output.links])
            return (f"links are not published, only files are: {links}",)
        return ()


def _leaves(link: OutputLink) -> bool:
    if link.target.startswith("/"):
        return True
    target = posixpath.normpath(posixpath.join(posixpath.dirname(link.path), link.target))
    return target == ".." or target.startswith("../")
