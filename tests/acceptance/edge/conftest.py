"""A server with the edge on a real socket, a preview that tests set up as they like, and servers behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from yarl import URL

from headrace.edge.edge import Edge, Target
from headrace.edge.forwards import Forwards
from headrace.edge.preview import PreviewEdge
from headrace.edge.protocol import protocol_for
from headrace.edge.proxy import Proxy
from headrace.edge.proxy_socket import MOST_BYTES
from headrace.edge.upstreams import Upstreams
from headrace.model.artifact import ArtifactFile, Manifest
from headrace.model.digest import Digest
from headrace.model.ids import new_id
from headrace.model.plan import Routing
from headrace.model.preview import PreviewEvent, PreviewState, PreviewStatus
from headrace.model.project import PreviewSettings, Project, ProjectSettings, ProxyRule
from headrace.preview.visit import Upstream, Visit
from headrace.site.hashed_names import has_content_hash
from headrace.site.media_types import media_type
from headrace.store.memory import MemoryStore
from headrace.tree import canonical

TOKEN = b"Bearer hr_api_of_the_tests"
SECRET = b"s" * 32
SECONDS = 10.0


class OnePreview:
    """Implements the edge's `Previews` with what the test says."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.project = Project(
            id=new_id("prj"), workspace="default", name="Shop", slug="shop", created_at="2026-01-01T00:00:00Z"
        )
        self.status = PreviewStatus.READY
        self.shown: dict[str, Any] = {}
        self.state_fields: dict[str, Any] = {}
        self.woken = 0

    def set(self, **settings: Any) -> None:
        """The project has these settings; those of `PreviewSettings` may be given by their own names."""
        own = {name: settings.pop(name) for name in list(settings) if name in PreviewSettings.model_fields}
        self.project = self.project.but(settings=ProjectSettings(preview=PreviewSettings(**own), **settings))

    async def publish(self, files: Mapping[str, bytes], version: str = "", **routing: Any) -> str:
        entries = [
            ArtifactFile(
                path=path,
                digest=await self._store.put(data),
                size=len(data),
                media_type=media_type(path, data),
                encodings={},
                immutable=has_content_hash(path),
            )
            for path, data in sorted(files.items())
        ]
        manifest = Manifest(files=tuple(entries), routing=Routing(**routing))
        self.shown = {"manifest": await self._store.put(canonical(manifest))}
        return self.serves(version or new_id("ver"))

    def serves(self, version: str) -> str:
        self.state_fields |= {"version": version, "served_version": version}
        return version

    def proxied_to(self, port: int, number: int = 1, host: str | None = None) -> None:
        def make() -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            made.setblocking(False)
            return made

        self.shown = {"upstream": Upstream(id=f"dev.{number}", port=port, socket=make, host=host)}

    def _visit(self, slug: str, *, missed: bool = False) -> Visit | None:
        if slug != self.project.slug:
            return None
        state = PreviewState(project_id=self.project.id, status=self.status, **self.state_fields)
        return Visit(project=self.project, state=state, secret=SECRET, missed=missed, **self.shown)

    async def look(self, slug: str) -> Visit | None:
        return self._visit(slug)

    async def visit(
        self, slug: str, *, min_version: str | None = None, seconds: float = 30.0, of_open_page: bool = False
    ) -> Visit | None:
        self.woken += 1
        served = self.state_fields.get("served_version") or ""
        return self._visit(slug, missed=min_version is not None and served < min_version)

    def log(self, project_id: str) -> str:
        return project_id

    async def record(self, event: PreviewEvent) -> None:
        pass


