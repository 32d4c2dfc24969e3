"""Which script builds a project, and which starts its development server."""

import pytest

from headrace.plan.detectors.scripts import calls_it, chosen_build, chosen_dev
from headrace.plan.manifest import Manifest
from headrace.plan.project_files import MemoryFiles
from headrace.plan.project_view import ProjectView


def view(**scripts: str) -> ProjectView:
    named = {name.replace("__", ":"): text for name, text in scripts.items()}
    return ProjectView(MemoryFiles({}), "", Manifest("package.json", {}, named))


@pytest.mark.parametrize(
    ("text", "command", "called"),
    [
        ("vitepress build docs", "vitepress build", True),
        ("cross-env A=1 vitepress  build", "vitepress build", True),
        ("tsc && ./node_modules/.bin/vitepress build", "vitepress build", True),
        ("vitepress build-docs", "vitepress build", False),
        ("my-vitepress build", "vitepress build", False),
        ("anything", "", False),
    ],
)
def test_a_call_is_seen_in_a_script(text: str, command: str, called: bool) -> None:
    assert calls_it(text, command) is called


def test_build_is_the_script_that_builds() -> None:
    assert chosen_build(view(build="x", other="eleventy"), "eleventy", beside=False) == "build"


def test_documentation_beside_a_library_has_its_own_script() -> None:
    scripts = view(build="tsup", docs__dev="vitepress dev docs", docs__build="vitepress build docs", dev="tsup --watch")
    assert chosen_build(scripts, "vitepress build", beside=True) == "docs:build"
    assert chosen_dev(scripts, "vitepress dev", beside=True) == "docs:dev"


def test_a_build_that_runs_other_scripts_is_taken_for_theirs() -> None:
    assert chosen_build(view(build="npm run css && npm run docs:build", docs__build="vitepress build"), "vitepress build", beside=True) == "build"  # fmt: skip


def test_a_script_with_another_name_builds_when_there_is_no_build() -> None:
    assert (
        chosen_build(view(generate="hexo generate", server="hexo server"), "hexo generate", beside=False) == "generate"
    )
    assert chosen_build(view(test="x"), "hexo generate", beside=False) is None


def test_what_serves_a_result_is_no_development_server() -> None:
    assert chosen_dev(view(serve="docusaurus serve", start="docusaurus start"), "docusaurus start") == "start"
    assert chosen_dev(view(serve="gatsby serve", develop="gatsby develop"), "gatsby develop") == "develop"
    assert chosen_dev(view(dev="concurrently a b", dev__web="vite"), "vite") == "dev"
    assert chosen_dev(view(build="x"), "") is None
