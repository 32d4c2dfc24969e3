"""What visitors get, path by path."""

import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import brotli  # type: ignore[import-untyped]
import pytest
from backports import zstd

if TYPE_CHECKING:
    from tests.unit.edge.conftest import Visitor

PAGE = b"<h1>home</h1>"
TEXT = b"export const answer = 42; // the same words again and again\n" * 200
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HASHED = "assets/index-BF8QNONU.js"


# hosts


@pytest.mark.parametrize("host", ["localhost:7700", "127.0.0.1:7700", "LOCALHOST", "[::1]:7700"])
async def test_the_servers_own_hosts_are_handed_on(visitor: "Visitor", host: str) -> None:
    reply = await visitor.get(host=host)
    assert (reply.body, visitor.looked) == (b"api", 0)


@pytest.mark.parametrize("host", ["shop.localhost", "SHOP.localhost:7700", "shop.localhost."])
async def test_a_site_answers_at_its_label_however_the_host_is_written(visitor: "Visitor", host: str) -> None:
    await visitor.publish({"index.html": PAGE})
    reply = await visitor.get(host=host)
    assert (reply.status, reply.body) == (200, PAGE)


@pytest.mark.parametrize("host", ["nobody.localhost", "a.shop.localhost", "-.localhost", "xn--shop-.localhost"])
async def test_a_label_without_deployment_is_404(visitor: "Visitor", host: str) -> None:
    await visitor.publish({"index.html": PAGE})
    reply = await visitor.get(host=host)
    assert (reply.status, reply.json()["code"]) == (404, "deployment.unknown")


async def test_people_get_a_page_that_runs_nothing(visitor: "Visitor") -> None:
    reply = await visitor.get(host="nobody.localhost", headers=BROWSER)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert b"deployment.unknown" in reply.body


@pytest.mark.parametrize(
    ("hosts", "status", "code"),
    [
        (["evil.example"], 421, "host.unknown"),
        (["shop.localhost.evil.example"], 421, "host.unknown"),
        ([], 400, "host.invalid"),
        (["shop.localhost", "shop.localhost"], 400, "host.invalid"),
        (["localhost", "shop.localhost"], 400, "host.invalid"),
    ],
)
async def test_a_foreign_host_none_or_two_reach_nothing(
    visitor: "Visitor", hosts: list[str], status: int, code: str
) -> None:
    await visitor.publish({"index.html": PAGE})
    reply = await visitor.get(host=None, headers=[("host", host) for host in hosts])
    assert (reply.status, reply.json()["code"]) == (status, code)


# files


async def test_a_file_has_every_header_that_it_needs(visitor: "Visitor", etag: Callable[[bytes], str]) -> None:
    await visitor.publish({"index.html": PAGE})
    reply = await visitor.get("/")
    assert reply.headers == {
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(PAGE)),
        "etag": etag(PAGE),
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "accept-ranges": "bytes",
        "x-headrace-deployment": "dpl_1",
    }


@pytest.mark.parametrize(
    ("path", "cache"),
    [
        ("/" + HASHED, "public, max-age=31536000, immutable"),
        ("/", "no-cache"),
        ("/sw.js", "no-cache"),
        ("/app.js", "public, max-age=0, must-revalidate"),
    ],
)
async def test_how_long_a_file_may_be_kept(visitor: "Visitor", path: str, cache: str) -> None:
    await visitor.publish({"index.html": PAGE, HASHED: b"1", "app.js": b"2", "sw.js": b"3"})
    assert (await visitor.get(path)).headers["cache-control"] == cache


async def test_names_are_matched_after_one_decoding(visitor: "Visitor") -> None:
    await visitor.publish({"a b/café.txt": b"1", "100%25.txt": b"2"})
    assert (await visitor.get("/a%20b/caf%C3%A9.txt")).body == b"1"
    assert (await visitor.get("/100%2525.txt")).body == b"2"
    assert (await visitor.get("/100%25.txt")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        b"/..%2f..%2fetc/passwd",
        b"/../../etc/passwd",
        b"/%252e%252e/%252e%252e/etc/passwd",
        b"/..;/etc/passwd",
        b"/\\..\\etc\\passwd",
        b"/index.html%00.png",
        b"//etc/passwd",
        b"/./index.html",
        b"/assets/../index.html",
        b"/%2e/index.html",
        b"/.env",
        b"/index.html/",
    ],
)
@pytest.mark.parametrize("spa", [True, False])
async def test_no_spelling_of_a_path_leaves_the_manifest(visitor: "Visitor", path: bytes, spa: bool) -> None:
    await visitor.publish({"index.html": PAGE, HASHED: b"x"}, spa=spa, clean_urls=False)
    assert (await visitor.get(path)).status in (400, 404)


