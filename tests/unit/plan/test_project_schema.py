"""The published schema takes what the parser takes, and refuses what it refuses."""

import json
import tomllib
from pathlib import Path

import jsonschema_rs
import pytest

from headrace.errors import StepFailed
from headrace.plan.project_file import NAME, read_project_file
from headrace.plan.project_files import MemoryFiles
from headrace.plan.project_schema import project_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "headrace.schema.json"

FINE = [
    "",
    'root = "web"\n[env]\nA = "1"\n',
    '[build]\ncommand = ["npm", "run", "x"]\nnode = "22"\nfrozen = false\nnetwork = "registries"\n',
    '[build]\ncommand = "x"\noutput = "dist"\ninstall = "npm ci"\nframework = "vite"\npackage_manager = "pnpm@10"\n',
    '[routing]\nspa = true\nclean_urls = false\ntrailing_slash = true\nnot_found = "404.html"\n',
    '[[routing.redirects]]\nfrom = "/a"\nto = "/b"\nstatus = 302\n',
    '[[routing.headers]]\npath = "/*"\nheaders = { X-A = "1" }\n',
    "[limits]\nbuild_seconds = 1.5\nmemory_bytes = 33554432\ncpus = 1\n",
    '[dev.proxy]\n"/api/" = "http://127.0.0.1:8000"\n',
    'app = "web"\n[apps.web]\nroot = "apps/web"\n[apps.docs]\nroot = "."\nbuild.node = "22"\nenv.A = "1"\n',
]
WRONG = [
    'path = "x"\n',
    "[sources]\n",
    "unknown = 1\n",
    '[build]\nout = "dist"\n',
    "[build]\ncommand = 1\n",
    '[build]\nfrozen = "perhaps"\n',
    '[build]\nnetwork = "all"\n',
    '[[routing.redirects]]\nto = "/b"\n',
    '[[routing.headers]]\npath = "/*"\n',
    "[limits]\nbuild_seconds = 0\n",
    "[limits]\nmemory_bytes = 1\n",
    "[env]\nA = 1\n",
    '[apps.web]\nbuild.node = "22"\n',
    '[apps.web]\nroot = "a"\noutput = "dist"\n',
    "[places]\n",
]


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(PUBLISHED.read_text()))


@pytest.mark.parametrize("text", FINE)
def test_what_the_parser_takes_the_schema_takes(validator: jsonschema_rs.Draft202012Validator, text: str) -> None:
    read_project_file(MemoryFiles({NAME: text}), "")
    assert validator.is_valid(tomllib.loads(text))


@pytest.mark.parametrize("text", WRONG)
def test_what_the_schema_refuses_the_parser_refuses(validator: jsonschema_rs.Draft202012Validator, text: str) -> None:
    assert not validator.is_valid(tomllib.loads(text))
    with pytest.raises(StepFailed):
        read_project_file(MemoryFiles({NAME: text}), "")


def test_every_key_has_words(validator: jsonschema_rs.Draft202012Validator) -> None:
    schema = project_schema()
    tables = [schema, *schema["$defs"].values()]
    keys = [(key, entry) for table in tables for key, entry in table.get("properties", {}).items()]
    assert len(keys) > 25
    assert [key for key, entry in keys if "description" not in entry] == []


def test_the_published_schema_is_the_models() -> None:
    assert json.loads(PUBLISHED.read_text()) == project_schema()
