"""Projects over HTTP."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from headrace.api.project_rules import check_source
from headrace.errors import InvalidInput
from headrace.model.build import Build
from headrace.model.ids import new_id
from headrace.model.version import DirectorySource
from headrace.pipeline.services import Services
from headrace.records import builds
from headrace.settings import Settings

LIST = "/workspaces/default/projects"


async def make(api: httpx2.AsyncClient, **fields: object) -> httpx2.Response:
    return await api.post(LIST, json={"name": "Shop", **fields})


async def made(api: httpx2.AsyncClient, **fields: object) -> dict[str, Any]:
    response = await make(api, **fields)
    assert response.status_code == 201, response.text
    project: dict[str, Any] = response.json()
    return project


async def running_build(services: Services, project_id: str) -> Build:
    build = Build(id=new_id("build"), project_id=project_id, created_at="2026-11-20T00:00:00.000Z")
    async with services.db.write() as c:
        await builds.save(c, build)
    return build


async def test_a_project_is_made_with_a_slug_from_its_name_and_found_again(api: httpx2.AsyncClient) -> None:
    response = await make(api, name="My Shop!")
    project = response.json()
    assert (response.status_code, project["slug"], project["url"]) == (201, "my-shop", "http://my-shop.localhost:7700/")
    again = await api.get(response.headers["location"].removeprefix("/api/v1"))
    assert (again.status_code, again.json()) == (200, project)


@pytest.mark.parametrize(
    "name", ["a;touch /tmp/C;$(id)", "`id`", "%0a", "naïve 🚀", "a\nb\x1b[31m", "'; DROP TABLE projects"]
)
async def test_a_name_is_only_data(api: httpx2.AsyncClient, name: str) -> None:
    project = await made(api, name=name)
    assert project["name"] == name
    assert (await api.get(f"/projects/{project['id']}")).json()["name"] == name


async def test_equal_names_get_different_slugs(api: httpx2.AsyncClient) -> None:
    assert [(await made(api))["slug"] for _ in range(3)] == ["shop", "shop-2", "shop-3"]


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"slug": ".."}, "slug.invalid", "/slug"),
        ({"slug": "a/b"}, "slug.invalid", "/slug"),
        ({"slug": "..%2f"}, "slug.invalid", "/slug"),
        ({"slug": "CON"}, "slug.invalid", "/slug"),
        ({"slug": "-rf"}, "slug.invalid", "/slug"),
        ({"slug": "a\n"}, "slug.invalid", "/slug"),
        ({"slug": "x" * 300}, "slug.invalid", "/slug"),
        ({"slug": "p\u0430ypal"}, "slug.invalid", "/slug"),
        ({"slug": "xn--pypal-4ve"}, "slug.invalid", "/slug"),
        ({"slug": "api"}, "slug.reserved", "/slug"),
        ({"slug": "01m7xpeyhy9gptce7gk34taj0d"}, "slug.reserved", "/slug"),
        ({"name": "x" * 201}, "name.too_long", "/name"),
        ({"name": " "}, "name.empty", "/name"),
        ({"name": 5}, "field.type", "/name"),
        ({"workspace": "other"}, "field.unknown", "/workspace"),
        ({"id": "prj_1", "created_at": "x"}, "field.unknown", "/id"),
        ({"settings": {"env": {"A B": "x"}}}, "env.invalid", "/settings/env/A B"),
        ({"settings": {"env": {"A": "x" * 40_000}}}, "env.too_large", "/settings/env/A"),
        ({"settings": {"root": "../.."}}, "config.workdir_invalid", "/settings/root"),
        ({"settings": {"root": "/etc"}}, "config.workdir_invalid", "/settings/root"),
        ({"settings": {"limits": {"cpus": "5"}}}, "field.type", "/settings/limits/cpus"),
        ({"settings": {"limits": {"cpus": True}}}, "field.type", "/settings/limits/cpus"),
        ({"settings": {"limits": {"cpus": 100_000}}}, "limit.too_high", "/settings/limits/cpus"),
        ({"source": {"kind": "archive", "path": "/etc/passwd"}}, "field.invalid", "/source"),
        (
            {"source": {"kind": "git", "url": "https://a:b@host.example/x.git"}},
            "source.credential_in_url",
            "/source/url",
        ),
        ({"source": {"kind": "version", "version": "ver_x"}}, "source.version_unknown", "/source/version"),
        (
            {"source": {"kind": "version", "version": "ver_01m7xpeyhy9gptce7gk34taj0d"}},
            "source.version_unknown",
            "/source/version",
        ),
        ({"source": {"kind": "directory", "path": "relative"}}, "source.path_invalid", "/source/path"),
    ],
)
async def test_what_a_project_cannot_be_is_refused_with_its_place(
    api: httpx2.AsyncClient, fields: dict[str, object], code: str, pointer: str
) -> None:
    response = await make(api, **fields)
    problem = response.json()
    assert (response.status_code, problem["code"], problem["errors"][0]["pointer"]) == (422, code, pointer)
    assert (await api.get(LIST)).json()["items"] == []


@pytest.mark.parametrize(
    "url", ["ext::sh -c id", "--upload-pack=x", "file:///etc", "/etc", "git://host.example/x", "http://host.example/x"]
)
async def test_a_git_url_that_is_not_https_is_refused_at_once(api: httpx2.AsyncClient, url: str) -> None:
    response = await make(api, source={"kind": "git", "url": url})
    assert (response.status_code, response.json()["code"]) == (422, "source.url_not_allowed")


async def test_a_taken_slug_is_a_conflict(api: httpx2.AsyncClient) -> None:
    await made(api, slug="taken")
    response = await make(api, slug="taken")
    assert (response.status_code, response.json()["code"]) == (409, "slug.taken")


async def test_pages_lead_through_all_projects_by_cursor_and_by_link(api: httpx2.AsyncClient) -> None:
    ids = [(await made(api))["id"] for _ in range(5)]
    seen: list[str] = []
    address: str | None = f"{LIST}?limit=2"
    while address:
        page = await api.get(address)
        seen += [project["id"] for project in page.json()["items"]]
        link = page.links.get("next", {}).get("url")
        assert (link is None) == (page.json()["next_cursor"] is None)
        address = link.removeprefix("/api/v1") if link else None
    assert seen == ids[::-1]


async def test_a_project_is_found_by_its_slug(api: httpx2.AsyncClient) -> None:
    await made(api, slug="a")
    wanted = await made(api, slug="b")
    assert (await api.get(LIST, params={"slug": "b"})).json()["items"] == [wanted]


@pytest.mark.parametrize("query", ["limit=0", "limit=1000000000", "limit=x", "cursor=zzz", "cursor=prj_';--"])
async def test_a_page_that_cannot_be_is_refused(api: httpx2.AsyncClient, query: str) -> None:
    response = await api.get(f"{LIST}?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "page.invalid")


async def test_a_parameter_that_does_not_exist_is_refused(api: httpx2.AsyncClient) -> None:
    response = await api.get(f"{LIST}?sort=name;drop")
    assert (response.status_code, response.json()["code"]) == (422, "query.unknown")


async def test_another_workspace_and_unknown_ids_answer_alike(api: httpx2.AsyncClient) -> None:
    codes = {
        (await api.get(path)).json()["code"]
        for path in ("/workspaces/other/projects", f"/projects/{new_id('prj')}", "/projects/%00", "/projects/..%2fx")
    }
    assert codes <= {"not_found", "string.nul"}
    assert (await api.post("/workspaces/other/projects", json={"name": "x"})).status_code == 404


async def test_a_change_merges_and_null_takes_away(api: httpx2.AsyncClient) -> None:
    project = await made(api, settings={"env": {"A": "1", "B": "2"}, "limits": {"build_seconds": 60}})
    change = {"name": "New", "settings": {"env": {"A": None, "C": "3"}, "limits": {"build_seconds": None}}}
    changed = (await api.patch(f"/projects/{project['id']}", json=change)).json()
    assert (changed["name"], changed["slug"]) == ("New", project["slug"])
    assert changed["settings"]["env"] == {"B": "2", "C": "3"}
    assert changed["settings"]["limits"]["build_seconds"] is None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": None}, "/name"),
        ({"settings": {"limits": {"cpus": "5"}}}, "/settings/limits/cpus"),
        ({"settings": {"unknown": 1}}, "/settings/unknown"),
        ({"slug": "A"}, "/slug"),
    ],
)
async def test_a_change_that_cannot_be_changes_nothing(
    api: httpx2.AsyncClient, change: dict[str, object], pointer: str
) -> None:
    project = await made(api)
    response = await api.patch(f"/projects/{project['id']}", json={"name": "New", **change})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await api.get(f"/projects/{project['id']}")).json() == project


async def test_a_reader_that_has_it_gets_304_and_a_stale_writer_412(api: httpx2.AsyncClient) -> None:
    path = f"/projects/{(await made(api))['id']}"
    first = await api.get(path)
    etag = first.headers["etag"]
    fresh = await api.get(path, headers={"If-None-Match": f'"x", W/{etag}'})
    assert (fresh.status_code, fresh.content) == (304, b"")
    changed = await api.patch(path, json={"name": "B"}, headers={"If-Match": etag})
    assert changed.status_code == 200
    for stale in (
        await api.patch(path, json={"name": "C"}, headers={"If-Match": etag}),
        await api.delete(path, headers={"If-Match": etag}),
    ):
        assert (stale.status_code, stale.json()["code"]) == (412, "precondition.failed")
    current = await api.get(path)
    assert (current.headers["etag"], current.json()["name"]) == (changed.headers["etag"], "B")


async def test_a_deleted_project_is_gone(api: httpx2.AsyncClient) -> None:
    path = f"/projects/{(await made(api))['id']}"
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert (await api.delete(path)).status_code == 404


async def test_a_busy_project_is_deleted_by_force_only(api: httpx2.AsyncClient, services: Services) -> None:
    project = await made(api)
    build = await running_build(services, project["id"])
    refused = await api.delete(f"/projects/{project['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "project.busy")
    forced = await api.delete(f"/projects/{project['id']}", params={"force": "true"})
    assert (forced.status_code, forced.content) == (204, b"")
    assert (await api.get(f"/builds/{build.id}")).status_code == 404


async def test_a_directory_is_a_source_for_a_server_of_ones_own(api: httpx2.AsyncClient, tmp_path: Path) -> None:
    source = {"kind": "directory", "path": str(tmp_path)}
    assert (await made(api, source=source))["source"] == source


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "builds.example"])  # noqa: S104
def test_a_directory_is_no_source_for_a_server_that_others_reach(host: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_source(DirectorySource(path=str(tmp_path)), Settings(host=host, data_dir=tmp_path))
    assert caught.value.exact_code == "source.directory_forbidden"
