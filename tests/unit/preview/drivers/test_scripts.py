"""What is read out of a project's scripts, and which projects a warm Vite can show."""

import json

import pytest

from headrace.model.preview import PreviewMode
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles
from headrace.preview.base import Change
from headrace.preview.drivers._scripts import calls, is_check
from headrace.preview.drivers.next import NextDriver
from headrace.preview.drivers.vite import ViteDriver
from headrace.registry import find, names


def project(build: str = "vite build", dev: str = "vite", **fields: dict[str, str]) -> MemoryFiles:
    scripts = {"build": build, "dev": dev, **fields.pop("scripts", {})}
    return MemoryFiles({"package.json": json.dumps({"scripts": scripts, "devDependencies": {"vite": "8"}, **fields})})


def refusal(files: MemoryFiles, mode: PreviewMode = PreviewMode.BUILD) -> str | None:
    return ViteDriver().fits(make_plan(files, ProjectSettings(), PlanLimits()), files, mode)


def test_commands_of_a_script_are_told_apart() -> None:
    found = calls("NODE_ENV=x npx tsc -b && node_modules/.bin/vite build --mode 'a b'")
    assert found is not None
    assert [(call.program, call.words, call.env) for call in found] == [
        ("tsc", ("-b",), {"NODE_ENV": "x"}),
        ("vite", ("build", "--mode", "a b"), {}),
    ]


@pytest.mark.parametrize("script", ["a | b", "a; b", "a $(b)", "a > b", "a 'b", "a && ", "a || b", "a &"])
def test_what_needs_a_shell_is_not_guessed_at(script: str) -> None:
    assert calls(script) is None


def test_only_commands_that_write_nothing_are_left_out() -> None:
    found = calls("tsc -b && tsc --outDir lib && eslint . && node make.js")
    assert found is not None
    assert [is_check(call) for call in found] == [True, False, True, False]


@pytest.mark.parametrize(
    "build", ["vite build", "tsc -b && vite build", "vue-tsc --noEmit && vite build --mode staging"]
)
def test_plain_builds_of_vite_can_be_kept_warm(build: str) -> None:
    assert refusal(project(build)) is None


@pytest.mark.parametrize("build", ["node make.js && vite build", "vite build && cp a b", "vite build --ssr", "webpack"])
def test_builds_that_do_more_say_so(build: str) -> None:
    assert build in (refusal(project(build)) or "")


def test_scripts_around_the_build_are_part_of_it() -> None:
    assert "prebuild" in (refusal(project(scripts={"prebuild": "node make.js"})) or "")


def test_what_the_command_line_says_reaches_the_program() -> None:
    files = project("BASE=1 vite build app --mode staging --outDir ../out --minify false", dev="vite --base /x/ --host")
    plan = make_plan(files, ProjectSettings(), PlanLimits())
    build = ViteDriver().setup(plan, files, PreviewMode.BUILD, lambda: 5)
    dev = ViteDriver().setup(plan, files, PreviewMode.DEV, lambda: 5)
    assert json.loads(build.argv[2])["options"] == {
        "mode": "staging",
        "root": "app",
        "build": {"outDir": "../out", "minify": False},
    }
    assert build.env["BASE"] == "1"
    assert json.loads(dev.argv[2])["options"] == {"base": "/x/"}
    assert "NODE_ENV" not in dev.env
    assert dev.keep == ("node_modules/.vite",)


def test_other_frameworks_are_refused_in_words() -> None:
    files = MemoryFiles(
        {"package.json": json.dumps({"scripts": {"build": "a", "dev": "nuxt dev"}, "dependencies": {"nuxt": "4"}})}
    )
    assert refusal(files) == "warm builds are for plain Vite, and this is nuxt"
    assert refusal(files, PreviewMode.DEV) == "nuxt isn't run by Vite's configuration alone"
    plan = make_plan(files, ProjectSettings(), PlanLimits())
    assert NextDriver().fits(plan, files, PreviewMode.DEV) == "this is nuxt, not Next"


def test_the_program_takes_up_vites_configuration_and_nothing_that_is_read_once() -> None:
    files = project()
    plan = make_plan(files, ProjectSettings(), PlanLimits())
    driver = ViteDriver()
    assert not driver.restarts(plan, Change(("vite.config.ts", ".env", "src/a.ts")))
    assert driver.restarts(plan, Change(("postcss.config.js",)))
    assert driver.restarts(plan, Change((), ("package.json",)))


def test_drivers_are_found_by_their_names() -> None:
    assert {"command", "next", "vite"} <= set(names("preview.drivers"))
    assert find("preview.drivers", "vite") is ViteDriver
