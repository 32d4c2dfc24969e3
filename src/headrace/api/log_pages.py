"""The log of a build for those who don't follow events: pages of lines, what people read, and the exact bytes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
from pydantic import ValidationError

from headrace.events.base import EventLog
from headrace.loglines import BUILD_LOG, raw_bytes
from headrace.model.event import EVENT
from headrace.model.text import as_text
from headrace.model.value import Value


class LoggedLine(Value):
    """One line of a page of a log."""

    #: `seq` of its event.
    id: int
    ts: str
    step: str
    stream: str
    line: str
    #: False for a piece of a line, and for a last line without a newline.
    eol: bool = True
    #: The line's bytes in base64, where they are not UTF-8.
    raw: str | None = None


class LogsPage(Value):
    """Some lines of a log. `end` says that no more will come: the log has ended and this was its last page."""

    items: tuple[LoggedLine, ...]
    #: What to give as `after_id` for the next page.
    next_after_id: int
    end: bool
    #: Bytes of output that the log's cap cut away between these lines.
    truncated_bytes: int = 0


async def logs_page(events: EventLog, log: str, after_id: int, limit: int) -> LogsPage:
    """Up to `limit` lines behind event `after_id`."""
    items: list[LoggedLine] = []
    seen, truncated = after_id, 0
    ended = await events.closed(log)  # asked first: lines that come later don't belong to an end that was seen before
    async with aclosing(_records(events, log, after_id)) as records:
        async for record in records:
            if record["type"] == "build.log" and len(items) == limit:
                ended = False
                break
            seen = record["seq"]
            if record["type"] == "build.log":
                items.append(_logged_line(record))
            elif record["type"] == "log.truncated":
                truncated += record["bytes"]
    return LogsPage(items=tuple(items), next_after_id=seen, end=ended, truncated_bytes=truncated)


async def log_text(events: EventLog, log: str, *, after: int = 0, follow: bool = False) -> AsyncGenerator[bytes, None]:
    """What people read of a build, without escape sequences, in pieces that end at line ends."""
    async with aclosing(events.read_bytes(log, after=after, follow=follow)) as pieces:
        async for piece in pieces:
            texts = [_text(line) for line in piece.split(b"\n")[:-1]]
            yield "".join(f"{text}\n" for text in texts if text is not None).encode(errors="replace")


async def log_bytes(events: EventLog, log: str) -> AsyncGenerator[bytes, None]:
    """Exactly the bytes that the build's commands printed, up to now."""
    async with aclosing(events.read_bytes(log)) as pieces:
        async for piece in pieces:
            records = (orjson.loads(line) for line in piece.split(b"\n")[:-1] if BUILD_LOG in line)
            yield b"".join(raw_bytes(record) for record in records)


async def _records(events: EventLog, log: str, after: int) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(events.read_bytes(log, after=after)) as pieces:
        async for piece in pieces:
            for line in piece.split(b"\n")[:-1]:
                yield orjson.loads(line)


def _logged_line(record: dict[str, Any]) -> LoggedLine:
    kept = {name: record[name] for name in ("ts", "step", "stream", "line", "eol", "raw") if name in record}
    return LoggedLine(id=record["seq"], **kept)


def _text(line: bytes) -> str | None:
    try:
        return as_text(EVENT.validate_json(line))
    except ValidationError:
        return None  # a type of a newer Headrace
