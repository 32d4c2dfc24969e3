"""An app of an Nx workspace: Nx builds it, and the framework that it is made with says what comes out."""

import posixpath
import shlex
from collections.abc import Sequence
from typing import ClassVar

from headrace.plan.detectors.base import Detected, Detector
from headrace.plan.manifest import Manifest
from headrace.plan.nx import NxApp, nx_app
from headrace.plan.project_view import ProjectView, joined

#: Nothing stays behind or is sent: no daemon, no cloud, and plugins in the process itself.
_ENV = {
    "NX_DAEMON": "false",
    "NX_NO_CLOUD": "true",
    "NX_ISOLATE_PLUGINS": "false",
    "NX_TUI": "false",
    "DO_NOT_TRACK": "1",
}


class Nx:
    framework: ClassVar[str] = "nx"

    def __init__(self, frameworks: Sequence[Detector]) -> None:
        self._frameworks = {detector.framework: detector for detector in frameworks}

    def detect(self, view: ProjectView) -> Detected | None:
        app = nx_app(view.files, view.root)
        if app is None:
            return None
        made = self._made_with(app, view)
        return Detected(
            framework=made.framework if made else self.framework,
            kind="server" if app.program else made.kind if made else "static",
            why=f"{app.source} is an app of Nx"
            + (f", and {made.why}" if made else ", a program" if app.program else ""),
            source=app.source,
            script="build",
            command=f"nx run {shlex.quote(f'{app.name}:build')}",
            command_why="Nx knows its tasks, and builds the libraries that it uses before it",
            command_env=_ENV,
            output=_seen_from(view.root, _output(app, made)),
            output_why="its build says so" if app.output else made.output_why if made else "where Nx usually writes",
            output_candidates=tuple(
                dict.fromkeys(
                    _seen_from(view.root, place)
                    for place in (
                        joined(app.workspace.root, f"dist/{_below(app)}"),
                        *(joined(view.root, name) for name in ("dist", "build", "out")),
                    )
                )
            ),
            spa=bool(made and made.spa),
            spa_why=made.spa_why if made else "a page that does not exist is an error",
            published=made.published if made else "public",
            base=made.base if made else "/",
            rules=made.rules if made else (),
            as_files=made.as_files if made else "",
            caches=made.caches if made else (),
        )

    def _made_with(self, app: NxApp, view: ProjectView) -> Detected | None:
        """What the framework's own detector says of the app's directory with the workspace's packages."""
        detector = self._frameworks.get(app.framework or "")
        if detector is None:
            return None
        packages = {**(app.workspace.manifest.dependencies if app.workspace.manifest else {}), **view.dependencies}
        manifest = Manifest(path=app.source, raw={"dependencies": packages})
        return detector.detect(ProjectView(view.files, view.root, manifest))


def _output(app: NxApp, made: Detected | None) -> str:
    if app.framework == "angular" and made is not None:
        # Its detector reads the same file, and knows about the directory `browser`. Nx counts from the workspace's root.
        return joined(app.workspace.root, made.output)
    if app.output:
        return app.output
    return joined(app.directory, made.output) if made else joined(app.workspace.root, f"dist/{_below(app)}")


def _below(app: NxApp) -> str:
    return posixpath.relpath(f"/{app.directory}", f"/{app.workspace.root}")


def _seen_from(directory: str, path: str) -> str:
    return posixpath.relpath(f"/{path}", f"/{directory}")
