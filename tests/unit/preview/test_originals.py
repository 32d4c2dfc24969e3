"""From a script's place to a file of the project, as tools name their sources."""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable

import pytest

from headrace.preview.originals import Originals, beside, project_file, within
from headrace.preview.stacktrace import Frame

ORIGIN = "http://shop.preview.localhost:8080"
#: Line 1, column 1 comes from line 3, column 5 of the first source.
MAPPINGS = "AAEI"


def map_of(source: str) -> bytes:
    return json.dumps({"version": 3, "sources": [source], "names": [], "mappings": MAPPINGS}).encode()


def always(data: bytes | None) -> Callable[[str], Awaitable[bytes | None]]:
    async def maps(_: str) -> bytes | None:
        return data

    return maps


@pytest.mark.parametrize(
    ("source", "script", "root", "file"),
    [
        ("App.tsx", "/src/App.tsx?t=1", "", "src/App.tsx"),
        ("/app/src/App.tsx", "/src/App.tsx", "", "src/App.tsx"),
        ("/app/web/src/App.tsx", "/src/App.tsx", "web", "web/src/App.tsx"),
        ("file:///app/src/App.tsx", "/_next/chunk.js", "", "src/App.tsx"),
        ("../../src/App.tsx", "/assets/index-1a2b.js", "", "src/App.tsx"),
        ("../../src/App.tsx", "/assets/index-1a2b.js", "web", "web/src/App.tsx"),
        ("../../../../src/App.tsx", "/assets/index-1a2b.js", "", "src/App.tsx"),
        ("../../node_modules/react/index.js", "/assets/index.js", "", "node_modules/react/index.js"),
        ("App.tsx", "/@fs/app/src/App.tsx", "", "src/App.tsx"),
        ("webpack://_N_E/./src/app/page.tsx", "/_next/static/chunks/a.js", "", "src/app/page.tsx"),
        ("webpack://_N_E/src/app/page.tsx?1a2b", "/_next/static/chunks/a.js", "", "src/app/page.tsx"),
        ("turbopack:///[project]/src/app/page.tsx", "/_next/static/chunks/a.js", "", "src/app/page.tsx"),
        ("\0vite/preload-helper.js", "/assets/index.js", "", "assets/vite/preload-helper.js"),
        ("../../../../../etc/passwd", "/assets/index.js", "", "etc/passwd"),
    ],
)
def test_a_source_is_named_as_the_project_names_it(source: str, script: str, root: str, file: str) -> None:
    assert project_file(source, script, root) == file


async def test_a_map_beside_the_script_is_used() -> None:
    async def maps(script: str) -> bytes | None:
        return map_of("../../src/a.ts") if script == "assets/a b.js" else None

    found = await Originals().find(Frame("run", f"{ORIGIN}/assets/a%20b.js?v=1", 1, 40), ORIGIN, beside(maps))
    assert (found.file, found.line, found.column, found.function) == ("src/a.ts", 3, 5, "run")


@pytest.mark.parametrize("end", ["", "\n", "\r\n\n"])
async def test_a_map_in_the_module_is_used(end: str) -> None:
    inline = b64encode(map_of("a.ts")).decode()
    module = f'const x = "//# sourceMappingURL=no"\n//# sourceMappingURL=data:application/json;base64,{inline}{end}'

    async def fetch(path: str) -> bytes | None:
        return module.encode() if path == "/src/a.ts?t=1" else None

    found = await Originals().find(Frame(None, f"{ORIGIN}/src/a.ts?t=1", 1, 1), ORIGIN, within(fetch))
    assert (found.file, found.line, found.column) == ("src/a.ts", 3, 5)


async def test_a_map_that_the_module_names_is_fetched_from_the_same_server() -> None:
    asked = []

    async def fetch(path: str) -> bytes | None:
        asked.append(path)
        return b"x\n//# sourceMappingURL=a.js.map?v=2" if path == "/js/a.js" else map_of("../src/a.ts")

    found = await Originals().find(Frame(None, f"{ORIGIN}/js/a.js", 1, 1), ORIGIN, within(fetch))
    assert found.file == "src/a.ts"
    assert asked == ["/js/a.js", "/js/a.js.map?v=2"]


async def test_a_map_on_another_server_is_not_fetched() -> None:
    asked = []

    async def fetch(path: str) -> bytes | None:
        asked.append(path)
        return b"x\n//# sourceMappingURL=http://169.254.169.254/latest/meta-data"

    found = await Originals().find(Frame(None, f"{ORIGIN}/a.js", 1, 1), ORIGIN, within(fetch))
    assert (found.file, asked) == ("a.js", ["/a.js"])


@pytest.mark.parametrize("data", [None, b"", b"{}", b"not a map"])
async def test_without_a_readable_map_the_place_is_the_scripts_own(data: bytes | None) -> None:
    found = await Originals().find(Frame("f", f"{ORIGIN}/js/a.js?v=1", 7, 8), ORIGIN, beside(always(data)))
    assert (found.file, found.line, found.column, found.function) == ("js/a.js", 7, 8, "f")


async def test_a_script_in_the_page_itself_is_in_its_file() -> None:
    found = await Originals().find(Frame(None, f"{ORIGIN}/docs/", 7, 8), ORIGIN, None)
    assert found.file == "docs/index.html"


async def test_a_script_from_elsewhere_is_named_by_its_address() -> None:
    url = "https://cdn.example/lib.js"
    found = await Originals().find(Frame(None, url, 7, 8), ORIGIN, beside(always(map_of("a.ts"))))
    assert (found.file, found.line) == (url, 7)
