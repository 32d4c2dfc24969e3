"""
The way to a server behind the edge: a development server in a sandbox, or another server of this machine.

Bodies stream both ways as fast as the slower side takes them. Nothing is compressed, followed, stored or believed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import structlog
from aiohttp import ClientConnectionError, ClientError, ClientResponse, ClientSession
from yarl import URL

from headrace.edge.accept import wants_page
from headrace.edge.caller import Caller
from headrace.edge.inject import Injector
from headrace.edge.pages import Problem
from headrace.edge.preview_pages import as_page, as_program
from headrace.edge.proxy_headers import BadHeaders, for_upstream, for_visitor
from headrace.edge.proxy_socket import refuse_socket, relay_socket
from headrace.edge.reply import Receive, Reply, Send
from headrace.edge.request import Request, Scope
from headrace.edge.upstreams import Busy, Destination, Upstreams

#: A server may compile a whole page before its first byte. Also how long a pause an upload may make.
ANSWER_SECONDS = 60.0

UNREACHABLE = Problem(
    502,
    "preview.unreachable",
    "The server behind this page does not answer",
    "It can't be reached: it is starting, or it has stopped.",
)
TIMED_OUT = UNREACHABLE._replace(status=504, detail="It took the request and sent no answer in time.")
BAD_RESPONSE = Problem(
    502,
    "preview.bad_response",
    "The server behind this page sent a bad answer",
    "What it sent is no answer that can be passed on.",
)
BUSY = Problem(503, "preview.busy", "Too many visitors", "This preview has too many open connections.")

_log = structlog.get_logger(__name__)


class Proxy:
    """For one event loop. `is_ours` tells whether an `Authorization` header is Headrace's own, which nobody else may see."""

    def __init__(
        self, upstreams: Upstreams, is_ours: Callable[[bytes], bool], *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._upstreams = upstreams
        self._is_ours = is_ours
        self._seconds = answer_seconds

    async def visit(
        self,
        owner: str,
        destination: Destination,
        caller: Caller,
        scope: Scope,
        receive: Receive,
        send: Send,
        version: str | None = None,
        *,
        with_script: bool = False,
    ) -> None:
        """Pass a request or a WebSocket on. `with_script`: pages get Headrace's script, and learn their `version`."""
        page = with_script and caller.navigates
        host = destination.host or caller.host.decode("latin-1")
        token_is_ours = caller.authorization is not None and self._is_ours(caller.authorization)
        headers = for_upstream(scope["headers"], caller, host, page=page, token_is_ours=token_is_ours)
        url = _url(destination.address, scope)
        try:
            async with self._upstreams.use(owner, destination) as session:
                if caller.is_socket:
                    await relay_socket(session, url, headers, scope, receive, send, self._seconds)
                    return
                injector = Injector(version) if page else None
                exchange = _Exchange(session, url, scope["method"], receive, send, caller.host, injector, self._seconds)
                problem = await exchange.run(headers, _has_body(scope))
        except Busy:
            problem = BUSY
        if problem is not None:
            await refuse(problem, scope, receive, send)


async def refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or a handshake, with a problem."""
    if scope["type"] == "websocket":
        return await refuse_socket(scope, send, problem.status)
    request = Request(scope)
    made = as_page(problem) if wants_page(request.accept) else as_program(problem)
    return await Reply(request, receive, send).send(problem.status, *made)


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        session: ClientSession,
        url: URL,
        method: str,
        receive: Receive,
        send: Send,
        host: bytes,
        injector: Injector | None,
        seconds: float,
    ) -> None:
        self._session = session
        self._url = url
        self._method = method
        self._receive = receive
        self._send = send
        self._host = host
        self._injector = injector
        self._seconds = seconds
        self._uploaded = asyncio.Event()
        self._gone = asyncio.Event()
        self._limit: asyncio.Timeout | None = None

    async def run(self, headers: object, has_body: bool) -> Problem | None:
        """The problem to answer with, if nothing was answered yet. A visitor who leaves ends it at once."""
        if not has_body:
            self._uploaded.set()
        work = asyncio.create_task(self._work(headers, has_body))
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            watch.cancel()
            work.cancel()
            await asyncio.wait({work, watch})

    async def _work(self, headers: object, has_body: bool) -> Problem | None:
        try:
            async with asyncio.timeout(self._seconds) as self._limit:
                response = await self._session.request(
                    self._method,
                    self._url,
                    headers=headers,  # type: ignore[arg-type]
                    data=self._body() if has_body else None,
                    allow_redirects=False,
                )
        except TimeoutError:
            return TIMED_OUT
        except ClientConnectionError as exc:
            return UNREACHABLE if not self._gone.is_set() and _refused(exc) else BAD_RESPONSE
        except (ClientError, ValueError):
            return BAD_RESPONSE
        finally:
            self._limit = None
        async with response:
            return await self._answer(response)

    async def _answer(self, response: ClientResponse) -> Problem | None:
        status = response.status
        injector = self._injector if self._injector and _is_page(response) else None
        try:
            headers = for_visitor(response.raw_headers, self._host, changed=injector is not None, status=status)
        except BadHeaders as exc:
            return BAD_RESPONSE._replace(detail=f"The server's answer can't be passed on: {exc}.")
        if not 200 <= status < 600:
            return BAD_RESPONSE._replace(detail=f"The server answered with the status {status}.")
        try:
            first = await self._first(response, injector)
        except ClientError:
            return BAD_RESPONSE
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        if response.content.at_eof():
            await self._send({"type": "http.response.body", "body": first + (injector.end() if injector else b"")})
            return None
        try:
            await self._part(first)
            async for piece in response.content.iter_any():
                await self._part(injector.feed(piece) if injector else piece)
            await self._part(injector.end() if injector else b"")
        except ClientError:
            # Ending without the last message tells the visitor's side that the body is not whole.
            _log.info("an answer ended before it was whole", host=self._host.decode("latin-1"))
            return None
        await self._send({"type": "http.response.body", "body": b""})
        return None

    async def _first(self, response: ClientResponse, injector: Injector | None) -> bytes:
        """What there is of the body by now; of a page, enough to know where the script goes."""
        if injector is None:
            # Never waits: an event stream may be silent for long, and its visitor wants the headers.
            return response.content.read_nowait()
        first = b""
        async for piece in response.content.iter_any():
            first = injector.feed(piece)
            if first:
                break
        return first

    async def _part(self, piece: bytes) -> None:
        if piece:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _body(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone.set()
                raise ConnectionResetError
            self._go_on()
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]
        self._go_on()
        self._uploaded.set()

    def _go_on(self) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)

    async def _watch(self) -> None:
        """Until the visitor has left. While his request still comes, the upload listens."""
        await self._uploaded.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _refused(exc: ClientConnectionError) -> bool:
    return isinstance(exc, OSError) or "disconnected" not in str(exc).lower()


def _is_page(response: ClientResponse) -> bool:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    return kind == "text/html" and coding == "identity"


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
        for name, value in scope["headers"]
    )


def _url(address: str, scope: Scope) -> URL:
    path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    scheme = "ws" if scope["type"] == "websocket" else "http"
    return URL(f"{scheme}://{address}{(path + query).decode('latin-1')}", encoded=True)
