"""Our table of frameworks beside two others: a difference is either explained here, or a mistake."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.detectors.frameworks import ROWS
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

HERE = Path(__file__).parent
INSTALLED = HERE.parents[2] / ".headrace" / "oracles"
SAMPLES: dict[str, dict[str, Any]] = json.loads((HERE / "samples.json").read_text())

#: Their names of what has another name here.
NAMES = {
    "blitzjs": "blitz", "docusaurus-2": "docusaurus", "nextjs": "next", "nuxtjs": "nuxt", "preact": "preact-cli",
    "solidstart-1": "solidstart", "solid-start": "solidstart", "sveltekit-1": "sveltekit", "svelte-kit": "sveltekit",
    "umijs": "umi", "vue": "vue-cli",
}  # fmt: skip

#: What differs and why it stays so: the reason, then sample, whose, and what of it.
EXPLAINED: dict[str, tuple[str, ...]] = {
    "they don't know it": (
        "django netlify framework", "elysia netlify framework", "express netlify framework", "expo vercel framework",
        "fastapi netlify framework", "fastify netlify framework", "flask netlify framework", "h3 netlify framework",
        "koa netlify framework", "metalsmith vercel framework", "nest netlify framework", "nitro netlify framework",
        "observable vercel framework", "plain netlify framework", "plain vercel framework", "polymer netlify framework",
        "preact-cli netlify framework", "quasar vercel framework", "react-static vercel framework",
        "sanity netlify framework", "storybook netlify framework", "umi netlify framework", "waku vercel framework",
        "wmr vercel framework", "mastra netlify framework",
    ),
    "they only see what is built with it, and take the meta-framework for plain Vite": (
        "analog vercel framework", "analog vercel output", "qwik vercel framework", "qwik vercel prefixes",
        "tanstack-start vercel framework", "tanstack-start vercel output", "vike vercel framework", "vike vercel output",
        "vike vercel prefixes",
    ),
    "they know it by older packages or files than today's": (
        "hugo vercel framework", "quasar netlify framework", "sanity vercel framework", "blitz netlify framework",
        "zola netlify framework",
    ),
    "they want a file with a usual name beside the package; here a script that starts it is enough": (
        "elysia vercel framework", "express vercel framework", "fastify vercel framework", "h3 vercel framework",
        "hono vercel framework", "koa vercel framework", "nest vercel framework",
    ),
    "theirs holds the program for their functions; ours the pages that visitors get": (
        "blitz netlify output", "blitz vercel output", "next netlify output", "next vercel output",
        "redwood vercel output", "react-router vercel output", "solidstart vercel output", "solidstart netlify output",
        "hydrogen vercel output", "hydrogen netlify output", "mastra vercel output",
    ),
    "theirs is where an older major wrote": (
        "nuxt vercel output", "nuxt netlify output", "remix vercel output", "remix netlify output",
        "sveltekit vercel output", "expo netlify port", "nuxt vercel prefixes",
    ),
    "theirs is above the directory that holds the page": (
        "angular vercel output", "angular netlify output", "polymer vercel output",
    ),
    "documentation lies in docs/ more often than in src/ or at the root; the others are candidates": (
        "vuepress vercel output", "vuepress netlify output",
    ),
    "its own server prints this port; Vite's is another": ("solidstart netlify port",),
    "they leave it to the project": ("hydrogen netlify port", "remix netlify port"),
    "Solid without a router of its own is plain Vite": ("vite-solid netlify framework",),
}  # fmt: skip
DIFFERENCES = {tuple(key.split()) for keys in EXPLAINED.values() for key in keys}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None or not (INSTALLED / "node_modules").exists():
        pytest.skip("the other detectors are not installed: scripts/setup brings them")
    place = tmp_path_factory.mktemp("oracles")
    for name, sample in SAMPLES.items():
        for path, text in sample["files"].items():
            (place / "samples" / name).mkdir(parents=True, exist_ok=True)
            (place / "samples" / name / path).write_text(text)
    # Beside the packages, because imports are looked for from where a program is.
    program = shutil.copy(HERE / "oracles.mjs", place / "oracles.mjs")
    (place / "node_modules").symlink_to(INSTALLED / "node_modules")
    answer = subprocess.run([node, program, place / "samples"], check=True, capture_output=True, timeout=120)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def planned(name: str) -> BuildPlan:
    return make_plan(MemoryFiles(SAMPLES[name]["files"]), ProjectSettings(), PlanLimits())


def differences(said: dict[str, Any]) -> Iterator[tuple[tuple[str, str, str], str]]:
    rows = {row.framework: row for row in ROWS}
    for name, sample in SAMPLES.items():
        plan, row = planned(name), rows.get(sample["framework"])
        ours: dict[str, Any] = {"framework": plan.framework, "output": plan.output}
        if row is not None:
            ours |= {"port": row.port, "prefixes": sorted(row.env_prefix)}
        for whose in ("vercel", "netlify"):
            theirs = said[name][whose] or {"framework": None}
            for what, value in theirs.items():
                seen = _plain(what, value)
                if what == "output" and (ours["output"] in ("", seen) or plan.build is None):
                    continue
                if what in ours and seen not in (ours[what], [] if what == "prefixes" else ours[what]):
                    yield (name, whose, what), f"ours {ours[what]!r}, theirs {value!r}"


def _plain(what: str, value: Any) -> Any:
    if what == "framework":
        return NAMES.get(value, value)
    if what == "output":
        return value.removeprefix("./").rstrip("/") if value else value
    return sorted(value) if what == "prefixes" else value


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_planned_as_what_it_is(name: str) -> None:
    assert planned(name).framework == SAMPLES[name]["framework"]


def test_every_difference_from_the_others_is_explained(said: dict[str, Any]) -> None:
    found = dict(differences(said))
    assert {key: text for key, text in found.items() if key not in DIFFERENCES} == {}


def test_no_explanation_is_left_of_a_difference_that_has_gone(said: dict[str, Any]) -> None:
    assert DIFFERENCES - set(dict(differences(said))) == set()
