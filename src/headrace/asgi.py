"""The server: API, event streams, sites and an embedded worker in one process."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import orjson
import structlog
import uvicorn

from headrace.api.app import create_app
from headrace.api.auth import is_bearer_of
from headrace.bootstrap import open_services, working
from headrace.edge.edge import Edge, Target
from headrace.edge.forwards import Forwards
from headrace.edge.own import Own
from headrace.edge.preview import PreviewEdge
from headrace.edge.protocol import protocol_for
from headrace.edge.proxy import Proxy
from headrace.edge.proxy_socket import MOST_BYTES
from headrace.edge.upstreams import Upstreams
from headrace.errors import InvalidSetting
from headrace.logs import configure_logs
from headrace.pipeline.services import Services
from headrace.preview.sessions import Previews, open_previews
from headrace.records import deployments, projects
from headrace.settings import Settings, api_token

_log = structlog.get_logger(__name__)

#: How long open streams may go on after SIGTERM. Uvicorn waits for ever without a limit.
GRACE_SECONDS = 3


async def serve(
    settings: Settings, on_ready: Callable[[str], None] | None = None, *, only_answer: bool = False
) -> None:
    """
    Serve until SIGTERM or SIGINT. `on_ready` gets the server's URL when it answers.

    With `only_answer` nothing is built or swept, and nobody is told where the server is: it exists for one command.
    Raises InvalidSetting when the address can't be had.
    """
    configure_logs(settings.log_level)
    if settings.accept_weaker_sandbox and not only_answer:
        _log.warning("sandboxes may lack controls here", accepted=settings.accept_weaker_sandbox)
    listener = _listen(settings)
    port = listener.getsockname()[1]
    url = f"http://{_reachable(settings.host)}:{port}"
    async with open_services(settings) as services:
        if not only_answer:  # it will be gone before anybody can visit its sites
            services.public.port = port
        ready = asyncio.Event()
        async with (
            nullcontext() if only_answer else working(services),
            open_previews(services) as previews,
            aclosing(Upstreams()) as upstreams,
        ):
            server = _Server(_config(services, previews, upstreams), ready, services.stopping)
            task = asyncio.create_task(server.serve(sockets=[listener]))
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            with nullcontext() if only_answer else _announced(settings.data_dir, url):
                if on_ready and not task.done():
                    on_ready(url)
                await task


class _Server(uvicorn.Server):
    """Says when it answers, and ends the open event streams when it begins to stop: uvicorn would wait for them."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event, stopping: list[Callable[[], None]]) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn would raise the signal again when it has stopped, and the process would end before its clean-up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for stop in self._stopping:
            stop()
        await super().shutdown(sockets)


def _config(services: Services, previews: Previews, upstreams: Upstreams) -> uvicorn.Config:
    async def resolve(label: str) -> Target | None:
        async with services.db.read() as c:
            deployment = await deployments.by_label(c, label)
            project = await projects.get(c, deployment.project_id) if deployment else None
        if deployment is None:
            return None
        rules = project.settings.proxy if project else ()
        return Target(deployment_id=deployment.id, artifact=deployment.artifact, proxy=rules)

    settings = services.settings
    api = create_app(services, previews)
    is_member = partial(is_bearer_of, api_token(settings).encode())
    proxy = Proxy(upstreams, is_member)
    forwards = Forwards(proxy, settings.proxy_hosts)
    own_hosts = (settings.host, *settings.hosts)
    own = Own(services.events, upstreams, (settings.sites_domain, *own_hosts))
    pages = PreviewEdge(previews, previews.blobs, proxy, forwards, is_member, own)
    api.state.preview_pages = pages
    edge = Edge(
        services.store,
        resolve,
        api,
        sites_domain=settings.sites_domain,
        own_hosts=own_hosts,
        previews=pages,
        forwards=forwards,
    )
    services.switched.append(edge.invalidate)
    services.stopping.extend((api.state.streams.close, own.close, upstreams.stop))
    return uvicorn.Config(
        edge,
        http=protocol_for(edge),
        log_config=None,
        access_log=False,
        server_header=False,
        # Forwarded headers of whoever connects are not believed.
        proxy_headers=False,
        date_header=True,
        lifespan="on",
        ws_max_size=MOST_BYTES,
        # A message's way is short; packing and unpacking it would cost more than it saves.
        ws_per_message_deflate=False,
        # Pings keep a silent connection open on its way, and their answers may be late: a page may be busy.
        ws_ping_interval=30,
        ws_ping_timeout=None,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _reachable(host: str) -> str:
    """An address that this machine's programs can connect to, for one that is listened on."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not listened on
    return everywhere.get(host, f"[{host}]" if ":" in host else host)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Without it an answer in two writes waits 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((settings.host, settings.port))
    except (OSError, TypeError, UnicodeError) as exc:  # the last two for what can be the name of no host
        listener.close()
        raise InvalidSetting(
            f"can't listen on {settings.host}:{settings.port}: {getattr(exc, 'strerror', None) or exc}",
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
