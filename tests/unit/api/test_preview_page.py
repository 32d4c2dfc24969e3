"""The page around a preview: a link opens it for one project, and what its cookie allows."""

import time
from typing import Any

import httpx2
import pytest

from headrace.api.viewers import COOKIE
from headrace.preview.links import sign, view_grant, visit_grant
from headrace.preview.sessions import Previews

OWN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def project(api: httpx2.AsyncClient) -> str:
    return str((await api.post("/workspaces/default/projects", json={"name": "shop"})).json()["id"])


@pytest.fixture
def viewer(api: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """Somebody without the token."""
    del api.headers["Authorization"]
    return api


def token_for(previews: Previews, project: str, seconds: int = 3600) -> str:
    return sign(previews.secret, view_grant(project), int(time.time()) + seconds)


def cookie_for(previews: Previews, project: str, of: str | None = None) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}{project}={token_for(previews, of or project)}"}


async def test_a_signed_link_leaves_a_cookie_that_scripts_and_other_sites_cannot_use(
    project: str, viewer: httpx2.AsyncClient, previews: Previews
) -> None:
    answer = await viewer.get(f"http://localhost/view/{project}?access={token_for(previews, project)}")
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}{project}=")
    assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in cookie.split(";")}
    assert token_for(previews, project)[:5] not in answer.text
    page = await viewer.get(f"http://localhost/view/{project}")
    assert page.status_code == 200
    assert 'id="frame"' in page.text


async def test_the_page_runs_nothing_of_others_and_stands_in_no_frame(
    project: str, viewer: httpx2.AsyncClient, previews: Previews
) -> None:
    page = await viewer.get(f"http://localhost/view/{project}", headers=cookie_for(previews, project))
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.endswith("frame-src http://shop.preview.localhost:7700")
    assert "<script>" not in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_a_name_is_text_and_never_markup(api: httpx2.AsyncClient, previews: Previews) -> None:
    name = "<script>x</script>\"{{token}}'"
    project = (await api.post("/workspaces/default/projects", json={"name": name})).json()["id"]
    page = await api.get(f"http://localhost/view/{project}", headers=cookie_for(previews, project))
    assert "&lt;script&gt;x&lt;/script&gt;&quot;{{token}}&#x27;" in page.text


@pytest.mark.parametrize("path", ["", "?access=", "?access=1.x", "?access=99999999999.aaaa", "?access=abc"])
async def test_nobody_comes_in_without_a_good_link(project: str, viewer: httpx2.AsyncClient, path: str) -> None:
    answer = await viewer.get(f"http://localhost/view/{project}{path}")
    assert answer.status_code == (403 if path else 401)
    assert 'id="frame"' not in answer.text
    assert "set-cookie" not in answer.headers


async def test_links_of_another_kind_another_project_or_another_time_open_nothing(
    project: str, viewer: httpx2.AsyncClient, previews: Previews
) -> None:
    later = int(time.time()) + 60
    for token in (
        sign(previews.secret, visit_grant(project), later),
        sign(previews.secret, view_grant("prj_other"), later),
        sign(b"another secret", view_grant(project), later),
        token_for(previews, project, -1),
    ):
        assert (await viewer.get(f"http://localhost/view/{project}?access={token}")).status_code == 403


async def test_the_cookie_lets_see_wake_and_stop_its_own_project(
    project: str, viewer: httpx2.AsyncClient, previews: Previews
) -> None:
    cookie = cookie_for(previews, project)
    path = f"/projects/{project}/preview"
    assert (await viewer.get(path, headers=cookie)).status_code == 200
    assert (await viewer.get(f"{path}/events", headers=cookie)).status_code == 200
    assert (await viewer.post(f"{path}/stop", headers=cookie | OWN)).status_code == 200
    assert (await viewer.post(f"{path}/wake", headers=cookie | OWN)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/projects/{}"),
        ("PATCH", "/projects/{}"),
        ("DELETE", "/projects/{}"),
        ("GET", "/projects/{}/files"),
        ("POST", "/projects/{}/sync"),
        ("POST", "/projects/{}/preview/links"),
        ("POST", "/projects/{}/preview"),
        ("GET", "/projects/{}/preview/wake"),
        ("GET", "/projects/{}/preview/"),
        ("GET", "/projects/{}/preview/events/"),
        ("GET", "/previews"),
        ("GET", "/workspaces/default/projects"),
    ],
)
async def test_the_cookie_allows_nothing_else(
    project: str, viewer: httpx2.AsyncClient, previews: Previews, method: str, path: str
) -> None:
    headers = cookie_for(previews, project) | OWN
    answer = await viewer.request(method, path.format(project), headers=headers)
    assert answer.status_code in (401, 404)
    if answer.status_code == 404:
        assert answer.json()["detail"] == "there is nothing at this path"


async def test_the_cookie_of_one_project_says_nothing_for_another(
    project: str, viewer: httpx2.AsyncClient, previews: Previews
) -> None:
    other = "prj_01hzzzzzzzzzzzzzzzzzzzzzzz"
    for headers in (cookie_for(previews, other), cookie_for(previews, project, of=other)):
        assert (await viewer.get(f"/projects/{project}/preview", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://shop.preview.localhost"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_another_page_can_not_use_the_cookie_to_do_things(
    project: str, viewer: httpx2.AsyncClient, previews: Previews, headers: dict[str, str]
) -> None:
    path = f"/projects/{project}/preview/stop"
    assert (await viewer.post(path, headers=cookie_for(previews, project) | headers)).status_code == 401


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
async def test_another_page_can_not_read_with_the_cookie(
    project: str, viewer: httpx2.AsyncClient, previews: Previews, site: str
) -> None:
    headers: dict[str, Any] = cookie_for(previews, project) | {"Sec-Fetch-Site": site}
    assert (await viewer.get(f"/projects/{project}/preview", headers=headers)).status_code == 401


async def test_a_wrong_token_is_not_made_good_by_a_cookie(
    project: str, viewer: httpx2.AsyncClient, previews: Previews
) -> None:
    headers = cookie_for(previews, project) | {"Authorization": "Bearer wrong"}
    assert (await viewer.get(f"/projects/{project}/preview", headers=headers)).status_code == 401


async def test_scripts_and_styles_of_the_page_are_revalidated(viewer: httpx2.AsyncClient) -> None:
    for name, kind in (("view.js", "text/javascript"), ("view.css", "text/css")):
        first = await viewer.get(f"http://localhost/view/assets/{name}")
        assert first.headers["content-type"].startswith(kind)
        again = await viewer.get(
            f"http://localhost/view/assets/{name}", headers={"If-None-Match": first.headers["etag"]}
        )
        assert again.status_code == 304
    assert (await viewer.get("http://localhost/view/assets/view.html")).status_code in (404, 422)
