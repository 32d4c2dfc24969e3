"""Angular's workspace file says what is built, and where to."""

import json

import pytest

from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

PACKAGE = json.dumps({"scripts": {"build": "ng build", "start": "ng serve"}, "devDependencies": {"@angular/cli": "21"}})


def planned(text: str, package: str = PACKAGE, name: str = "angular.json") -> BuildPlan:
    return make_plan(MemoryFiles({"package.json": package, name: text}), ProjectSettings(), PlanLimits())


def workspace(builder: str = "@angular/build:application", **options: object) -> str:
    build = {"builder": builder, "options": options}
    library = {"projectType": "library", "architect": {"build": {"builder": "ng-packagr"}}}
    return json.dumps(
        {"projects": {"lib": library, "shop": {"projectType": "application", "architect": {"build": build}}}}
    )


@pytest.mark.parametrize(
    ("text", "output"),
    [
        (workspace(), "dist/shop/browser"),
        (workspace(outputPath="dist/site"), "dist/site/browser"),
        (workspace(outputPath={"base": "out", "browser": ""}), "out"),
        (workspace("@angular-devkit/build-angular:browser", outputPath="dist/site"), "dist/site"),
        (workspace(outputPath="../out"), "dist/shop/browser"),
        ("{ // none\n}", "dist"),
        ("broken", "dist"),
    ],
)
def test_the_output_is_the_one_of_the_application(text: str, output: str) -> None:
    plan = planned(text)
    assert (plan.framework, plan.kind, plan.output, plan.routing.spa) == ("angular", "static", output, True)


def test_rendering_on_a_server_needs_one_and_prerendering_does_not() -> None:
    assert planned(workspace(ssr={"entry": "src/server.ts"})).kind == "server"
    assert planned(workspace(outputMode="server")).kind == "server"
    assert planned(workspace(outputMode="static", ssr={"entry": "x"})).kind == "static"


def test_a_project_of_nx_says_it_in_its_own_file() -> None:
    build = {"executor": "@angular/build:application", "options": {"outputPath": "dist/apps/web"}}
    text = json.dumps({"name": "web", "targets": {"build": build}})
    assert planned(text, name="project.json").output == "dist/apps/web/browser"


def test_the_development_server_is_its_start_script() -> None:
    plan = planned(workspace())
    assert plan.dev is not None
    assert plan.dev.argv[-1] == "ng serve"
