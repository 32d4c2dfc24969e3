"""JSON with comments, and text that is made to take long."""

import json

import pytest

from headrace.plan.detectors.row import without_comments
from headrace.plan.jsonc import read_json


def test_comments_and_last_commas_are_left_out() -> None:
    text = '{ // first\n "a": "http://x/*y*/", /* b */ "c": [1, 2,], "d": ",]",\n}'
    assert read_json(text) == {"a": "http://x/*y*/", "c": [1, 2], "d": ",]"}


def test_a_mistake_keeps_its_line() -> None:
    with pytest.raises(json.JSONDecodeError) as broken:
        read_json('{\n /* one\n two */\n "a" 1\n}')
    assert broken.value.lineno == 4


def test_something_else_than_an_object_is_empty() -> None:
    assert read_json("[1]") == {}


def test_globs_are_no_comments() -> None:
    assert without_comments("files: ['src/**/*.ts', 'a/*.md'] /* x */ // y") == "files: ['src/**/*.ts', 'a/*.md']  "


def test_open_comments_without_number_are_read_quickly() -> None:
    assert without_comments(" /*" * 80_000).strip() == ""
    with pytest.raises(json.JSONDecodeError):
        read_json("{" + '\\"' * 30_000)
    with pytest.raises(json.JSONDecodeError):
        read_json("{" + " /*" * 20_000)
