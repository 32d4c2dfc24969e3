"""What wakes a preview that was put to sleep, and what doesn't."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from headrace.preview.sessions import Previews

SITE = {"files": [{"path": "index.html", "content": "<h1>Hello</h1>"}], "wait": True, "timeout": 60}


@pytest.fixture
async def project(api: httpx2.AsyncClient) -> str:
    made = (await api.post("/workspaces/default/projects", json={"name": "shop"})).json()["id"]
    synced = await api.post(f"/projects/{made}/sync", json=SITE)
    assert synced.json()["status"] == "ready", synced.text
    return str(made)


async def status(api: httpx2.AsyncClient, project: str) -> str:
    return str((await api.get(f"/projects/{project}/preview")).json()["status"])


@pytest.fixture
async def open_pages(previews: Previews, project: str) -> AsyncIterator[None]:
    """Pages that never stop asking."""

    async def ask() -> None:
        while True:
            assert await previews.visit("shop", of_open_page=True)
            await asyncio.sleep(0.001)

    asking = [asyncio.create_task(ask()) for _ in range(5)]
    yield
    for task in asking:
        task.cancel()
    ends = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)


@pytest.mark.usefixtures("open_pages")
async def test_open_pages_that_never_stop_asking_do_not_wake_it(
    api: httpx2.AsyncClient, previews: Previews, project: str
) -> None:
    for _ in range(10):
        assert (await api.post(f"/projects/{project}/preview/stop")).json()["status"] == "asleep"
        await asyncio.sleep(0.01)
        assert await status(api, project) == "asleep"
        resting = await previews.visit("shop", of_open_page=True)
        assert resting
        assert resting.rests
        assert resting.manifest is not None, "its page is kept"
        await api.post(f"/projects/{project}/preview/wake")
        while await status(api, project) != "ready":
            await asyncio.sleep(0.001)


async def test_a_visit_a_change_and_a_program_wake_it(
    api: httpx2.AsyncClient, previews: Previews, project: str
) -> None:
    await api.post(f"/projects/{project}/preview/stop")
    await previews.visit("shop")
    assert await status(api, project) == "ready"
    await api.post(f"/projects/{project}/preview/stop")
    await api.post(f"/projects/{project}/sync", json=SITE | {"files": [{"path": "a.txt", "content": "a"}]})
    assert await status(api, project) == "ready"


async def test_one_that_nobody_put_to_sleep_is_woken_by_what_an_open_page_asks(
    api: httpx2.AsyncClient, previews: Previews, project: str
) -> None:
    await previews._sessions[project].sleep("idle")
    assert await status(api, project) == "asleep"
    seen = await previews.visit("shop", of_open_page=True)
    assert seen
    assert not seen.rests
    assert await status(api, project) == "ready"
