"""
Draw the picture of docs/preview.md: one edit on its way from the save to the page, from a real preview's event log and clock.

    .venv/bin/python scripts/timeline.py examples/react-vite src/App.tsx docs/pictures/preview.svg

The example is copied, shown by `headrace preview`, and edited several times; the edit of median length is drawn.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any, NamedTuple, cast
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from headrace.cli.client import Client
from headrace.cli.servers import connect
from headrace.settings import read_settings

_EDITS = 11
_PAUSE = 0.5


class Stage(NamedTuple):
    name: str
    who: str
    begin: float
    end: float


def edits(example: Path, file: str) -> list[list[Stage]]:
    """The stages of each edit, in milliseconds from its save."""
    with tempfile.TemporaryDirectory() as place, _preview(shutil.copytree(example, Path(place) / "shop")) as lines:
        url = _next(lines, "url")
        client = connect(read_settings())
        shown = _next(lines, "sync", "state")
        _expect(shown["status"] == "ready", shown)
        return [_edit(Path(place) / "shop" / file, number, lines, client, url) for number in range(_EDITS)]


def _edit(file: Path, number: int, lines: IO[str], client: Client, url: Any) -> list[Stage]:
    time.sleep(_PAUSE)
    text = f"{file.read_text().rstrip()}\n// edit {number}\n"
    saved = time.time()
    file.write_text(text)
    record = _next(lines, "sync")
    answered = time.time()
    _expect(record["status"] == "ready", record)
    _fetch(url["url"], record["version"])
    fetched = time.time()
    at = _facts(client, url["project_id"], record["version"])
    points = [saved, answered - record["took"], at["preview.building"], at["preview.ready"], answered, fetched]
    names = [
        ("heard and read", "headrace preview"),
        ("sent, checked, stored as a version", "sync"),
        ("made anew by the warm tool, read, switched", "the sandbox"),
        ("answered", "sync"),
        ("fetched", "a visitor"),
    ]
    moments = [max(0.0, (point - saved) * 1000) for point in points]
    return [Stage(*name, begin, max(begin, end)) for name, begin, end in zip(names, moments, moments[1:], strict=False)]


def _facts(client: Client, project: str, version: str) -> dict[str, float]:
    """When each fact about this version was written to the preview's event log."""
    log = client.stream(f"/projects/{project}/preview/events", after=0, follow=False)
    events = [event for event in map(json.loads, log) if event.get("version_id") == version]
    return {event["type"]: datetime.fromisoformat(event["ts"]).timestamp() for event in events}


def _fetch(url: str, version: str) -> None:
    address = urlsplit(url)
    connection = HTTPConnection("127.0.0.1", address.port)
    connection.request("GET", f"/?min_version={version}", headers={"Host": address.netloc})
    answer = connection.getresponse()
    _expect(answer.status == 200, answer.status)
    answer.read()
    connection.close()


@contextmanager
def _preview(directory: Path) -> Iterator[IO[str]]:
    argv = [sys.executable, "-m", "headrace", "preview", str(directory), "--json"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
    with process:
        try:
            yield cast("IO[str]", process.stdout)
        finally:
            os.killpg(process.pid, signal.SIGINT)


def _expect(condition: bool, said: object) -> None:
    if not condition:
        raise SystemExit(f"not what was expected: {said}")


def _next(lines: IO[str], *kinds: str) -> Any:
    for line in lines:
        record = json.loads(line)
        if record["type"] in kinds:
            return record
    raise SystemExit("the preview ended")


_COLOURS = ("#8b949e", "#2f81f7", "#3fb950", "#2f81f7", "#a371f7")
_LEFT, _WIDTH, _ROW, _TOP = 330, 560, 34, 50


def picture(stages: list[Stage], title: str) -> str:
    total = stages[-1].end
    scale = _WIDTH / total
    height = _TOP + _ROW * len(stages) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 {height}" font-family="system-ui, sans-serif">',
        f'<rect width="960" height="{height}" rx="8" fill="#0d1117"/>',
        f'<text x="24" y="30" fill="#e6edf3" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    bottom = _TOP + _ROW * len(stages)
    step = next(step for step in (5, 10, 20, 50, 100, 200, 500, 1000, 10**6) if total / step <= 8)
    for mark in range(0, int(total) + 1, step):
        x = _LEFT + mark * scale
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#30363d"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 18}" fill="#8b949e" font-size="11" text-anchor="middle">{mark} ms</text>'
        )
    for row, (stage, colour) in enumerate(zip(stages, _COLOURS, strict=True)):
        y = _TOP + row * _ROW
        x, width = _LEFT + stage.begin * scale, max(2.0, (stage.end - stage.begin) * scale)
        parts.append(f'<text x="24" y="{y + 15}" fill="#e6edf3" font-size="13">{escape(stage.name)}</text>')
        parts.append(f'<text x="24" y="{y + 29}" fill="#8b949e" font-size="11">{escape(stage.who)}</text>')
        parts.append(f'<rect x="{x:.1f}" y="{y + 6}" width="{width:.1f}" height="18" rx="3" fill="{colour}"/>')
        said = f"{stage.end - stage.begin:.1f} ms"
        inside = x + width + 60 > _LEFT + _WIDTH
        anchor, place = ("end", x - 6) if inside else ("start", x + width + 6)
        parts.append(
            f'<text x="{place:.1f}" y="{y + 19}" fill="#e6edf3" font-size="11" text-anchor="{anchor}">{said}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    example, file, target = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    taken = sorted(edits(example, file), key=lambda stages: stages[-1].end)
    middle = taken[len(taken) // 2]
    target.write_text(
        picture(middle, f"One edit of {example.name}/{file}: {middle[-1].end:.0f} ms from the save to the page")
    )
    for stage in middle:
        print(f"{stage.end - stage.begin:7.1f} ms  {stage.name}")


if __name__ == "__main__":
    main()
