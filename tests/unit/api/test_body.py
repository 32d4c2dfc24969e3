"""Bodies that two programs could read differently are refused before anything is done with them."""

from collections.abc import AsyncIterator

import httpx2
import pytest

PATH = "/workspaces/default/projects"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"name":"a\\u0000b"}', 422, "string.nul"),
        (b'{"na\\u0000me":"a"}', 422, "string.nul"),
        (b'{"name":"\\ud800"}', 422, "body.encoding"),
        (b'{"name":"\xc0\xaf"}', 422, "body.encoding"),
        (b"\xff\xfe{\x00}\x00", 422, "body.encoding"),
        (b"[" * 100_000, 422, "body.too_complex"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, 422, "body.too_complex"),
        (
            b'{"name":"x","settings":{"env":{' + b",".join(b'"A%d":"x"' % n for n in range(30_000)) + b"}}}",
            422,
            "body.too_complex",
        ),
        (b'{"name":"mine","name":"theirs"}', 422, "body.duplicate_key"),
        (b'{"name":"x","settings":{"env":{"A":"1","A":"2"}}}', 422, "body.duplicate_key"),
        (b'{"name":"x","settings":{"limits":{"cpus":NaN}}}', 422, "field.type"),
        (b'{"name":"x","settings":{"limits":{"cpus":-Infinity}}}', 422, "field.type"),
        (b'{"name":"x","settings":{"limits":{"cpus":1e999}}}', 422, "field.type"),
        (b'{"name":"x","settings":{"limits":{"memory_bytes":9223372036854775808}}}', 422, "field.type"),
        (b'{"name":"x","settings":{"limits":{"memory_bytes":-0}}}', 422, "field.invalid"),
        (b'{"name":true}', 422, "field.type"),
        (b"{", 400, "body.syntax"),
        (b"", 400, "body.syntax"),
        (b"null", 422, "field.type"),
        (b"[]", 422, "field.type"),
        (b'"' + b"x" * 2_000_000 + b'"', 413, "body.too_large"),
    ],
)
async def test_an_ambiguous_body_is_refused(api: httpx2.AsyncClient, body: bytes, status: int, code: str) -> None:
    response = await api.post(PATH, content=body, headers=JSON)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert (await api.get(PATH)).json()["items"] == []


async def test_a_body_without_an_end_is_cut_off_at_the_limit(api: httpx2.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    response = await api.post(PATH, content=endless(), headers=JSON)
    assert (response.status_code, response.json()["code"]) == (413, "body.too_large")
    # As much again as a client may send before it looks for the answer.
    assert sent < 20_000_000


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        None,
        "application/json; charset=utf-7",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        ";;",
    ],
)
async def test_only_json_in_utf8_is_json(api: httpx2.AsyncClient, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = await api.post(PATH, content=b'{"name":"x"}', headers=headers)
    assert (response.status_code, response.json()["code"]) == (415, "content_type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8"])
async def test_json_in_utf8_is_read(api: httpx2.AsyncClient, content_type: str) -> None:
    body = '{"name":"x\\ud83d\\ude80 ü"}'.encode()
    response = await api.post(PATH, content=body, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["name"]) == (201, "x🚀 ü")


async def test_every_wrong_field_is_named(api: httpx2.AsyncClient) -> None:
    body = {"slug": "A", "tenant_id": 1, "settings": {"limits": {"cpus": "5", "pids": 3}}}
    problem = (await api.post(PATH, json=body)).json()
    named = {(error["pointer"], error["code"]) for error in problem["errors"]}
    assert named == {
        ("/name", "field.missing"),
        ("/slug", "slug.invalid"),
        ("/tenant_id", "field.unknown"),
        ("/settings/limits/cpus", "field.type"),
        ("/settings/limits/pids", "field.unknown"),
    }
