"""Who is let in, by which name, and how errors answer."""

import httpx2
import pytest
from fastapi import FastAPI

from headrace.api.app import create_app
from headrace.api.auth import FAILURES_ALLOWED, OPEN_PATHS, Failures
from headrace.pipeline.services import Services
from headrace.preview.sessions import Previews

BUILDS = "http://localhost/api/v1/builds"


@pytest.fixture
def app(services: Services, previews: Previews) -> FastAPI:
    return create_app(services, previews)


@pytest.fixture
def stranger(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "auth.required"),
        ("", "auth.required"),
        ("Bearer", "token.invalid"),
        ("Bearer ", "token.invalid"),
        ("Bearer wrong", "token.invalid"),
        ("Basic aGVhZHJhY2U6eA==", "token.invalid"),
        ("Bearer eyJhbGciOiJub25lIn0.e30.", "token.invalid"),
        ("Bearer " + "x" * 100_000, "token.invalid"),
        ("Bearer t\u00f6ken", "token.invalid"),
    ],
)
async def test_nobody_gets_in_without_the_token(stranger: httpx2.AsyncClient, header: str | None, code: str) -> None:
    headers = [] if header is None else [(b"Authorization", header.encode())]
    response = await stranger.get(BUILDS, headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, code)
    assert response.headers["www-authenticate"] == "Bearer"


async def test_every_path_of_the_api_needs_the_token(app: FastAPI, stranger: httpx2.AsyncClient) -> None:
    paths = app.openapi()["paths"]
    assert len(paths) > 20
    for path, operations in paths.items():
        for method in operations:
            response = await stranger.request(method, path)
            open_path = path in OPEN_PATHS
            assert (response.status_code == 200) if open_path else (response.status_code in (401, 429)), path


async def test_a_wrong_token_gets_401_on_paths_that_do_not_exist_too(stranger: httpx2.AsyncClient) -> None:
    assert (await stranger.get("/api/v1/nothing")).status_code == 401


async def test_two_authorization_headers_are_one_too_many(api: httpx2.AsyncClient) -> None:
    token = api.headers["authorization"].encode()
    headers = [(b"Authorization", token), (b"Authorization", b"Bearer other")]
    response = await api.get("/builds", headers=httpx2.Headers(headers))
    assert response.status_code in (400, 401)


@pytest.mark.parametrize("name", ["token", "access_token", "API_KEY", "key"])
async def test_a_token_in_the_address_is_refused_even_beside_a_good_one(api: httpx2.AsyncClient, name: str) -> None:
    response = await api.get("/builds", params={name: "secret"})
    assert (response.status_code, response.json()["code"]) == (401, "auth.query_forbidden")
    assert "secret" not in response.text


async def test_guessing_is_slowed_down_and_the_right_token_still_works(
    stranger: httpx2.AsyncClient, api: httpx2.AsyncClient
) -> None:
    answers = [(await stranger.get(BUILDS)).status_code for _ in range(FAILURES_ALLOWED + 1)]
    assert answers == [401] * FAILURES_ALLOWED + [429]
    refused = await stranger.get(BUILDS)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("auth.too_many_failures", "60")
    assert (await api.get("/builds")).status_code == 200


def test_failures_are_forgotten_after_a_minute_and_counted_for_each_address() -> None:
    now = 0.0
    failures = Failures(clock=lambda: now)
    assert all(failures.add("a") for _ in range(FAILURES_ALLOWED))
    assert not failures.add("a")
    assert failures.add("b")
    now = 61.0
    assert failures.add("a")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example", "shop.localhost.x"]
)
async def test_a_foreign_host_name_is_refused(api: httpx2.AsyncClient, host: str) -> None:
    response = await api.get("/builds", headers={"Host": host})
    assert (response.status_code, response.json()["code"]) == (421, "host.unknown")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7700", "127.0.0.1:7700", "[::1]:7700", "192.0.2.1"])
async def test_localhost_and_addresses_are_known(api: httpx2.AsyncClient, host: str) -> None:
    assert (await api.get("/builds", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/builds/", 404, "not_found"),
        ("PUT", "/builds", 405, "method.not_allowed"),
        ("TRACE", "/builds", 405, "method.not_allowed"),
        ("OPTIONS", "/builds", 405, "method.not_allowed"),
        ("GET", "/workspaces/default/configs/x/builds", 405, "method.not_allowed"),
    ],
)
async def test_every_refusal_is_a_problem_with_a_code(
    api: httpx2.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    response = await api.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    problem = response.json()
    assert (problem["code"], problem["status"], problem["type"]) == (code, status, f"urn:headrace:error:{code}")
    assert problem["request_id"] == response.headers["x-request-id"]


async def test_an_override_header_changes_no_method(api: httpx2.AsyncClient) -> None:
    made = (await api.post("/workspaces/default/projects", json={"name": "x"})).json()
    await api.get(f"/projects/{made['id']}", headers={"X-HTTP-Method-Override": "DELETE"})
    assert (await api.get(f"/projects/{made['id']}")).status_code == 200


async def test_our_own_fault_says_nothing_of_the_inside(services: Services, app: FastAPI) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("/srv/secret/path of the inside")

    transport = httpx2.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {services.settings.token}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        response = await client.get("/broken")
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "inside" not in response.text


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False)])
async def test_a_request_keeps_the_id_that_its_client_chose(api: httpx2.AsyncClient, given: str, kept: bool) -> None:
    response = await api.get("/builds", headers={"X-Request-Id": given})
    assert (response.headers["x-request-id"] == given) is kept


async def test_answers_are_not_sniffed_or_framed(api: httpx2.AsyncClient) -> None:
    headers = (await api.get("/builds")).headers
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
