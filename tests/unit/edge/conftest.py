"""A visitor: drives the edge as an ASGI server would, without a socket."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import orjson
import pytest

from headrace.edge.edge import Edge, Target
from headrace.edge.memory import Memory
from headrace.model.artifact import ArtifactFile, Manifest
from headrace.model.digest import Digest, digest_of
from headrace.model.plan import Routing
from headrace.site.codings import CODINGS, coded, is_worth_coding
from headrace.site.hashed_names import has_content_hash
from headrace.site.media_types import is_compressible, media_type
from headrace.store.memory import MemoryStore
from headrace.tree import canonical


class Reply:
    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.raw_headers = headers
        self.headers = {name.decode(): value.decode("latin-1") for name, value in headers}
        self.body = body

    def json(self) -> Any:
        return orjson.loads(self.body)


async def api(scope: MutableMapping[str, Any], receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    """Stands for the server's own application."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-api", b"yes")]})
    await send({"type": "http.response.body", "body": b"api"})


class Visitor:
    """Publishes sites at labels and asks for their paths."""

    def __init__(self, *, largest: int = 1024 * 1024, life_seconds: float = 60, budget: int = 64 * 1024 * 1024) -> None:
        self.store = MemoryStore()
        self.targets: dict[str, Target] = {}
        self.looked = 0
        memory = Memory(self.store, budget=budget, largest=largest)
        self.edge = Edge(self.store, self._resolve, api, life_seconds=life_seconds, memory=memory)

    async def _resolve(self, label: str) -> Target | None:
        self.looked += 1
        await asyncio.sleep(0)
        return self.targets.get(label)

    async def publish(
        self,
        files: Mapping[str, bytes],
        *,
        label: str = "shop",
        deployment: str = "dpl_1",
        **routing: Any,
    ) -> Digest:
        manifest = Manifest(
            files=tuple([await self._file(path, data) for path, data in sorted(files.items())]),
            routing=Routing(**routing),
        )
        artifact = await self.store.put(canonical(manifest))
        self.targets[label] = Target(deployment_id=deployment, artifact=artifact)
        self.edge.invalidate(label)
        return artifact

    async def _file(self, path: str, data: bytes) -> ArtifactFile:
        kind = media_type(path, data)
        blobs = {name: coded(data, name) for name in CODINGS if is_compressible(kind) and is_worth_coding(len(data))}
        return ArtifactFile(
            path=path,
            digest=await self.store.put(data),
            size=len(data),
            media_type=kind,
            encodings={name: await self.store.put(blob) for name, blob in blobs.items() if blob},
            immutable=has_content_hash(path),
        )

    async def get(
        self,
        path: str | bytes = "/",
        *,
        method: str = "GET",
        host: str | None = "shop.localhost:7700",
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        gone_after: int | None = None,
    ) -> Reply:
        """`gone_after`: the visitor leaves when he has got so many pieces of the body."""
        raw, _, query = (path.encode() if isinstance(path, str) else path).partition(b"?")
        pairs = list(headers.items()) if isinstance(headers, Mapping) else headers or []
        lines = [(name.lower().encode(), value.encode()) for name, value in pairs]
        scope = {
            "type": "http",
            "method": method,
            "path": raw.decode("latin-1"),
            "raw_path": raw,
            "query_string": query,
            "headers": [*([(b"host", host.encode())] if host is not None else []), *lines],
        }
        return await self.send(scope, gone_after)

    async def send(self, scope: MutableMapping[str, Any], gone_after: int | None = None) -> Reply:
        sent: list[MutableMapping[str, Any]] = []
        gone = asyncio.Event()
        asked = 0

        async def receive() -> MutableMapping[str, Any]:
            nonlocal asked
            asked += 1
            if asked == 1:
                return {"type": "http.request", "body": b"", "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)
            if gone_after is not None and len(sent) > gone_after:
                gone.set()
            await asyncio.sleep(0)

        await self.edge(scope, receive, send)
        assert sent[0]["type"] == "http.response.start"
        body = b"".join(message["body"] for message in sent[1:])
        return Reply(sent[0]["status"], list(sent[0]["headers"]), body)


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()


@pytest.fixture
def make_visitor() -> type[Visitor]:
    return Visitor


@pytest.fixture
def etag() -> Callable[[bytes], str]:
    return lambda data: f'"{digest_of(data).removeprefix("sha256:")[:32]}"'
