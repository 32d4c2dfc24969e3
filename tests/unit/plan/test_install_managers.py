"""What each package manager is called with, what it may see, and what it leaves for the build."""

import json

import pytest

from headrace.model.plan import BuildPlan, Install
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

BERRY = {"yarn.lock": "__metadata:\n  version: 8\n"}
CLASSIC = {"yarn.lock": "# yarn lockfile v1\n"}


def plan(files: dict[str, str], **manifest: object) -> BuildPlan:
    fields = {"scripts": {"build": "vite build"}, "dependencies": {"vite": "8"}, **manifest}
    return make_plan(MemoryFiles({"package.json": json.dumps(fields), **files}), ProjectSettings(), PlanLimits())


def install(files: dict[str, str], **manifest: object) -> Install:
    made = plan(files, **manifest)
    assert made.install is not None
    return made.install


def chosen(made: BuildPlan, subject: str) -> str:
    return next(choice.value for choice in made.choices if choice.subject == subject)


@pytest.mark.parametrize(
    ("files", "argv"),
    [
        (CLASSIC, ("yarn", "install", "--frozen-lockfile")),
        ({**CLASSIC, "headrace.toml": "[build]\nfrozen = false"}, ("yarn", "install", "--non-interactive")),
        (BERRY, ("yarn", "install", "--immutable")),
        ({".yarnrc.yml": ""}, ("yarn", "install", "--no-immutable")),
        ({"bun.lock": ""}, ("bun", "install", "--frozen-lockfile")),
        ({"bun.lock": "", "headrace.toml": "[build]\nfrozen = false"}, ("bun", "install", "--no-save")),
        ({"package-lock.json": '{"lockfileVersion": 1}', ".nvmrc": "16"}, ("npm", "ci", "--production=false")),
    ],
)
def test_a_lock_file_is_followed_to_the_letter(files: dict[str, str], argv: tuple[str, ...]) -> None:
    assert install(files).command.argv[: len(argv)] == argv


def test_a_lock_file_from_before_npm_7_is_installed_by_the_rules_of_its_time() -> None:
    assert "--legacy-peer-deps" in install({"package-lock.json": '{"lockfileVersion": 1}'}).command.argv
    assert "--legacy-peer-deps" not in install({"package-lock.json": '{"lockfileVersion": 2}'}).command.argv


def test_what_is_said_when_there_is_no_lock_file() -> None:
    why = next(choice.why for choice in plan({".yarnrc.yml": ""}).choices if choice.subject == "install")
    assert "no lock file" in why


def test_plug_n_play_leaves_its_files_and_its_scripts_are_run_by_yarn() -> None:
    made = plan(BERRY)
    assert made.install is not None
    assert made.build is not None
    assert {".pnp.cjs", ".yarn/cache", ".yarn/unplugged", ".yarn/install-state.gz"} <= set(made.install.outputs)
    assert made.install.command.env["YARN_ENABLE_GLOBAL_CACHE"] == "false"
    assert made.build.argv == ("yarn", "run", "build")
    assert made.build.env["YARN_ENABLE_GLOBAL_CACHE"] == "false"


def test_a_later_yarn_that_links_node_modules_leaves_those_and_its_state() -> None:
    made = plan({**BERRY, ".yarnrc.yml": "nodeLinker: node-modules\n"})
    assert made.install is not None
    assert made.build is not None
    assert made.install.outputs == ("node_modules", ".yarn/install-state.gz")
    assert made.build.argv == ("sh", "-c", "vite build")


def test_yarn_sees_its_plugins_patches_and_mirror_and_nothing_else() -> None:
    files = {
        **BERRY,
        ".yarnrc.yml": "plugins:\n  - path: tools/plugin.cjs\n    spec: x\nyarnPath: .yarn/releases/yarn-4.5.3.cjs\n",
        ".yarn/releases/yarn-4.5.3.cjs": "",
        ".yarn/plugins/a.cjs": "",
        ".yarn/patches/b.patch": "",
        ".yarn/cache/c.zip": "",
        "tools/plugin.cjs": "",
        "tools/other.cjs": "",
        "src/main.ts": "",
    }
    assert set(install(files).inputs) == {
        "package.json", "yarn.lock", ".yarnrc.yml", ".yarn/plugins/a.cjs", ".yarn/patches/b.patch", ".yarn/cache/c.zip",
        "tools/plugin.cjs",
    }  # fmt: skip
    mirror = {**CLASSIC, ".yarnrc": 'yarn-offline-mirror "./mirror"\n', "mirror/a.tgz": "", "mirrors/b.tgz": ""}
    assert "mirror/a.tgz" in install(mirror).inputs
    assert "mirrors/b.tgz" not in install(mirror).inputs


def test_a_package_beside_the_project_is_an_input_when_it_is_in_the_version() -> None:
    files = {"app/package.json": json.dumps({"scripts": {"build": "x"}, "dependencies": {"s": "file:../shared", "o": "file:../../out"}}),
             "shared/index.js": "", "other/index.js": ""}  # fmt: skip
    made = make_plan(MemoryFiles(files), ProjectSettings(root="app"), PlanLimits())
    assert made.install is not None
    assert made.install.inputs == ("app/package.json", "shared/index.js")


@pytest.mark.parametrize(
    ("files", "manifest", "value"),
    [
        ({"package-lock.json": ""}, {}, "all packages"),
        ({"package-lock.json": "", ".npmrc": "ignore-scripts=true\n"}, {}, "none"),
        ({"package-lock.json": "", ".nvmrc": "26"}, {"allowScripts": {"esbuild": True, "x": False}}, "esbuild"),
        ({"package-lock.json": "", ".nvmrc": "26"}, {}, "none"),
        ({"pnpm-lock.yaml": ""}, {}, "none"),
        ({"pnpm-lock.yaml": ""}, {"pnpm": {"onlyBuiltDependencies": ["esbuild", "sharp"]}}, "esbuild, sharp"),
        ({"pnpm-lock.yaml": "", "pnpm-workspace.yaml": "allowBuilds:\n  esbuild: true\n  x: false\n"}, {}, "esbuild"),
        ({"pnpm-lock.yaml": "", "pnpm-workspace.yaml": "onlyBuiltDependencies:\n  - '@a/b'\n"}, {}, "@a/b"),
        ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, {}, "all packages"),
        (CLASSIC, {}, "all packages"),
        (BERRY, {}, "all packages"),
        ({**BERRY, ".yarnrc.yml": "enableScripts: false\n"}, {}, "none"),
        (BERRY, {"packageManager": "yarn@4.18.1", "dependenciesMeta": {"esbuild": {"built": True}}}, "esbuild"),
        ({"bun.lock": ""}, {}, "those that bun trusts"),
        ({"bun.lock": ""}, {"trustedDependencies": ["sharp"]}, "sharp"),
    ],
)
def test_whose_install_scripts_run_is_said(files: dict[str, str], manifest: dict[str, object], value: str) -> None:
    assert chosen(plan(files, **manifest), "install scripts") == value


def test_a_script_that_starts_others_is_run_by_the_manager_that_they_are_for() -> None:
    scripts = {"build": "run-p type-check build-only", "type-check": "tsc", "build-only": "vite build"}
    made = plan({"pnpm-lock.yaml": ""}, scripts=scripts)
    assert made.build is not None
    assert made.build.argv[0] == "pnpm"