class Place:
    """Where a test's edge is reached."""

    def __init__(self, preview: OnePreview, upstreams: Upstreams) -> None:
        self.preview = preview
        self.upstreams = upstreams
        self.port = 0
        self.targets: dict[str, Target] = {}
        self.store: MemoryStore
        self.client: aiohttp.ClientSession

    @property
    def host(self) -> str:
        return f"shop.preview.localhost:{self.port}"

    def get(self, path: str = "/", **options: Any) -> Any:
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, *, host: str | None = None, **options: Any) -> Any:
        headers = {"Host": host or self.host, **options.pop("headers", {})}
        options.setdefault("allow_redirects", False)
        url = URL(f"http://127.0.0.1:{self.port}{path}", encoded=True)
        return self.client.request(method, url, headers=headers, **options)

    def socket(self, path: str = "/", *, host: str | None = None, **options: Any) -> Any:
        headers = {"Host": host or self.host, **options.pop("headers", {})}
        return self.client.ws_connect(f"ws://127.0.0.1:{self.port}{path}", headers=headers, **options)


async def _own_app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-api", b"yes")]})
    await send({"type": "http.response.body", "body": b"api"})


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with AsyncExitStack() as held:
        yield await open_place(held)


@pytest.fixture
async def impatient() -> AsyncIterator[Place]:
    """One that waits half a second for servers behind it."""
    async with AsyncExitStack() as held:
        yield await open_place(held, answer_seconds=0.5)


async def open_place(held: AsyncExitStack, *, answer_seconds: float = SECONDS) -> Place:
    store, upstreams = MemoryStore(), Upstreams()
    held.push_async_callback(upstreams.aclose)
    place = Place(OnePreview(store), upstreams)
    place.store = store

    async def resolve(label: str) -> Target | None:
        return place.targets.get(label)

    def is_member(authorization: bytes) -> bool:
        return authorization == TOKEN

    proxy = Proxy(upstreams, is_member, answer_seconds=answer_seconds)
    forwards = Forwards(proxy, ("127.0.0.1",))
    previews = PreviewEdge(place.preview, store, proxy, forwards, is_member)
    edge = Edge(store, resolve, _own_app, previews=previews, forwards=forwards, life_seconds=0)
    place.port = await _serve(held, edge)
    place.client = await held.enter_async_context(
        aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            skip_auto_headers=("Accept-Encoding", "User-Agent"),
        )
    )
    return place


async def _serve(held: AsyncExitStack, edge: Edge) -> int:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        edge,
        http=protocol_for(edge),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws_max_size=MOST_BYTES,
        ws_per_message_deflate=False,
        ws_ping_timeout=None,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    config.load()
    task = asyncio.create_task(server._serve([listener]))

    async def stop() -> None:
        server.should_exit = True
        server.force_exit = True
        await task

    held.push_async_callback(stop)
    while not server.started:
        await asyncio.sleep(0.01)
    return int(listener.getsockname()[1])


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def behind() -> AsyncIterator[Callable[[Handler], Awaitable[int]]]:
    """Starts servers that answer everything with one handler; their ports."""
    async with AsyncExitStack() as held:

        async def start(handler: Handler) -> int:
            runner = web.ServerRunner(web.Server(cast("Any", handler)), shutdown_timeout=0)
            await runner.setup()
            held.push_async_callback(runner.cleanup)
            listener = socket.create_server(("127.0.0.1", 0))
            await web.SockSite(runner, listener).start()
            return int(listener.getsockname()[1])

        yield start


Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def raw() -> AsyncIterator[Callable[[Speak], Awaitable[int]]]:
    """Starts servers that say whatever bytes they like."""
    async with AsyncExitStack() as held:
        tasks: set[asyncio.Task[None]] = set()

        async def start(speak: Speak) -> int:
            async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                me = asyncio.current_task()
                assert me is not None
                tasks.add(me)
                try:
                    await speak(reader, writer)
                except (ConnectionError, asyncio.CancelledError):
                    pass
                finally:
                    writer.close()

            server = await asyncio.start_server(connected, "127.0.0.1", 0)
            held.callback(server.close)
            return int(server.sockets[0].getsockname()[1])

        yield start
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def rule(path: str, port: int, host: str = "127.0.0.1") -> ProxyRule:
    return ProxyRule(path=path, to=f"http://{host}:{port}")


def digest_text(digest: Digest) -> str:
    return digest
