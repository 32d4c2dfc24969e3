"""What a build prints is bytes, whatever it says of itself: rows B95, B96 and B100 to B104 of the register."""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server import Server, environment_of, new_data_dir

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provisions: Path) -> Iterator[Server]:
    """One for all of them: a log belongs to its build."""
    place = new_data_dir(tmp_path_factory.mktemp("logs") / "data", provisions)
    server = Server(environment_of(place), place)
    server.start()
    yield server
    server.stop()


#: What a build prints that wants to be taken for somebody else.
PRINTED = b"".join(
    [
        b"::set-env name=PATH::/tmp/evil\n##[error]no\n::add-mask::\n##vso[task.complete result=Failed]\n",
        "✓ Build succeeded, in 0.1 s\nSTEP 6: DEPLOYING\n│ \n".encode(),
        b'{"seq":1,"type":"build.completed","status":"failed","build_id":"build_x"}\n',
        b'","type":"build.completed","status":"failed"}\n{"a":"',
        b"\nid: 7\nevent: end\ndata: {}\n\n",
        b"<script>alert(1)</script><img src=x onerror=alert(1)>]]>javascript:alert(1)\n",
        b'\x1b[2J\x1b[H\x1b]0;title\x07\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\\x1b]52;c;ZXZpbA==\x07\x1bP$q"p\x1b\\\n',
        b"\x1b[31mred\x1b[0m " + b"\x1b[1;31m" * 2000 + b"\n",
        b"".join(b"\r%d %%" % percent for percent in range(1000)) + b"\ndone\n",
        b"a\0b\xff\xfe\xc3\x28 \xe2\x82" + b"\n\xac end of a cut euro\n",
        "\u202eevil\u202c\u2028x\u2029\u200b\n".encode(),
        random.Random(1).randbytes(200_000),  # noqa: S311 - not a secret
        b"\nno newline at the end",
    ]
)


def _sync(server: Server, files: dict[str, bytes]) -> str:
    project = server.project('evil\n{"level":"error"}\x1b[2J')["id"]
    sent = [
        {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"} for path, data in files.items()
    ]
    answer = server.http.post(f"/projects/{project}/sync", json={"files": sent})
    assert answer.status_code == 200, answer.text
    return str(project)


def _built(server: Server, command: str, **files: bytes) -> dict[str, Any]:
    wishes = f'[build]\nframework = "static"\ncommand = {json.dumps(command)}\noutput = "public"\n'
    project = _sync(server, {"public/index.html": b"<h1>x</h1>", "headrace.toml": wishes.encode(), **files})
    return server.until_ended(server.build(project)["id"])


def _raw(server: Server, build: str) -> bytes:
    answer = server.http.get(f"/builds/{build}/logs", params={"format": "raw"})
    assert answer.headers["content-disposition"].startswith("attachment")
    return answer.content


def test_what_is_printed_changes_nothing_and_is_kept_byte_by_byte(server: Server) -> None:
    build = _built(server, "cat printed", printed=PRINTED)
    assert build["status"] == "succeeded", build["failure"]
    assert _raw(server, build["id"]) == PRINTED
    text = server.http.get(f"/builds/{build['id']}/logs", params={"format": "text"})
    assert text.headers["content-type"].startswith("text/plain")
    assert text.headers["x-content-type-options"] == "nosniff"
    shown = text.text
    assert not [
        char for char in shown if char != "\n" and ((ord(char) < 32 and char != "\t") or 127 <= ord(char) < 160)
    ]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2028\u2029")
    # Our own lines stand at the left edge; whatever the build printed stands behind the bar.
    ours = [line for line in shown.split("\n") if line.startswith(("STEP", "✓ Build succeeded"))]
    assert [line for line in ours if line == "STEP 6: DEPLOYING"] == ["STEP 6: DEPLOYING"]
    assert len([line for line in ours if line.startswith("✓ Build succeeded")]) == 1
    assert "│ 999 %" in shown
    assert "│ 998 %" not in shown
    stored = server.http.get(f"/builds/{build['id']}/events").content
    events = [json.loads(line) for line in stored.split(b"\n")[:-1]]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["status"] for event in events if event["type"] == "build.completed"] == ["succeeded"]
    page = server.http.get(f"/builds/{build['id']}/logs", params={"limit": 10_000}).json()
    kept = (base64.b64decode(one["raw"]) if one.get("raw") else one["line"].encode() for one in page["items"])
    assert b"".join(data + b"\n" * one["eol"] for data, one in zip(kept, page["items"], strict=True)) == PRINTED


def test_a_browser_that_follows_a_log_is_told_of_nothing_that_a_build_made_up(server: Server) -> None:
    build = _built(server, "cat printed", printed=PRINTED[:2000])
    stream = server.http.get(f"/builds/{build['id']}/events", headers={"Accept": "text/event-stream"}).text
    blocks = [block.split("\n") for block in stream.split("\n\n") if block and not block.startswith(":")]
    ends = [block for block in blocks if "event: end" in block]
    assert len(ends) == 1
    assert ends[0] == blocks[-1]
    numbers = [line for block in blocks for line in block if line.startswith("id: ")]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    ("command", "reason", "status"),
    [
        ("exit 137", "command_failed", 137),
        ("echo Killed; exit 255", "command_failed", 255),
        ("kill -9 $$", "command_failed", 137),
        ("kill -11 $$", "command_failed", 139),
        ("kill -31 $$", "command_failed", 159),
        ("rm -rf public; exit 0", "output_missing", None),
    ],
)
def test_the_reason_is_what_happened_and_not_what_the_status_looks_like(
    server: Server, command: str, reason: str, status: int | None
) -> None:
    build = _built(server, command)
    assert (build["status"], build["failure"]["reason"]) == ("failed", reason), build["failure"]
    assert build["failure"]["exit_code"] == status


def test_names_that_hold_newlines_stay_inside_one_line_of_our_own_log(server: Server) -> None:
    _built(server, "true")
    lines = server.log.read_text().splitlines()
    assert all(json.loads(line).get("level") != "error" for line in lines if line.startswith("{"))
    assert not any("\x1b" in line for line in lines)
    assert not any(line.startswith('{"level":"error"}') for line in lines)
