import json

import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.limits import NetworkPhase
from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles
from headrace.plan.refused import refuse_server

VITE = {
    "package.json": json.dumps({"name": "a", "scripts": {"build": "vite build"}, "devDependencies": {"vite": "^8"}}),
    "package-lock.json": "{}",
    "index.html": "<h1>hi</h1>",
}


def plan(files: dict[str, str], settings: ProjectSettings | None = None, limits: PlanLimits | None = None) -> BuildPlan:
    return make_plan(MemoryFiles(files), settings or ProjectSettings(), limits or PlanLimits())


def refused(files: dict[str, str], settings: ProjectSettings | None = None) -> Failure:
    with pytest.raises(StepFailed) as stopped:
        plan(files, settings)
    return stopped.value.failure


def test_a_vite_project_is_planned_whole() -> None:
    made = plan(VITE)
    assert made.framework == "vite"
    assert made.install is not None
    assert made.install.command.argv[:2] == ("npm", "ci")
    assert made.install.command.network is NetworkPhase.REGISTRIES
    assert made.install.inputs == ("package-lock.json", "package.json")
    assert made.build is not None
    assert made.build.argv == ("sh", "-c", "vite build")
    assert made.build.network is NetworkPhase.NONE
    assert (made.output, made.routing.spa) == ("dist", True)


def test_every_choice_has_a_reason_and_a_source() -> None:
    made = plan(VITE)
    subjects = [choice.subject for choice in made.choices]
    assert {"framework", "package manager", "node", "npm", "install", "build command", "output"} <= set(subjects)
    assert len(subjects) == len(set(subjects))
    assert all(choice.why and choice.source for choice in made.choices)


def test_a_plan_survives_storage() -> None:
    made = plan(VITE)
    assert BuildPlan.model_validate_json(made.model_dump_json()) == made


def test_plain_files_need_nothing_to_be_run() -> None:
    made = plan({"index.html": "", "about.html": "", "404.html": ""})
    assert (made.framework, made.install, made.build, made.output, made.tools) == ("static", None, None, "", ())
    assert made.routing.not_found == "404.html"
    assert not made.routing.spa


def test_plain_files_in_a_directory_are_found() -> None:
    assert plan({"public/index.html": "", "README.md": ""}).output == "public"


def test_a_build_script_of_no_known_framework_is_run() -> None:
    made = plan({"package.json": '{"scripts": {"build": "node build.js"}}'})
    assert (made.framework, made.install) == ("script", None)
    assert made.build is not None
    assert "_site" in made.output_candidates


@pytest.mark.parametrize("files", [{}, {"README.md": ""}, {"src/main.c": ""}, {"package.json": "{}"}])
def test_nothing_to_build_names_what_was_looked_for_what_is_there_and_what_to_write(files: dict[str, str]) -> None:
    failure = refused(files)
    assert failure.reason is FailureReason.NOTHING_TO_BUILD
    assert "index.html" in failure.message
    assert all(name.split("/")[0] in failure.message for name in files)
    assert failure.hint


def test_a_project_below_the_root_is_pointed_out() -> None:
    failure = refused({"frontend/package.json": VITE["package.json"], "backend/main.py": ""})
    assert failure.reason is FailureReason.NOTHING_TO_BUILD
    assert 'root = "frontend"' in (failure.hint or "")


def test_a_project_of_another_kind_is_named() -> None:
    failure = refused({"go.mod": ""})
    assert failure.reason is FailureReason.UNSUPPORTED
    assert "a Go module" in failure.message


def test_a_python_package_is_planned_and_not_built() -> None:
    made = plan({"pyproject.toml": "[project]\nname = 'x'\n", "web/package.json": "{}"})
    assert (made.framework, made.kind, made.build) == ("python", "server", None)
    assert made.refused is not None
    assert made.refused.reason == "unsupported"
    assert 'root = "web"' in made.refused.hint


def test_a_vite_project_without_a_build_script_says_so() -> None:
    made = plan({"package.json": '{\n "scripts": {"dev": "vite"},\n "devDependencies": {"vite": "8"}\n}'})
    assert made.build is None
    assert made.dev is not None
    with pytest.raises(StepFailed) as stopped:
        refuse_server(made)
    failure = stopped.value.failure
    assert failure.reason is FailureReason.MISSING_SCRIPT
    assert failure.diagnostics[0].line == 2
    assert "dev" in failure.message


@pytest.mark.parametrize(
    "root", ["../..", "/", "/proc/self/fd/7", "a/../..", "~", "a\\b", "a\nb", "missing", "package.json"]
)
def test_a_root_that_is_no_directory_of_the_version_is_refused(root: str) -> None:
    assert refused(VITE, ProjectSettings(root=root)).reason is FailureReason.CONFIG_ERROR


