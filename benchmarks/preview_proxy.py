"""
What the edge adds to a development server: a WebSocket message as hot updates are, and a module, direct and through it.

`scripts/bench preview_proxy`. The server behind is a small one in a process of its own, so that what is measured is the
way there; the edge runs in this one's child, as in `headrace serve`. Direct and through the edge take turns.
"""

import asyncio
import json
import multiprocessing
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))

ROUNDS = 3_000
TURN = 50
UPDATE = json.dumps(
    {"type": "update", "updates": [{"type": "js-update", "path": "/src/App.tsx", "acceptedPath": "/src/App.tsx"}]}
)
MODULE = b"import { jsx } from '/node_modules/.vite/deps/react.js';\n" * 40


async def _behind(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade"):
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        async for _ in ws:
            await ws.send_str(UPDATE)
        return ws
    return web.Response(
        body=MODULE, content_type="text/javascript", headers={"ETag": 'W/"1"', "Cache-Control": "no-cache"}
    )


def _run_behind(listener: socket.socket, stop: Event) -> None:
    async def main() -> None:
        runner = web.ServerRunner(web.Server(_behind), access_log=None)  # type: ignore[arg-type]
        await runner.setup()
        await web.SockSite(runner, listener).start()
        await asyncio.to_thread(stop.wait)
        await runner.cleanup()

    asyncio.run(main())


def _run_edge(port: int, listener: socket.socket, stop: Event) -> None:
    from tests.acceptance.edge.conftest import OnePreview

    from headrace.edge.edge import Edge
    from headrace.edge.forwards import Forwards
    from headrace.edge.preview import PreviewEdge
    from headrace.edge.protocol import protocol_for
    from headrace.edge.proxy import Proxy
    from headrace.edge.upstreams import Upstreams
    from headrace.store.memory import MemoryStore

    async def nothing(*_: Any) -> None:
        return None

    async def main() -> None:
        async with AsyncExitStack() as held:
            upstreams = Upstreams()
            held.push_async_callback(upstreams.aclose)
            store = MemoryStore()
            preview = OnePreview(store)
            preview.serves("ver_01j00000000000000000000000")
            preview.proxied_to(port)
            proxy = Proxy(upstreams, lambda _: False)
            pages = PreviewEdge(preview, store, proxy, Forwards(proxy, ()), lambda _: False)
            edge = Edge(store, nothing, nothing, previews=pages)
            config = uvicorn.Config(
                edge,
                http=protocol_for(edge),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws_per_message_deflate=False,
            )
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve([listener]))
            await asyncio.to_thread(stop.wait)
            server.should_exit = server.force_exit = True
            await serving

    asyncio.run(main())


def _processor_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def _measure(ways: dict[str, Callable[[], Awaitable[None]]]) -> dict[str, list[float]]:
    """Seconds of each call; the ways take turns, so that all meet the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS // TURN + 2):
        for name, call in ways.items():
            for _ in range(TURN):
                began = time.perf_counter()
                await call()
                if number >= 2:
                    seconds[name].append(time.perf_counter() - began)
    return seconds


async def _measure_all(direct: int, through: int, pid: int) -> None:
    headers = {"Host": f"shop.preview.localhost:{through}"}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        sockets = {
            "direct": await session.ws_connect(f"ws://127.0.0.1:{direct}/"),
            "through": await session.ws_connect(f"ws://127.0.0.1:{through}/", headers=headers),
        }

        def echo(ws: aiohttp.ClientWebSocketResponse) -> Callable[[], Awaitable[None]]:
            async def call() -> None:
                await ws.send_str("edit")
                assert await ws.receive_str() == UPDATE

            return call

        def fetch(port: int) -> Callable[[], Awaitable[None]]:
            async def call() -> None:
                async with session.get(f"http://127.0.0.1:{port}/src/App.tsx", headers=headers) as reply:
                    assert await reply.read() == MODULE

            return call

        messages = {name: echo(ws) for name, ws in sockets.items()}
        modules = {"direct": fetch(direct), "through": fetch(through)}
        for what, ways in (("message there and back", messages), ("module", modules)):
            before = _processor_seconds(pid)
            seconds = await _measure(ways)
            _print(what, seconds, (_processor_seconds(pid) - before) / (ROUNDS + 2 * TURN))
        for ws in sockets.values():
            await ws.close()


def _print(what: str, seconds: dict[str, list[float]], processor: float) -> None:
    direct, through = (sorted(seconds[name]) for name in ("direct", "through"))
    row: dict[str, Any] = {"what": what, "rounds": len(direct)}
    for name, values in (("direct", direct), ("through", through)):
        row[f"{name}_p50_ms"] = round(statistics.median(values) * 1000, 3)
        row[f"{name}_p95_ms"] = round(values[int(len(values) * 0.95)] * 1000, 3)
    row["added_p50_ms"] = round((statistics.median(through) - statistics.median(direct)) * 1000, 3)
    row["ratio"] = round(statistics.median(through) / statistics.median(direct), 2)
    # The same on a busy machine, where the times above are not.
    row["edge_processor_ms"] = round(processor * 1000, 3)
    print(json.dumps(row))


def main() -> None:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    behind, edge = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    # As in `headrace serve`: an answer in two writes would wait for the client's delayed acknowledgement.
    edge.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    direct, through = (listener.getsockname()[1] for listener in (behind, edge))
    processes = [
        context.Process(target=_run_behind, args=(behind, stop)),
        context.Process(target=_run_edge, args=(direct, edge, stop)),
    ]
    for process in processes:
        process.start()
    try:
        time.sleep(2)
        asyncio.run(_measure_all(direct, through, processes[1].pid or 0))
    finally:
        stop.set()
        for process in processes:
            process.join(10)


if __name__ == "__main__":
    main()