@pytest.mark.parametrize(
    ("name", "kind"), [("evil.png", "image/png"), ("x.svg", "image/svg+xml"), ("x.unknown", "application/octet-stream")]
)
async def test_a_type_is_never_guessed_from_the_bytes(visitor: "Visitor", name: str, kind: str) -> None:
    await visitor.publish({name: b"<html><script>alert(1)</script>"})
    reply = await visitor.get("/" + name)
    assert (reply.headers["content-type"], reply.headers["x-content-type-options"]) == (kind, "nosniff")


# addresses of pages


CLEAN = {"index.html": b"home", "about.html": b"about", "docs/index.html": b"docs", "data.json": b"{}"}


@pytest.mark.parametrize(
    ("path", "body"), [("/", b"home"), ("/about", b"about"), ("/docs/", b"docs"), ("/data.json", b"{}")]
)
async def test_a_page_answers_at_its_clean_address(visitor: "Visitor", path: str, body: bytes) -> None:
    await visitor.publish(CLEAN)
    reply = await visitor.get(path)
    assert (reply.status, reply.body) == (200, body)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/index.html", "/"),
        ("/about.html", "/about"),
        ("/about/", "/about"),
        ("/docs", "/docs/"),
        ("/docs/index.html", "/docs/"),
        ("/about.html?a=1&b=%20", "/about?a=1&b=%20"),
        ("/%61bout.html", "/about"),
    ],
)
async def test_other_spellings_lead_to_the_clean_address(visitor: "Visitor", path: str, location: str) -> None:
    await visitor.publish(CLEAN)
    reply = await visitor.get(path)
    assert (reply.status, reply.headers["location"]) == (308, location)
    # A browser that kept it for ever would go in circles when the page moves.
    assert reply.headers["cache-control"] == "public, max-age=0, must-revalidate"
    assert reply.headers["content-length"] == "0"


@pytest.mark.parametrize(
    ("trailing_slash", "path", "answer"),
    [
        (True, "/about", "/about/"),
        (True, "/about/", b"about"),
        (True, "/docs", "/docs/"),
        (False, "/docs", b"docs"),
        (False, "/docs/", "/docs"),
        (False, "/about", b"about"),
        (False, "/", b"home"),
        (True, "/", b"home"),
    ],
)
async def test_a_site_can_want_a_slash_at_the_end_or_none(
    visitor: "Visitor", trailing_slash: bool, path: str, answer: str | bytes
) -> None:
    await visitor.publish(CLEAN, trailing_slash=trailing_slash)
    reply = await visitor.get(path)
    assert reply.headers.get("location", reply.body) == answer


@pytest.mark.parametrize(("path", "status"), [("/about", 404), ("/about.html", 200), ("/docs/index.html", 200)])
async def test_a_site_can_do_without_clean_addresses(visitor: "Visitor", path: str, status: int) -> None:
    await visitor.publish(CLEAN, clean_urls=False)
    assert (await visitor.get(path)).status == status


@pytest.mark.parametrize("trailing_slash", [None, True, False])
async def test_no_two_files_lead_to_each_other_in_circles(visitor: "Visitor", trailing_slash: bool | None) -> None:
    files = {name: name.encode() for name in ("a", "a.html", "b.html", "b/index.html", "c/index.html", "c.txt")}
    await visitor.publish(files, trailing_slash=trailing_slash)
    bodies = set()
    for path in [
        "/a",
        "/a/",
        "/a.html",
        "/b",
        "/b/",
        "/b.html",
        "/b/index.html",
        "/c",
        "/c/",
        "/c/index.html",
        "/c.txt",
    ]:
        reply = await visitor.get(path)
        for _ in range(3):
            reply = await visitor.get(reply.headers["location"]) if reply.status == 308 else reply
        assert reply.status in (200, 404)
        bodies.add(reply.body.decode())
    assert bodies >= set(files)


# unknown paths


async def test_an_unknown_path_gets_the_sites_own_page(visitor: "Visitor") -> None:
    await visitor.publish({"index.html": PAGE, "404.html": b"lost?"}, not_found="404.html")
    reply = await visitor.get("/nowhere", headers=BROWSER)
    assert (reply.status, reply.body, reply.headers["cache-control"]) == (404, b"lost?", "no-cache")


async def test_the_page_for_unknown_paths_is_itself_one(visitor: "Visitor") -> None:
    await visitor.publish({"404.html": b"lost?"}, not_found="404.html")
    assert (await visitor.get("/404")).status == 404


