"""Tool chains come from a registry, checked, once, and say what to do when they can't."""

import asyncio
import base64
import hashlib
import io
import json
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headrace.errors import HeadraceError, InvalidInput, ToolUnavailable
from headrace.layers.layers import Layers
from headrace.layers.toolchain import bin_directories, mount_point, provide
from headrace.model.plan import Tool

NPM = Tool(name="npm", version="10.9.9")


def package(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in extra:
            archive.addfile(member)
    return packed.getvalue()


def npm_package(*extra: tarfile.TarInfo, **more: bytes) -> bytes:
    manifest = {"name": "npm", "bin": {"npm": "bin/npm-cli.js", "npx": "./bin/npx-cli.js"}}
    script = b"#!/usr/bin/env node\n"
    files = {
        "package/package.json": json.dumps(manifest).encode(),
        "package/bin/npm-cli.js": script,
        "package/bin/npx-cli.js": script,
        "package/docs/long.html": b"<p>",
    }
    return package({**files, **{f"package/{name}": data for name, data in more.items()}}, *extra)


def integrity(data: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"


class Registry:
    """A registry on loopback whose answers a test decides: path -> (status, body), or several that are given in turn."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, bytes]]] = {}
        self.asked: Counter[str] = Counter()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked[self.path] += 1
                left = registry.answers.get(self.path, [(404, b"{}")])
                status, body = left[0] if len(left) == 1 else left.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def publish(self, name: str, version: str, data: bytes, *, declared: str | None = None, host: str = "") -> None:
        file = f"/{name}/-/{name}-{version}.tgz"
        facts = {"dist": {"tarball": (host or self.url) + file, "integrity": declared or integrity(data)}}
        self.answers[f"/{name}/{version}"] = [(200, json.dumps(facts).encode())]
        self.answers[file] = [(200, data)]


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def tools(tmp_path: Path) -> Layers:
    return Layers(tmp_path / "tools")


async def refused(tools: Layers, tool: Tool, registry: Registry) -> HeadraceError:
    with pytest.raises(HeadraceError) as caught:
        await provide(tools, tool, registry.url, pauses=(0, 0))
    assert tools.all() == []
    return caught.value


async def test_a_package_manager_is_laid_out_like_an_ordinary_installation(tools: Layers, registry: Registry) -> None:
    registry.publish("npm", "10.9.9", npm_package())
    layer = await provide(tools, NPM, registry.url)
    assert (layer.path / "bin/npm").resolve() == layer.path / "lib/node_modules/npm/bin/npm-cli.js"
    assert (layer.path / "bin/npx").readlink() == Path("../lib/node_modules/npm/bin/npx-cli.js")
    assert (layer.path / "bin/npm").stat().st_mode & 0o777 == 0o755
    assert not (layer.path / "lib/node_modules/npm/docs").exists()


async def test_a_tool_is_fetched_once_also_when_many_ask_at_once(tools: Layers, registry: Registry) -> None:
    registry.publish("npm", "10.9.9", npm_package())
    asking = (provide(Layers(tools._root), NPM, registry.url) for _ in range(6))
    layers = await asyncio.gather(*asking)
    assert {layer.key for layer in layers} == {layers[0].key}
    assert registry.asked["/npm/-/npm-10.9.9.tgz"] == 1


async def test_faults_that_pass_are_tried_again(tools: Layers, registry: Registry) -> None:
    registry.publish("npm", "10.9.9", npm_package())
    for path, answers in registry.answers.items():
        registry.answers[path] = [(503, b""), (502, b""), *answers]
    assert (await provide(tools, NPM, registry.url, pauses=(0, 0))).files == 5


async def test_a_download_that_was_cut_is_tried_again(tools: Layers, registry: Registry) -> None:
    data = npm_package()
    registry.publish("npm", "10.9.9", data)
    registry.answers["/npm/-/npm-10.9.9.tgz"] = [(200, data[:100]), (200, data)]
    assert (await provide(tools, NPM, registry.url, pauses=(0,))).files == 5


async def test_a_registry_that_stays_down_is_named_with_what_to_do(tools: Layers, registry: Registry) -> None:
    registry.answers["/npm/10.9.9"] = [(503, b"")]
    error = await refused(tools, NPM, registry)
    assert isinstance(error, ToolUnavailable)
    assert registry.asked["/npm/10.9.9"] == 3
    assert registry.url in error.message
    assert "HEADRACE_NPM_REGISTRY" in (error.hint or "")


async def test_a_registry_that_nobody_answers_for_is_unavailable(tools: Layers) -> None:
    with pytest.raises(ToolUnavailable):
        await provide(tools, NPM, "http://127.0.0.1:1", pauses=())
    with pytest.raises(ToolUnavailable):
        await provide(tools, NPM, "not a url", pauses=())


async def test_an_unpublished_version_is_refused_with_the_versions_there_are(tools: Layers, registry: Registry) -> None:
    versions: dict[str, object] = {v: {} for v in ["9.9.4", "10.9.8", "10.9.10", "10.10.0-beta", "11.21.2"]}
    registry.answers["/npm"] = [(200, json.dumps({"versions": versions}).encode())]
    error = await refused(tools, NPM.but(version="10.0.1"), registry)
    assert isinstance(error, InvalidInput)
    assert error.exact_code == "tool.unknown_version"
    assert error.hint == "choose one of: 10.9.10, 10.9.8"
    assert (await refused(tools, NPM.but(version="99.0.0"), registry)).hint == "choose one of: 11.21.2, 10.9.10, 9.9.4"


async def test_a_registry_without_addresses_of_versions_is_fine(tools: Layers, registry: Registry) -> None:
    registry.publish("npm", "10.9.9", npm_package())
    facts = json.loads(registry.answers.pop("/npm/10.9.9")[0][1])
    registry.answers["/npm"] = [(200, json.dumps({"versions": {"10.9.9": facts}}).encode())]
    assert (await provide(tools, NPM, registry.url)).files == 5


async def test_a_mirror_that_answers_with_public_addresses_is_asked_itself(tools: Layers, registry: Registry) -> None:
    registry.publish("npm", "10.9.9", npm_package(), host="https://registry.npmjs.org")
    assert (await provide(tools, NPM, registry.url)).files == 5


async def test_a_file_that_is_not_what_the_registry_declares_is_refused(tools: Layers, registry: Registry) -> None:
    registry.publish("npm", "10.9.9", npm_package(), declared=integrity(b"other"))
    assert isinstance(await refused(tools, NPM, registry), ToolUnavailable)
    registry.publish("npm", "10.9.9", npm_package(), declared="sha1-abc")
    assert isinstance(await refused(tools, NPM, registry), ToolUnavailable)


@pytest.mark.parametrize("algorithm", ["sha512", "sha256", "sha1"])
async def test_the_hash_that_a_project_pins_is_checked(tools: Layers, registry: Registry, algorithm: str) -> None:
    data = npm_package()
    registry.publish("npm", "10.9.9", data)
    good = NPM.but(integrity=f"{algorithm}.{hashlib.new(algorithm, data).hexdigest()}")
    bad = NPM.but(integrity=f"{algorithm}.{hashlib.new(algorithm, b'other').hexdigest()}")
    error = await refused(tools, bad, registry)
    assert (type(error), error.exact_code) == (InvalidInput, "tool.integrity")
    assert (await provide(tools, good, registry.url)).files == 5
    # A layer that is there already is no reason to believe another pin.
    with pytest.raises(InvalidInput):
        await provide(tools, bad, registry.url)


async def test_a_pin_of_an_unknown_form_is_refused(tools: Layers, registry: Registry) -> None:
    registry.publish("npm", "10.9.9", npm_package())
    assert (await refused(tools, NPM.but(integrity="md5.abc"), registry)).exact_code == "tool.integrity"


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member


@pytest.mark.parametrize(
    "data",
    [
        npm_package(special("package/evil", tarfile.SYMTYPE, "/etc/passwd")),
        npm_package(special("package/evil", tarfile.LNKTYPE, "package/package.json")),
        npm_package(special("package/evil", tarfile.FIFOTYPE)),
        npm_package(special("package/evil", tarfile.CHRTYPE)),
        npm_package(**{"../../evil": b"x"}),
        npm_package(**{"/etc/evil": b"x"}),
        npm_package(**{"package.json/below": b"x"}),
        npm_package(tarfile.TarInfo("package/package.json")),
        npm_package()[:200],
        b"no archive",
        package({"package/package.json": b"[]"}),
        package({"package/package.json": b'{"bin":{"npm":"gone.js"}}'}),
        package({"package/package.json": b'{"bin":{"npm":"../../../bin/sh"}}'}),
        package({"package/package.json": b'{"bin":{"npm":"package.json","../x":"package.json"}}'}),
        package({"package/other": b""}),
        package({}),
    ],
    # Archives carry the time, and names must be the same in every process.
    ids=[str(number) for number in range(16)],
)
async def test_a_package_that_is_not_plain_is_refused(
    tools: Layers, registry: Registry, tmp_path: Path, data: bytes
) -> None:
    registry.publish("npm", "10.9.9", data)
    error = await refused(tools, NPM, registry)
    assert isinstance(error, ToolUnavailable)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tools"]
    assert not list((tmp_path / "tools/.removed").iterdir())


def test_a_tool_is_found_in_a_sandbox_by_name_and_version() -> None:
    assert mount_point(NPM) == "/opt/headrace/npm-10.9.9"
    assert bin_directories(NPM) == ("/opt/headrace/npm-10.9.9/bin",)


def yarn_package(name: str = "yarn") -> bytes:
    manifest = {"name": name, "bin": {"yarn": "bin/yarn.js", "yarnpkg": "bin/yarn.js"}}
    return package({"package/package.json": json.dumps(manifest).encode(), "package/bin/yarn.js": BERRY_PROGRAM})


BERRY_PROGRAM = b"#!/usr/bin/env node\n// yarn\n"


async def test_yarn_1_and_its_successors_come_from_their_own_packages(tools: Layers, registry: Registry) -> None:
    registry.publish("yarn", "1.22.22", yarn_package())
    registry.publish("@yarnpkg%2Fcli-dist", "4.13.0", yarn_package("@yarnpkg/cli-dist"))
    for version in ("1.22.22", "4.13.0"):
        layer = await provide(tools, Tool(name="yarn", version=version), registry.url)
        assert (layer.path / "bin/yarn").read_bytes() == BERRY_PROGRAM


async def test_the_hash_of_a_later_yarn_is_that_of_its_program(tools: Layers, registry: Registry) -> None:
    registry.publish("@yarnpkg%2Fcli-dist", "4.13.0", yarn_package())
    right = f"sha224.{hashlib.sha224(BERRY_PROGRAM).hexdigest()}"
    layer = await provide(tools, Tool(name="yarn", version="4.13.0", integrity=right), registry.url)
    assert (layer.path / "bin/yarn").exists()
    tools = Layers(tools._root.with_name("others"))
    wrong = Tool(name="yarn", version="4.13.0", integrity=f"sha224.{hashlib.sha224(b'').hexdigest()}")
    error = await refused(tools, wrong, registry)
    assert error.exact_code == "tool.integrity"


async def test_bun_is_a_program_that_has_two_names(tools: Layers, registry: Registry) -> None:
    files = {"package/package.json": b"{}", "package/bin/bun": b"ELF"}
    for name in ("bun-linux-x64", "bun-linux-x64-baseline", "bun-linux-aarch64"):
        registry.publish(f"@oven%2F{name}", "1.4.5", package(files))
    layer = await provide(tools, Tool(name="bun", version="1.4.5"), registry.url)
    assert [(layer.path / "bin" / name).read_bytes() for name in ("bun", "bunx")] == [b"ELF", b"ELF"]
    assert (layer.path / "bin/bun").stat().st_mode & 0o777 == 0o755
