import json

import pytest

from headrace.errors import StepFailed
from headrace.plan.apps import choose_app
from headrace.plan.manifest import read_manifest
from headrace.plan.project_files import MemoryFiles
from headrace.plan.project_view import ProjectView


def framework(view: ProjectView) -> str | None:
    return next((name for name in ("next", "vite") if name in view.dependencies), None)


def app(**fields: object) -> str:
    return json.dumps({"scripts": {"build": "x build"}, "dependencies": {"vite": "8"}, **fields})


def choose(members: dict[str, str], **root: object) -> str | None:
    fields = {"workspaces": ["apps/*", "libs/*"], "scripts": {"build": "turbo run build"}, **root}
    files = MemoryFiles({"package.json": json.dumps(fields), **members})
    chosen = choose_app(ProjectView(files, "", read_manifest(files, "package.json")), framework)
    return chosen[0] if chosen else None


def test_the_only_app_of_a_workspace_is_meant() -> None:
    members = {"apps/web/package.json": app(), "libs/ui/package.json": app(exports={".": "./dist/index.js"})}
    assert choose(members) == "apps/web"


def test_several_apps_are_named_with_their_frameworks() -> None:
    members = {"apps/web/package.json": app(), "apps/docs/package.json": app(dependencies={"next": "16"})}
    with pytest.raises(StepFailed) as stopped:
        choose(members)
    failure = stopped.value.failure
    assert "apps/docs (next), apps/web (vite)" in failure.message
    assert 'root = "apps/docs"' in (failure.hint or "")


@pytest.mark.parametrize(
    "root",
    [
        {"scripts": {"build": "node build.js"}},
        {"scripts": {}, "dependencies": {"vite": "8"}},
    ],
)
def test_a_root_that_builds_something_itself_is_built(root: dict[str, object]) -> None:
    assert choose({"apps/web/package.json": app()}, **root) is None


@pytest.mark.parametrize(
    "script",
    [
        "turbo build",
        "nx run-many -t build",
        "pnpm -r build",
        "pnpm --filter web build",
        "npm run build -w apps/web",
        "npm run build --workspaces",
        "yarn workspace web build",
        "lerna run build",
        "bun run --filter '*' build",
    ],
)
def test_a_script_that_hands_on_to_members_is_not_a_build_of_its_own(script: str) -> None:
    assert choose({"apps/web/package.json": app()}, scripts={"build": script}) == "apps/web"
