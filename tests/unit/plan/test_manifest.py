import json

import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.plan.manifest import LARGEST_MANIFEST, Manifest, read_manifest
from headrace.plan.project_files import MemoryFiles


def read(text: str | bytes) -> Manifest | None:
    return read_manifest(MemoryFiles({"package.json": text}), "package.json")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{\n  "name": "a"\n  "version": "1"\n}', 3, 3),
        ('{\n  "a": 1,\n}', 3, 1),
        ("", 1, 1),
        ('// comment\n{"a": 1}', 1, 1),
    ],
)
def test_broken_json_is_answered_with_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(StepFailed) as stopped:
        read(text)
    diagnostic = stopped.value.failure.diagnostics[0]
    assert stopped.value.failure.reason is FailureReason.CONFIG_ERROR
    assert (diagnostic.file, diagnostic.line, diagnostic.column) == ("package.json", line, column)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "3",
        '"text"',
        b"\xff\xfe{}",
        "[" * 100_000,
        '{"scripts": []}',
        '{"scripts": {"build": 3}}',
        " " * (LARGEST_MANIFEST + 1),
    ],
)
def test_what_is_no_manifest_is_a_result_and_not_an_exception_of_ours(text: str | bytes) -> None:
    with pytest.raises(StepFailed) as stopped:
        read(text)
    assert stopped.value.failure.reason is FailureReason.CONFIG_ERROR


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert read(b'\xef\xbb\xbf{"name": "a"}') is not None


def test_fields_of_wrong_types_read_as_empty() -> None:
    manifest = read(
        '{"dependencies": ["react"], "engines": "18", "workspaces": 3, "devDependencies": {"a": 1, "b": "2"}}'
    )
    assert manifest is not None
    assert manifest.dependencies == {"b": "2"}
    assert (manifest.engines, manifest.workspaces) == ({}, ())


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"scripts": {"build": "vite build --debug"}}, True),
        ({"description": "other"}, True),
        ({"dependencies": {"react": "^18"}}, False),
        ({"scripts": {"build": "vite build", "postinstall": "x"}}, False),
        ({"overrides": {"a": "1"}}, False),
    ],
)
def test_only_what_installs_read_belongs_to_the_key(change: dict[str, object], same: bool) -> None:
    base = {"name": "a", "scripts": {"build": "vite build"}, "dependencies": {"react": "^19"}}
    before, after = read(json.dumps(base)), read(json.dumps({**base, **change}))
    assert before is not None
    assert after is not None
    assert (before.for_installs() == after.for_installs()) is same


def test_a_merge_conflict_is_named_as_one() -> None:
    text = '{\n  "scripts": {\n<<<<<<< HEAD\n    "build": "a"\n=======\n    "build": "b"\n>>>>>>> x\n  }\n}\n'
    with pytest.raises(StepFailed) as stopped:
        read(text)
    failure = stopped.value.failure
    assert failure.diagnostics[0].line == 3
    assert "merge conflict" in failure.message
    assert "resolve the merge" in (failure.hint or "")