def test_a_root_directory_is_planned_with_paths_from_the_version() -> None:
    files = {f"apps/web/{name}": text for name, text in VITE.items()}
    made = plan(files, ProjectSettings(root="apps/web"))
    assert made.root == "apps/web"
    assert made.output == "apps/web/dist"
    assert made.build is not None
    assert made.build.directory == "apps/web"
    assert made.install is not None
    assert made.install.outputs == ("apps/web/node_modules",)
    assert made.install.inputs == ("apps/web/package-lock.json", "apps/web/package.json")


def test_the_project_file_overrides_what_is_found() -> None:
    toml = '[build]\ncommand = "make"\ninstall = ["npm", "ci"]\noutput = "out"\nnode = "20"\n[env]\nMODE = "x"\n[routing]\nspa = false\n'
    made = plan({**VITE, "headrace.toml": toml})
    assert made.build is not None
    assert made.install is not None
    assert made.build.argv == ("sh", "-c", "make")
    assert made.install.command.argv == ("npm", "ci")
    assert set(made.install.inputs) == {*VITE, "headrace.toml"}
    assert made.build.env["MODE"] == "x"
    assert made.tools[0].version.startswith("20.")
    assert (made.output, made.output_candidates, made.routing.spa) == ("out", (), False)


def test_a_command_without_a_known_project_is_enough() -> None:
    made = plan({"headrace.toml": '[build]\ncommand = "make"\noutput = "out"\n', "Makefile": ""})
    assert (made.framework, made.output) == ("script", "out")


@pytest.mark.parametrize("output", ["..", "/", "/etc", "a/../../b"])
def test_an_output_outside_the_project_is_refused(output: str) -> None:
    assert refused({**VITE, "headrace.toml": f'[build]\noutput = "{output}"'}).reason is FailureReason.CONFIG_ERROR


def test_limits_are_lowered_and_never_raised() -> None:
    toml = "[limits]\nbuild_seconds = 60\nmemory_bytes = 999999999999\n"
    made = plan({**VITE, "headrace.toml": toml}, limits=PlanLimits(build_seconds=100, memory_bytes=2**30))
    assert made.build is not None
    assert (made.build.limits.seconds, made.build.limits.memory_bytes) == (60, 2**30)


def test_a_wider_network_than_the_operator_allows_is_not_given_and_said() -> None:
    files = {**VITE, "headrace.toml": '[build]\nnetwork = "internet"\n'}
    allowed = plan(files)
    assert allowed.build is not None
    assert allowed.build.network is NetworkPhase.INTERNET
    narrow = plan(files, limits=PlanLimits(build_network=NetworkPhase.NONE))
    assert narrow.build is not None
    assert narrow.build.network is NetworkPhase.NONE
    assert [ignored.setting for ignored in narrow.ignored] == ["build.network"]


def test_settings_of_other_hosts_are_said_to_be_ignored() -> None:
    made = plan({**VITE, "vercel.json": '{"crons": []}', "netlify.toml": "[functions]"})
    assert {ignored.source for ignored in made.ignored} == {"vercel.json", "netlify.toml"}


def test_a_variable_of_the_project_is_not_overruled_by_a_usual_one() -> None:
    usual, own = plan(VITE), plan(VITE, ProjectSettings(env={"NODE_ENV": "staging"}))
    assert usual.build is not None
    assert own.build is not None
    assert usual.build.env["NODE_ENV"] == "production"
    assert "NODE_ENV" not in own.build.env


def test_an_unknown_framework_in_the_project_file_is_refused() -> None:
    assert "next, starlight, astro" in (refused({**VITE, "headrace.toml": '[build]\nframework = "vitte"'}).hint or "")


def test_a_wished_framework_that_is_not_there_is_said() -> None:
    failure = refused({"index.html": "", "headrace.toml": '[build]\nframework = "vite"'})
    assert failure.reason is FailureReason.NOTHING_TO_BUILD
    assert "a vite project" in failure.message


def test_a_workshop_is_built_where_nothing_else_of_the_project_is() -> None:
    packages = {"vite": "7", "histoire": "1"}
    alone = {"scripts": {"story:build": "histoire build"}, "devDependencies": packages}
    beside = {"scripts": {"story:build": "histoire build", "build": "vite build"}, "devDependencies": packages}
    assert plan({"package.json": json.dumps(alone)}).framework == "histoire"
    assert plan({"package.json": json.dumps(beside)}).framework == "vite"
