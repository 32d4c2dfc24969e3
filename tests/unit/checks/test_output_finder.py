import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.checks.output_finder import find_output
from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import BuildPlan, PlannedCommand

PLAN = BuildPlan(framework="vite", output="dist", output_candidates=("build",), build=PlannedCommand(argv=("x",)))


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def page(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "index.html").touch()


def missing(tree: int, plan: BuildPlan = PLAN) -> Failure:
    with pytest.raises(StepFailed) as stopped:
        find_output(tree, plan)
    assert stopped.value.failure.reason is FailureReason.OUTPUT_MISSING
    return stopped.value.failure


def test_the_planned_directory_is_taken_before_a_candidate(tmp_path: Path, tree: int) -> None:
    page(tmp_path / "dist")
    page(tmp_path / "build")
    assert find_output(tree, PLAN) == "dist"


def test_a_candidate_is_taken_when_it_holds_a_page(tmp_path: Path, tree: int) -> None:
    page(tmp_path / "build")
    assert find_output(tree, PLAN) == "build"


def test_a_candidate_without_a_page_is_not_taken(tmp_path: Path, tree: int) -> None:
    (tmp_path / "build").mkdir()
    assert "build" in missing(tree).message


def test_directories_that_did_appear_are_named(tmp_path: Path, tree: int) -> None:
    page(tmp_path / "out" / "www")
    page(tmp_path / "node_modules" / "x")
    failure = missing(tree)
    assert "out/www" in failure.message
    assert "node_modules" not in failure.message
    assert 'output = "out/www"' in (failure.hint or "")


def test_a_project_below_the_root_is_told_in_its_own_paths(tmp_path: Path, tree: int) -> None:
    page(tmp_path / "web" / "out")
    failure = missing(tree, PLAN.but(root="web", output="web/dist", output_candidates=()))
    assert 'output = "out"' in (failure.hint or "")


@pytest.mark.parametrize("target", ["/etc", "..", "elsewhere"])
def test_a_link_is_no_output(tmp_path: Path, tree: int, target: str) -> None:
    page(tmp_path / "elsewhere")
    (tmp_path / "dist").symlink_to(target)
    missing(tree)


def test_the_root_itself_can_be_the_output(tree: int) -> None:
    assert find_output(tree, BuildPlan(framework="static", output="")) == ""


def test_a_file_is_no_output(tmp_path: Path, tree: int) -> None:
    (tmp_path / "dist").touch()
    assert "none" in missing(tree).message


def test_the_one_directory_of_pages_that_appeared_is_the_output(tmp_path: Path, tree: int) -> None:
    page(tmp_path / "generated" / "html")
    page(tmp_path / "generated" / "html" / "about")
    page(tmp_path / "docs")
    page(tmp_path / "coverage")
    page(tmp_path / ".next" / "server")
    assert find_output(tree, PLAN, {"docs/index.html"}) == "generated/html"


def test_of_several_that_appeared_none_is_guessed(tmp_path: Path, tree: int) -> None:
    page(tmp_path / "one")
    page(tmp_path / "two")
    with pytest.raises(StepFailed, match="one"):
        find_output(tree, PLAN, ())


def test_what_a_setting_names_is_never_replaced(tmp_path: Path, tree: int) -> None:
    page(tmp_path / "generated")
    with pytest.raises(StepFailed) as stopped:
        find_output(tree, PLAN.but(output_candidates=()), ())
    assert 'output = "generated"' in (stopped.value.failure.hint or "")


def test_a_planned_directory_without_a_page_gives_way_to_one_that_the_build_filled(tmp_path: Path, tree: int) -> None:
    (tmp_path / "dist").mkdir()
    assert find_output(tree, PLAN) == "dist"
    page(tmp_path / "build")
    assert find_output(tree, PLAN, {"build/index.html"}) == "dist"
    assert find_output(tree, PLAN) == "build"
