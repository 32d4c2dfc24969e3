import json

import pytest

from headrace.model.digest import digest_of
from headrace.model.plan import BuildPlan, CacheKey, KeyInput
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.near_install import is_near, lock_digest, near_command
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

BERRY = "__metadata:\n  version: 8\n"


def plan(**files: str) -> BuildPlan:
    manifest = {"scripts": {"build": "vite build"}, "dependencies": {"vite": "8"}}
    named = {name.replace("__", "/"): text for name, text in files.items()}
    return make_plan(MemoryFiles({"package.json": json.dumps(manifest), **named}), ProjectSettings(), PlanLimits())


def line(files: dict[str, str]) -> str | None:
    command = near_command(plan(**files))
    return command.argv[2] if command else None


def test_npm_checks_the_lock_file_changes_what_differs_and_else_starts_over() -> None:
    flags = "--include=dev --prefer-offline --no-audit --no-fund"
    assert line({"package-lock.json": "{}"}) == (
        f"{{ npm ci --dry-run {flags} >/dev/null && npm install --no-save {flags}; }} || "
        "{ echo 'starting over without earlier dependencies' >&2; "
        f"rm -rf -- node_modules && npm ci {flags}; }}"
    )


@pytest.mark.parametrize(
    ("files", "near"),
    [
        ({"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, True),
        ({"bun.lock": ""}, True),
        ({"yarn.lock": BERRY}, True),
        ({"yarn.lock": BERRY, ".yarnrc.yml": "nodeLinker: node-modules\n"}, False),
        ({"yarn.lock": ""}, False),
        ({}, False),
        ({"package-lock.json": "", "headrace.toml": "[build]\nfrozen = false"}, False),
        ({"package-lock.json": "", "headrace.toml": "[build]\ninstall = 'npm ci'"}, False),
        ({"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, False),
    ],
)
def test_only_managers_that_keep_what_fits_begin_with_earlier_dependencies(files: dict[str, str], near: bool) -> None:
    assert (line(files) is not None) is near


def key(**digests: str) -> CacheKey:
    inputs = tuple(KeyInput(name=name, digest=digest_of(text.encode())) for name, text in digests.items())
    return CacheKey(digest=digest_of(repr(digests).encode()), inputs=inputs)


FIRST = {"file package-lock.json": "1", "file package.json": "1", "file .npmrc": "1", "tool node": "1"}


@pytest.mark.parametrize(
    ("changed", "near"),
    [
        ({"file package-lock.json": "2"}, True),
        ({"file package-lock.json": "2", "file package.json": "2"}, True),
        ({"file .npmrc": "2"}, False),
        ({"tool node": "2"}, False),
        ({"file libs/a/package.json": "1"}, False),
    ],
)
def test_layers_are_near_when_only_lock_files_and_manifests_differ(changed: dict[str, str], near: bool) -> None:
    assert is_near(key(**FIRST), key(**{**FIRST, **changed})) is near


def test_the_lock_file_of_a_key_is_found() -> None:
    assert lock_digest(key(**FIRST)) == digest_of(b"1")
    assert lock_digest(key(**{"file package.json": "1"})) is None
