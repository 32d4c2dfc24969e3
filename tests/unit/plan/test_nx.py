"""Workspaces of Nx: apps by project.json, or found by plugins, without a package.json of their own."""

import json

import pytest

from headrace.errors import StepFailed
from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

PACKAGES = {"nx": "21", "vite": "7", "next": "16", "react": "19", "@angular/core": "21", "@angular/cli": "21"}


def project(name: str = "web", executor: str = "@nx/vite:build", **options: object) -> str:
    build = {"executor": executor, "options": options}
    return json.dumps({"name": name, "projectType": "application", "targets": {"build": build}})


def workspace(files: dict[str, str], **root: object) -> dict[str, str]:
    fields = {"private": True, "scripts": {}, "devDependencies": PACKAGES, **root}
    return {"package.json": json.dumps(fields), "package-lock.json": "{}", "nx.json": "{}", **files}


def plan(files: dict[str, str], root: str = "") -> BuildPlan:
    return make_plan(MemoryFiles(files), ProjectSettings(root=root), PlanLimits())


def test_the_only_app_is_built_by_nx_and_writes_where_its_project_says() -> None:
    made = plan(workspace({"apps/web/project.json": project(outputPath="dist/apps/web")}))
    assert (made.root, made.framework, made.output) == ("apps/web", "vite", "dist/apps/web")
    assert made.build is not None
    assert made.build.argv == ("sh", "-c", "nx run web:build")
    assert made.build.env["NX_DAEMON"] == "false"
    assert made.install is not None
    assert made.install.command.directory == ""


def test_an_app_that_plugins_find_is_planned_from_its_configuration() -> None:
    files = {
        "apps/web/project.json": json.dumps({"name": "web", "projectType": "application"}),
        "apps/web/vite.config.ts": "export default { build: { outDir: '../../dist/apps/web' } }",
    }
    made = plan(workspace(files))
    assert (made.framework, made.output) == ("vite", "dist/apps/web")


def test_an_app_with_a_package_but_no_build_script_is_one_too() -> None:
    files = {
        "apps/web/package.json": json.dumps({"name": "@acme/web", "private": True}),
        "apps/web/vite.config.ts": "export default {}",
    }
    made = plan(workspace(files, workspaces=["apps/*"]))
    assert made.build is not None
    assert made.build.argv == ("sh", "-c", "nx run @acme/web:build")
    assert made.output == "apps/web/dist"


def test_several_apps_are_named_and_tests_and_libraries_are_none() -> None:
    files = {
        "apps/web/project.json": project(),
        "apps/shop/project.json": project("shop", "@nx/next:build"),
        "apps/api/project.json": project("api", "@nx/esbuild:esbuild"),
        "apps/web-e2e/project.json": json.dumps({"name": "web-e2e", "projectType": "application"}),
        "libs/ui/project.json": json.dumps({"name": "ui", "projectType": "library"}),
    }
    with pytest.raises(StepFailed) as stopped:
        plan(workspace(files))
    assert "apps/api (a program), apps/shop (next), apps/web (vite)" in stopped.value.failure.message
    assert "e2e" not in stopped.value.failure.message
    assert plan(workspace(files), root="apps/web").root == "apps/web"
    assert plan(workspace({**files, "headrace.toml": 'root = "apps/web"\n'})).root == "apps/web"
    assert plan(workspace(files, scripts={"build": "nx build web"})).root == "apps/web"


@pytest.mark.parametrize("executor", ["@nx/esbuild:esbuild", "@nx/node:build", "@nx/js:tsc"])
def test_a_program_is_refused_as_one(executor: str) -> None:
    made = plan(workspace({"apps/api/project.json": project("api", executor)}))
    assert made.kind == "server"
    assert made.refused is not None


def test_an_app_of_angular_writes_below_the_root_of_the_workspace() -> None:
    made = plan(
        workspace({"apps/web/project.json": project("web", "@angular/build:application", outputPath="dist/apps/web")})
    )
    assert (made.framework, made.output) == ("angular", "dist/apps/web/browser")


def test_a_standalone_app_is_built_by_its_own_script() -> None:
    files = {"project.json": project("web"), "vite.config.ts": "export default {}", "index.html": ""}
    made = plan(workspace(files, scripts={"build": "nx build"}, devDependencies={"nx": "21", "vite": "7"}))
    assert (made.root, made.output) == ("", "dist")


@pytest.mark.parametrize("path", ["{workspaceRoot}/dist/{projectName}", "{workspaceRoot}/dist/web", "dist/web"])
def test_what_a_build_names_as_its_outputs_counts_where_no_path_is_set(path: str) -> None:
    described = {"name": "web", "projectType": "application", "targets": {"build": {"command": "x", "outputs": [path]}}}
    assert plan(workspace({"apps/web/project.json": json.dumps(described)})).output == "dist/web"


@pytest.mark.parametrize("path", ["../../../etc", "/", "{projectRoot}", "{workspaceRoot}", "../.."])
def test_no_output_lies_outside_the_version_or_is_the_project_itself(path: str) -> None:
    made = plan(workspace({"apps/web/project.json": project(outputPath=path)}))
    assert not made.output.startswith(("/", ".."))
    assert made.output not in ("", "apps/web")


def test_a_broken_description_of_a_project_is_no_app() -> None:
    files = {"apps/web/project.json": project(), "apps/odd/project.json": "{", "apps/list/project.json": "[]"}
    assert plan(workspace(files)).root == "apps/web"
