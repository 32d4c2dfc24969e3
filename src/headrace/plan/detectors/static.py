"""Plain files: nothing is run, they are served as they are."""

from typing import ClassVar

from headrace.plan.detectors.base import Detected
from headrace.plan.project_view import ProjectView, joined

#: Directories that people keep a site in, when it is not the root.
DIRECTORIES = ("public", "site", "www", "html", "htdocs", "static", "dist", "build", "_site", "docs", "src")


class Static:
    framework: ClassVar[str] = "static"

    def detect(self, view: ProjectView) -> Detected | None:
        output = next((name for name in ("", *DIRECTORIES) if view.has(joined(name, "index.html"))), None)
        if output is None:
            return None
        entry = joined(output, "index.html")
        built = "package.json has no build script" if view.manifest else "there is no package.json"
        return Detected(
            framework=self.framework,
            why=f"{entry} is there and {built}",
            source=joined(view.root, entry),
            output=output,
            output_why=f"it holds {entry}",
            published=output,
        )
