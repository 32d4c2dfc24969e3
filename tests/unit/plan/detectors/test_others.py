"""Projects that Node does not build: Python's servers and packages, and generators in other languages."""

import pytest

from headrace.errors import StepFailed
from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.detectors.generators import GENERATORS, Generator
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles
from headrace.plan.refused import refuse_server


def planned(files: dict[str, str]) -> BuildPlan:
    return make_plan(MemoryFiles(files), ProjectSettings(), PlanLimits())


@pytest.mark.parametrize(
    ("file", "text", "framework"),
    [
        ("requirements.txt", "fastapi[standard]>=0.100\nuvicorn\n", "fastapi"),
        ("requirements.txt", "# tools\nFlask==3.0\n", "flask"),
        ("requirements.txt", "flask-less\n", "python"),
        ("pyproject.toml", '[project]\ndependencies = [\n  "django>=5",\n]\n', "django"),
        ("pyproject.toml", '[project]\ndependencies = ["litestar"]\n', "litestar"),
        ("pyproject.toml", '[tool.poetry.dependencies]\nstreamlit = "^1"\n', "streamlit"),
        ("Pipfile", '[packages]\nquart = "*"\n', "quart"),
        ("manage.py", "", "django"),
        ("setup.py", "", "python"),
    ],
)
def test_python_is_planned_and_refused(file: str, text: str, framework: str) -> None:
    plan = planned({file: text, "static/index.html": ""})
    # What Flask and its like have below static/ is no site of its own.
    assert plan.framework == (framework if framework != "python" else "static")
    if framework != "python":
        assert plan.kind == "server"
        with pytest.raises(StepFailed, match="needs a server"):
            refuse_server(plan)


def test_generators_in_other_languages_are_named_with_what_to_do() -> None:
    plan = planned({"hugo.toml": "baseURL = 'x'", "static/index.html": ""})
    assert plan.framework == "hugo"
    with pytest.raises(StepFailed) as stopped:
        refuse_server(plan)
    failure = stopped.value.failure
    assert "Hugo" in failure.message
    assert 'output = "public"' in (failure.hint or "")
    assert failure.diagnostics[0].file == "hugo.toml"


def test_pages_that_are_committed_are_served_when_the_project_says_where_they_are() -> None:
    plan = planned({"hugo.toml": "", "headrace.toml": '[build]\noutput = "public"\n', "public/index.html": ""})
    assert (plan.framework, plan.kind, plan.output, plan.build, plan.refused) == (
        "hugo",
        "static",
        "public",
        None,
        None,
    )


def test_a_site_of_plain_pages_with_a_file_of_jekylls_is_served_as_it_is() -> None:
    assert planned({"_config.yml": "theme: x", "index.html": "<title>x</title>"}).framework == "static"
    assert planned({"_config.yml": "theme: x", "index.html": "---\n---\n{{ page }}"}).framework == "jekyll"


def test_a_build_script_goes_before_them() -> None:
    assert planned({"hugo.toml": "", "package.json": '{"scripts": {"build": "hugo"}}'}).framework == "script"


@pytest.mark.parametrize("row", GENERATORS, ids=lambda row: row.framework)
def test_each_generator_is_recognised_by_its_first_mark(row: Generator) -> None:
    file = row.marks[0][0]
    text = {
        "hugo": "baseURL", "middleman": "gem 'middleman'", "nikola": "BLOG_TITLE", "sphinx": "extensions = []",
        "mdbook": "[book]", "lume": "import lume from 'lume/mod.ts'", "elm": '{"type": "application"}',
    }.get(row.framework, "")  # fmt: skip
    assert planned({file: text}).framework == row.framework
