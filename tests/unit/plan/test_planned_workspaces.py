"""Repositories with several packages, planned as a whole."""

import json

import pytest

from headrace.errors import StepFailed
from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

APP = {"name": "web", "scripts": {"build": "vite build", "dev": "vite"}, "devDependencies": {"vite": "8", "ui": "*"}}
UI = {"name": "ui", "scripts": {"build": "tsc"}, "exports": "./dist/index.js"}


def repository(files: dict[str, str] | None = None, /, **root: object) -> dict[str, str]:
    fields = {"private": True, "workspaces": ["apps/*", "libs/*"], "scripts": {"build": "turbo run build"}, **root}
    return {
        "package.json": json.dumps(fields),
        "yarn.lock": "# yarn lockfile v1\n",
        "apps/web/package.json": json.dumps(APP),
        "apps/web/index.html": "",
        "libs/ui/package.json": json.dumps(UI),
        **(files or {}),
    }


def plan(files: dict[str, str], root: str = "") -> BuildPlan:
    return make_plan(MemoryFiles(files), ProjectSettings(root=root), PlanLimits())


def test_the_root_of_a_workspace_means_its_only_app() -> None:
    made = plan(repository())
    assert (made.root, made.framework, made.output) == ("apps/web", "vite", "apps/web/dist")
    assert made.build is not None
    assert made.build.argv == ("sh", "-c", "(cd ../../libs/ui && yarn run build) && yarn run build")
    assert made.install is not None
    assert made.install.command.directory == ""
    assert {"node_modules", "apps/web/node_modules", "libs/ui/node_modules"} <= set(made.install.outputs)


def test_several_apps_without_a_choice_are_a_result_that_names_them() -> None:
    other = {"apps/docs/package.json": json.dumps({**APP, "name": "docs"}), "apps/docs/index.html": ""}
    with pytest.raises(StepFailed) as stopped:
        plan(repository(other))
    assert "apps/docs (vite), apps/web (vite)" in stopped.value.failure.message
    assert plan(repository(other), root="apps/docs").root == "apps/docs"
    assert plan(repository({**other, "headrace.toml": 'root = "apps/docs"\n'})).root == "apps/docs"


def test_what_another_host_was_told_to_build_at_the_root_is_built_there() -> None:
    told = {"vercel.json": json.dumps({"buildCommand": "turbo run build", "outputDirectory": "apps/web/dist"})}
    assert plan(repository(told)).root == ""


def test_a_manager_that_a_script_calls_is_a_tool_of_the_plan() -> None:
    made = plan(repository({"apps/web/package.json": json.dumps({**APP, "scripts": {"build": "npx vite build"}})}))
    assert [tool.name for tool in made.tools] == ["node", "yarn", "npm"]


def test_a_repository_of_rush_is_refused_by_name() -> None:
    files = {"rush.json": "{}", "apps/web/package.json": json.dumps(APP)}
    with pytest.raises(StepFailed) as stopped:
        plan(files, root="apps/web")
    assert "Rush" in stopped.value.failure.message
