"""
Every route of the API against those who may not: no token, wrong tokens, ids of nobody, of another kind and of what is gone.

A new route has to be written into the table below, or the first test fails.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from headrace.api.app import _with_routes, openapi_document
from headrace.model.ids import new_id

#: Operations that say nothing of any project, and answer everybody.
OPEN = {"healthz", "readyz", "metrics", "version"}
#: Every other operation, with the body that a request needs to be read as far as its address.
GUARDED: dict[str, Any] = {
    "create_project": {"name": "x"},
    "list_projects": None,
    "get_project": None,
    "change_project": {},
    "delete_project": None,
    "list_bucket": None,
    "upload": b"x",
    "list_versions": None,
    "get_version": None,
    "list_files": None,
    "get_changes": None,
    "sync_project": {"files": []},
    "sync": {"project_id": "{project_id}", "files": []},
    "ask_for_build": {},
    "list_project_builds": None,
    "ask_for_config_build": {},
    "list_builds": None,
    "get_build": None,
    "get_plan": None,
    "get_artifact": None,
    "get_cache_decisions": None,
    "get_network": None,
    "cancel": None,
    "build_events": None,
    "build_logs": None,
    "list_previews": None,
    "get_preview": None,
    "wake_preview": None,
    "stop_preview": None,
    "make_link": {},
    "preview_events": None,
    "list_secrets": None,
    "set_secret": {"value": "x"},
    "delete_secret": None,
    "list_cache": None,
    "prune_cache": {"bytes": 2**50},
    "remove_layer": None,
    "verify_cache": None,
    "revoke_build": {"build": "{build_id}"},
}
#: Routes that are not in the document: for browsers, with links and cookies of their own; see their own tests.
FOR_BROWSERS = {
    "/preview/{project_id}",
    "/preview/{project_id}/{path:path}",
    "/view/assets/{name}",
    "/view/{project_id}",
}

#: Path parameters that name something of a workspace.
IDS = {"workspace": "ws", "project_id": "prj", "version_id": "ver", "build_id": "build"}


def operations() -> Iterator[tuple[str, str, str]]:
    """Operation id, method and path."""
    for path, of_path in openapi_document()["paths"].items():
        for method, operation in of_path.items():
            yield operation["operationId"], method.upper(), path


GUARDED_OPERATIONS = [one for one in operations() if one[0] not in OPEN]


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text.replace("{name}", "A").replace("{digest}", "sha256:" + "0" * 64)


def ask(
    client: httpx2.Client, operation: str, method: str, path: str, values: Mapping[str, str], **more: Any
) -> httpx2.Response:
    body = GUARDED.get(operation)
    if isinstance(body, bytes):
        more |= {"content": body, "headers": {"Content-Type": "application/x-tar", **more.get("headers", {})}}
    elif body is not None:
        more["json"] = {key: _filled(one, values) if isinstance(one, str) else one for key, one in body.items()}
    return client.request(method, _filled(path, values), **more)


@pytest.fixture
def nobody(api_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=api_url, timeout=30) as client:
        yield client


@pytest.fixture
def somebody(api_url: str, api_token: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=api_url, timeout=30, headers={"Authorization": f"Bearer {api_token}"}) as client:
        yield client


def test_every_route_has_an_entry() -> None:
    assert {operation for operation, _, _ in operations()} == OPEN | GUARDED.keys()
    hidden = {route.path for route in _with_routes().routes if isinstance(route, Route)} - {
        p for _, _, p in operations()
    }
    assert hidden == FOR_BROWSERS | {"/openapi.json"}


@pytest.mark.parametrize(
    "wrong", [None, "", "Bearer", "Bearer wrong", "Basic eDp5", "Bearer {token}x", "bearer {token} {token}"]
)
def test_nobody_without_the_token_gets_past_a_guarded_route(
    nobody: httpx2.Client, api_token: str, wrong: str | None
) -> None:
    headers = {} if wrong is None else {"Authorization": wrong.format(token=api_token)}
    for operation, method, path in GUARDED_OPERATIONS:
        answer = ask(nobody, operation, method, path, dict.fromkeys(IDS, "x"), headers=headers)
        problem = answer.json()
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (operation, answer.text)
        assert problem["code"] in ("auth.required", "token.invalid"), operation
        assert "x does not exist" not in answer.text


def test_a_token_in_the_address_opens_nothing(nobody: httpx2.Client, api_token: str) -> None:
    for operation, method, path in GUARDED_OPERATIONS:
        answer = ask(nobody, operation, method, path, dict.fromkeys(IDS, "x"), params={"access_token": api_token})
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.query_forbidden"), operation
        assert api_token not in answer.text


@pytest.fixture
def gone(somebody: httpx2.Client) -> dict[str, str]:
    """Ids of a project, a version and a build that were there until a moment ago."""
    project = somebody.post("/api/v1/workspaces/default/projects", json={"name": "gone"}).json()["id"]
    sent = {"files": [{"path": "index.html", "content": "<h1>x</h1>"}]}
    version = somebody.post(f"/api/v1/projects/{project}/sync", json=sent).json()["version"]
    build = somebody.post(f"/api/v1/projects/{project}/builds", json={"options": {"wait": True}}).json()["id"]
    assert somebody.delete(f"/api/v1/projects/{project}", params={"force": "true"}).status_code == 204
    return {"workspace": "default", "project_id": project, "version_id": version, "build_id": build}


def test_what_is_not_the_callers_answers_as_what_never_was(somebody: httpx2.Client, gone: dict[str, str]) -> None:
    asked = 0
    for operation, method, path in GUARDED_OPERATIONS:
        named = [name for name in IDS if f"{{{name}}}" in path or f"{{{name}}}" in str(GUARDED[operation])]
        if not named or named == ["workspace"]:
            continue
        never = {name: new_id(kind) if name != "workspace" else "default" for name, kind in IDS.items()}  # type: ignore[arg-type]
        crossed = {
            "workspace": "default",
            "project_id": gone["build_id"],
            "version_id": gone["project_id"],
            "build_id": gone["version_id"],
        }
        odd = {"workspace": "default", **dict.fromkeys(("project_id", "version_id", "build_id"), "no..id")}
        shapes = []
        for values in (never, gone, crossed, odd):
            answer = ask(somebody, operation, method, path, values)
            assert answer.status_code == 404, (operation, values, answer.text)
            problem = answer.json()
            problem["detail"] = problem["detail"].replace(values[named[-1]], "ID")
            shapes.append({**problem, "request_id": ""})
            asked += 1
        assert all(shape == shapes[0] for shape in shapes), shapes
    assert asked > 80


def test_another_workspace_is_no_workspace(somebody: httpx2.Client) -> None:
    for operation, method, path in GUARDED_OPERATIONS:
        if "{workspace}" in path:
            answer = ask(somebody, operation, method, path, {**dict.fromkeys(IDS, "x"), "workspace": "theirs"})
            assert (answer.status_code, answer.json()["detail"]) == (404, "theirs does not exist"), operation


def test_an_id_of_ones_own_under_the_wrong_parent_is_not_found(somebody: httpx2.Client) -> None:
    def project(name: str) -> tuple[str, str]:
        made = somebody.post("/api/v1/workspaces/default/projects", json={"name": name}).json()["id"]
        sent = {"files": [{"path": "index.html", "content": name}]}
        return made, somebody.post(f"/api/v1/projects/{made}/sync", json=sent).json()["version"]

    (one, version), (_, other) = project("one"), project("other")
    answers = {
        "a build of another project's version": somebody.post(
            f"/api/v1/projects/{one}/builds", json={"version": other}
        ),
        "a comparison with another project's version": somebody.get(
            f"/api/v1/versions/{version}/changes", params={"against": other}
        ),
        "a sync over another project's version": somebody.post(
            f"/api/v1/projects/{one}/sync", json={"files": [], "base_version": other}
        ),
    }
    assert {what: answer.status_code for what, answer in answers.items()} == dict.fromkeys(answers, 404) | {
        "a sync over another project's version": 422
    }
