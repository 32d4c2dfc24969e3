"""Builds over HTTP: asked for, waited for, streamed, cancelled. The tests take the worker's part."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from headrace.model.artifact import ArtifactFile, Manifest
from headrace.model.build import BuildStatus
from headrace.model.digest import digest_of
from headrace.model.event import BuildCompleted, CacheDecision, PlanMade
from headrace.model.ids import new_id
from headrace.model.plan import BuildPlan, CacheKey, StepId
from headrace.model.version import Author
from headrace.pipeline.services import Services
from headrace.pipeline.source import add_version
from headrace.records import projects
from headrace.source.base import Fetched
from headrace.tree import canonical


@pytest.fixture
async def project(api: httpx2.AsyncClient, services: Services, tmp_path: Path) -> str:
    """A project with one version of a plain page."""
    made = (await api.post("/workspaces/default/projects", json={"name": "Shop"})).json()
    root = tmp_path / "page"
    root.mkdir()
    (root / "index.html").write_text("<h1>hello</h1>")
    async with services.db.read() as c:
        stored = await projects.get(c, made["id"])
    assert stored is not None
    await add_version(services, stored, Fetched(root=root, author=Author(kind="user", name="ada")))
    return str(made["id"])


async def ask(api: httpx2.AsyncClient, project: str, body: object = None, **headers: str) -> httpx2.Response:
    return await api.post(f"/projects/{project}/builds", json=body or {}, headers=headers)


async def asked(api: httpx2.AsyncClient, project: str, body: object = None) -> dict[str, Any]:
    response = await ask(api, project, body)
    assert response.status_code == 202, response.text
    build: dict[str, Any] = response.json()
    return build


async def looked_up(services: Services, build: dict[str, Any]) -> None:
    """What a worker says when the result isn't there yet, and what it saves the result with."""
    key = CacheKey(digest=build["result_key"], inputs=())
    await services.journal.record(
        CacheDecision(
            build_id=build["id"], step=StepId.PLAN, cache="result", key=key, hit=False, explanation="Cache miss"
        )
    )


async def end(services: Services, build: dict[str, Any], status: BuildStatus = BuildStatus.SUCCEEDED) -> None:
    """What a worker does last."""
    manifest = Manifest(files=(ArtifactFile(path="index.html", digest=digest_of(b""), size=0, media_type="text/html"),))
    artifact = await services.store.put(canonical(manifest)) if status is BuildStatus.SUCCEEDED else None
    await services.journal.record(
        BuildCompleted(
            build_id=build["id"],
            status=status,
            seconds=1,
            artifact=artifact,
            result_key=build["result_key"],
            deployment_id=new_id("dpl") if artifact else None,
        ),
        close=True,
    )


async def test_a_new_build_is_accepted_and_found_everywhere(api: httpx2.AsyncClient, project: str) -> None:
    response = await ask(api, project)
    build = response.json()
    assert (response.status_code, build["status"], build["url"]) == (202, "queued", None)
    assert response.headers["location"] == f"/api/v1/builds/{build['id']}"
    assert (await api.get(f"/builds/{build['id']}")).json() == build
    for path in (f"/projects/{project}/builds", "/builds", "/builds?status=queued"):
        assert (await api.get(path)).json()["items"] == [build]
    assert (await api.get("/builds?status=failed")).json()["items"] == []


async def test_a_build_needs_no_body(api: httpx2.AsyncClient, project: str) -> None:
    assert (await api.post(f"/projects/{project}/builds")).status_code == 202


async def test_the_same_inputs_share_one_build_and_are_answered_from_it(
    api: httpx2.AsyncClient, services: Services, project: str
) -> None:
    builds = await asyncio.gather(*(asked(api, project) for _ in range(5)))
    assert len({build["id"] for build in builds}) == 1
    await looked_up(services, builds[0])
    await end(services, builds[0])
    again = await ask(api, project)
    assert (again.status_code, again.json()["id"]) == (200, builds[0]["id"])
    forced = await ask(api, project, {"options": {"force": True}})
    assert (forced.status_code, forced.json()["id"] != builds[0]["id"]) == (202, True)


async def test_a_build_that_is_waited_for_is_answered_at_its_end(
    api: httpx2.AsyncClient, services: Services, project: str
) -> None:
    build = await asked(api, project)
    waiting = asyncio.create_task(ask(api, project, {"options": {"wait": True}}))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await end(services, build, BuildStatus.FAILED)
    response = await waiting
    assert (response.status_code, response.json()["status"]) == (200, "failed")


async def test_prefer_wait_answers_in_time_with_what_there_is(api: httpx2.AsyncClient, project: str) -> None:
    began = asyncio.get_running_loop().time()
    response = await ask(api, project, Prefer="respond-async, wait=1")
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert 0.9 < asyncio.get_running_loop().time() - began < 30


async def test_a_streamed_build_answers_with_its_whole_log(
    api: httpx2.AsyncClient, services: Services, project: str
) -> None:
    build = await asked(api, project)
    streaming = asyncio.create_task(ask(api, project, {"stream": True}))
    await asyncio.sleep(0.1)
    await end(services, build)
    response = await streaming
    events = [orjson.loads(line) for line in response.content.splitlines()]
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [event["seq"] for event in events] == [1, 2, 3]
    assert [event["type"] for event in events] == ["build.created", "build.queued", "build.completed"]


async def test_events_are_ndjson_or_server_sent_events(
    api: httpx2.AsyncClient, services: Services, project: str
) -> None:
    build = await asked(api, project)
    await end(services, build)
    path = f"/builds/{build['id']}/events"
    lines = (await api.get(path, params={"after": 1})).content.splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == [2, 3]
    sent = await api.get(path, headers={"Accept": "text/event-stream", "Last-Event-ID": "2"})
    assert sent.headers["content-type"].startswith("text/event-stream")
    assert "id: 3\nevent: build.completed\n" in sent.text


