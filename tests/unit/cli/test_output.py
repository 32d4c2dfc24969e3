import io

import pytest

from headrace.cli import output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "redraws", "coloured"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "CI": "true"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({}, False, False),
    ],
)
def test_the_environment_says_what_may_be_drawn(
    environment: dict[str, str], redraws: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert output.can_redraw(Terminal()) is redraws
    assert output.colours(Terminal()) is coloured
    assert not output.can_redraw(io.StringIO())


def test_a_cell_can_not_command_the_terminal() -> None:
    assert output.table(["name"], [["\x1b]0;title\x07site\x1b[31m\n"]]) == "name\nsite"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert output.table(["a", "b"], [["long", None], ["x", 1]]) == "a     b\nlong  -\nx     1"


@pytest.mark.parametrize(("count", "expected"), [(5, "5 B"), (2048, "2.0 KiB"), (5 * 1024**3, "5.0 GiB")])
def test_sizes_are_for_people(count: int, expected: str) -> None:
    assert output.size(count) == expected
