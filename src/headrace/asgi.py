"""The server: API, event streams, sites and an embedded worker in one process."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import orjson
import structlog
import uvicorn

from headrace.api.app import create_app
from headrace.bootstrap import open_services, working
from headrace.edge.edge import Edge, Target
from headrace.errors import InvalidSetting
from headrace.pipeline.services import Services
from headrace.records import deployments
from headrace.settings import Settings

_log = structlog.get_logger(__name__)

#: How long open streams may go on after SIGTERM. Uvicorn waits for ever without a limit.
GRACE_SECONDS = 3


async def serve(settings: Settings, on_ready: Callable[[str], None] | None = None) -> None:
    """
    Serve until SIGTERM or SIGINT. `on_ready` gets the server's URL when it answers.

    Raises InvalidSetting when the address can't be had.
    """
    listener = _listen(settings)
    port = listener.getsockname()[1]
    url = f"http://{settings.host if settings.host != '0.0.0.0' else '127.0.0.1'}:{port}"  # noqa: S104
    async with open_services(settings) as services:
        services.public.port = port
        server = uvicorn.Server(_config(services))
        async with working(services):
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started and not task.done():
                await asyncio.sleep(0.005)
            with _announced(settings.data_dir, url):
                if on_ready and not task.done():
                    on_ready(url)
                await task


def _config(services: Services) -> uvicorn.Config:
    async def resolve(label: str) -> Target | None:
        async with services.db.read() as c:
            deployment = await deployments.by_label(c, label)
        return Target(deployment_id=deployment.id, artifact=deployment.artifact) if deployment else None

    return uvicorn.Config(
        Edge(services.store, resolve, create_app(services)),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as exc:
        listener.close()
        raise InvalidSetting(
            f"can't listen on {settings.host}:{settings.port}: {exc.strerror}",
            hint="stop what listens there, or set HEADRACE_PORT to another port (0 takes a free one)",
        ) from exc
    listener.listen(1024)
    return listener


class _announced:  # noqa: N801 - reads as a word in `with`
    """Tell the command line of this machine where the server is, as long as it serves."""

    def __init__(self, data_dir: Path, url: str) -> None:
        self._path = data_dir / "server.json"
        self._url = url

    def __enter__(self) -> None:
        aside = self._path.with_suffix(f".{os.getpid()}")
        aside.write_bytes(orjson.dumps({"pid": os.getpid(), "url": self._url}))
        aside.replace(self._path)

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):
            if orjson.loads(self._path.read_bytes())["pid"] == os.getpid():
                self._path.unlink()
