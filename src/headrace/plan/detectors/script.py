"""A project with a build script whose framework is not known: the script is run and its output is looked for."""

from typing import ClassVar

from headrace.plan.detectors.base import Detected
from headrace.plan.detectors.scripts import chosen_dev
from headrace.plan.project_view import ProjectView

_USUAL = ("dist", "build", "out", "public", "_site", "site", "www", "docs/.vitepress/dist", ".output/public")


class Script:
    framework: ClassVar[str] = "script"

    def detect(self, view: ProjectView) -> Detected | None:
        if view.manifest is None or not view.manifest.scripts.get("build", "").strip():
            return None
        return Detected(
            framework=self.framework,
            why="no framework is recognised, and package.json has a build script",
            source=view.manifest.path,
            script="build",
            dev_script=chosen_dev(view, ""),
            output=_USUAL[0],
            output_why="where most build scripts write",
            # A script that only prepares files, a style sheet for example, leaves the pages where they are.
            output_candidates=_USUAL[1:] + (("",) if view.has("index.html") else ()),
        )


class DevScript:
    """A project whose only script starts something: it can be shown, and there is nothing to build."""

    framework: ClassVar[str] = "dev-script"

    def detect(self, view: ProjectView) -> Detected | None:
        name = chosen_dev(view, "")
        if view.manifest is None or name is None:
            return None
        return Detected(
            framework=self.framework,
            kind="server",
            why=f"package.json has the script {name!r} and none that builds",
            source=view.manifest.path,
            dev_script=name,
            output=_USUAL[0],
            output_why="where most build scripts write",
            as_files='a script "build" that writes pages, in package.json',
        )
