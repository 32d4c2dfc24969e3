"""`/preview/{project_id}/…` of a real server, and the preview's own origin beside it."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import pytest

if TYPE_CHECKING:
    from tests.server import Server

PAGE = "<!doctype html><html><head><title>shop</title></head><body>hello</body></html>"
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}


@pytest.fixture
def project(server: "Server") -> dict[str, Any]:
    """A plain page that is shown."""
    project = server.project("Shop")
    files = [{"path": "index.html", "content": PAGE}, {"path": "data.json", "content": "{}"}]
    answer = server.http.post(f"/projects/{project['id']}/sync", json={"files": files, "wait": True})
    assert answer.json()["status"] == "ready", answer.text
    return project | {"version": answer.json()["version"]}


def get(server: "Server", path: str, *, token: bool = False, **options: Any) -> httpx2.Response:
    authorization = {"Authorization": server.http.headers["Authorization"]} if token else {}
    headers = {**authorization, **options.pop("headers", {})}
    return httpx2.get(f"{server.url}{path}", headers=headers, follow_redirects=False, **options)


def test_programs_get_the_bytes_in_a_sandbox(server: "Server", project: dict[str, Any]) -> None:
    answer = get(server, f"/preview/{project['id']}/")
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["Content-Security-Policy"] == "sandbox allow-scripts allow-forms"
    assert answer.headers["X-Headrace-Version"] == project["version"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert get(server, f"/preview/{project['id']}/data.json").json() == {}
    assert get(server, f"/preview/{project['id']}/nothing").json()["code"] == "page.not_found"
    assert get(server, f"/preview/{project['id']}").headers["Location"] == f"/preview/{project['id']}/"
    assert get(server, "/preview/prj_01m7xpeyhy9gptce7gk34taj0d/").status_code == 404


def test_browsers_are_sent_to_the_previews_own_origin(server: "Server", project: dict[str, Any]) -> None:
    answer = get(server, f"/preview/{project['id']}/a%20b?x=1&y=%2F", headers=BROWSER)
    port = urlsplit(server.url).port
    own = f"http://{project['slug']}.preview.localhost:{port}/a%20b?x=1&y=%2F"
    assert (answer.status_code, answer.headers["Location"]) == (307, own)
    known = get(server, f"/preview/{project['id']}/", headers=BROWSER, token=True).headers["Location"]
    assert known.startswith(f"http://{project['slug']}.preview.localhost:{port}/?headrace=")


def test_protection_holds_here_too(server: "Server", project: dict[str, Any]) -> None:
    settings = {"settings": {"preview": {"protection": "members"}}}
    assert server.http.patch(f"/projects/{project['id']}", json=settings).is_success
    path = f"/preview/{project['id']}/"
    refused = get(server, path)
    assert (refused.status_code, refused.json()["code"]) == (401, "preview.members_only")
    assert get(server, path, token=True).text == PAGE
    link = get(server, path, headers=BROWSER, token=True).headers["Location"]
    assert get(server, f"{path}?{urlsplit(link).query}").text == PAGE


def test_min_version_waits_for_an_edit(server: "Server", project: dict[str, Any]) -> None:
    files = [{"path": "index.html", "content": PAGE.replace("hello", "again")}]
    answer = server.http.post(f"/projects/{project['id']}/sync", json={"files": files})
    version = answer.json()["version"]
    shown = get(server, f"/preview/{project['id']}/?min_version={version}")
    assert (shown.status_code, shown.headers["X-Headrace-Version"]) == (200, version)
    assert "again" in shown.text


def test_a_password_set_by_the_api_opens_the_previews_own_origin(server: "Server", project: dict[str, Any]) -> None:
    settings = {"settings": {"preview": {"protection": "password", "password": "open sesame"}}}
    changed = server.http.patch(f"/projects/{project['id']}", json=settings)
    assert changed.is_success, changed.text
    assert "sesame" not in changed.text
    host = {"Host": f"{project['slug']}.preview.localhost"}
    assert get(server, "/", headers=host).status_code == 401
    form = {"password": "open sesame", "to": "/data.json"}
    opened = httpx2.post(f"{server.url}/.headrace/password", data=form, headers=host, follow_redirects=False)
    assert (opened.status_code, opened.headers["Location"]) == (303, "/data.json")
    cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
    assert get(server, "/data.json", headers={**host, **cookie}).json() == {}