@pytest.mark.parametrize("after", ["-1", "x", "99"])
async def test_a_place_that_the_log_does_not_have_is_refused(api: httpx2.AsyncClient, project: str, after: str) -> None:
    build = await asked(api, project)
    response = await api.get(f"/builds/{build['id']}/events", params={"after": after})
    assert (response.status_code, response.json()["code"]) == (400, "stream.cursor_invalid")


@pytest.mark.parametrize("format_", ["json", "text", "raw"])
async def test_the_log_of_a_build_without_output_is_there(api: httpx2.AsyncClient, project: str, format_: str) -> None:
    build = await asked(api, project)
    response = await api.get(f"/builds/{build['id']}/logs", params={"format": format_})
    assert response.status_code == 200


async def test_a_cancelled_build_ends_once(api: httpx2.AsyncClient, project: str) -> None:
    build = await asked(api, project)
    answers = [await api.post(f"/builds/{build['id']}/cancel") for _ in range(2)]
    assert [(a.status_code, a.json()["status"]) for a in answers] == [(200, "cancelled")] * 2


async def test_a_build_that_ended_by_itself_cannot_be_cancelled(
    api: httpx2.AsyncClient, services: Services, project: str
) -> None:
    build = await asked(api, project)
    await end(services, build)
    response = await api.post(f"/builds/{build['id']}/cancel")
    assert (response.status_code, response.json()["code"]) == (409, "build.already_terminal")
    assert "succeeded" in response.json()["detail"]


async def test_a_succeeded_build_shows_its_address_and_its_artifact(
    api: httpx2.AsyncClient, services: Services, project: str
) -> None:
    build = await asked(api, project)
    assert (await api.get(f"/builds/{build['id']}/artifact")).json()["code"] == "build.no_artifact"
    await end(services, build)
    shown = (await api.get(f"/builds/{build['id']}")).json()
    assert shown["url"] == f"http://{build['id'].removeprefix('build_')}.localhost:7700/"
    manifest = (await api.get(f"/builds/{build['id']}/artifact")).json()
    assert (manifest["digest"], manifest["files"][0]["path"]) == (shown["artifact"], "index.html")


async def test_a_builds_plan_and_cache_decisions_are_shown(
    api: httpx2.AsyncClient, services: Services, project: str
) -> None:
    build = await asked(api, project)
    assert (await api.get(f"/builds/{build['id']}/plan")).json()["code"] == "build.not_planned"
    plan = BuildPlan(framework="static", output="")
    digest = await services.store.put(canonical(plan))
    key = CacheKey(digest=digest, inputs=())
    await services.journal.record_all(
        [
            PlanMade(build_id=build["id"], plan=digest, framework="static", output=""),
            CacheDecision(
                build_id=build["id"], step=StepId.PLAN, cache="result", key=key, hit=False, explanation="Cache miss"
            ),
        ]
    )
    assert (await api.get(f"/builds/{build['id']}/plan")).json()["framework"] == "static"
    decisions = (await api.get(f"/builds/{build['id']}/cache")).json()["items"]
    assert [(decision["cache"], decision["hit"]) for decision in decisions] == [("result", False)]


async def test_configuration_packages_find_builds_under_their_own_path(api: httpx2.AsyncClient, project: str) -> None:
    response = await api.post(f"/workspaces/default/configs/{project}/builds", json={"stream": False})
    assert (response.status_code, response.json()["project_id"]) == (202, project)
    assert (await api.post(f"/workspaces/other/configs/{project}/builds", json={})).status_code == 404


@pytest.mark.parametrize("path", ["", "/plan", "/artifact", "/cache", "/network", "/events", "/logs"])
@pytest.mark.parametrize(
    "build_id", ["build_01m7xpeyhy9gptce7gk34taj0d", "x", "build_%00", "ver_01m7xpeyhy9gptce7gk34taj0d"]
)
async def test_what_belongs_to_no_build_is_not_found(api: httpx2.AsyncClient, build_id: str, path: str) -> None:
    response = await api.get(f"/builds/{build_id}{path}")
    assert response.status_code == (422 if "%00" in build_id else 404)


async def test_a_version_of_another_project_is_not_found(
    api: httpx2.AsyncClient, services: Services, project: str
) -> None:
    version = (await api.get(f"/projects/{project}/versions")).json()["items"][0]["id"]
    other = (await api.post("/workspaces/default/projects", json={"name": "Other"})).json()["id"]
    assert (await ask(api, other, {"version": version})).status_code == 404
    assert (await ask(api, project, {"version": version})).status_code == 202


async def test_a_project_without_code_says_what_to_do(api: httpx2.AsyncClient) -> None:
    empty = (await api.post("/workspaces/default/projects", json={"name": "Empty"})).json()["id"]
    response = await ask(api, empty)
    assert (response.status_code, response.json()["code"]) == (409, "project.empty")
    assert "versions" in response.json()["hint"]


@pytest.mark.parametrize(
    "body",
    [
        {"stream": "true"},
        {"stream": 1},
        {"options": {"force": "yes"}},
        {"options": {"status": "deployed"}},
        {"options": {"seconds": -1}},
        {"version": 5},
    ],
)
async def test_a_request_that_is_not_one_makes_no_build(
    api: httpx2.AsyncClient, project: str, body: dict[str, object]
) -> None:
    assert (await ask(api, project, body)).status_code == 422
    assert (await api.get("/builds")).json()["items"] == []
