"""docs/events.md says what the code does: the types are those of the model, the worked example works."""

import hashlib
import re
from pathlib import Path
from typing import Any, get_args

import orjson

from headrace.eventfile import EventFile
from headrace.loglines import LineEncoder, Tally, of_build
from headrace.model.event import Event
from headrace.model.plan import StepId

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
TS = "2026-11-20T21:00:00.123Z"


def types_table() -> str:
    rows = ["| Type | Fields | Meaning |", "|---|---|---|"]
    for event in get_args(get_args(Event)[0]):
        own = {name: field for name, field in event.model_fields.items() if name not in _COMMON}
        fields = ", ".join(f"`{name}`{'' if field.is_required() else '?'}" for name, field in own.items())
        meaning = " ".join((event.__doc__ or "").strip().split("\n\n")[0].split())
        assert meaning, f"{event.__name__} does not say what it is"
        rows.append(f"| `{event.model_fields['type'].default}` | {fields or '-'} | {meaning} |")
    return "\n".join(rows)


_COMMON = {"seq", "ts", "build_id", "type"}


def test_the_table_of_types_is_that_of_the_model() -> None:
    found = re.search(r"<!-- types: .*? -->\n(.*?)\n<!-- end of types -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1] == types_table()


def test_the_page_names_the_steps_there_are() -> None:
    assert ", ".join(f"`{step}`" for step in StepId) in PAGE


def test_the_example_of_a_receipt_computes_what_a_log_states(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - our own page
    path = tmp_path / "log.ndjson"
    expected = _write_log(EventFile(path))
    assert names["recompute"](path) == expected


def _write_log(file: EventFile) -> dict[str, object]:
    rolling, lines, size = bytes(32), 0, 0
    for printed in (b"one\r\ntwo\n\xff\xfe", b"x" * 200_000 + b"\n", b""):
        tally = Tally()
        encoder = LineEncoder(of_build("b", "build"), "stdout", tally)
        if records := encoder.feed(printed, TS) + encoder.flush(TS):
            file.append(records)
        _fact(file, "build.command.completed", {"sha256": tally.sha256})
        rolling = hashlib.sha256(rolling + bytes.fromhex(tally.sha256)).digest()
        lines, size = lines + tally.lines, size + tally.bytes
    receipt = {"lines": lines, "bytes": size, "sha256": rolling.hex()}
    _fact(file, "build.completed", {"receipt": receipt})
    return receipt


def _fact(file: EventFile, kind: str, fields: dict[str, object]) -> None:
    file.append([orjson.dumps({"ts": TS, "type": kind, "build_id": "b", **fields})[1:]])
