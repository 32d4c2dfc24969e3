"""One app of a workspace is installed with what it needs, where the package manager does just that."""

import json
from typing import Any

import pytest

from headrace.model.plan import BuildPlan, Install
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.near_install import near_command
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

LOCKS = {
    "pnpm": {"pnpm-lock.yaml": "lockfileVersion: '9.0'\n", "pnpm-workspace.yaml": "packages: ['apps/*', 'libs/*']\n"},
    "npm": {"package-lock.json": '{"lockfileVersion": 3}'},
    "bun": {"bun.lock": "{}"},
    "yarn": {"yarn.lock": "__metadata:\n  version: 10\n"},
}
NEEDED = '[build]\nmembers = "needed"\n'


def repository(manager: str, toml: str = "", **more: str) -> dict[str, str]:
    manifests: dict[str, dict[str, Any]] = {
        "package.json": {
            "private": True,
            "workspaces": ["apps/*", "libs/*"],
            "devDependencies": {"lint": "workspace:*"},
        },
        "apps/web/package.json": {
            "name": "web",
            "scripts": {"build": "vite build"},
            "devDependencies": {"vite": "8", "ui": "workspace:^"},
        },
        "apps/other/package.json": {"name": "other", "dependencies": {"left-pad": "1"}},
        "libs/ui/package.json": {"name": "ui", "dependencies": {"tokens": "*"}},
        "libs/tokens/package.json": {"name": "tokens"},
        "libs/lint/package.json": {"name": "lint", "dependencies": {"is-odd": "3"}},
    }
    files = {path: json.dumps(manifest) for path, manifest in manifests.items()}
    return {**files, "apps/web/index.html": "", "headrace.toml": toml, **LOCKS[manager], **more}


def plan(files: dict[str, str]) -> BuildPlan:
    return make_plan(MemoryFiles(files), ProjectSettings(root="apps/web"), PlanLimits())


def install(files: dict[str, str]) -> Install:
    made = plan(files).install
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("manager", "toml", "flags"),
    [
        (
            "pnpm",
            "",
            (
                "--filter=./apps/web",
                "--filter=./libs/lint",
                "--filter=./libs/tokens",
                "--filter=./libs/ui",
                "--filter={.}",
            ),
        ),
        (
            "npm",
            NEEDED,
            (
                "--workspace=apps/web",
                "--workspace=libs/lint",
                "--workspace=libs/tokens",
                "--workspace=libs/ui",
                "--include-workspace-root",
            ),
        ),
        (
            "bun",
            NEEDED,
            (
                "--filter=./apps/web",
                "--filter=./libs/lint",
                "--filter=./libs/tokens",
                "--filter=./libs/ui",
                "--filter=./",
            ),
        ),
    ],
)
def test_an_app_is_installed_with_the_members_that_it_and_the_root_use(
    manager: str, toml: str, flags: tuple[str, ...]
) -> None:
    made = install(repository(manager, toml))
    assert made.command.argv[-len(flags) :] == flags
    assert "apps/other/package.json" not in made.inputs
    assert not any("apps/other" in part.name for part in made.manifests)
    assert "apps/other/node_modules" not in made.outputs
    assert {"package.json", "libs/ui/package.json", "libs/lint/package.json"} <= set(made.inputs)


def whole(files: dict[str, str]) -> bool:
    made = install(files)
    return "apps/other/package.json" in made.inputs and not any("=./" in word for word in made.command.argv)


@pytest.mark.parametrize("manager", ["npm", "bun", "yarn"])
def test_managers_that_share_packages_between_members_install_all_unless_they_are_asked(manager: str) -> None:
    assert whole(repository(manager))


@pytest.mark.parametrize(
    "more",
    [
        {"headrace.toml": '[build]\nmembers = "all"\n'},
        {".npmrc": "node-linker=hoisted\n"},
        {"pnpm-workspace.yaml": "packages: ['apps/*', 'libs/*']\nnodeLinker: hoisted\n"},
        {".npmrc": "shamefully-hoist = true\n"},
        {"nx.json": "{}"},
        {"headrace.toml": "[build]\nfrozen = false\n"},
        {"libs/ui/package.json": '{"name": "ui", "dependencies": {"tokens": "file:../tokens"}}'},
        {"libs/ui/package.json": '{"name": "ui", "dependencies": {"alias": "workspace:tokens@*"}}'},
    ],
    ids=lambda more: " ".join(f"{name}: {text}" for name, text in more.items()),
)
def test_all_members_are_installed_where_a_part_might_miss_something(more: dict[str, str]) -> None:
    assert whole(repository("pnpm", **more))


def test_a_manager_that_cannot_do_it_says_so() -> None:
    made = plan(repository("yarn", NEEDED))
    why = next(ignored.why for ignored in made.ignored if ignored.setting == "build.members")
    assert why.startswith("yarn 4.")
    assert whole(repository("yarn", NEEDED))


def test_what_only_the_left_out_member_needs_is_no_part_of_the_key() -> None:
    files = repository("pnpm")
    changed = {**files, "apps/other/package.json": '{"name": "other", "dependencies": {"left-pad": "2"}}'}
    assert install(files) == install(changed)
    assert install(files) != install(
        {**files, "libs/tokens/package.json": '{"name": "tokens", "dependencies": {"a": "1"}}'}
    )


def test_a_part_is_installed_clean() -> None:
    assert near_command(plan(repository("pnpm"))) is None
    assert near_command(plan(repository("pnpm", '[build]\nmembers = "all"\n'))) is not None
