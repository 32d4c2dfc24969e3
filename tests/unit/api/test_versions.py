"""Versions over HTTP: archives in, differences out."""

import asyncio
import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from headrace.pipeline.services import Services

TAR = {"Content-Type": "application/x-tar"}


def tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
async def path(api: httpx2.AsyncClient) -> str:
    project = (await api.post("/workspaces/default/projects", json={"name": "Shop"})).json()
    return f"/projects/{project['id']}/versions"


async def upload(api: httpx2.AsyncClient, path: str, files: dict[str, bytes], **params: str) -> httpx2.Response:
    return await api.post(path, content=tar(files), headers=TAR, params=params)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-tar", tar({"index.html": b"hi"})),
        ("application/gzip", tar({"index.html": b"hi"}, "w:gz")),
        ("application/zip", zipped({"index.html": b"hi"})),
        ("application/octet-stream", zipped({"index.html": b"hi"})),
    ],
)
async def test_an_archive_becomes_a_version(api: httpx2.AsyncClient, path: str, content_type: str, body: bytes) -> None:
    params = {"message": "first", "author": "ada"}
    response = await api.post(path, content=body, headers={"Content-Type": content_type}, params=params)
    version = response.json()
    assert response.status_code == 201, response.text
    assert (version["files"], version["message"], version["author"]["name"], version["parent"]) == (
        1,
        "first",
        "ada",
        None,
    )
    shown = await api.get(response.headers["location"].removeprefix("/api/v1"))
    assert shown.json() == version
    assert "+hi" in version["unified_diff_text"]


async def test_the_same_files_again_are_the_same_version(api: httpx2.AsyncClient, path: str) -> None:
    first = await upload(api, path, {"a": b"1"})
    again = await upload(api, path, {"a": b"1"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


async def test_a_version_differs_from_its_parent_or_from_any_other(api: httpx2.AsyncClient, path: str) -> None:
    ids = [
        (await upload(api, path, files)).json()["id"]
        for files in (
            {"a": b"one\n", "b": b"\x00bin"},
            {"a": b"two\n", "b": b"\x00bin"},
            {"a": b"two\nthree", "c": b""},
        )
    ]
    last = (await api.get(f"/versions/{ids[2]}")).json()
    assert (last["parent"], last["against"]) == (ids[1], ids[1])
    lines = [line for line in last["unified_diff_text"].splitlines(keepends=True) if not line.startswith("index ")]
    assert "".join(lines) == (
        "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1,2 @@\n two\n+three\n\\ No newline at end of file\n"
        "diff --git a/b b/b\ndeleted file mode 100644\nBinary files a/b and /dev/null differ\n"
        "diff --git a/c b/c\nnew file mode 100644\n"
    )
    first = (await api.get(f"/versions/{ids[2]}", params={"against": ids[0]})).json()["unified_diff_text"]
    assert "-one\n+two\n+three" in first
    assert [version["id"] for version in (await api.get(path)).json()["items"]] == ids[::-1]


async def test_a_version_is_not_compared_with_another_projects(api: httpx2.AsyncClient, path: str) -> None:
    mine = (await upload(api, path, {"a": b"1"})).json()["id"]
    other = (await api.post("/workspaces/default/projects", json={"name": "Other"})).json()["id"]
    theirs = (await upload(api, f"/projects/{other}/versions", {"a": b"2"})).json()["id"]
    assert (await api.get(f"/versions/{mine}", params={"against": theirs})).status_code == 404
    assert (await api.get(f"/versions/{mine}", params={"against": "x"})).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (tar({"../x": b"1"}), 422, "archive.path_escape"),
        (tar({"/etc/x": b"1"}), 422, "archive.path_escape"),
        (tar({"a": b"1"})[:700], 422, "archive.corrupt"),
        (b"hello", 422, None),
        (b"", 422, "archive.empty"),
        (b"x" * 100_001, 413, "archive.too_large"),
    ],
)
async def test_an_archive_that_is_refused_leaves_nothing(
    api: httpx2.AsyncClient, services: Services, path: str, body: bytes, status: int, code: str | None
) -> None:
    response = await api.post(path, content=body, headers=TAR)
    assert response.status_code == status, response.text
    assert code is None or response.json()["code"] == code
    assert str(services.settings.data_dir) not in response.text
    assert (await api.get(path)).json()["items"] == []
    assert left_over(services.settings.data_dir) == []


def left_over(data_dir: Path) -> list[Path]:
    uploads = data_dir / "uploads"
    return list(uploads.iterdir()) if uploads.exists() else []


async def test_an_upload_without_an_end_is_cut_off(api: httpx2.AsyncClient, services: Services, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    response = await api.post(path, content=endless(), headers=TAR)
    assert (response.status_code, left_over(services.settings.data_dir)) == (413, [])


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/x-rar"])
async def test_only_archives_are_uploads(api: httpx2.AsyncClient, path: str, content_type: str) -> None:
    response = await api.post(path, content=tar({"a": b"1"}), headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["code"]) == (415, "content_type")


async def test_a_declared_digest_must_be_true(api: httpx2.AsyncClient, path: str) -> None:
    body = tar({"a": b"1"})
    good = base64.b64encode(hashlib.sha256(body).digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    refused = await api.post(path, content=body, headers={**TAR, "Content-Digest": f"sha-256=:{wrong}:"})
    assert (refused.status_code, refused.json()["code"]) == (422, "upload.digest_mismatch")
    taken = await api.post(path, content=body, headers={**TAR, "Content-Digest": f"sha-256=:{good}:"})
    assert taken.status_code == 201


async def test_the_same_upload_sent_ten_times_at_once_is_one_version(api: httpx2.AsyncClient, path: str) -> None:
    headers = {**TAR, "Idempotency-Key": "k"}
    body = tar({"a": b"1"})
    answers = await asyncio.gather(*(api.post(path, content=body, headers=headers) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len((await api.get(path)).json()["items"]) == 1
