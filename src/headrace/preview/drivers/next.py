"""Next's own development server."""

from collections.abc import Sequence
from typing import ClassVar

from headrace.model.plan import BuildPlan
from headrace.model.preview import PreviewMode
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import joined
from headrace.preview.base import Builder, Change, FreePort, Link, Setup
from headrace.preview.drivers._next_log import NextLog
from headrace.preview.drivers._scripts import calls
from headrace.preview.drivers._served import ServedBuilder
from headrace.preview.drivers.command import CommandDriver, served

#: Next takes up changes of these by itself, by starting anew within its process or by reading them again.
_TAKES_UP = ("tsconfig", ".env", "next.config")


class NextDriver:
    name: ClassVar[str] = "next"
    modes: ClassVar[Sequence[PreviewMode]] = (PreviewMode.DEV,)

    def fits(self, plan: BuildPlan, files: ProjectFiles, mode: PreviewMode) -> str | None:  # noqa: ARG002
        if plan.framework != "next":
            return f"this is {plan.framework}, not Next"
        if plan.dev is None:
            return "package.json has no dev script"
        found = calls(plan.dev.argv[2]) if plan.dev.argv[:2] == ("sh", "-c") else []
        if not found or found[-1].program != "next":
            return "its dev script does more than start Next"
        return None

    def setup(self, plan: BuildPlan, files: ProjectFiles, mode: PreviewMode, port: FreePort) -> Setup:  # noqa: ARG002
        assert plan.dev is not None  # noqa: S101 - `fits` was asked
        caches = (joined(plan.root, ".next/dev/cache"), joined(plan.root, ".next/cache"))
        return served(plan.dev, files, port(), keep=caches)

    def attach(self, setup: Setup, plan: BuildPlan, link: Link) -> Builder:  # noqa: ARG002
        return NextBuilder(setup, link, "next dev")

    def restarts(self, plan: BuildPlan, change: Change) -> bool:
        others = [[path for path in paths if not path.rpartition("/")[2].startswith(_TAKES_UP)] for paths in change]
        return CommandDriver().restarts(plan, Change(tuple(others[0]), tuple(others[1])))


class NextBuilder(ServedBuilder):
    parsers = (NextLog(), *ServedBuilder.parsers)
    #: It says that it compiles within this time of a change, and says nothing while it does.
    quiet_seconds = 0.2
