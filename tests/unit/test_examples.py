"""The examples are planned as their `expect.json` says. That they build and answer is shown by the acceptance tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import DirectoryFiles

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


def planned(name: str) -> tuple[BuildPlan, dict[str, Any]]:
    expected: dict[str, Any] = json.loads((EXAMPLES / name / "expect.json").read_text())
    return make_plan(DirectoryFiles(EXAMPLES / name), ProjectSettings(), PlanLimits()), expected


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_planned_as_it_says(name: str) -> None:
    plan, expected = planned(name)
    install = list(plan.install.command.argv) if plan.install else None
    essentials: dict[str, object] = {
        "framework": plan.framework,
        "kind": plan.kind,
        "package_manager": plan.package_manager,
        "tools": {tool.name: tool.version.partition(".")[0] for tool in plan.tools},
        # The flags that save time may change; the command may not.
        "install": install[: len(expected["plan"]["install"])] if install else None,
        "build": plan.build.argv[-1] if plan.build else None,
        "output": plan.output,
        "spa": plan.routing.spa,
        "not_found": plan.routing.not_found,
    }
    wanted = expected["plan"]
    assert {name: essentials[name] for name in wanted} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_nothing_to_complain_about(name: str) -> None:
    plan, expected = planned(name)
    assert plan.ignored == ()
    assert expected["pages"]
    assert all(page["path"].startswith("/") and page["status"] for page in expected["pages"])


@pytest.mark.parametrize("name", [name for name in NAMES if (EXAMPLES / name / "package-lock.json").exists()])
def test_a_lock_file_has_checksums_and_names_no_registry(name: str) -> None:
    packages = json.loads((EXAMPLES / name / "package-lock.json").read_text())["packages"]
    assert all("integrity" in package for path, package in packages.items() if path)
    assert not any("resolved" in package for package in packages.values())


def test_the_examples_are_the_ones_that_are_documented() -> None:
    assert {"react-vite", "react-vite-pnpm", "static-site", "vanilla-vite", "vue-vite"} <= set(NAMES)
