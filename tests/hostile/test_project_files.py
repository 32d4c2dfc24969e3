"""What a project's own files may not ask for: rows B80 to B83, B91 and B92 of the register. Nothing is run for any of it."""

import json

import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure
from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

PAGE = {"index.html": "<h1>hi</h1>"}
VITE = {
    **PAGE,
    "package.json": json.dumps({"name": "a", "scripts": {"build": "vite build"}, "devDependencies": {"vite": "^8"}}),
    "package-lock.json": "{}",
}


def plan(files: dict[str, str]) -> BuildPlan:
    return make_plan(MemoryFiles(files), ProjectSettings(), PlanLimits())


def refused(files: dict[str, str]) -> Failure:
    with pytest.raises(StepFailed) as stopped:
        plan(files)
    failure = stopped.value.failure
    assert failure.hint
    assert len(failure.model_dump_json()) <= 8192
    return failure


@pytest.mark.parametrize("root", ["../..", "/", "/proc/self/fd/7", "a/../..", "~", "index.html", "$(id)", "a\\u0000b"])
def test_a_root_of_the_projects_own_file_stays_inside(root: str) -> None:
    failure = refused({**PAGE, "headrace.toml": f'root = "{root}"\n'})
    assert failure.reason == "config_error"
    assert "\0" not in failure.message


@pytest.mark.parametrize("output", ["..", "/", "../dist", "/etc", "a/../../b", "~", "a\\nb"])
def test_an_output_of_the_projects_own_file_stays_inside(output: str) -> None:
    assert refused({**VITE, "headrace.toml": f'[build]\noutput = "{output}"\n'}).reason == "config_error"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"scripts": {"build": 1}}',
        '{"scripts": []}',
        "[]",
        "1",
        "nul",
        '{"name": "a"',
        "\ufeff{",
    ],
)
def test_a_broken_manifest_is_a_result_with_its_place(text: str) -> None:
    failure = refused({**PAGE, "package.json": text})
    assert failure.reason == "config_error"
    assert failure.diagnostics[0].file == "package.json"


@pytest.mark.parametrize(
    "key",
    [
        "privileged = true",
        'image = "evil/image"',
        'user = "root"',
        'volumes = ["/:/host"]',
        'network_mode = "host"',
        'cap_add = ["ALL"]',
        'devices = ["/dev/kmsg"]',
        'docker = "run --privileged"',
    ],
)
@pytest.mark.parametrize("table", ["build", "limits", "dev", "routing"])
def test_options_of_containers_are_no_keys_of_ours(key: str, table: str) -> None:
    failure = refused({**VITE, "headrace.toml": f"[{table}]\n{key}\n"})
    assert failure.reason == "config_error"
    assert (
        f"unknown key {table + '.' + key.split(' ', maxsplit=1)[0]!r}" in failure.message
        or "unknown key" in failure.message
    )


def test_an_image_description_builds_nothing_and_says_so() -> None:
    text = "#syntax=evil/frontend\nFROM scratch\nRUN --security=insecure --mount=type=bind,source=/ true\nADD http://169.254.169.254/ /\n"
    failure = refused({"Dockerfile": text})
    assert (failure.reason, "image description" in failure.message) == ("unsupported", True)


def test_files_for_containers_beside_a_project_change_nothing_of_its_plan() -> None:
    compose = "services:\n  web:\n    privileged: true\n    volumes: ['/:/host']\n    network_mode: host\n"
    with_them = plan({**VITE, "docker-compose.yml": compose, "compose.yaml": compose, ".dockerignore": "x"})
    without = plan(VITE)
    assert (with_them.install, with_them.build, with_them.output) == (without.install, without.build, without.output)


@pytest.mark.parametrize(
    "wish", ["$(touch x)", "24; touch x", "../../node", "--version", "24\\nRUN x", "\\u0000", "9" * 5000]
)
def test_a_wish_for_a_tool_is_looked_up_and_never_run(wish: str) -> None:
    for line in (
        f'node = "{wish}"',
        f'package_manager = "npm@{wish}"',
        f'package_manager = "{wish}"',
        f'framework = "{wish}"',
    ):
        failure = refused({**VITE, "headrace.toml": f"[build]\n{line}\n"})
        assert failure.reason in ("config_error", "wrong_node_version", "unsupported", "nothing_to_build"), failure
        assert "\n" not in failure.message
        assert "\0" not in failure.message