async def test_without_such_a_page_there_is_a_plain_one(visitor: "Visitor") -> None:
    await visitor.publish({"index.html": PAGE})
    reply = await visitor.get("/nowhere")
    assert (reply.status, reply.json()["code"], reply.headers["x-headrace-deployment"]) == (
        404,
        "page.not_found",
        "dpl_1",
    )


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/users/42", BROWSER["Accept"], 200),
        ("/users/42", "*/*", 200),
        ("/users/42", None, 200),
        ("/users/john.doe", BROWSER["Accept"], 200),
        ("/users/john.doe", "*/*", 404),
        ("/missing.js", "*/*", 404),
        ("/missing.js", BROWSER["Accept"], 404),
        ("/api/users", "application/json", 404),
    ],
)
async def test_a_single_page_app_answers_where_somebody_goes_not_where_a_file_is_missing(
    visitor: "Visitor", path: str, accept: str | None, status: int
) -> None:
    await visitor.publish({"index.html": PAGE, HASHED: b"x"}, spa=True)
    reply = await visitor.get(path, headers={"Accept": accept} if accept else {})
    assert reply.status == status
    if status == 200:
        assert (reply.body, reply.headers["vary"], reply.headers["cache-control"]) == (PAGE, "Accept", "no-cache")


# rules


async def test_files_come_before_rules_unless_a_rule_is_forced(visitor: "Visitor") -> None:
    rules = [
        {"path": "/a.txt", "to": "/never", "status": 302},
        {"path": "/b.txt", "to": "/always", "status": 302, "force": True},
    ]
    await visitor.publish({"a.txt": b"a", "b.txt": b"b"}, redirects=rules)
    assert (await visitor.get("/a.txt")).body == b"a"
    reply = await visitor.get("/b.txt")
    assert (reply.status, reply.headers["location"]) == (302, "/always")


async def test_a_forced_rule_with_a_parameter_leaves_other_visitors_alone(visitor: "Visitor") -> None:
    rules = [{"path": "/a.txt", "to": "/x", "force": True, "query": [("q", "1")]}]
    await visitor.publish({"a.txt": b"a"}, redirects=rules)
    assert [(await visitor.get(path)).status for path in ("/a.txt", "/a.txt?q=1", "/a.txt")] == [200, 301, 200]


async def test_a_rule_can_answer_with_a_file(visitor: "Visitor") -> None:
    rules = [
        {"path": "/app/*", "to": "/index.html", "status": 200},
        {"path": "/gone", "to": "/index.html", "status": 404},
    ]
    await visitor.publish({"index.html": PAGE, HASHED: b"x"}, redirects=rules)
    assert [(reply.status, reply.body) for reply in [await visitor.get("/app/x"), await visitor.get("/gone")]] == [
        (200, PAGE),
        (404, PAGE),
    ]


async def test_a_hashed_file_at_another_path_is_not_kept_for_ever(visitor: "Visitor") -> None:
    await visitor.publish({HASHED: b"x"}, redirects=[{"path": "/latest.js", "to": f"/{HASHED}", "status": 200}])
    reply = await visitor.get("/latest.js")
    assert (reply.body, reply.headers["cache-control"]) == (b"x", "public, max-age=0, must-revalidate")


@pytest.mark.parametrize("path", ["/go//evil.example", "/go/%2fevil.example", "/go/%5cevil.example"])
async def test_a_rule_cannot_be_made_to_lead_elsewhere(visitor: "Visitor", path: str) -> None:
    await visitor.publish({"index.html": PAGE}, redirects=[{"path": "/go/*", "to": "/:splat"}])
    assert (await visitor.get(path)).status in (400, 404)


async def test_header_rules_add_to_and_replace_ours_where_they_may(visitor: "Visitor") -> None:
    headers = [("X-Frame-Options", "DENY"), ("Cache-Control", "max-age=60"), ("ETag", "mine"), ("X-A", "1\r\nX-B: 2")]
    await visitor.publish({"index.html": PAGE, "a.txt": b"a"}, headers=[{"path": "/a.txt", "headers": headers}])
    reply = await visitor.get("/a.txt")
    assert (reply.headers["x-frame-options"], reply.headers["cache-control"]) == ("DENY", "max-age=60")
    assert reply.headers["etag"] != "mine"
    assert not {"x-a", "x-b"} & reply.headers.keys()
    assert "x-frame-options" not in (await visitor.get("/")).headers


