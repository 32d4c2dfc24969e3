"""No secret of the project stands in what visitors get."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from headrace.checks.base import Output, OutputReader
from headrace.checks.refusal import named, refusal
from headrace.masking import forms
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import BuildPlan

_LARGEST_FILE = 32 * 1024 * 1024
_TEXT = (
    ".html",
    ".htm",
    ".js",
    ".mjs",
    ".cjs",
    ".css",
    ".json",
    ".map",
    ".txt",
    ".xml",
    ".svg",
    ".md",
    ".webmanifest",
    ".yaml",
    ".yml",
    ".toml",
    ".env",
    ".ini",
    ".csv",
)


class LeakedSecret:
    """`secrets` are the values that must not be published, by the names of their variables, in every form that is known."""

    name: ClassVar[str] = "leaked_secret"

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = {name: looked_for for name, value in secrets.items() if (looked_for := forms(value))}

    def run(self, plan: BuildPlan, output: Output, reader: OutputReader) -> Failure | Sequence[str]:
        del plan
        if not self._secrets:
            return ()
        found: dict[str, str] = {}
        for file in output.files:
            if file.path.lower().endswith(_TEXT):
                data = reader.read(file.path, _LARGEST_FILE)
                for name, looked_for in self._secrets.items():
                    if name not in found and any(form in data for form in looked_for):
                        found[name] = file.path
        if not found:
            return ()
        where = named([f"{name} in {path}" for name, path in sorted(found.items())])
        return refusal(
            FailureReason.OUTPUT_INVALID,
            f"secret values stand in the output: {where}",
            hint="read the secret at run time on a server; what a bundle holds, every visitor can read",
        )
