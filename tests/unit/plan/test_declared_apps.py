"""The apps that a repository declares: which is meant, what it takes over, and what is said when nobody says which."""

import json
from collections.abc import Mapping

import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

TWO = """
[build]
node = "22"

[env]
SHARED = "all"
WHO = "all"

[limits]
build_seconds = 60

[apps.web]
root = "apps/web"
build.command = "make web"
build.output = "dist"
env.WHO = "web"
limits.build_seconds = 30

[apps.docs]
root = "apps/docs"
routing.spa = true
"""
FILES = {"apps/web/package.json": "{}", "apps/docs/index.html": "<p>", "apps/other/index.html": "<p>"}


def plan(text: str = TWO, files: Mapping[str, str] = FILES, **settings: str) -> BuildPlan:
    there = MemoryFiles({"headrace.toml": text, **files})
    return make_plan(there, ProjectSettings.model_validate(settings), PlanLimits())


def refused(text: str = TWO, files: Mapping[str, str] = FILES, **settings: str) -> Failure:
    with pytest.raises(StepFailed) as stopped:
        plan(text, files, **settings)
    assert stopped.value.failure.reason is FailureReason.CONFIG_ERROR
    return stopped.value.failure


def test_an_app_has_its_own_keys_and_those_of_all() -> None:
    web = plan(app="web")
    assert (web.app, web.root, web.output) == ("web", "apps/web", "apps/web/dist")
    assert web.build is not None
    assert web.build.argv == ("sh", "-c", "make web")
    assert (web.build.env["SHARED"], web.build.env["WHO"], web.build.limits.seconds) == ("all", "web", 30)
    assert next(tool.version for tool in web.tools if tool.name == "node").startswith("22.")
    docs = plan(app="docs")
    assert (docs.root, docs.framework, docs.routing.spa, web.routing.spa) == ("apps/docs", "static", True, False)


def test_every_plan_names_all_apps_and_where_a_choice_comes_from() -> None:
    web = plan(app="web")
    assert web.apps == {"docs": "apps/docs", "web": "apps/web"}
    assert "declared are docs (apps/docs), web (apps/web)" in web.choices[0].why
    assert next(choice.source for choice in web.choices if choice.subject == "output") == (
        "headrace.toml apps.web.build.output"
    )


def test_several_apps_without_a_choice_are_named_with_the_ways_to_choose() -> None:
    failure = refused()
    assert "nothing says which is meant: docs (apps/docs), web (apps/web)" in failure.message
    assert all(way in (failure.hint or "") for way in ("--app docs", 'app = "docs"', "project's settings"))
    assert failure.diagnostics[0].file == "headrace.toml"


def test_an_unknown_app_is_answered_with_those_there_are() -> None:
    failure = refused(app="shop")
    assert "no app 'shop'; declared are docs (apps/docs), web (apps/web)" in failure.message
    assert failure.diagnostics[0].file == "headrace.toml"


@pytest.mark.parametrize(
    ("text", "settings", "chosen"),
    [
        (f'app = "docs"\n{TWO}', {}, "docs"),
        (f'app = "docs"\n{TWO}', {"app": "web"}, "web"),
        ('[apps.docs]\nroot = "./apps/docs/"\n', {}, "docs"),
        (TWO, {"root": "apps/docs"}, "docs"),
        (TWO, {"root": "apps/docs/", "app": "docs"}, "docs"),
        (f'{TWO}\n[apps.again]\nroot = "apps/docs"\n', {"root": "apps/web"}, "web"),
        (f'app = "again"\n{TWO}\n[apps.again]\nroot = "apps/docs"\n', {"root": "apps/docs"}, "again"),
        (TWO, {"root": "apps/other"}, None),
    ],
)
def test_which_app_is_meant(text: str, settings: dict[str, str], chosen: str | None) -> None:
    planned = plan(text, FILES, **settings)
    assert planned.app == chosen
    assert planned.root == (planned.apps[chosen] if chosen else "apps/other")


def test_an_app_and_another_root_directory_do_not_go_together() -> None:
    assert "'apps/other', where it is not" in refused(app="web", root="apps/other").message


def test_an_app_that_is_not_there_or_outside_is_refused_with_its_key() -> None:
    assert "'nowhere' (headrace.toml apps.a.root) is not a directory" in refused('[apps.a]\nroot = "nowhere"\n').message
    assert "apps.a.root) is not a directory inside" in refused('[apps.a]\nroot = "../x"\n').message


def test_a_second_file_in_the_directory_of_the_app_is_said_to_be_ignored() -> None:
    ignored = plan(files={**FILES, "apps/docs/headrace.toml": '[build]\nnode = "18"\n'}, app="docs").ignored
    assert [(one.source, one.setting) for one in ignored] == [("apps/docs/headrace.toml", "the whole file")]
    assert "[apps.docs]" in ignored[0].why


def test_roots_are_seen_from_the_file_that_declares_them() -> None:
    files = {f"code/{path}": text for path, text in {**FILES, "headrace.toml": TWO}.items()}
    chosen = make_plan(MemoryFiles(files), ProjectSettings(root="code", app="docs"), PlanLimits())
    assert (chosen.app, chosen.root) == ("docs", "code/apps/docs")


def test_the_root_itself_may_be_an_app() -> None:
    files = {"index.html": "<p>", **FILES}
    assert plan(f'{TWO}\n[apps.home]\nroot = "."\n', files, app="home").root == ""


WORKSPACE = {
    "package.json": json.dumps({"workspaces": ["apps/*"], "scripts": {"build": "turbo run build"}}),
    **{
        f"apps/{name}/package.json": json.dumps(
            {"name": f"@x/{name}", "scripts": {"build": "vite build"}, "dependencies": {"vite": "8"}}
        )
        for name in ("web", "docs")
    },
}


@pytest.mark.parametrize("name", ["web", "apps/web", "@x/web"])
def test_an_app_of_a_workspace_can_be_chosen_without_being_declared(name: str) -> None:
    assert plan("", WORKSPACE, app=name).root == "apps/web"


def test_an_unknown_app_of_a_workspace_is_answered_with_those_there_are() -> None:
    assert (
        "no app 'shop': its workspace has apps/docs (vite), apps/web (vite)"
        in refused("", WORKSPACE, app="shop").message
    )
    assert "its packages are no workspace" in refused("", {"index.html": "<p>"}, app="shop").message
