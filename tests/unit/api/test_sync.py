"""Sync over HTTP: files in, a version out, and what its preview says."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2
import pytest

from headrace.api.app import create_app
from headrace.api.body import parse
from headrace.errors import InvalidInput
from headrace.model.diagnostic import Diagnostic
from headrace.model.preview import PreviewState, PreviewStatus
from headrace.model.project import Project
from headrace.model.version import Version
from headrace.pipeline.services import Services
from headrace.records import projects, versions

TOKEN = "hr_api_0123456789abcdefghijklmnopqrstuvwxyz"
PREFIX = "/api/v1"


class Page:
    """Previews that are ready, failed or late as soon as they are asked; what they were told is kept."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.shown: list[str] = []
        self.status = PreviewStatus.READY
        self.served: str | None = None
        self.diagnostics: tuple[Diagnostic, ...] = ()

    def begin(self, project: Project, version_id: str, written: Mapping[str, bytes], removed: Sequence[str]) -> None:
        self.begun.append(version_id)

    async def show(self, project: Project, version: Version) -> None:
        self.shown.append(version.id)

    async def wait(self, project_id: str, version_id: str, seconds: float) -> PreviewState:
        return self._state(project_id, version_id)

    async def state(self, project: Project) -> PreviewState:
        return self._state(project.id, self.shown[-1] if self.shown else None)

    def _state(self, project_id: str, version: str | None) -> PreviewState:
        ready = self.status is PreviewStatus.READY
        return PreviewState(
            project_id=project_id,
            status=self.status,
            version=version,
            served_version=version if ready else self.served,
            url="http://shop.preview.localhost:7700/",
            diagnostics=self.diagnostics,
        )


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
async def api(services: Services, page: Page) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_app(services, page))  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://localhost{PREFIX}", headers=headers) as client:
        yield client


@pytest.fixture
async def project(api: httpx2.AsyncClient) -> str:
    made = await api.post("/workspaces/default/projects", json={"name": "Shop"})
    return str(made.json()["id"])


def sha256(text: str | bytes) -> str:
    return "sha256:" + hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()


