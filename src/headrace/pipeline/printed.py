"""What a step's command printed, read back from the build's log for whoever explains a failure."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from headrace.diagnostics.base import LogLine
from headrace.eventfile import EventFile
from headrace.model.plan import StepId


def printed_lines(log: Path, step: StepId) -> Iterator[LogLine]:
    """The lines of the step in their order, as they were printed. Facts and other steps' lines are left out."""
    wanted = b'"step":"%s"' % step.encode()
    for piece in EventFile(log).read_from(0):
        for record in piece.splitlines():
            # A cheap look before the expensive one: a log may have a million lines.
            if b'"type":"build.log"' not in record or wanted not in record:
                continue
            event = orjson.loads(record)
            if event["type"] == "build.log" and event["step"] == step:
                yield LogLine(seq=event["seq"], text=event["line"])
