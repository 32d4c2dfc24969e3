"""A visitor's WebSocket and the one to the server behind the edge, as if they were one: messages, protocol, close codes."""

import asyncio

from aiohttp import (
    ClientConnectionError,
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMsgType,
    WSServerHandshakeError,
)
from multidict import CIMultiDict
from yarl import URL

from headrace.edge.reply import Receive, Send
from headrace.edge.request import Scope

#: Larger messages close the connection with 1009. The same as the server takes from visitors.
MOST_BYTES = 16 * 1024 * 1024

_NOTHING_SAID = 1005
_WENT_AWAY = 1001
_BROKE = 1011
_CLOSE_SECONDS = 5.0
#: What stands in a close frame. The others are made up by those who got none.
_SENDABLE = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})


async def relay_socket(
    session: ClientSession,
    url: URL,
    headers: CIMultiDict[str],
    scope: Scope,
    receive: Receive,
    send: Send,
    seconds: float,
) -> None:
    """`seconds` is how long the handshake may take; an open connection may be silent for ever."""
    await receive()
    try:
        async with asyncio.timeout(seconds):
            upstream = await session.ws_connect(
                url,
                headers=headers,
                protocols=scope.get("subprotocols") or (),
                timeout=ClientWSTimeout(ws_receive=None, ws_close=_CLOSE_SECONDS),
                autoclose=False,
                max_msg_size=MOST_BYTES,
            )
    except WSServerHandshakeError as exc:
        return await refuse_socket(scope, send, exc.status if 400 <= exc.status < 600 else 502)
    except TimeoutError:
        return await refuse_socket(scope, send, 504)
    except (ClientError, ClientConnectionError, ValueError):
        return await refuse_socket(scope, send, 502)
    try:
        await send({"type": "websocket.accept", "subprotocol": upstream.protocol, "headers": []})
        await _relay(upstream, receive, send)
    finally:
        await upstream.close(code=_WENT_AWAY)


async def refuse_socket(scope: Scope, send: Send, status: int) -> None:
    """Answer a handshake that was not accepted."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1000})
        return
    headers = [(b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})


async def _relay(upstream: ClientWebSocketResponse, receive: Receive, send: Send) -> None:
    up = asyncio.create_task(_up(upstream, receive))
    down = asyncio.create_task(_down(upstream, send))
    try:
        done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.wait({up, down})


async def _up(upstream: ClientWebSocketResponse, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code", _NOTHING_SAID)
            reason = (message.get("reason") or "").encode()
            await upstream.close(code=code if code in _SENDABLE else _WENT_AWAY, message=reason)
            return
        try:
            if (text := message.get("text")) is not None:
                await upstream.send_str(text)
            else:
                await upstream.send_bytes(message["bytes"])
        except ConnectionError:
            # It has closed; the other direction hears why.
            await asyncio.Event().wait()


async def _down(upstream: ClientWebSocketResponse, send: Send) -> None:
    while True:
        message = await upstream.receive()
        if message.type is WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
        elif message.type is WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
        elif message.type is WSMsgType.CLOSE:
            code = message.data if message.data in _SENDABLE else 1000
            return await send({"type": "websocket.close", "code": code, "reason": message.extra or ""})
        else:
            too_big = upstream.close_code == 1009
            return await send({"type": "websocket.close", "code": 1009 if too_big else _BROKE})
