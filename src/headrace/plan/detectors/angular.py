"""Angular, also with Ionic and below Nx: its workspace file says what is built, and where to."""

from typing import Any, ClassVar, Literal

from headrace.plan.detectors.base import Detected
from headrace.plan.detectors.row import inside_project
from headrace.plan.detectors.scripts import chosen_build, chosen_dev
from headrace.plan.jsonc import read_json
from headrace.plan.project_view import ProjectView, joined

CACHES = (".angular/cache", ".nx/cache")


class Angular:
    framework: ClassVar[str] = "angular"

    def detect(self, view: ProjectView) -> Detected | None:
        config = view.first("angular.json", "project.json", "workspace.json")
        marked = next(
            (name for name in ("@angular/cli", "@angular/core", "@ionic/angular") if name in view.dependencies), None
        )
        if marked is None or (marked == "@angular/core" and config is None):
            return None
        name, target = _target(view, config) if config else ("", {})
        options = _options(target)
        server = options.get("outputMode") == "server" or (
            bool(options.get("ssr")) and options.get("outputMode") != "static"
        )
        output, why = _output(name, target, options, ionic="@ionic/angular" in view.dependencies)
        kind: Literal["static", "server"] = "server" if server else "static"
        return Detected(
            framework=self.framework,
            kind=kind,
            why=f"package.json depends on {marked}" + (", and it renders on a server" if server else ""),
            source=config or "package.json",
            script=chosen_build(view, "ng build", beside=False) or "build",
            dev_script=chosen_dev(view, "ng serve"),
            output=output,
            output_why=why,
            output_candidates=tuple(
                dict.fromkeys((joined(output, "browser"), output.removesuffix("/browser"), "dist", "www"))
            ),
            as_files='"outputMode": "static" of the build in angular.json',
            spa=True,
            spa_why="a single page, whose routes only the browser knows",
            published="public",
            caches=CACHES,
        )


def _target(view: ProjectView, config: str) -> tuple[str, dict[str, Any]]:
    """The name and the build of the project that is built without naming one."""
    try:
        raw = read_json(view.text(config) or "")
    except (ValueError, RecursionError):
        return "", {}
    projects = raw.get("projects")
    if not isinstance(projects, dict):
        return str(raw.get("name") or ""), _build_of(raw)
    applications = {
        name: build for name, project in projects.items() if isinstance(project, dict) and (build := _build_of(project))
        if project.get("projectType", "application") == "application"
    }  # fmt: skip
    wish = raw.get("defaultProject")
    name = wish if isinstance(wish, str) and wish in applications else next(iter(applications), "")
    return name, applications.get(name, {})


def _build_of(project: dict[str, Any]) -> dict[str, Any]:
    targets = project.get("architect") or project.get("targets")
    build = targets.get("build") if isinstance(targets, dict) else None
    return build if isinstance(build, dict) else {}


def _options(target: dict[str, Any]) -> dict[str, Any]:
    """Options of a production build."""
    usual = target.get("options")
    configurations = target.get("configurations")
    wish = target.get("defaultConfiguration", "production")
    special = configurations.get(wish) if isinstance(configurations, dict) else None
    return {**(usual if isinstance(usual, dict) else {}), **(special if isinstance(special, dict) else {})}


def _output(name: str, target: dict[str, Any], options: dict[str, Any], *, ionic: bool) -> tuple[str, str]:
    builder = str(target.get("builder") or target.get("executor") or "")
    path = options.get("outputPath")
    browser = "browser" if builder.endswith(":application") or not builder else ""
    if isinstance(path, dict):
        base, browser = str(path.get("base") or ""), str(path.get("browser", browser))
    else:
        base = path if isinstance(path, str) else ""
    if base := inside_project(base):
        return joined(base, inside_project(browser)), "outputPath in the workspace's file"
    if ionic:
        return "www", "where Ionic writes its app"
    return joined(f"dist/{name}" if name else "dist", browser if name else ""), "where Angular writes its pages"
