"""What watchers see, without a token."""

import re
import sqlite3
from pathlib import Path

import httpx2
import pytest

from headrace import __version__
from headrace.model.build import BuildStatus, StepStatus
from headrace.model.event import BuildCompleted, BuildCreated, CacheDecision, CommandCompleted, StepCompleted
from headrace.model.ids import new_id
from headrace.model.plan import CacheKey, StepId
from headrace.pipeline.services import Services

ROOT = "http://localhost"


async def test_a_server_that_works_is_alive_and_ready(api: httpx2.AsyncClient) -> None:
    assert (await api.get(f"{ROOT}/healthz")).json() == {"status": "ok"}
    ready = (await api.get(f"{ROOT}/readyz")).json()
    assert ready == {"status": "ok", "parts": {"database": "ok", "storage": "ok", "executor": "ok"}}
    assert (await api.get(f"{ROOT}/version")).json()["version"] == __version__


async def test_a_database_that_was_replaced_is_not_ready(api: httpx2.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "headrace.db").rename(tmp_path / "moved.db")
    response = await api.get(f"{ROOT}/readyz")
    assert (response.status_code, response.json()["parts"]["database"]) == (503, "database.unusable")
    assert (await api.get(f"{ROOT}/healthz")).status_code == 200
    made = await api.post("/workspaces/default/projects", json={"name": "x"})
    assert (made.status_code, made.json()["code"]) == (503, "database.unusable")


async def test_a_locked_database_is_a_passing_fault(
    services: Services, api: httpx2.AsyncClient, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "headrace.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    response = await api.post("/workspaces/default/projects", json={"name": "x"})
    other.execute("ROLLBACK")
    other.close()
    assert (response.status_code, response.json()["code"], response.headers["retry-after"]) == (503, "db.busy", "5")
    assert (await api.post("/workspaces/default/projects", json={"name": "x"})).status_code == 201


async def test_metrics_count_what_the_journal_records(api: httpx2.AsyncClient, services: Services) -> None:
    project = (await api.post("/workspaces/default/projects", json={"name": "x"})).json()["id"]
    build, waiting = new_id("build"), new_id("build")
    key = CacheKey(digest="sha256:" + "a" * 64, inputs=())
    await services.journal.record(BuildCreated(build_id=waiting, project_id=project))
    await services.journal.record_all(
        [
            BuildCreated(build_id=build, project_id=project),
            CacheDecision(
                build_id=build, step=StepId.BUILD, cache="result", key=key, hit=True, explanation="x", seconds_saved=4
            ),
            CommandCompleted(build_id=build, step=StepId.BUILD, seconds=1, lines=7, bytes=70),
            StepCompleted(build_id=build, step=StepId.BUILD, status=StepStatus.SUCCEEDED, seconds=2),
            BuildCompleted(build_id=build, status=BuildStatus.SUCCEEDED, seconds=3),
        ]
    )
    text = (await api.get(f"{ROOT}/metrics")).text
    for line in (
        'headrace_builds_total{cached="false",status="succeeded"} 1.0',
        'headrace_step_seconds_count{cached="false",status="succeeded",step="build"} 1.0',
        'headrace_cache_decisions_total{cache="result",hit="true"} 1.0',
        'headrace_cache_saved_seconds_total{cache="result"} 4.0',
        "headrace_log_lines_total 7.0",
        "headrace_builds_queued 1.0",
        "headrace_builds_running 0.0",
    ):
        assert line in text
    assert re.search(r'http_request_seconds_count\{method="POST",route="[^"]*/projects",status="201"\} 1.0', text)


async def test_addresses_do_not_become_labels(api: httpx2.AsyncClient) -> None:
    await api.get("/builds/build_01m7xpeyhy9gptce7gk34taj0d")
    await api.get("/made-up-by-a-stranger")
    text = (await api.get(f"{ROOT}/metrics")).text
    assert "01m7xpeyhy9gptce7gk34taj0d" not in text
    assert "made-up" not in text


async def test_the_log_has_one_line_for_a_request_whatever_its_address_holds(
    api: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await api.get("/builds/a%0ab%1b[31m?limit=1&secret=hunter2")
    lines = [line for line in capsys.readouterr().out.splitlines() if "request_id" in line]
    assert len(lines) == 1
    assert "hunter2" not in lines[0]
    assert "\x1b[31m" not in lines[0]
