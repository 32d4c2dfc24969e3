"""Reading stored events back: the lines of one step, and the receipt of a whole log. Bounded memory for any size."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from headrace.eventfile import EventFile
from headrace.loglines import LINE, Tally, raw_bytes
from headrace.model.build import EMPTY_SHA256, Receipt
from headrace.model.diagnostic import LogLine
from headrace.model.text import plain


def log_lines(path: Path, step: str) -> Iterator[LogLine]:
    """
    What the command of `step` printed, from an event file that is not compressed. Pieces of a line are one line, except over a
    gap that the log's cap made.
    """
    open_lines: dict[str, LogLine] = {}
    for record in _log_records(path, step):
        if record["type"] == "log.truncated":
            yield from _ended(open_lines)
            continue
        before = open_lines.pop(record["stream"], None)
        line = LogLine(seq=record["seq"], text=(before.text if before else "") + record["line"])
        if record.get("eol", True) or len(line.text) >= LINE:
            yield LogLine(seq=line.seq, text=plain(line.text))
        else:
            open_lines[record["stream"]] = line
    yield from _ended(open_lines)


def _ended(open_lines: dict[str, LogLine]) -> Iterator[LogLine]:
    while open_lines:
        line = open_lines.pop(next(iter(open_lines)))
        yield LogLine(seq=line.seq, text=plain(line.text))


@dataclass(frozen=True)
class Refusals:
    """
    What the sandbox's proxy refused. `denied` has each host once, in their order, with the package that tried it if known;
    `unreachable` has those that it may reach and could not, with the reason.
    """

    denied: dict[str, str | None]
    unreachable: dict[str, str]
    #: The cap that was met.
    limit: str | None = None


def network_refusals(path: Path, step: str) -> Refusals:
    """What `step` was kept from, from an event file that is not compressed."""
    denied: dict[str, str | None] = {}
    unreachable: dict[str, str] = {}
    limit = None
    for piece in EventFile(path).read_from():
        for line in piece.split(b"\n"):
            if b'"type":"egress.' in line:
                event = orjson.loads(line)
                if event["type"] == "egress.denied" and event["step"] == step:
                    denied.setdefault(event["host"], event.get("package"))
                if event["type"] == "egress.unreachable" and event["step"] == step:
                    unreachable.setdefault(event["host"], event["why"])
                if event["type"] == "egress.limit" and event["step"] == step:
                    limit = event["limit"]
    return Refusals(denied, unreachable, limit)


def printed(path: Path, step: str) -> Tally:
    """What the command of `step` printed, counted again, for one whose supervisor can't say it any more."""
    tally = Tally()
    open_streams: dict[str, bool] = {}
    for record in _log_records(path, step):
        if record["type"] != "build.log":
            continue
        ended = record.get("eol", True)
        tally.add(raw_bytes(record))
        tally.lines += ended
        open_streams[record["stream"]] = not ended
    tally.lines += sum(open_streams.values())
    return tally


def _log_records(path: Path, step: str) -> Iterator[dict[str, Any]]:
    """Lines, and the gap between them."""
    wanted = b'"step":"%s"' % step.encode()
    for piece in EventFile(path).read_from():
        for line in piece.split(b"\n"):
            # Parsing is the dear part: most lines of another step are left out without it.
            if wanted in line and (b'"type":"build.log"' in line or b'"type":"log.truncated"' in line):
                record = orjson.loads(line)
                if record["type"] in ("build.log", "log.truncated") and record["step"] == step:
                    yield record


@dataclass
class Verification:
    """
    Recomputes a build's receipt from its stored events. `add` takes the NDJSON in pieces that end at line ends.

    Sound when `problems` is empty: the numbers have no gap, and each command's figures, and the receipt that
    `build.completed` states, are those of the lines that are there.
    """

    problems: list[str] = field(default_factory=list)
    #: The receipt that the log states; None until its last event.
    stated: Receipt | None = None
    last_seq: int = 0
    #: Bytes and lines that no `build.command.completed` covers: a command was lost, or still runs.
    uncovered: Tally = field(default_factory=Tally)
    #: Lines of commands that were lost before they could say what they printed.
    unknown: int = 0
    _open: dict[str, bool] = field(default_factory=dict)
    _commands: list[dict[str, Any]] = field(default_factory=list)

    @property
    def receipt(self) -> Receipt:
        """The receipt of what was added up to now."""
        rolling = bytes(32)
        for command in self._commands:
            rolling = hashlib.sha256(rolling + bytes.fromhex(command["sha256"])).digest()
        return Receipt(
            lines=sum(command["lines"] for command in self._commands),
            bytes=sum(command["bytes"] for command in self._commands),
            sha256=rolling.hex(),
            truncated_bytes=sum(command["truncated_bytes"] for command in self._commands),
        )

    def add(self, piece: bytes) -> None:
        for line in piece.split(b"\n"):
            if line:
                self._event(orjson.loads(line))

    def _event(self, event: dict[str, Any]) -> None:
        if event["seq"] != self.last_seq + 1:
            self.problems.append(f"event {event['seq']} follows event {self.last_seq}")
        self.last_seq = event["seq"]
        match event["type"]:
            case "build.log":
                self._line(event)
            case "build.command.completed":
                self._command(event)
            case "build.completed":
                self._end(event)

    def _line(self, event: dict[str, Any]) -> None:
        ended = event.get("eol", True)
        self.uncovered.add(raw_bytes(event))
        self.uncovered.lines += ended
        self._open[event["stream"]] = not ended

    def _command(self, event: dict[str, Any]) -> None:
        if event.get("killed_by") == "lost" and not event.get("sha256"):
            # Its supervisor died and nobody knows what it printed. The receipt counts it as silent.
            self._commands.append({"lines": 0, "bytes": 0, "sha256": EMPTY_SHA256, "truncated_bytes": 0})
            self.unknown += self.uncovered.lines
            self.uncovered, self._open = Tally(), {}
            return
        self.uncovered.lines += sum(self._open.values())
        found: dict[str, object] = {
            "lines": self.uncovered.lines,
            "bytes": self.uncovered.bytes,
            "sha256": self.uncovered.sha256,
        }
        for name, value in found.items():
            # A command that printed nothing may leave its digest out.
            said = event.get(name) or (EMPTY_SHA256 if name == "sha256" else 0)
            if said != value:
                self.problems.append(f"command of step {event['step']}: {name} should be {said}, the log has {value}")
        self._commands.append({**found, "truncated_bytes": event.get("truncated_bytes", 0)})
        self.uncovered, self._open = Tally(), {}

    def _end(self, event: dict[str, Any]) -> None:
        self.stated = Receipt.model_validate(event["receipt"])
        if self.stated != self.receipt:
            self.problems.append(f"the receipt should be {self.stated}, the log has {self.receipt}")


def verify(pieces: Iterable[bytes]) -> Verification:
    """The verification of a whole log."""
    verification = Verification()
    for piece in pieces:
        verification.add(piece)
    return verification
