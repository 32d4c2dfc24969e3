"""The register of bad inputs and the specification name tests that exist; every row is there."""

import ast
import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REGISTER = tomllib.loads((ROOT / "tests/hostile/register.toml").read_text())
ROWS = [row for section in REGISTER["section"] for row in section["row"]]
SPECIFICATION = (ROOT / "SPEC.md").read_text()
_STATES = {"shown", "measured", "in part", "not yet"}


def _tests_of(file: str) -> Iterator[str]:
    """The tests of a file as pytest names them, without their parameters."""
    for node in ast.parse((ROOT / file).read_text()).body:
        members = (
            [(f"{node.name}::", member) for member in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
        )
        for prefix, member in members:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name.startswith("test_"):
                yield f"{file}::{prefix}{member.name}"


def _missing(tests: Collection[str]) -> list[str]:
    files = {file for test in tests if (ROOT / (file := test.partition("::")[0])).is_file()}
    there = files.union(*(_tests_of(file) for file in files))
    return sorted(set(tests) - there)


def _of_register() -> list[str]:
    return [test for row in ROWS for test in row.get("shown_by", [])]


def _of_specification() -> list[str]:
    return re.findall(r"`(tests/[\w/.]+\.py(?:::\w+)*)`", SPECIFICATION)


def test_every_row_is_there_and_in_order() -> None:
    assert [row["id"] for row in ROWS] == [f"B{number}" for number in range(1, 105)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["id"]))
def test_a_row_has_an_answer_and_tests_or_says_why_not_yet(row: dict[str, object]) -> None:
    assert row["input"]
    assert set(row) in ({"id", "input", "answer", "shown_by"}, {"id", "input", "not_yet"})
    assert row.get("shown_by") or row.get("not_yet")


def test_every_named_test_exists() -> None:
    assert _missing(_of_register()) == []
    assert _missing(["tests/hostile/test_register.py::test_that_is_not_there", "tests/nothing.py"]) != []


def test_codes_of_the_register_are_codes_of_the_product() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "src/headrace").rglob("*.py"))
    codes = {code for row in ROWS for code in re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)`", str(row.get("answer", "")))}
    assert len(codes) > 40
    assert {code for code in codes if f'"{code}"' not in source and f"({code})" not in source} == set()


def test_every_row_of_the_specification_is_shown_by_what_exists() -> None:
    rows = [line.split(" | ") for line in SPECIFICATION.splitlines() if re.match(r"\| [A-Z]*\d", line)]
    assert len(rows) > 60
    for row in rows:
        assert len(row) == 4, row
        shown, state = row[2], row[3].strip(" |")
        assert state.partition(":")[0].partition(" (")[0] in _STATES, row
        assert (shown.strip() in ("", "-")) is (state.startswith("not yet")), row
    assert _missing(_of_specification()) == []
    scripts = {
        name.rstrip("*") for name in re.findall(r"`((?:benchmarks|scripts|tests/soak)/[\w/.*]+)`", SPECIFICATION)
    }
    assert [name for name in scripts if not (ROOT / name).exists()] == []
    for runner, folder in (("bench", "benchmarks"), ("soak", "tests/soak")):
        named = re.findall(rf"`scripts/{runner} ([a-z_]+)", SPECIFICATION)
        assert [name for name in named if not (ROOT / folder / f"{name}.py").is_file()] == []