def entries(files: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Path -> text, or None for a deletion."""
    return [{"path": p, "delete": True} if text is None else {"path": p, "content": text} for p, text in files.items()]


async def send(
    api: httpx2.AsyncClient, project: str, files: Mapping[str, str | None] | Sequence[dict[str, Any]], **fields: Any
) -> httpx2.Response:
    listed = entries(files) if isinstance(files, Mapping) else list(files)
    return await api.post(f"/projects/{project}/sync", json={"files": listed, **fields})


async def index(api: httpx2.AsyncClient, project: str) -> dict[str, str]:
    found = (await api.get(f"/projects/{project}/files")).json()["files"]
    return {file["path"]: file["digest"] for file in found}


async def test_files_become_a_version_with_a_parent_an_author_and_a_difference(
    api: httpx2.AsyncClient, project: str
) -> None:
    first = (await send(api, project, {"a.txt": "one\n", "b.txt": "two\n"})).json()
    author = {"kind": "agent", "name": "coder"}
    second = await send(api, project, {"a.txt": "1\n", "b.txt": None, "c/d.txt": ""}, author=author, message="numbers")
    assert second.status_code == 200, second.text
    assert second.json()["changes"] == [
        {"path": "a.txt", "change": "modified", "before": sha256("one\n"), "after": sha256("1\n")},
        {"path": "b.txt", "change": "deleted", "before": sha256("two\n"), "after": None},
        {"path": "c/d.txt", "change": "added", "before": None, "after": sha256("")},
    ]
    version = (await api.get(f"/versions/{second.json()['version']}")).json()
    assert (version["parent"], version["author"], version["message"], version["files"], version["bytes"]) == (
        first["version"],
        author,
        "numbers",
        2,
        2,
    )
    assert "-one\n+1\n" in version["unified_diff_text"]


async def test_what_is_there_already_makes_no_version(api: httpx2.AsyncClient, project: str) -> None:
    first = (await send(api, project, {"a": "1"})).json()
    again = (await send(api, project, {"a": "1", "gone": None})).json()
    assert (again["status"], again["version"], again["changes"]) == ("no_changes", first["version"], [])
    nothing = (await send(api, project, {})).json()
    assert (nothing["status"], nothing["version"]) == ("no_changes", first["version"])
    assert len((await api.get(f"/projects/{project}/versions")).json()["items"]) == 1


async def test_nothing_sent_to_an_empty_project_is_no_version(api: httpx2.AsyncClient, project: str) -> None:
    assert (await send(api, project, {})).json()["version"] is None
    assert (await api.get(f"/projects/{project}/files")).json() == {"version": None, "files": []}


async def test_the_index_of_files_is_known_by_its_version(api: httpx2.AsyncClient, project: str) -> None:
    synced = (await send(api, project, [{"path": "run", "content": "#!", "executable": True}])).json()
    listed = await api.get(f"/projects/{project}/files")
    file = {"path": "run", "digest": sha256("#!"), "size": 2, "executable": True, "link": None}
    assert listed.json() == {"version": synced["version"], "files": [file]}
    same = await api.get(f"/projects/{project}/files", headers={"If-None-Match": listed.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    await send(api, project, {"run": "#!x"})
    later = await api.get(f"/projects/{project}/files", headers={"If-None-Match": listed.headers["etag"]})
    assert (later.status_code, later.json()["files"][0]["executable"]) == (200, True)


async def test_bytes_are_kept_as_they_are(api: httpx2.AsyncClient, project: str, services: Services) -> None:
    contents = [b"\xef\xbb\xbfbom\r\n", "utf-16".encode("utf-16"), b"\x00\xff", b"no end", b""]
    files = [
        {"path": f"{n}", "content": base64.b64encode(data).decode(), "encoding": "base64"}
        for n, data in enumerate(contents)
    ]
    await send(api, project, [*files, {"path": "nul", "content": "a\0b"}])
    assert await index(api, project) == {**{f"{n}": sha256(c) for n, c in enumerate(contents)}, "nul": sha256("a\0b")}
    assert await services.store.read(sha256(contents[2])) == contents[2]


async def test_a_digest_stands_for_bytes_that_the_project_has_had(api: httpx2.AsyncClient, project: str) -> None:
    await send(api, project, {"a": "old", "b": "2"})
    await send(api, project, {"a": "new"})
    moved = await send(api, project, [{"path": "c", "digest": sha256("old")}, {"path": "b", "delete": True}])
    assert moved.status_code == 200, moved.text
    assert await index(api, project) == {"a": sha256("new"), "c": sha256("old")}


async def test_unknown_digests_are_named_and_nothing_is_done(api: httpx2.AsyncClient, project: str) -> None:
    other = (await api.post("/workspaces/default/projects", json={"name": "Other"})).json()["id"]
    await send(api, other, {"secret": "theirs"})
    refused = await send(api, project, [{"path": "a", "content": "x"}, {"path": "b", "digest": sha256("theirs")}])
    body = refused.json()
    assert (refused.status_code, body["code"], body["index"]) == (422, "digest.unknown", 1)
    assert body["missing"] == [sha256("theirs")]
    assert body["errors"][0]["pointer"] == "/files/1/digest"
    assert await index(api, project) == {}


@pytest.mark.parametrize(
    ("entry", "status", "code"),
    [
        ({"path": "../x", "content": ""}, 422, "path.invalid"),
        ({"path": ".git/config", "content": ""}, 422, "path.reserved"),
        ({"path": "ok", "content": "again"}, 422, "path.invalid"),
        ({"path": "a", "content": "x", "digest": "sha256:" + "0" * 64}, 422, "upload.digest_mismatch"),
        ({"path": "a", "content": "%", "encoding": "base64"}, 422, "content.base64"),
        ({"path": "a", "content": "x" * 100_001}, 413, "file.too_large"),
        ({"path": "a"}, 422, "file.ambiguous"),
        ({"path": "a", "content": "", "delete": True}, 422, "file.ambiguous"),
        ({"path": "a", "content": "", "mode": 1}, 422, "field.unknown"),
        ({"path": "a\ud800", "content": ""}, 422, "body.encoding"),
    ],
)
async def test_one_bad_entry_refuses_all(
    api: httpx2.AsyncClient, project: str, entry: dict[str, Any], status: int, code: str
) -> None:
    body = json.dumps({"files": [{"path": "ok", "content": "fine"}, entry]})
    refused = await api.post(f"/projects/{project}/sync", content=body, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert code == "body.encoding" or "/files/1" in refused.json()["errors"][0]["pointer"]
    assert await index(api, project) == {}


async def test_a_batch_that_is_too_large_is_refused_as_such(api: httpx2.AsyncClient, project: str) -> None:
    refused = await send(api, project, [{"path": f"{n}", "content": ""} for n in range(20_001)])
    assert (refused.status_code, refused.json()["code"]) == (413, "batch.too_many")
    body = await api.post(f"/projects/{project}/sync", content=b"x" * 2_000_000)
    assert (body.status_code, body.json()["code"]) == (413, "body.too_large")


def test_a_body_of_millions_of_values_is_refused_before_they_are_made() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(b"[" + b"[]," * 600_000 + b"[]]", nodes=1_000_000)
    assert refused.value.exact_code == "body.too_complex"
    code = json.dumps(['{"[,\\' * 400_000]).encode()
    assert parse(code, nodes=10) == ['{"[,\\' * 400_000]


async def test_changes_in_different_places_are_merged(api: httpx2.AsyncClient, project: str) -> None:
    lines = [f"line {n}\n" for n in range(20)]
    base = (await send(api, project, {"page.js": "".join(lines), "other": "1"})).json()["version"]
    await send(api, project, {"page.js": "".join(["first!\n", *lines[1:]])}, base_version=base)
    second = await send(api, project, {"page.js": "".join([*lines[:-1], "last!\n"])}, base_version=base)
    assert (second.status_code, second.json()["merged"]) == (200, True)
    both = "".join(["first!\n", *lines[1:-1], "last!\n"])
    assert await index(api, project) == {"page.js": sha256(both), "other": sha256("1")}


async def test_two_changes_of_one_line_are_a_conflict_with_both_sides(api: httpx2.AsyncClient, project: str) -> None:
    base = (await send(api, project, {"a": "1\n2\n3\n", "b": "x"})).json()["version"]
    ours = (await send(api, project, {"a": "1\ntwo\n3\n"}, base_version=base)).json()["version"]
    refused = await send(api, project, {"a": "1\nzwei\n3\n", "b": "y"}, base_version=base)
    body = refused.json()
    assert (refused.status_code, body["code"], body["version"]) == (409, "version.conflict", ours)
    assert body["conflicts"] == [
        {
            "path": "a",
            "why": "lines",
            "base": sha256("1\n2\n3\n"),
            "ours": sha256("1\ntwo\n3\n"),
            "theirs": sha256("1\nzwei\n3\n"),
            "hunks": [{"line": 2, "base": ["2\n"], "ours": ["two\n"], "theirs": ["zwei\n"], "omitted": 0}],
        }
    ]
    assert await index(api, project) == {"a": sha256("1\ntwo\n3\n"), "b": sha256("x")}


async def test_the_base_must_be_a_version_of_the_project(api: httpx2.AsyncClient, project: str) -> None:
    other = (await api.post("/workspaces/default/projects", json={"name": "Other"})).json()["id"]
    theirs = (await send(api, other, {"a": "1"})).json()["version"]
    for base in (theirs, "ver_01m7xpeyhy9gptce7gk34taj0d", "x"):
        refused = await send(api, project, {"a": "1"}, base_version=base)
        assert (refused.status_code, refused.json()["code"]) == (422, "version.unknown")


async def test_who_waits_is_told_what_the_preview_shows(api: httpx2.AsyncClient, project: str, page: Page) -> None:
    ready = (await send(api, project, {"a": "1"}, wait=True)).json()
    assert (ready["status"], ready["served_version"], ready["url"]) == (
        "ready",
        ready["version"],
        "http://shop.preview.localhost:7700/",
    )
    assert ready["seconds"] > 0
    page.status, page.served = PreviewStatus.ERROR, ready["version"]
    page.diagnostics = (Diagnostic(tool="vite", severity="error", file="a", line=1, message="no"),)
    failed = (
        await api.post(f"/projects/{project}/sync?wait=true&timeout=1", json={"files": entries({"a": "("})})
    ).json()
    assert (failed["status"], failed["served_version"]) == ("error", ready["version"])
    assert failed["diagnostics"][0]["message"] == "no"
    page.status = PreviewStatus.BUILDING
    late = (await send(api, project, {"a": "2"}, wait=True, timeout=0)).json()
    assert (late["status"], late["seconds"], late["diagnostics"]) == ("building", None, [])
    assert page.shown == [ready["version"], failed["version"], late["version"]]


async def test_who_does_not_wait_is_told_that_it_is_built(api: httpx2.AsyncClient, project: str, page: Page) -> None:
    answer = (await send(api, project, {"a": "1"})).json()
    assert (answer["status"], page.shown) == ("building", [answer["version"]])


async def test_the_same_request_again_does_nothing(api: httpx2.AsyncClient, project: str) -> None:
    body = {"files": entries({"a": "1"})}
    headers = {"Idempotency-Key": "k"}
    address = f"/projects/{project}/sync"
    answers = await asyncio.gather(*(api.post(address, json=body, headers=headers) for _ in range(5)))
    await send(api, project, {"a": "2"})
    late = await api.post(address, json=body, headers=headers)
    assert {answer.content for answer in [*answers, late]} == {late.content}
    assert await index(api, project) == {"a": sha256("2")}


async def test_older_clients_name_the_project_in_the_body(api: httpx2.AsyncClient, project: str) -> None:
    made = await api.post("/sync", json={"project_id": project, "files": entries({"a": "1"})})
    assert (made.status_code, await index(api, project)) == (200, {"a": sha256("1")})
    missing = await api.post("/sync", json={"files": []})
    unknown = await api.post("/sync", json={"project_id": "prj_x", "files": []})
    other = await api.post(f"/projects/{project}/sync", json={"project_id": "prj_x", "files": []})
    assert [(r.status_code, r.json()["code"]) for r in (missing, unknown, other)] == [
        (422, "field.missing"),
        (404, "not_found"),
        (422, "project.mismatch"),
    ]


async def test_a_request_has_one_of_two_forms(api: httpx2.AsyncClient, project: str) -> None:
    bodies: list[dict[str, Any]] = [{}, {"files": [], "changed_files": []}]
    for body in bodies:
        refused = await api.post(f"/projects/{project}/sync", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "sync.form")


async def test_names_alone_need_a_bucket(api: httpx2.AsyncClient, project: str) -> None:
    body = {"project_id": project, "changed_files": [{"path": "src/App.tsx", "type": "frontend"}]}
    for address in (f"/projects/{project}/sync", "/sync"):
        refused = await api.post(address, json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "project.no_bucket")


async def test_changes_are_data(api: httpx2.AsyncClient, project: str) -> None:
    first = (await send(api, project, {"a": "1\n2\n", "b": "same\n", "bin": "\0"})).json()["version"]
    files = [*entries({"a": "1\nzwei\n", "b": None, "bin": "\0\0"}), {"path": "c", "digest": sha256("same\n")}]
    second = (await send(api, project, files)).json()["version"]
    shown = (await api.get(f"/versions/{second}/changes")).json()
    assert (shown["version"], shown["against"], sorted(shown["code_diff"])) == (second, first, ["a", "bin", "c"])
    assert shown["code_diff"]["a"]["hunks"][0]["lines"] == [" 1\n", "-2\n", "+zwei\n"]
    assert (shown["code_diff"]["bin"]["omitted"], shown["code_diff"]["c"]["renamed_from"]) == ("binary", "b")
    whole = (await api.get(f"/versions/{first}/changes")).json()
    assert (whole["against"], whole["code_diff"]["a"]["change"]) == (None, "added")
    back = (await api.get(f"/versions/{first}/changes", params={"against": second})).json()
    assert back["code_diff"]["a"]["hunks"][0]["lines"] == [" 1\n", "-zwei\n", "+2\n"]


async def test_many_at_once_are_one_line_of_versions(api: httpx2.AsyncClient, project: str, services: Services) -> None:
    base = (await send(api, project, {"seed": ""})).json()["version"]
    await asyncio.gather(*(send(api, project, {f"{n}": f"{n}"}, base_version=base) for n in range(20)))
    assert len(await index(api, project)) == 21
    async with services.db.read() as c:
        line = await versions.page(c, project, limit=50)
        assert (await projects.get(c, project)) is not None
    assert [version.parent for version in line[:-1]] == [version.id for version in line[1:]]
