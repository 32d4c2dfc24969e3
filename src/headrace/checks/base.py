"""The contract of checks: they look at a build's output before it becomes an artifact."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from headrace.model.diagnostic import Failure
from headrace.model.plan import BuildPlan
from headrace.model.value import Value


class OutputFile(Value):
    """One regular file of the output, relative to the output directory."""

    path: str
    size: int


class OutputLink(Value):
    """A symbolic link of the output, and what it says."""

    path: str
    target: str


class Output(Value):
    """What a build left in its output directory. `directory` is relative to the root of the version."""

    directory: str
    files: tuple[OutputFile, ...]
    bytes: int
    links: tuple[OutputLink, ...] = ()
    #: What is neither a file, a directory nor a link, and directories that can't be read, with what they are.
    odd: tuple[tuple[str, str], ...] = ()


class OutputReader(Protocol):
    """Reads the output without following links and without leaving it."""

    def read(self, path: str, limit: int) -> bytes:
        """At most the first `limit` bytes of a file of the output."""
        ...


class Check(Protocol):
    name: ClassVar[str]

    def run(self, plan: BuildPlan, output: Output, reader: OutputReader) -> Failure | Sequence[str]:
        """A failure that ends the build, or warnings (usually none)."""
        ...
