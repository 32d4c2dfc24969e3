import json

import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.plan.lock_files import LOCK_FILES
from headrace.plan.manifest import read_manifest
from headrace.plan.project_file import ProjectFile, read_project_file
from headrace.plan.project_files import MemoryFiles
from headrace.plan.project_view import ProjectView
from headrace.plan.ranges import parse_version
from headrace.plan.toolchain import DEFAULT_NODE, NODE_VERSIONS, NPM_FOR_NODE, NodeChoice, choose_node


def choose(files: dict[str, str]) -> NodeChoice:
    memory = MemoryFiles({"package.json": "{}", **files})
    view = ProjectView(memory, "", read_manifest(memory, "package.json"))
    return choose_node(view, read_project_file(memory, "") if "headrace.toml" in files else ProjectFile())


def engines(wish: str) -> str:
    return json.dumps({"engines": {"node": wish}})


@pytest.mark.parametrize(
    ("wish", "major"),
    [
        (">=14", 24),
        (">=18", 24),
        ("*", 24),
        ("^18", 18),
        ("18.x", 18),
        ("16 || 18", 18),
        ("<20", 18),
        (">=26", 26),
        ("^20.19.0 || >=22.12.0", 24),
        ("22.11.0", 22),
        ("^24.99.0", 24),
        ("lts/*", 24),
        ("lts/iron", 20),
        ("lts/Jod", 22),
        ("node", 26),
    ],
)
def test_a_wish_becomes_a_version_of_the_table(wish: str, major: int) -> None:
    assert choose({"package.json": engines(wish)}).version == NODE_VERSIONS[major]


@pytest.mark.parametrize("wish", ["99", "$(id)", "../x", "18\nRUN x", "17", "<14", "lts/argon", "25", "node@18"])
def test_a_wish_that_cannot_be_had_names_the_choices(wish: str) -> None:
    with pytest.raises(StepFailed) as stopped:
        choose({"package.json": engines(wish)})
    failure = stopped.value.failure
    assert failure.reason is FailureReason.WRONG_NODE_VERSION
    assert "16, 18, 20, 22, 24, 26" in failure.message
    assert "\n" not in failure.message
    assert failure.diagnostics[0].file == "package.json"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".nvmrc", "v18\n"),
        (".nvmrc", "# the old one\nlts/hydrogen\n"),
        (".node-version", "18.19.1\n"),
        (".tool-versions", "python 3.12\nnodejs 18.20.0  # comment\n"),
        ("mise.toml", '[tools]\nnode = "18"\n'),
        ("mise.toml", "[tools]\nnode = 18\n"),
        ("mise.toml", '[tools]\nnode = ["18", "20"]\n'),
        ("mise.toml", '[tools]\nnode = { version = "18" }\n'),
        ("package.json", '{"devEngines": {"runtime": {"name": "node", "version": "^18"}}}'),
        ("package.json", '{"volta": {"node": "18.20.0", "yarn": "1.22.19"}}'),
        (".npmrc", "auto-install-peers=true\nuse-node-version=18.19.0\n"),
        ("headrace.toml", '[build]\nnode = "18"\n'),
    ],
)
def test_every_file_that_names_a_version_is_read(name: str, text: str) -> None:
    chosen = choose({name: text})
    assert chosen.major == 18
    assert name in chosen.choice.source


def test_the_nearest_wish_decides_and_the_others_are_named() -> None:
    chosen = choose({"package.json": engines("20"), ".nvmrc": "18", ".node-version": "20.1.0", "headrace.toml": ""})
    assert chosen.major == 20
    assert [ignored.source for ignored in chosen.ignored] == [".nvmrc"]


def test_the_project_file_is_over_everything() -> None:
    files = {"headrace.toml": '[build]\nnode = "22"\n', "package.json": engines("18"), ".nvmrc": "20"}
    assert choose(files).major == 22


def test_without_a_wish_it_is_the_long_term_support_release() -> None:
    chosen = choose({})
    assert chosen.major == DEFAULT_NODE
    assert chosen.choice.source == "default"


def test_the_tables_fit_together() -> None:
    assert NODE_VERSIONS.keys() == NPM_FOR_NODE.keys()
    assert all((version := parse_version(text)) and version[0] == major for major, text in NODE_VERSIONS.items())
    assert set(LOCK_FILES.values()) == {"npm", "pnpm", "yarn", "bun"}


def test_the_line_of_a_wish_that_cannot_be_had_is_named() -> None:
    with pytest.raises(StepFailed) as stopped:
        choose({"package.json": '{\n  "name": "a",\n  "engines": {\n    "node": "99"\n  }\n}'})
    assert stopped.value.failure.diagnostics[0].line == 4


def test_a_member_that_is_silent_gets_the_node_of_its_repository() -> None:
    memory = MemoryFiles({"package.json": engines("20"), "apps/web/package.json": "{}"})
    view = ProjectView(memory, "apps/web", read_manifest(memory, "apps/web/package.json"))
    chosen = choose_node(view, ProjectFile())
    assert (chosen.major, chosen.choice.source) == (20, "package.json engines.node")
