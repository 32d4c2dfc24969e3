import json

import pytest

from headrace.plan.manifest import read_manifest
from headrace.plan.nested_managers import nested_managers
from headrace.plan.package_manager import choose_manager
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_files import MemoryFiles
from headrace.plan.project_view import ProjectView


def nested(manager: str, **scripts: str) -> list[str]:
    files = MemoryFiles({"package.json": json.dumps({"packageManager": manager, "scripts": scripts})})
    view = ProjectView(files, "", read_manifest(files, "package.json"))
    assert view.manifest is not None
    chosen = choose_manager(view, 24, ProjectFile())
    return [tool.name for tool in nested_managers(chosen, [view.manifest], 24, view)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("vite build", []),
        ("pnpm run css && vite build", []),
        ("npm run css && vite build", ["npm"]),
        ("npx tailwindcss -o a.css;bunx tsc", ["bun", "npm"]),
        ("yarn", ["yarn"]),
        ("echo npmrc ./npm-thing", []),
    ],
)
def test_a_manager_that_the_build_calls_is_there_too(script: str, expected: list[str]) -> None:
    assert nested("pnpm@10.34.9", build=script) == expected


def test_only_scripts_that_can_run_count() -> None:
    assert nested("pnpm@10.34.9", build="vite build", release="npm publish") == []
    assert nested("pnpm@10.34.9", build="run-s css", css="npx sass a.scss") == ["npm"]
