import json
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.preview_words import Words

FACT = {"seq": 1, "ts": "2026-11-21T03:00:00.000Z", "project_id": "prj_1"}


def line(kind: str, **fields: Any) -> bytes:
    return json.dumps(FACT | {"type": kind, **fields}).encode()


def answer(**fields: Any) -> dict[str, Any]:
    return {"status": "ready", "version": "ver_1", "changes": [], "diagnostics": [], "merged": False, **fields}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (line("preview.error", message="x is\nundefined", page="/", stack=[{"file": "src/a.ts", "line": 3, "column": 5}]), "▸ uncaught: x is undefined  src/a.ts:3:5\n"),
        (line("preview.console", level="error", text="no\x1b[2Jtrick", page="/"), "▸ console.error: notrick\n"),
        (line("preview.console", level="log", text="chatter", page="/"), ""),
        (line("preview.request_failed", method="GET", url="/api/cart", status=502, page="/"), "▸ GET /api/cart: 502\n"),
        (line("preview.request_failed", method="GET", url="/api/cart", status=None, page="/"), "▸ GET /api/cart: no answer\n"),
        (line("preview.asleep", why="memory", message=""), "· asleep: its memory was needed\n"),
        (line("preview.of-tomorrow"), ""),
    ],
)  # fmt: skip
def test_people_read_what_the_page_said_on_one_line(
    event: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Words(as_json=False).event(event)
    assert capsys.readouterr().err == said


def test_a_mistake_is_shown_with_its_place_and_lines(capsys: pytest.CaptureFixture[str]) -> None:
    found = {"tool": "vite", "severity": "error", "message": "Unexpected token", "file": "a.ts", "line": 3, "column": 7}
    changed = answer(
        status="error",
        changes=[{"path": "a.ts", "change": "modified"}],
        diagnostics=[found | {"excerpt": "3 | const = 1"}],
    )
    Words(as_json=False).sent(changed, {"a.ts": False}, 0.0614)
    assert capsys.readouterr().err == (
        "✗ a.ts  failed after 61 ms\n  a.ts:3:7: error: Unexpected token\n    │ 3 | const = 1\n"
    )


def test_a_failure_without_a_place_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    Words(as_json=False).sent(answer(status="error", preview={"message": "out of memory"}), {"a": False}, 1)
    assert capsys.readouterr().err == "✗ a  failed after 1.0 s\n  out of memory\n"


def test_many_files_are_a_number_with_a_few_names(capsys: pytest.CaptureFixture[str]) -> None:
    changes = [{"path": "a", "change": "added"}, {"path": "b", "change": "modified"}]
    Words(as_json=False).sent(
        answer(changes=changes), {"a": False, "b": False, "c": True, "d": False, "e": False}, 0.084
    )
    assert capsys.readouterr().err == "✓ 5 files (+a, b, -c, …)  ready in 84 ms\n"


def test_a_conflict_shows_both_sides_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    hunk = {"line": 4, "base": [], "ours": ["theirs\n"], "theirs": [], "omitted": 2}
    Words(as_json=False, project="shop").conflict([{"path": "a", "why": "lines", "hunks": [hunk]}], "ver_2", Path("/d"))
    said = capsys.readouterr().err.splitlines()
    assert said[:5] == [
        "✗ a  not sent: somebody else changed the same lines",
        "  line 4:",
        "    server │ theirs",
        "    yours  │ (nothing)",
        "    … 2 more lines",
    ]
    assert said[-1] == "    headrace sync shop --dir /d a"


def test_programs_get_one_object_on_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = Words(as_json=True)
    words.url("http://shop.preview.localhost/", {"id": "prj_1", "slug": "shop"})
    words.sent(answer(), {"a": False}, 0.1)
    words.left_out("film", "too large")
    words.event(line("preview.asleep", why="idle", message=""))
    printed = capsys.readouterr()
    assert [json.loads(one)["type"] for one in printed.out.splitlines()] == [
        "url",
        "sync",
        "left_out",
        "preview.asleep",
    ]
    assert printed.err == ""
