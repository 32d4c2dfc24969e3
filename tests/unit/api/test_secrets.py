"""Secrets by the API: write-only, sealed, named."""

from pathlib import Path

import httpx2
import pytest

VALUE = "canary-5f2c-0123456789"


async def project(api: httpx2.AsyncClient) -> str:
    made = await api.post("/workspaces/default/projects", json={"name": "shop"})
    return str(made.json()["id"])


async def test_a_secret_is_set_named_and_taken_away_and_its_value_never_shown(api: httpx2.AsyncClient) -> None:
    where = f"/projects/{await project(api)}/secrets"
    put = await api.put(f"{where}/NPM_TOKEN", json={"value": VALUE})
    listed = await api.get(where)
    assert (put.status_code, put.json()["name"], put.json()["masked"]) == (200, "NPM_TOKEN", True)
    assert listed.json()["items"] == [put.json()]
    assert VALUE not in put.text + listed.text
    assert (await api.delete(f"{where}/NPM_TOKEN")).status_code == 204
    assert (await api.get(where)).json()["items"] == []
    assert (await api.delete(f"{where}/NPM_TOKEN")).status_code == 404


async def test_the_database_holds_no_value_that_can_be_read(api: httpx2.AsyncClient, tmp_path: Path) -> None:
    await api.put(f"/projects/{await project(api)}/secrets/NPM_TOKEN", json={"value": VALUE})
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("headrace.db*"))
    assert b"NPM_TOKEN" in stored
    assert VALUE.encode() not in stored


async def test_a_value_that_is_too_short_to_be_masked_is_said_to_be(api: httpx2.AsyncClient) -> None:
    where = f"/projects/{await project(api)}/secrets"
    for value in ("0", "true", "abc"):
        assert (await api.put(f"{where}/FLAG", json={"value": value})).json()["masked"] is False


@pytest.mark.parametrize(
    "value", ["a\nb\n", '{"a": "b"}', "(.*)[a-z]+$", "ünïcödé-🔑", "-----BEGIN-----\nx\n-----END-----"]
)
async def test_values_of_every_shape_are_taken(api: httpx2.AsyncClient, value: str) -> None:
    answer = await api.put(f"/projects/{await project(api)}/secrets/KEY", json={"value": value})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("1ST", {"value": "x"}, "secret.name_invalid"),
        ("A=B", {"value": "x"}, "secret.name_invalid"),
        ("PATH", {"value": "x"}, "secret.name_invalid"),
        ("A" * 129, {"value": "x"}, "secret.name_invalid"),
        ("A", {"value": "x" * 40_000}, None),
        ("A", {"value": ""}, None),
        ("A", {"value": "a\u0000b"}, "string.nul"),
        ("A", {"value": 5}, None),
        ("A", {}, None),
        ("A", {"value": "x", "masked": True}, None),
    ],
)
async def test_what_can_be_no_secret_is_refused(
    api: httpx2.AsyncClient, name: str, body: dict[str, object], code: str | None
) -> None:
    where = f"/projects/{await project(api)}/secrets"
    answer = await api.put(f"{where}/{name}", json=body)
    assert answer.status_code == 422, answer.text
    if code:
        assert code in answer.text
    assert (await api.get(where)).json()["items"] == []


async def test_a_project_has_a_hundred_at_most_and_each_may_be_set_anew(api: httpx2.AsyncClient) -> None:
    where = f"/projects/{await project(api)}/secrets"
    for number in range(100):
        assert (await api.put(f"{where}/S{number}", json={"value": VALUE})).status_code == 200
    refused = await api.put(f"{where}/ONE_MORE", json={"value": VALUE})
    assert (refused.status_code, refused.json()["code"]) == (422, "secret.too_many")
    assert (await api.put(f"{where}/S7", json={"value": "another one"})).status_code == 200


async def test_secrets_of_a_project_go_with_it(api: httpx2.AsyncClient, tmp_path: Path) -> None:
    made = await project(api)
    await api.put(f"/projects/{made}/secrets/NPM_TOKEN", json={"value": VALUE})
    assert (await api.delete(f"/projects/{made}")).status_code == 204
    assert (await api.get(f"/projects/{made}/secrets")).status_code == 404
