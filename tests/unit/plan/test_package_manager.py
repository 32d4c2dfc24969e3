import json

import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.plan.manifest import read_manifest
from headrace.plan.package_manager import ManagerChoice, choose_manager
from headrace.plan.project_file import read_project_file
from headrace.plan.project_files import MemoryFiles
from headrace.plan.project_view import ProjectView


def choose(files: dict[str, str], node: int = 24) -> ManagerChoice:
    memory = MemoryFiles({"package.json": "{}", **files})
    view = ProjectView(memory, "", read_manifest(memory, "package.json"))
    return choose_manager(view, node, read_project_file(memory, ""))


def manifest(**fields: object) -> dict[str, str]:
    return {"package.json": json.dumps(fields)}


@pytest.mark.parametrize(
    ("files", "name", "version"),
    [
        ({}, "npm", "11.21.2"),
        ({"package-lock.json": "{}"}, "npm", "11.21.2"),
        ({"npm-shrinkwrap.json": "{}"}, "npm", "11.21.2"),
        ({"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, "pnpm", "12.21.0"),
        ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, "pnpm", "8.15.9"),
        ({"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, "pnpm", "7.33.7"),
        ({"pnpm-workspace.yaml": ""}, "pnpm", "12.21.0"),
        (manifest(packageManager="pnpm@10.4.1"), "pnpm", "10.4.1"),
        (manifest(packageManager="npm@10.2.0"), "npm", "10.2.0"),
        (manifest(devEngines={"packageManager": {"name": "pnpm", "version": "^9"}}), "pnpm", "9.15.9"),
        (manifest(devEngines={"packageManager": {"name": "npm", "version": ">=10"}}), "npm", "11.21.2"),
        (manifest(engines={"pnpm": ">=9"}), "pnpm", "12.21.0"),
        ({**manifest(packageManager="npm@11.0.0"), "pnpm-lock.yaml": ""}, "npm", "11.0.0"),
        ({"headrace.toml": '[build]\npackage_manager = "npm"', "yarn.lock": ""}, "npm", "11.21.2"),
    ],
)
def test_the_manager_and_its_version(files: dict[str, str], name: str, version: str) -> None:
    chosen = choose(files)
    assert (chosen.name, chosen.tool.version) == (name, version)


def test_a_pinned_hash_is_kept_for_the_download() -> None:
    chosen = choose(manifest(packageManager="pnpm@10.4.1+sha512.0abc9F"))
    assert chosen.tool.integrity == "sha512.0abc9F"
    assert chosen.pinned


def test_conflicting_lock_files_are_named() -> None:
    chosen = choose({"package-lock.json": "{}", "yarn.lock": "", "pnpm-lock.yaml": "lockfileVersion: '9.0'"})
    assert chosen.name == "pnpm"
    assert {ignored.source for ignored in chosen.ignored} == {"package-lock.json", "yarn.lock"}


def test_a_supported_lock_file_goes_before_one_that_is_not() -> None:
    assert choose({"package-lock.json": "{}", "yarn.lock": ""}).name == "npm"


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"yarn.lock": ""}, "yarn"),
        ({".yarnrc.yml": ""}, "yarn"),
        ({"bun.lock": ""}, "bun"),
        ({"bun.lockb": ""}, "bun"),
        (manifest(packageManager="yarn@4.1.0"), "yarn"),
        (manifest(packageManager="bun@1.2.0"), "bun"),
    ],
)
def test_yarn_and_bun_are_recognised_and_the_way_out_is_named(files: dict[str, str], name: str) -> None:
    with pytest.raises(StepFailed) as stopped:
        choose(files)
    failure = stopped.value.failure
    assert failure.reason is FailureReason.UNSUPPORTED
    assert name in failure.message
    assert "npm install" in (failure.hint or "")


@pytest.mark.parametrize("wish", ["pnpm@", "pnpm@10.4.1; rm -rf /", "@pnpm", "../pnpm@1.0.0", "pnpm@$(id)", "pnpm@99"])
def test_a_pin_that_makes_no_sense_is_refused(wish: str) -> None:
    with pytest.raises(StepFailed) as stopped:
        choose(manifest(packageManager=wish))
    assert stopped.value.failure.reason is FailureReason.CONFIG_ERROR


def test_a_pnpm_that_the_chosen_node_cannot_run_is_refused() -> None:
    with pytest.raises(StepFailed) as stopped:
        choose(manifest(packageManager="pnpm@11.1.0"), node=20)
    assert stopped.value.failure.reason is FailureReason.WRONG_NODE_VERSION


@pytest.mark.parametrize(("node", "npm"), [(16, "9.9.4"), (20, "10.9.9"), (26, "12.2.0")])
def test_each_node_has_its_npm(node: int, npm: str) -> None:
    assert choose({}, node=node).tool.version == npm
