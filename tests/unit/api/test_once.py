"""`Idempotency-Key`: done once, whoever asks how often."""

import asyncio

import httpx2
import pytest

PATH = "/workspaces/default/projects"


async def post(api: httpx2.AsyncClient, key: str, name: str = "Shop", path: str = PATH) -> httpx2.Response:
    return await api.post(path, json={"name": name}, headers={"Idempotency-Key": key})


async def test_a_hundred_equal_requests_at_once_make_one_project(api: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(post(api, "k") for _ in range(100)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len((await api.get(PATH)).json()["items"]) == 1


async def test_a_repeated_request_gets_the_same_headers(api: httpx2.AsyncClient) -> None:
    first, again = await post(api, "k"), await post(api, "k")
    for name in ("location", "etag", "content-type"):
        assert again.headers[name] == first.headers[name]


async def test_the_key_of_another_request_is_a_conflict(api: httpx2.AsyncClient) -> None:
    first = await post(api, "k")
    other = await post(api, "k", name="Other")
    elsewhere = await api.post("/cache/prune", json={}, headers={"Idempotency-Key": "k"})
    for response in (other, elsewhere):
        assert (response.status_code, response.json()["code"]) == (409, "idempotency.conflict")
    assert (await api.get(PATH)).json()["items"] == [first.json()]


async def test_a_request_that_failed_may_be_repaired_under_its_key(api: httpx2.AsyncClient) -> None:
    await api.post(PATH, json={"name": "a", "slug": "taken"})
    refused = await api.post(PATH, json={"name": "b", "slug": "taken"}, headers={"Idempotency-Key": "k"})
    assert refused.status_code == 409
    assert (await post(api, "k")).status_code == 201


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\x7f", "ü"])
async def test_a_key_is_printable_and_short(api: httpx2.AsyncClient, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode())]
    response = await api.post(PATH, json={"name": "x"}, headers=headers)
    assert response.status_code == 422
