import json

import pytest

from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles


def plan(files: dict[str, str] | None = None, **manifest: object) -> BuildPlan:
    fields = {
        "name": "a",
        "version": "1.2.3",
        "scripts": {"build": "tsc -b && vite build"},
        "dependencies": {"vite": "8"},
    }
    files = {"package.json": json.dumps({**fields, **manifest}), "package-lock.json": "", **(files or {})}
    return make_plan(MemoryFiles(files), ProjectSettings(), PlanLimits())


def argv(files: dict[str, str] | None = None, **manifest: object) -> tuple[str, ...]:
    build = plan(files, **manifest).build
    assert build is not None
    return build.argv


def test_the_script_is_run_as_it_is_with_the_variables_that_scripts_expect() -> None:
    build = plan().build
    assert build is not None
    assert build.argv == ("sh", "-c", "tsc -b && vite build")
    assert build.env["npm_package_version"] == "1.2.3"
    assert build.env["npm_lifecycle_event"] == "build"
    assert build.env["npm_config_user_agent"].startswith("npm/11")


@pytest.mark.parametrize("around", ["prebuild", "postbuild"])
def test_scripts_around_it_need_the_package_manager(around: str) -> None:
    assert argv(scripts={"build": "vite build", around: "echo"}) == ("npm", "run", "build")


@pytest.mark.parametrize(
    "script", ["vite build --base $npm_config_base", "cd $INIT_CWD && vite build", "echo $npm_package_config_port"]
)
def test_a_script_that_reads_the_managers_variables_needs_it(script: str) -> None:
    assert argv(scripts={"build": script}) == ("npm", "run", "build")


def test_a_script_that_reads_a_variable_that_is_set_does_not_need_it() -> None:
    assert argv(scripts={"build": "vite build --outDir dist/$npm_package_version"})[0] == "sh"


@pytest.mark.parametrize(
    ("files", "manifest"),
    [
        ({".npmrc": "script-shell=bash\n"}, {}),
        ({".npmrc": "node-options=--max-old-space-size=4096\n"}, {}),
        ({}, {"config": {"port": "1"}}),
        ({"a/package.json": "{}"}, {"workspaces": ["a"]}),
    ],
)
def test_settings_that_change_how_scripts_run_need_the_package_manager(
    files: dict[str, str], manifest: dict[str, object]
) -> None:
    assert argv(files, **manifest) == ("npm", "run", "build")


def test_pnpm_is_told_not_to_install_again() -> None:
    command = argv(
        {"pnpm-lock.yaml": ""}, scripts={"build": "vite build", "prebuild": "echo"}, packageManager="pnpm@11.0.0"
    )
    assert command == ("pnpm", "--config.verify-deps-before-run=false", "run", "build")
