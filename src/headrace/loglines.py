"""
Bytes that a command prints, as log records for the event file, and back.

Nothing is lost: over the records of one stream, in order, `raw_bytes` gives exactly what was printed. A chunk is escaped
and wrapped as a whole, because a loop over its lines costs five times as much.

Standard library only: a supervisor imports this without the rest of Headrace.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Literal, NamedTuple, Self

Stream = Literal["stdout", "stderr"]

#: Stands in the stored record of each line of a build and in no other: a string in a record has no bare quotes.
BUILD_LOG = b',"type":"build.log",'
#: A longer line is cut in pieces of at most this many bytes, with `eol` false in all but the last.
LINE = 64 * 1024

_ESCAPED = {code: b"\\u%04x" % code for code in range(32) if code != 0x0A} | {
    0x08: b"\\b",
    0x09: b"\\t",
    0x0C: b"\\f",
    0x0D: b"\\r",
}
_CONTROLS = bytes(_ESCAPED)
_END = b'"}'


class Origin(NamedTuple):
    """Whose records these are: what their types begin with, and the fields that name whose."""

    family: str
    fields: Mapping[str, str]


def of_build(build_id: str, step: str) -> Origin:
    return Origin("build", {"build_id": build_id, "step": step})


def of_preview(project_id: str) -> Origin:
    return Origin("preview", {"project_id": project_id})


class Tally:
    """
    What a command printed, in numbers: the receipt of one command, shared by the encoders of its streams.

    `lines` counts newlines, and the last line of a stream that ends without one. `sha256` is over the bytes in the
    order of the records.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def add(self, data: bytes) -> None:
        self.bytes += len(data)
        self._hash.update(data)

    def copy(self) -> Self:
        copy = type(self)()
        copy.become(self)
        return copy

    def become(self, other: "Tally") -> None:
        """Count on from where `other` is."""
        self.lines, self.bytes, self._hash = other.lines, other.bytes, other._hash.copy()


class LineEncoder:
    """
    Makes log records of one stream of one command. Bytes behind the last newline wait for the next chunk.

    The records are without their beginning, as `EventFile.append` wants them; one element holds many.
    """

    def __init__(self, origin: Origin, stream: Stream, tally: Tally | None = None) -> None:
        #: Bytes of a line that has no end yet.
        self.pending = b""
        self.tally = tally or Tally()
        _keep_memory()
        fields = {"type": f"{origin.family}.log", **origin.fields, "stream": stream}
        self._fields = json.dumps(fields, separators=(",", ":"))[1:].removesuffix("}").encode() + b',"line":"'
        self._ts = ""
        self._head = b""
        self._between = b""
        #: The last record had `eol` false: an end of the stream here is an end of a line.
        self._open_line = False

    def feed(self, chunk: bytes, ts: str) -> list[bytes]:
        """Records of the lines that `chunk` completes; none when it completes none."""
        self._stamp(ts)
        records: list[bytes] = []
        # A slice at a time, so that only the line that began earlier can be too long.
        for start in range(0, len(chunk), LINE):
            self._feed(chunk if len(chunk) <= LINE else chunk[start : start + LINE], records)
        return records

    def flush(self, ts: str, *, final: bool = True) -> list[bytes]:
        """
        Records of the bytes that wait for a newline. Without `final` the stream goes on: half a character at the end
        keeps waiting.
        """
        self._stamp(ts)
        records: list[bytes] = []
        ready = len(self.pending) if final else _character_border(self.pending, len(self.pending))
        self._first(ready, records)
        if final and self._open_line:
            self.tally.lines += 1
            self._open_line = False
        return records

    def break_off(self, ts: str) -> list[bytes]:
        """Records of all bytes that wait. What comes next stands behind a gap; the line that is open has not ended."""
        self._stamp(ts)
        records: list[bytes] = []
        self._first(len(self.pending), records)
        return records

    def _first(self, size: int, records: list[bytes]) -> None:
        if size:
            self._piece(self.pending[:size], records)
            self.pending = self.pending[size:]

    def _feed(self, chunk: bytes, records: list[bytes]) -> None:
        end = chunk.rfind(b"\n")
        if end < 0:
            self.pending += chunk
            while len(self.pending) > LINE:
                self._cut(records)
            return
        lines = chunk[:end]
        if self.pending:
            first_end = chunk.find(b"\n")
            self.pending += chunk[:first_end]
            while len(self.pending) > LINE:
                self._cut(records)
            lines = self.pending + chunk[first_end:end]
        self.pending = chunk[end + 1 :]
        self._lines(lines, records)

    def _cut(self, records: list[bytes]) -> None:
        self._first(_character_border(self.pending, LINE), records)

    def _piece(self, data: bytes, records: list[bytes]) -> None:
        self.tally.add(data)
        self._open_line = True
        records.append(self._head + _value(data) + b',"eol":false}')

    def _lines(self, data: bytes, records: list[bytes]) -> None:
        """Records of whole lines; the newline of the last one is left out of `data`."""
        self.tally.add(data)
        self.tally.add(b"\n")
        self._open_line = False
        if not _is_utf8(data):
            lines = data.split(b"\n")
            self.tally.lines += len(lines)
            records.extend(self._head + _value(line) + b"}" for line in lines)
            return
        escaped = _escape(data)
        joined = escaped.replace(b"\n", self._between)
        self.tally.lines += (len(joined) - len(escaped)) // (len(self._between) - 1) + 1
        records.append(self._head + joined + _END)

    def _stamp(self, ts: str) -> None:
        if ts != self._ts:
            self._ts = ts
            self._head = b'"ts":"%s",%s' % (ts.encode(), self._fields)
            self._between = _END + b"\n" + self._head


def _keep_memory() -> None:
    # Until a block of this size was freed once, glibc gives the memory of every chunk back to the kernel and fetches it
    # again for the next one, which takes as long as all the work on the chunk.
    bytes(8 * 1024 * 1024)


def raw_bytes(record: Mapping[str, object]) -> bytes:
    """The bytes that a stored log record stands for, with its newline."""
    raw = record.get("raw")
    data = base64.b64decode(raw) if isinstance(raw, str) else str(record["line"]).encode()
    return data if record.get("eol") is False else data + b"\n"


def _value(line: bytes) -> bytes:
    """The rest of a record after `"line":"`, without its closing brace."""
    if _is_utf8(line):
        return _escape(line) + b'"'
    shown = line.decode(errors="replace").encode()
    return b'%s","raw":"%s"' % (_escape(shown), base64.b64encode(line))


def _escape(data: bytes) -> bytes:
    """The inside of a JSON string, with newlines left as they are."""
    if b"\\" in data:
        data = data.replace(b"\\", b"\\\\")
    if b'"' in data:
        data = data.replace(b'"', b'\\"')
    if len(data.translate(None, _CONTROLS)) != len(data):
        for code in set(data).intersection(_CONTROLS):
            data = data.replace(bytes((code,)), _ESCAPED[code])
    return data


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _character_border(data: bytes, position: int) -> int:
    """
    `position`, or up to three bytes less where it would cut a UTF-8 character (or one that may still be completed).
    """
    for back in range(1, min(4, position) + 1):
        byte = data[position - back]
        if byte & 0xC0 == 0x80:
            continue
        length = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        return position - back if length > back else position
    return position
