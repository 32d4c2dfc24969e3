import json

import pytest

from headrace.plan.manifest import read_manifest
from headrace.plan.monorepo import build_with_members, used_members
from headrace.plan.package_manager import choose_manager
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_files import MemoryFiles
from headrace.plan.project_view import ProjectView
from headrace.plan.workspace import member_manifests

ROOT = {"private": True, "workspaces": ["apps/*", "libs/*"]}


def member(name: str, *uses: str, build: str = "tsc") -> str:
    scripts = {"build": build} if build else {}
    return json.dumps({"name": name, "scripts": scripts, "dependencies": dict.fromkeys(uses, "*")})


def repository(root: dict[str, object] | None = None, files: dict[str, str] | None = None) -> MemoryFiles:
    return MemoryFiles(
        {
            "package.json": json.dumps({**ROOT, **(root or {})}),
            "package-lock.json": "{}",
            "apps/web/package.json": member("web", "@acme/ui", "react", build="vite build"),
            "apps/docs/package.json": member("docs", build="astro build"),
            "libs/ui/package.json": member("@acme/ui", "@acme/base"),
            "libs/base/package.json": member("@acme/base", "@acme/config"),
            "libs/config/package.json": member("@acme/config", build=""),
            "libs/unused/package.json": member("@acme/unused"),
            **(files or {}),
        }
    )


def command(files: MemoryFiles, app: str = "apps/web") -> tuple[str, ...] | None:
    view = ProjectView(files, app, read_manifest(files, f"{app}/package.json"))
    workspace = ProjectView(files, "", read_manifest(files, "package.json"))
    manager = choose_manager(workspace, 24, ProjectFile())
    made = build_with_members(view, workspace, member_manifests(workspace), manager, "build")
    return made.argv if made else None


def test_packages_that_an_app_uses_are_built_before_it_and_others_are_not() -> None:
    line = "(cd ../../libs/base && npm run build) && (cd ../../libs/ui && npm run build) && npm run build"
    assert command(repository()) == ("sh", "-c", line)


def test_an_app_that_uses_no_other_package_is_built_alone() -> None:
    assert command(repository(), "apps/docs") is None


@pytest.mark.parametrize(
    ("manager", "run"),
    [
        ("pnpm@10.34.9", "pnpm --config.verify-deps-before-run=false run"),
        ("yarn@4.13.0", "yarn run"),
        ("bun@1.4.5", "bun run"),
    ],
)
def test_every_package_manager_runs_the_scripts_of_its_members(manager: str, run: str) -> None:
    argv = command(repository({"packageManager": manager}))
    assert argv is not None
    assert f"(cd ../../libs/base && {run} build)" in argv[2]


def test_turbo_builds_where_it_has_the_task() -> None:
    root: dict[str, object] = {"packageManager": "npm@11.21.2", "devDependencies": {"turbo": "2"}}
    files = repository(root, {"turbo.json": '{"tasks": {"build": {"dependsOn": ["^build"]}}}'})
    argv = command(files)
    assert argv is not None
    assert argv[:4] == ("turbo", "run", "build", "--filter=web")
    assert command(repository(root, {"turbo.json": '{"tasks": {"lint": {}}}'})) != argv


def test_packages_that_use_each_other_are_each_built_once() -> None:
    files = repository(files={"libs/base/package.json": member("@acme/base", "@acme/ui")})
    workspace = ProjectView(files, "", read_manifest(files, "package.json"))
    app = read_manifest(files, "apps/web/package.json")
    assert app is not None
    assert [m.path for m in used_members(app, member_manifests(workspace))] == [
        "libs/base/package.json",
        "libs/ui/package.json",
    ]


def test_a_directory_with_odd_letters_stays_one_word() -> None:
    files = repository(files={"libs/ui/package.json": "{}", "libs/a; rm -rf x/package.json": member("@acme/ui")})
    argv = command(files)
    assert argv is not None
    assert "(cd '../../libs/a; rm -rf x' && npm run build)" in argv[2]
