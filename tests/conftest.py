"""Rules for every test: with `--no-skips` a test that skips itself fails, so that CI never leaves one out unnoticed."""

import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from headrace.disk import spread_directories


@pytest.fixture(scope="session", autouse=True)
def _spread(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests make and remove so many files that ext4 would be busy with the removed ones."""
    spread_directories(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def provisions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base system, tool chains and the like, made once and shared by all tests of this run, or of this machine."""
    kept = os.environ.get("TEST_PROVISIONS")
    place = Path(kept) if kept else tmp_path_factory.getbasetemp().parent / "provisions"
    place.mkdir(parents=True, exist_ok=True)
    return place


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a test or file that skips itself is a failure")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test has an id of its own: of several with the same, the processes that share the tests run one."""
    for item in items:
        if label := getattr(item, "operation_label", None):
            # Schemathesis puts it into the name, which pytest 9.2 makes no id of any more.
            item._id = item._id.with_params(label)
    if twice := [nodeid for nodeid, count in Counter(item.nodeid for item in items).items() if count > 1]:
        raise pytest.UsageError(f"several tests have one id: {twice[:5]}")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} was not run: {why}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.getoption("--no-skips"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.config.getoption("--no-skips"):
        _refuse_skip(report)
    return report
