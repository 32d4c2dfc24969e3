"""A stranger's version, over HTTP: never the newest one, and nothing that is made of it is trusted."""

from typing import Any

import httpx2
import pytest
from tests.unit.api.test_sync import index, send, sha256
from tests.unit.api.test_versions import upload


@pytest.fixture
async def project(api: httpx2.AsyncClient) -> str:
    """One trusted version, and one that a stranger proposed after it."""
    made = (await api.post("/workspaces/default/projects", json={"name": "Shop"})).json()
    path = f"/projects/{made['id']}/versions"
    await upload(api, path, {"index.html": b"ours"})
    await upload(api, path, {"index.html": b"a stranger's"}, trust="untrusted")
    return str(made["id"])


async def both(api: httpx2.AsyncClient, project: str) -> tuple[Any, Any]:
    theirs, ours = (await api.get(f"/projects/{project}/versions")).json()["items"]
    return ours, theirs


async def built(api: httpx2.AsyncClient, project: str, **body: object) -> Any:
    return (await api.post(f"/projects/{project}/builds", json=body)).json()


async def test_it_says_so_and_is_a_change_of_the_newest_trusted_one(api: httpx2.AsyncClient, project: str) -> None:
    ours, theirs = await both(api, project)
    assert (ours["trust"], theirs["trust"], theirs["parent"]) == ("trusted", "untrusted", ours["id"])
    assert "-ours" in (await api.get(f"/versions/{theirs['id']}")).json()["unified_diff_text"]


async def test_nothing_that_takes_the_newest_version_takes_it(api: httpx2.AsyncClient, project: str) -> None:
    ours, _ = await both(api, project)
    assert (await built(api, project))["version_id"] == ours["id"]
    assert await index(api, project) == {"index.html": sha256("ours")}
    assert (await api.get(f"/projects/{project}/preview")).json()["version"] == ours["id"]
    synced = (await send(api, project, {"more.txt": "1"})).json()
    assert (await api.get(f"/versions/{synced['version']}")).json()["parent"] == ours["id"]
    assert await index(api, project) == {"index.html": sha256("ours"), "more.txt": sha256("1")}


@pytest.mark.parametrize("options", [{}, {"trust": "trusted"}, {"trust": "untrusted"}])
async def test_a_build_of_it_is_untrusted_whatever_is_asked(
    api: httpx2.AsyncClient, project: str, options: dict[str, str]
) -> None:
    _, theirs = await both(api, project)
    build = await built(api, project, version=theirs["id"], options=options)
    assert (build["version_id"], build["options"]["trust"]) == (theirs["id"], "untrusted")
    first = (await api.get(f"/builds/{build['id']}/events", headers={"Accept": "application/x-ndjson"})).text
    assert '"trust":"untrusted"' in first.splitlines()[0]


async def test_a_project_that_is_a_copy_of_it_is_built_as_untrusted(api: httpx2.AsyncClient, project: str) -> None:
    _, theirs = await both(api, project)
    source = {"kind": "version", "version": theirs["id"]}
    copy = (await api.post("/workspaces/default/projects", json={"name": "Copy", "source": source})).json()
    assert (await built(api, copy["id"]))["options"]["trust"] == "untrusted"


async def test_the_same_files_from_somebody_trusted_are_another_version(api: httpx2.AsyncClient, project: str) -> None:
    _, theirs = await both(api, project)
    path = f"/projects/{project}/versions"
    again = await upload(api, path, {"index.html": b"a stranger's"}, trust="untrusted")
    assert (again.status_code, again.json()["id"]) == (200, theirs["id"])
    merged = await upload(api, path, {"index.html": b"a stranger's"})
    assert (merged.status_code, merged.json()["trust"]) == (201, "trusted")
    assert (await built(api, project))["version_id"] == merged.json()["id"]
    # What is trusted already, sent by a stranger, is still a stranger's.
    copied = await upload(api, path, {"index.html": b"a stranger's"}, trust="untrusted")
    assert copied.json()["trust"] == "untrusted"


async def test_no_sync_starts_from_it_or_takes_a_file_of_it_by_name(api: httpx2.AsyncClient, project: str) -> None:
    _, theirs = await both(api, project)
    refused = await send(api, project, {"a": "1"}, base_version=theirs["id"])
    assert (refused.status_code, refused.json()["code"]) == (422, "version.untrusted")
    named = await send(api, project, [{"path": "a", "digest": sha256("a stranger's")}])
    assert named.status_code == 422, named.text
    assert await index(api, project) == {"index.html": sha256("ours")}


async def test_a_project_of_nothing_but_strangers_versions_is_empty(api: httpx2.AsyncClient) -> None:
    made = (await api.post("/workspaces/default/projects", json={"name": "Shop"})).json()
    await upload(api, f"/projects/{made['id']}/versions", {"index.html": b"x"}, trust="untrusted")
    refused = await api.post(f"/projects/{made['id']}/builds", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "project.empty")
    assert await index(api, made["id"]) == {}


async def test_a_trust_that_does_not_exist_is_refused(api: httpx2.AsyncClient, project: str) -> None:
    refused = await upload(api, f"/projects/{project}/versions", {"index.html": b"x"}, trust="full")
    assert refused.status_code == 422
