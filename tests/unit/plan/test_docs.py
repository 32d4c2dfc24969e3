import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from headrace.plan.project_file import (
    NAME,
    AppTable,
    BuildTable,
    DevTable,
    HeaderEntry,
    LimitsTable,
    ProjectFile,
    RedirectEntry,
    RoutingTable,
    read_project_file,
)
from headrace.plan.project_files import MemoryFiles
from headrace.plan.toolchain import NODE_VERSIONS

TEXT = (Path(__file__).parents[3] / "docs/planning.md").read_text()

TABLES: dict[str, type[BaseModel]] = {
    "": ProjectFile,
    "build.": BuildTable,
    "routing.": RoutingTable,
    "routing.redirects.": RedirectEntry,
    "routing.headers.": HeaderEntry,
    "limits.": LimitsTable,
    "dev.": DevTable,
    "apps.NAME.": AppTable,
}


def keys_of_the_model() -> Iterator[tuple[str, str]]:
    for prefix, model in TABLES.items():
        for name, field in model.model_fields.items():
            if not field.exclude and f"{prefix}{name}." not in TABLES | {
                "routing.redirects.": 0,
                "routing.headers.": 0,
            }:
                yield f"{prefix}{field.alias or name}", field.description or ""
    for name in ("redirects", "headers"):
        yield f"routing.{name}", RoutingTable.model_fields[name].description or ""


def test_the_table_of_keys_is_the_models() -> None:
    documented = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", TEXT, re.MULTILINE))
    assert documented == dict(keys_of_the_model())


def test_the_example_can_be_read() -> None:
    example = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    assert tomllib.loads(example[1])
    assert read_project_file(MemoryFiles({NAME: example[1]}), "").routing.spa


def test_the_versions_of_node_are_the_tables() -> None:
    assert "16, 18, 20, 22, 24\n   and 26" in TEXT
    assert list(NODE_VERSIONS) == [16, 18, 20, 22, 24, 26]
