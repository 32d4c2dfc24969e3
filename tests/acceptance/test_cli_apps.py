"""One repository with two declared apps: two projects, both built in sandboxes and served, each with what is its own."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.test_cli import ROOT, Headrace, page

pytestmark = [pytest.mark.sandbox, pytest.mark.network, pytest.mark.xdist_group("cli")]

DECLARED = """
[env]
VITE_SHOP = "the shop"

[apps.web]
root = "apps/web"

[apps.docs]
root = "apps/docs"
build.command = 'mkdir site; echo "docs of $VITE_SHOP, $MOTTO" > site/index.html'
build.output = "site"
env.MOTTO = "short and true"
routing.spa = true
"""


@pytest.fixture
def headrace(data_dir: Path) -> Iterator[Headrace]:
    command = Headrace(data_dir)
    yield command
    command.stop_server()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    place = tmp_path / "shop"
    shutil.copytree(
        ROOT / "examples" / "vanilla-vite", place / "apps/web", ignore=shutil.ignore_patterns("node_modules")
    )
    script = next((place / "apps/web/src").glob("main.*"))
    script.write_text(f"{script.read_text()}\ndocument.title = import.meta.env.VITE_SHOP;\n")
    (place / "apps/docs").mkdir()
    (place / "apps/docs/package.json").write_text("{}")
    (place / "headrace.toml").write_text(DECLARED)
    return place


def test_two_apps_of_one_repository_are_two_projects_and_both_are_served(headrace: Headrace, shop: Path) -> None:
    web = headrace.json("up", shop, "--app", "web", "--detach")
    docs = headrace.json("up", shop, "--app", "docs", "--detach")
    assert web["project_id"] != docs["project_id"]
    assert web["url"].startswith("http://shop-web.")
    script = page(web["url"]).split('src="/')[1].split('"')[0]
    assert "the shop" in page(web["url"], script)
    # The application's page answers every path: [apps.docs.routing] is of this app alone.
    assert page(docs["url"], "any/where") == "docs of the shop, short and true\n"
    again = headrace.json("up", shop, "--app", "web", "--detach")
    assert again == web
    assert "name one of them: shop-docs, shop-web" in headrace("preview", "stop", shop).stderr
    assert headrace.json("build", shop, "--app", "docs")["id"] == docs["build_id"]


def test_without_a_choice_nothing_is_made_and_the_ways_to_choose_are_named(headrace: Headrace, shop: Path) -> None:
    ended = headrace("up", shop, "--detach")
    assert ended.returncode == 2
    assert "nothing says which is meant: docs (apps/docs), web (apps/web)" in ended.stderr
    assert "--app docs" in ended.stderr
    assert headrace.json("projects") == []
    assert "declares no app 'shop'; declared are docs" in headrace("up", shop, "--app", "shop", "--detach").stderr
    assert headrace.json("projects") == []


def test_a_repository_in_git_is_built_app_by_app(headrace: Headrace, shop: Path) -> None:
    headrace.environment |= {"HEADRACE_ALLOW_FILE_URLS": "true"}
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=shop, check=True)
    docs = headrace.json("up", f"file://{shop}", "--app", "docs", "--detach")
    assert page(docs["url"]) == "docs of the shop, short and true\n"
    # A repository is read by its build alone, so that is what says it.
    failed = headrace.json("up", f"file://{shop}", "--detach", status=1)
    assert failed["failure"]["reason"] == "config_error"
    assert "--app docs" in failed["failure"]["hint"]
