"""The log is one JSON object on one line, whatever is put into it."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from headrace.logs import configure_logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "\ud800", "\u202e", "\0", "\x7f", '"}{"'])
def test_what_strangers_write_stays_inside_its_string(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    structlog.get_logger().info("request", path=text)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.isascii()
    assert line.strip().isprintable()
    assert json.loads(line)["path"] == text


def test_an_exception_is_part_of_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    try:
        raise ValueError("why")
    except ValueError:
        structlog.get_logger().exception("broke", value=object())
    said = json.loads(capsys.readouterr().err)
    assert (said["level"], said["message"]) == ("error", "broke")
    assert "ValueError: why" in said["exception"]


def test_other_libraries_warnings_have_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    logging.getLogger("uvicorn.error").error("went %s", "wrong")
    logging.getLogger("sqlalchemy").info("chatter")
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(one["logger"], one["message"], one["level"]) for one in said] == [("uvicorn.error", "went wrong", "error")]


def test_less_than_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("warning")
    structlog.get_logger().info("quiet")
    assert capsys.readouterr().err == ""


def test_stdout_is_left_to_commands(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    structlog.get_logger().error("x")
    assert capsys.readouterr().out == ""
