"""A server in a thread, wired as always, whose executor starts no process: plain pages are built for real."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn

from headrace.api.app import create_app
from headrace.bootstrap import open_services, working
from headrace.model.artifact import Manifest
from headrace.model.event import BuildCompleted, BuildCreated, CacheDecision, Log, PlanMade
from headrace.model.plan import BuildPlan, CacheKey, KeyInput
from headrace.model.project import Project
from headrace.model.version import Author, Tree, TreeFile, Version
from headrace.pipeline.services import Services
from headrace.preview.sessions import open_previews
from headrace.records import projects, versions
from headrace.settings import Settings
from headrace.tree import canonical, store_entries

TOKEN = "hr_api_0123456789abcdefghijklmnopqrstuvwxyz"

#: What the server has from the start.
IDS = {
    "project_id": "prj_01m7xpeyhy9gptce7gk34taj0d",
    "version_id": "ver_01m7xpeyhy9gptce7gk34taj0d",
    "build_id": "build_01m7xpeyhy9gptce7gk34taj0d",
}


async def _serve(root: Path, started: threading.Event, found: dict[str, Any]) -> None:
    settings = Settings(data_dir=root, token=TOKEN, upload_bytes=100_000, executor="fake")
    async with open_services(settings) as services, working(services), open_previews(services) as previews:
        await _fill(services)
        app = create_app(services, previews, failures_allowed=10**6)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        services.public.port = server.servers[0].sockets[0].getsockname()[1]
        found.update(server=server, port=services.public.port)
        started.set()
        await serving


async def _fill(services: Services) -> None:
    """A project with a version, and a build that ended with a plan, an artifact and a log."""
    now, (project_id, version_id, build_id) = "2026-11-20T00:00:00.000Z", IDS.values()
    page = await services.store.put(b"<h1>hello</h1>")
    tree = await store_entries(services.store, Tree(files=(TreeFile(path="index.html", digest=page, size=14),)))
    plan = await services.store.put(canonical(BuildPlan(framework="static", output="")))
    manifest = await services.store.put(canonical(Manifest(files=())))
    version = Version(
        id=version_id,
        project_id=project_id,
        tree=tree,
        author=Author(kind="user", name="ada"),
        files=1,
        bytes=14,
        created_at=now,
    )
    key = CacheKey(digest=tree, inputs=(KeyInput(name="tree", digest=tree),))
    async with services.db.write() as c:
        await projects.insert(c, Project(id=project_id, workspace="default", name="Shop", slug="shop", created_at=now))
        await versions.insert(c, version)
    build = {"build_id": build_id}
    log = [{"step": "build", "stream": "stdout", "line": f"line {n}"} for n in range(20)]
    await services.journal.record_all(
        [
            BuildCreated.model_validate({**build, "project_id": project_id, "version_id": version_id}),
            PlanMade.model_validate({**build, "plan": plan, "framework": "static", "output": ""}),
            CacheDecision.model_validate(
                {**build, "step": "plan", "cache": "result", "key": key, "hit": False, "explanation": "miss"}
            ),
            *(Log.model_validate({**build, **line}) for line in log),
            BuildCompleted.model_validate(
                {**build, "status": "succeeded", "seconds": 1, "artifact": manifest, "result_key": tree}
            ),
        ],
        close=True,
    )


@pytest.fixture(scope="module")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # a thousand requests, and nobody reads them
    started, found = threading.Event(), dict[str, Any]()
    root = tmp_path_factory.mktemp("server")
    thread = threading.Thread(target=lambda: asyncio.run(_serve(root, started, found)))
    thread.start()
    assert started.wait(30)
    yield f"http://127.0.0.1:{found['port']}"
    found["server"].should_exit = True
    thread.join(30)
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def api_token() -> str:
    return TOKEN
