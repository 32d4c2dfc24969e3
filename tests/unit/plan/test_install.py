import json

import pytest

from headrace.model.plan import BuildPlan, Install
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles


def plan(files: dict[str, str], /, *, root: str = "", **manifest: object) -> BuildPlan:
    fields = {"scripts": {"build": "vite build"}, "dependencies": {"vite": "8"}, **manifest}
    home = f"{root}/package.json" if root else "package.json"
    return make_plan(MemoryFiles({home: json.dumps(fields), **files}), ProjectSettings(root=root), PlanLimits())


def install(files: dict[str, str], **manifest: object) -> Install:
    made = plan(files, root="", **manifest)
    assert made.install is not None
    return made.install


@pytest.mark.parametrize(
    ("files", "argv"),
    [
        ({"package-lock.json": ""}, ("npm", "ci")),
        ({"npm-shrinkwrap.json": ""}, ("npm", "ci")),
        ({}, ("npm", "install")),
        ({"pnpm-lock.yaml": ""}, ("pnpm", "install", "--frozen-lockfile")),
        ({"pnpm-workspace.yaml": ""}, ("pnpm", "install", "--no-frozen-lockfile")),
        ({"package-lock.json": "", "headrace.toml": "[build]\nfrozen = false"}, ("npm", "install")),
    ],
)
def test_a_lock_file_is_followed_to_the_letter(files: dict[str, str], argv: tuple[str, ...]) -> None:
    assert install(files).command.argv[: len(argv)] == argv


def test_build_tools_are_installed_whatever_node_env_says() -> None:
    assert "--include=dev" in install({"package-lock.json": ""}).command.argv
    assert "--prod=false" in install({"pnpm-lock.yaml": ""}).command.argv
    assert "NODE_ENV" not in install({}).command.env


def test_a_pinned_pnpm_keeps_its_own_rule_for_install_scripts() -> None:
    lenient = "--config.strict-dep-builds=false"
    assert lenient in install({"pnpm-lock.yaml": ""}).command.argv
    assert lenient not in install({"pnpm-lock.yaml": ""}, packageManager="pnpm@11.1.0").command.argv


def test_only_what_package_managers_read_is_an_input() -> None:
    files = {
        "package-lock.json": "",
        ".npmrc": "",
        "patches/react.patch": "",
        "libs/own/package.json": "{}",
        "libs/own/index.js": "",
        "src/main.ts": "",
        "index.html": "",
    }
    made = install(files, dependencies={"own": "file:./libs/own", "react": "19"})
    assert set(made.inputs) == {
        ".npmrc",
        "libs/own/index.js",
        "libs/own/package.json",
        "package-lock.json",
        "package.json",
        "patches/react.patch",
    }


@pytest.mark.parametrize("script", ["husky", "husky install", "husky || true", "is-ci || husky", "npx only-allow pnpm"])
def test_a_harmless_lifecycle_script_does_not_make_every_file_an_input(script: str) -> None:
    made = install({"package-lock.json": "", "src/main.ts": ""}, scripts={"build": "vite build", "prepare": script})
    assert "src/main.ts" not in made.inputs


def test_a_lifecycle_script_may_read_anything_and_runs_again_over_the_whole_tree() -> None:
    scripts = {"build": "vite build || exit 3", "postinstall": "node generate.js"}
    made = plan({"package-lock.json": "", "src/main.ts": ""}, scripts=scripts)
    assert made.install is not None
    assert made.build is not None
    assert "src/main.ts" in made.install.inputs
    assert made.install.manifests == ()
    assert made.build.argv == ("sh", "-c", "npm run postinstall && {\nvite build || exit 3\n}")
    assert any(choice.subject == "install inputs" for choice in made.choices)


def test_a_member_is_installed_with_its_workspace() -> None:
    files = {
        "package.json": '{"workspaces": ["apps/*", "libs/**"]}',
        "package-lock.json": "",
        "apps/other/package.json": '{"bin": {"tool": "./bin/tool.js"}}',
        "apps/other/bin/tool.js": "",
        "apps/other/src/x.js": "",
        "libs/deep/ui/package.json": "{}",
        "elsewhere/package.json": "{}",
    }
    made = plan(files, root="apps/web")
    assert made.install is not None
    assert made.install.command.directory == ""
    assert set(made.install.inputs) == {
        "package.json",
        "package-lock.json",
        "apps/web/package.json",
        "apps/other/package.json",
        "apps/other/bin/tool.js",
        "libs/deep/ui/package.json",
    }
    assert "apps/web/node_modules" in made.install.outputs
    assert made.build is not None
    assert made.build.argv == ("npm", "run", "build")
    assert made.build.directory == "apps/web"


def test_a_private_registry_is_named_without_its_token() -> None:
    npmrc = "//npm.corp.example/:_authToken=tok-4f1c\n@corp:registry=https://npm.corp.example/\n"
    made = plan({".npmrc": npmrc, "package-lock.json": ""})
    assert [choice.value for choice in made.choices if choice.subject == "registry"] == ["npm.corp.example"]
    assert "tok-4f1c" not in made.model_dump_json()


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        (
            "package-lock.json",
            '{"resolved": "http://x.example/a-1.tgz"},\n{"resolved": "https://x.example/b-1.tgz",\n "integrity": "sha512-x"}',
        ),
        (
            "yarn.lock",
            '# yarn lockfile v1\na@1:\n  resolved "https://x.example/a-1.tgz"\nb@1:\n  resolved "https://x.example/b.tgz#0a1b"\n',
        ),
        ("pnpm-lock.yaml", "  a@https://x.example/a-1.tgz:\n    resolution: {tarball: https://x.example/a-1.tgz}\n"),
    ],
)
def test_packages_without_a_checksum_are_pointed_out(lock: str, text: str) -> None:
    said = [choice for choice in plan({lock: text}).choices if choice.subject == "unchecked packages"]
    assert [(choice.value, choice.source) for choice in said] == [("1", lock)]
    assert "no checksum for a-1.tgz:" in said[0].why


def test_nothing_is_said_of_packages_that_are_checked() -> None:
    checked = '{"resolved": "https://x.example/b-1.tgz",\n      "integrity": "sha512-x"}'
    assert "unchecked packages" not in [choice.subject for choice in plan({"package-lock.json": checked}).choices]
