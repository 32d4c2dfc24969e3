"""The version of Node that a tool wants, in its own words."""

import pytest

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.node_version import NodeVersion
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import FailureReason


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (
            [
                "You are using Node.js 18.20.8. Vite requires Node.js version 20.19+ or 22.12+. Please upgrade your Node.js."
            ],
            "20.19+ or 22.12+",
        ),
        (['You are using Node.js 16.20.2. For Next.js, Node.js version ">=20.9.0" is required.'], ">=20.9.0"),
        (
            [
                "Node.js version v16.20.2 detected.",
                "The Angular CLI requires a minimum Node.js version of v20.19 or v22.12.",
            ],
            "v20.19 or v22.12",
        ),
        (
            [
                "Node.js v18.20.8 is not supported by Astro!",
                'Please upgrade Node.js to a supported version: ">=22.12.0"',
            ],
            ">=22.12.0",
        ),
        (["Gatsby requires Node.js 18.0.0 or higher (you have v16.20.2)."], "18.0.0"),
        (
            ["ERROR: This version of pnpm requires at least Node.js v22.13", "The current version of Node.js is v18"],
            "v22.13",
        ),
        (["Error: error:0308010C:digital envelope routines::unsupported"], "openssl-legacy-provider"),
        (["TypeError: crypto.hash is not a function"], ">=22.12"),
    ],
)
def test_a_tool_that_wants_another_node_says_which(said: list[str], wanted: str) -> None:
    lines = [LogLine(seq=number, text=text) for number, text in enumerate(said)]
    found = NodeVersion().parse(lines, Places(["package.json"]))
    assert [one.reason for one in found] == [FailureReason.WRONG_NODE_VERSION]
    assert wanted in (found[0].diagnostic.hint or "")
    assert found[0].diagnostic.file == "package.json"


@pytest.mark.parametrize(
    "said",
    [
        "Using Node.js 24.21.0",
        "Node.js v24.21.0",
        "requires a peer of react@^18",
        "(node:12) [DEP0169] DeprecationWarning: x",
    ],
)
def test_a_log_that_only_names_node_wants_nothing(said: str) -> None:
    assert NodeVersion().parse([LogLine(seq=1, text=said)], Places(["package.json"])) == ()