# codings


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("deflate", None),
        ("identity, br;q=0.9", None),
        ("", None),
    ],
)
async def test_the_best_acceptable_coding_is_sent(visitor: "Visitor", accept: str, coding: str | None) -> None:
    await visitor.publish({"app.js": TEXT})
    reply = await visitor.get("/app.js", headers={"Accept-Encoding": accept})
    decode = {
        "br": brotli.decompress,
        "zstd": zstd.decompress,
        "gzip": lambda data: zlib.decompress(data, wbits=31),
        None: bytes,
    }
    assert reply.headers.get("content-encoding") == coding
    assert decode[coding](reply.body) == TEXT
    assert (reply.headers["vary"], reply.headers["content-length"]) == ("Accept-Encoding", str(len(reply.body)))


async def test_each_coding_has_a_tag_of_its_own(visitor: "Visitor") -> None:
    await visitor.publish({"app.js": TEXT})
    tags = {(await visitor.get("/app.js", headers={"Accept-Encoding": c})).headers["etag"] for c in ("br", "gzip", "")}
    assert len(tags) == 3
    assert not any(tag.startswith("W/") for tag in tags)


async def test_a_file_that_has_one_form_does_not_vary(visitor: "Visitor") -> None:
    await visitor.publish({"index.html": PAGE})
    assert "vary" not in (await visitor.get("/", headers={"Accept-Encoding": "br"})).headers


async def test_who_refuses_every_form_is_told(visitor: "Visitor") -> None:
    await visitor.publish({"index.html": PAGE})
    assert (await visitor.get("/", headers={"Accept-Encoding": "identity;q=0"})).status == 406


async def test_files_of_the_site_that_look_like_codings_are_never_taken_for_them(visitor: "Visitor") -> None:
    await visitor.publish({"a.js": b"short", "a.js.br": b"evil", "a.js.gz": b"evil"})
    reply = await visitor.get("/a.js", headers={"Accept-Encoding": "br, gzip"})
    assert (reply.body, "content-encoding" in reply.headers) == (b"short", False)


async def test_a_coded_form_that_is_gone_is_replaced_by_another(visitor: "Visitor") -> None:
    await visitor.publish({"app.js": TEXT})
    coded = await visitor.get("/app.js", headers={"Accept-Encoding": "br"})
    fresh = type(visitor)()
    fresh.store, fresh.targets = visitor.store, visitor.targets
    fresh.edge = type(visitor.edge)(visitor.store, fresh._resolve, lambda *_: None)  # type: ignore[arg-type]
    await visitor.store.delete(
        "sha256:" + next(d for d in visitor.store._blobs if coded.headers["etag"][1:-1] in d)[7:]
    )
    reply = await fresh.get("/app.js", headers={"Accept-Encoding": "br"})
    assert (reply.status, reply.body) == (200, TEXT)


# conditions and parts


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_an_unchanged_file_is_not_sent_again(visitor: "Visitor", form: str, etag: Callable[[bytes], str]) -> None:
    await visitor.publish({HASHED: PAGE})
    reply = await visitor.get("/" + HASHED, headers={"If-None-Match": form.format(etag(PAGE))})
    assert (reply.status, reply.body) == (304, b"")
    assert reply.headers == {
        "etag": etag(PAGE),
        "cache-control": "public, max-age=31536000, immutable",
        "x-content-type-options": "nosniff",
        "x-headrace-deployment": "dpl_1",
    }


