"""What shows projects that are planned and not built."""

import json

import pytest

from headrace.model.preview import PreviewMode
from headrace.model.project import PreviewSettings, ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles
from headrace.preview.choice import BUILDS, FILES, Choice, choose


def chosen(files: dict[str, str]) -> Choice:
    project = MemoryFiles(files)
    return choose(make_plan(project, ProjectSettings(), PlanLimits()), project, PreviewSettings())


def package(depends: str | None = None, **scripts: str) -> str:
    return json.dumps({"scripts": scripts, "dependencies": {depends: "*"} if depends else {}})


@pytest.mark.parametrize(
    ("manifest", "driver"),
    [
        (package(dev="node server.js"), "command"),
        (package("express", start="node server.js"), "command"),
        (package("vite", dev="vite"), "vite"),
        (package("next", dev="next dev"), "next"),
        (package("@sveltejs/kit", build="vite build", dev="vite dev"), "vite"),
        (package("@remix-run/dev", build="remix vite:build", dev="remix vite:dev"), "vite"),
        (package("@docusaurus/core", build="docusaurus build", start="docusaurus start"), "command"),
    ],
)
def test_a_project_is_shown_by_its_development_server(manifest: str, driver: str) -> None:
    choice = chosen({"package.json": manifest})
    assert (choice.name, choice.mode) == (driver, PreviewMode.DEV)


def test_what_can_only_be_explained_is_no_plain_files() -> None:
    assert chosen({"hugo.toml": "", "static/index.html": ""}).name == BUILDS
    assert chosen({"index.html": ""}).name == FILES
