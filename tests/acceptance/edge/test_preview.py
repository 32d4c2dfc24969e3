"""Previews in mode build, and how they say that there is nothing to show yet."""

from typing import TYPE_CHECKING, Any

import pytest

from headrace.model.diagnostic import Diagnostic
from headrace.model.ids import new_id
from headrace.model.preview import PreviewStatus

if TYPE_CHECKING:
    from tests.acceptance.edge.conftest import Place

BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
PAGE = b"<!doctype html><html><head><title>shop</title></head></html>"
OLD, NEW = "assets/index-BF8QNONU.js", "assets/index-Zx81Kq0P.js"
MISTAKE = Diagnostic(
    tool="vite", severity="error", message="<b> is not closed", file="src/App.tsx", line=3, column=7, excerpt="<b>x"
)


async def test_files_have_the_version_a_tag_and_no_life_of_their_own(place: "Place") -> None:
    version = await place.preview.publish({"index.html": PAGE, "a.txt": b"text", OLD: b"old"})
    async with place.get("/a.txt") as reply:
        assert (reply.status, await reply.text()) == (200, "text")
        assert (reply.headers["X-Headrace-Version"], reply.headers["X-Headrace-Preview"]) == (version, "ready")
        assert reply.headers["Cache-Control"] == "no-cache"
        assert "X-Headrace-Deployment" not in reply.headers
        tag = reply.headers["ETag"]
    async with place.get("/a.txt", headers={"If-None-Match": tag}) as reply:
        assert (reply.status, reply.headers["X-Headrace-Version"]) == (304, version)
    async with place.get(f"/{OLD}") as reply:
        assert "immutable" in reply.headers["Cache-Control"]
    async with place.get("/a.txt", headers={"Range": "bytes=1-2"}) as reply:
        assert (reply.status, await reply.text()) == (206, "ex")


async def test_browsers_get_the_script_in_pages_and_programs_do_not(place: "Place") -> None:
    version = await place.preview.publish({"index.html": PAGE}, spa=True)
    async with place.get("/some/where", headers=BROWSER) as reply:
        page = await reply.read()
        tag = reply.headers["ETag"]
        assert f'<head><script src="/.headrace/page.js" data-version="{version}">'.encode() in page
        assert int(reply.headers["Content-Length"]) == len(page)
    async with place.get("/some/where", headers={**BROWSER, "If-None-Match": tag}) as reply:
        assert reply.status == 304
    place.preview.serves(new_id("ver"))
    async with place.get("/some/where", headers={**BROWSER, "If-None-Match": tag}) as reply:
        assert reply.status == 200
    async with place.get("/") as reply:
        assert await reply.read() == PAGE


async def test_pages_loaded_before_still_find_their_parts(place: "Place") -> None:
    await place.preview.publish({"index.html": PAGE, OLD: b"old"})
    async with place.get("/"):
        pass
    await place.preview.publish({"index.html": PAGE, NEW: b"new"})
    for path, body in ((NEW, b"new"), (OLD, b"old")):
        async with place.get(f"/{path}") as reply:
            assert (reply.status, await reply.read()) == (200, body)


async def test_while_a_new_version_fails_the_last_good_one_is_shown(place: "Place") -> None:
    version = await place.preview.publish({"index.html": PAGE})
    place.preview.status = PreviewStatus.ERROR
    async with place.get("/") as reply:
        assert (reply.status, reply.headers["X-Headrace-Preview"]) == (200, "error")
        assert reply.headers["X-Headrace-Version"] == version


async def test_a_version_that_failed_is_422_with_its_errors_for_those_who_wait_for_it(place: "Place") -> None:
    await place.preview.publish({"index.html": PAGE}, version="ver_01j00000000000000000000000")
    place.preview.status = PreviewStatus.ERROR
    place.preview.state_fields |= {"version": new_id("ver"), "diagnostics": (MISTAKE,)}
    async with place.get(f"/?min_version={new_id('ver')}") as reply:
        problem = await reply.json(content_type=None)
        assert (reply.status, problem["code"]) == (422, "preview.failed")
        assert problem["diagnostics"][0]["file"] == "src/App.tsx"
    async with place.get("/", headers={**BROWSER, "X-Headrace-Min-Version": new_id("ver")}) as reply:
        page = await reply.text()
        assert (reply.status, reply.content_type) == (422, "text/html")
        assert "src/App.tsx:3:7" in page
        assert "&lt;b&gt; is not closed" in page


async def test_a_version_that_does_not_come_in_time_is_503(place: "Place") -> None:
    await place.preview.publish({"index.html": PAGE}, version="ver_01j00000000000000000000000")
    place.preview.status = PreviewStatus.BUILDING
    async with place.get(f"/?min_version={new_id('ver')}") as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (503, "preview.version_late")
        assert reply.headers["Retry-After"] == "1"


@pytest.mark.parametrize("given", ["x", "ver_", "..%2F"])
async def test_what_is_no_version_is_400(place: "Place", given: str) -> None:
    await place.preview.publish({"index.html": PAGE})
    async with place.get(f"/?min_version={given}") as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (400, "preview.version_invalid")


async def test_before_there_is_anything_people_get_a_page_that_looks_again(place: "Place") -> None:
    place.preview.status = PreviewStatus.BUILDING
    async with place.get("/", headers=BROWSER) as reply:
        assert (reply.status, reply.headers["X-Headrace-Preview"]) == (503, "building")
        assert 'http-equiv="refresh"' in await reply.text()
    async with place.get("/") as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (503, "preview.building")


@pytest.mark.parametrize(("diagnostics", "status"), [((MISTAKE,), 422), ((), 500)])
async def test_what_never_worked_says_why(place: "Place", diagnostics: Any, status: int) -> None:
    place.preview.status = PreviewStatus.ERROR
    place.preview.state_fields = {"diagnostics": diagnostics, "message": "it broke"}
    async with place.get("/") as reply:
        problem = await reply.json(content_type=None)
        assert (reply.status, problem["detail"]) == (status, "it broke")


async def test_an_address_that_no_project_has_is_404(place: "Place") -> None:
    async with place.get("/", host=f"nobody.preview.localhost:{place.port}") as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (404, "preview.unknown")
