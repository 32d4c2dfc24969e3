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


BERRY = "__metadata:\n  version: {}\n  cacheKey: 10\n"


@pytest.mark.parametrize(
    ("files", "name", "version"),
    [
        ({"yarn.lock": ""}, "yarn", "1.22.22"),
        ({"yarn.lock": "# yarn lockfile v1\n"}, "yarn", "1.22.22"),
        ({"yarn.lock": "# yarn lockfile v1\n", ".yarnrc.yml": ""}, "yarn", "1.22.22"),
        ({"yarn.lock": BERRY.format(4)}, "yarn", "2.4.2"),
        ({"yarn.lock": BERRY.format(6)}, "yarn", "3.8.7"),
        ({"yarn.lock": BERRY.format(8)}, "yarn", "4.13.0"),
        ({"yarn.lock": BERRY.format(10)}, "yarn", "4.18.1"),
        ({".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.5.3.cjs\n", "yarn.lock": BERRY.format(8)}, "yarn", "4.5.3"),
        ({".yarnrc": 'yarn-path ".yarn/releases/yarn-1.22.19.js"\n', "yarn.lock": ""}, "yarn", "1.22.19"),
        ({".yarnrc.yml": ""}, "yarn", "4.18.1"),
        (manifest(packageManager="yarn@4.1.0"), "yarn", "4.1.0"),
        ({"bun.lock": ""}, "bun", "1.4.5"),
        ({"bun.lockb": ""}, "bun", "1.4.5"),
        (manifest(packageManager="bun@1.2.0"), "bun", "1.2.0"),
        (manifest(packageManager="pnpm@~9.5.0"), "pnpm", "9.5.0"),
        (manifest(devEngines={"packageManager": {"name": "yarn", "version": "^4.2.0"}}), "yarn", "4.18.1"),
        ({**manifest(engines={"pnpm": "8.x"}), "pnpm-lock.yaml": "lockfileVersion: '9.0'"}, "pnpm", "8.15.9"),
        ({**manifest(engines={"yarn": ">=1.22"}), "yarn.lock": ""}, "yarn", "1.22.22"),
        ({**manifest(volta={"yarn": "1.22.10"}), "yarn.lock": ""}, "yarn", "1.22.10"),
        ({"package-lock.json": '{"lockfileVersion": 1}'}, "npm", "11.21.2"),
        ({"package-lock.json": '{"lockfileVersion": 3}'}, "npm", "11.21.2"),
    ],
)
def test_every_manager_has_its_version(files: dict[str, str], name: str, version: str) -> None:
    chosen = choose(files)
    assert (chosen.name, chosen.tool.version) == (name, version)


def test_old_lock_files_choose_old_majors_where_node_runs_them() -> None:
    first = {"package-lock.json": '{\n  "name": "a",\n  "lockfileVersion": 1,\n'}
    assert choose(first, node=16).tool.version == "6.14.18"
    assert not choose(first, node=16).legacy_peers
    assert choose(first, node=24).legacy_peers
    old = {"pnpm-lock.yaml": "lockfileVersion: 5.3\n"}
    assert [choose(old, node=node).tool.version for node in (16, 20)] == ["6.35.1", "7.33.7"]


def test_the_linker_of_yarn_decides_what_an_install_leaves() -> None:
    lock = {"yarn.lock": BERRY.format(8)}
    assert choose(lock).pnp
    assert not choose({**lock, ".yarnrc.yml": 'nodeLinker: "node-modules"\n'}).pnp
    assert not choose({"yarn.lock": ""}).pnp


def test_a_copy_of_yarn_in_the_repository_is_said_to_be_ignored() -> None:
    chosen = choose({".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.5.3.cjs\n", "yarn.lock": BERRY.format(8)})
    assert chosen.pinned
    assert [ignored.source for ignored in chosen.ignored] == [".yarnrc.yml"]


def test_of_two_lock_files_the_one_that_holds_every_dependency_decides() -> None:
    files = {
        **manifest(dependencies={"react": "19", "vite": "8"}),
        "yarn.lock": "react@19:\n",
        "package-lock.json": "{}",
    }
    assert choose(files).name == "yarn"
    complete = '{"node_modules/react": {}, "node_modules/vite": {}}'
    assert choose({**files, "package-lock.json": complete}).name == "npm"


def test_an_unknown_manager_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(StepFailed) as stopped:
        choose(manifest(packageManager="cnpm@9.0.0"))
    assert stopped.value.failure.reason is FailureReason.UNSUPPORTED
    assert "npm, pnpm, yarn and bun" in stopped.value.failure.message


def test_a_yarn_that_the_chosen_node_cannot_run_is_refused() -> None:
    with pytest.raises(StepFailed) as stopped:
        choose({"yarn.lock": BERRY.format(8)}, node=16)
    assert stopped.value.failure.reason is FailureReason.WRONG_NODE_VERSION


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
