import json
from pathlib import Path

import pytest

from headrace.plan.ranges import BadRange, majors, parse_version, satisfies

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/npm_ranges.json").read_text())


@pytest.mark.parametrize(("wish", "expected"), GOLDEN["ranges"].items())
def test_a_range_means_what_npm_means_by_it(wish: str, expected: list[str]) -> None:
    fitting = [text for text in GOLDEN["versions"] if (version := parse_version(text)) and satisfies(version, wish)]
    assert fitting == expected


@pytest.mark.parametrize("text", ["$(id)", "../x", "18\nRUN x", "latest", ">>18", "18.a", "1" * 300, "^^1"])
def test_what_is_no_range_is_said(text: str) -> None:
    with pytest.raises(BadRange):
        satisfies((18, 0, 0), text)


@pytest.mark.parametrize("text", ["18", "18.0", "v", "18.0.0-rc.1", "a.b.c", ""])
def test_only_a_whole_release_is_a_version(text: str) -> None:
    assert parse_version(text) is None


def test_majors_are_named_in_the_order_of_the_range() -> None:
    assert majors("^18.2 || 20 || >=22.1.0") == (18, 20, 22)
