"""What stages hand on to each other that is not stored."""

from dataclasses import dataclass
from pathlib import Path

from headrace.model.digest import Digest
from headrace.model.plan import BuildPlan
from headrace.model.version import Tree


@dataclass(frozen=True)
class Planned:
    """A plan with the tree it was made for, and where that tree lies written out."""

    plan: BuildPlan
    tree: Tree
    digest: Digest
    directory: Path
    #: The git commit and the branch of the version, if it came from one.
    commit: str | None = None
    branch: str | None = None


@dataclass(frozen=True)
class Built:
    """The working directory after the build, open for reading, and where in it the output is."""

    tree_fd: int
    directory: str
