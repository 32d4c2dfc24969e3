"""Events as stored records, and back."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import ValidationError

from headrace.events.base import Fact
from headrace.loglines import BUILD_LOG
from headrace.model.event import EVENT, Event, Recorded


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def stamped(events: Sequence[Fact]) -> Sequence[Fact]:
    """The events with the time of day, in those that have none."""
    ts = now()
    return [event if event.ts else event.model_copy(update={"ts": ts}) for event in events]


def numbered(events: Sequence[Fact], first: int) -> Sequence[Fact]:
    return [event.model_copy(update={"seq": seq}) for seq, event in enumerate(events, first)]


def encode(event: Recorded) -> bytes:
    """The record of an event without its beginning, as `EventFile.append` wants it."""
    # The build's or the project's id is the first of the other fields.
    fields = event.model_dump(mode="json", exclude_none=True, exclude={"seq", "ts"})
    return _json({"ts": event.ts, "type": fields.pop("type"), **fields})[1:]


def without_lines(records: Iterable[bytes]) -> list[bytes]:
    """Stored records but those of lines that commands printed."""
    return [record for record in records if BUILD_LOG not in record]


def decode(records: Iterable[bytes]) -> Sequence[Event]:
    """Events of a build's stored lines. Types that only a newer Headrace knows are left out."""
    events = []
    for record in records:
        try:
            events.append(EVENT.validate_json(record))
        except ValidationError as exc:
            if exc.errors()[0]["type"] != "union_tag_invalid":
                raise
    return events


def _json(value: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # Half of a surrogate pair, from a path or an argument that is not UTF-8. A fact must not be lost for that.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