async def test_a_changed_file_is_sent_whatever_a_date_says(visitor: "Visitor") -> None:
    await visitor.publish({"index.html": PAGE})
    headers = {"If-None-Match": '"old"', "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert (await visitor.get("/", headers=headers)).body == PAGE


async def test_if_match_guards_a_download_in_parts(visitor: "Visitor", etag: Callable[[bytes], str]) -> None:
    await visitor.publish({"a.bin": PAGE})
    assert (await visitor.get("/a.bin", headers={"If-Match": '"old"'})).status == 412
    assert (await visitor.get("/a.bin", headers={"If-Match": etag(PAGE)})).status == 200


@pytest.mark.parametrize(
    ("header", "content_range", "body"),
    [
        ("bytes=0-4", "bytes 0-4/11", b"hello"),
        ("bytes=6-", "bytes 6-10/11", b"world"),
        ("bytes=-5", "bytes 6-10/11", b"world"),
        ("bytes=6-99999999999999999999", "bytes 6-10/11", b"world"),
    ],
)
async def test_a_part_of_a_file(visitor: "Visitor", header: str, content_range: str, body: bytes) -> None:
    await visitor.publish({"a.bin": b"hello world"})
    reply = await visitor.get("/a.bin", headers={"Range": header})
    assert (reply.status, reply.headers["content-range"], reply.body) == (206, content_range, body)
    assert reply.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("header", ["bytes=11-", "bytes=9223372036854775808-", "bytes=5-2", "bytes=-0"])
async def test_a_part_that_does_not_exist(visitor: "Visitor", header: str) -> None:
    await visitor.publish({"a.bin": b"hello world"})
    reply = await visitor.get("/a.bin", headers={"Range": header})
    assert (reply.status, reply.headers["content-range"]) == (416, "bytes */11")


async def test_two_parts_get_the_whole_file_and_ten_thousand_nothing(visitor: "Visitor") -> None:
    await visitor.publish({"a.bin": b"hello world"})
    assert (await visitor.get("/a.bin", headers={"Range": "bytes=0-1,3-4"})).status == 200
    many = "bytes=" + ",".join(f"{i}-{i}" for i in range(10_000))
    began = time.process_time()
    assert (await visitor.get("/a.bin", headers={"Range": many})).status == 416
    assert time.process_time() - began < 1


async def test_parts_are_of_the_file_itself_not_of_a_coding(visitor: "Visitor") -> None:
    await visitor.publish({"app.js": TEXT})
    reply = await visitor.get("/app.js", headers={"Range": "bytes=0-9", "Accept-Encoding": "br"})
    assert (reply.status, reply.body, "content-encoding" in reply.headers) == (206, TEXT[:10], False)


async def test_the_rest_of_another_version_is_not_sent(visitor: "Visitor", etag: Callable[[bytes], str]) -> None:
    await visitor.publish({"a.bin": b"hello world"})
    old = await visitor.get("/a.bin", headers={"Range": "bytes=6-", "If-Range": '"old"'})
    same = await visitor.get("/a.bin", headers={"Range": "bytes=6-", "If-Range": etag(b"hello world")})
    assert [(old.status, old.body), (same.status, same.body)] == [(200, b"hello world"), (206, b"world")]


# methods


async def test_head_has_the_headers_of_get_and_no_body(visitor: "Visitor") -> None:
    await visitor.publish({"app.js": TEXT})
    get, head = await visitor.get("/app.js"), await visitor.get("/app.js", method="HEAD")
    assert (head.headers, head.body) == (get.headers, b"")


async def test_options_says_what_is_allowed(visitor: "Visitor") -> None:
    await visitor.publish({"index.html": PAGE})
    reply = await visitor.get("/", method="OPTIONS")
    assert (reply.status, reply.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
async def test_any_other_method_is_refused(visitor: "Visitor", method: str) -> None:
    await visitor.publish({"index.html": PAGE})
    reply = await visitor.get("/", method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


# large files


async def test_a_large_file_is_sent_in_pieces(make_visitor: "type[Visitor]") -> None:
    visitor = make_visitor(largest=1000)
    data = bytes(range(256)) * 4000
    await visitor.publish({"big.bin": data})
    assert (await visitor.get("/big.bin")).body == data
    part = await visitor.get("/big.bin", headers={"Range": "bytes=1000-700000"})
    assert (part.status, part.body) == (206, data[1000:700001])
    assert (await visitor.get("/big.bin", method="HEAD")).headers["content-length"] == str(len(data))


async def test_a_large_file_can_be_sent_in_a_coding(make_visitor: "type[Visitor]") -> None:
    visitor = make_visitor(largest=1000)
    await visitor.publish({"big.js": TEXT * 50})
    reply = await visitor.get("/big.js", headers={"Accept-Encoding": "br"})
    assert brotli.decompress(reply.body) == TEXT * 50
    assert reply.headers["content-length"] == str(len(reply.body))


async def test_sending_stops_when_the_visitor_leaves(make_visitor: "type[Visitor]") -> None:
    visitor = make_visitor(largest=1000)
    await visitor.publish({"big.bin": bytes(8 * 1024 * 1024)})
    reply = await visitor.get("/big.bin", gone_after=2)
    assert 0 < len(reply.body) < 2 * 1024 * 1024


async def test_a_file_that_is_gone_from_the_store_is_our_fault_and_said_so(visitor: "Visitor") -> None:
    await visitor.publish({"index.html": PAGE})
    for digest in list(visitor.store._blobs):
        if visitor.store._blobs[digest] == PAGE:
            await visitor.store.delete(digest)
    reply = await visitor.get("/")
    assert (reply.status, reply.json()["code"], reply.headers["cache-control"]) == (503, "site.unavailable", "no-store")
