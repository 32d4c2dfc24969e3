"""Which frameworks are known by their packages, and when they need a server."""

import json

import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles
from headrace.plan.refused import refuse_server


def planned(dependencies: dict[str, str], files: dict[str, str] | None = None, **scripts: str) -> BuildPlan:
    manifest = {"scripts": {"build": "x build", "dev": "x dev", **scripts}, "dependencies": dependencies}
    return make_plan(
        MemoryFiles({"package.json": json.dumps(manifest), **(files or {})}), ProjectSettings(), PlanLimits()
    )


@pytest.mark.parametrize(
    ("package", "config", "text", "kind", "output"),
    [
        ("next", "next.config.ts", "export default { output: 'export' }", "static", "out"),
        ("next", "next.config.ts", "export default { // output: 'export'\n }", "server", "out"),
        ("next", "next.config.js", "module.exports = {}", "server", "out"),
        ("astro", "astro.config.mjs", "export default {}", "static", "dist"),
        ("astro", "astro.config.mjs", "export default { output: 'server' }", "server", "dist"),
        ("nuxt", "nuxt.config.ts", "export default { nitro: { preset: 'static' } }", "static", ".output/public"),
        ("nuxt", "nuxt.config.ts", "", "server", ".output/public"),
        ("@sveltejs/kit", "svelte.config.js", "", "server", "build"),
        ("@react-router/dev", "react-router.config.ts", "export default { ssr: false }", "static", "build/client"),
        ("@react-router/dev", "react-router.config.ts", "export default { ssr: true }", "server", "build/client"),
    ],
)
def test_a_framework_is_static_or_needs_a_server(package: str, config: str, text: str, kind: str, output: str) -> None:
    plan = planned({package: "1", "vite": "8"}, {config: text})
    assert (plan.kind, plan.output) == (kind, output)


def test_sveltekit_with_its_static_adapter_makes_files() -> None:
    assert planned({"@sveltejs/kit": "2", "@sveltejs/adapter-static": "3"}).kind == "static"


def test_nuxt_that_generates_makes_files() -> None:
    assert planned({"nuxt": "4"}, build="nuxt generate").kind == "static"


def test_who_names_the_output_gets_a_static_plan() -> None:
    assert planned({"next": "16"}, {"headrace.toml": '[build]\noutput = "out"\n'}).kind == "static"


def test_the_development_server_is_planned() -> None:
    plan = planned({"next": "16"})
    assert plan.dev is not None
    assert plan.dev.argv == ("sh", "-c", "x dev")
    assert "NODE_ENV" not in plan.dev.env
    assert planned({"next": "16"}, dev="").dev is None


def test_a_server_is_refused_with_a_way_out() -> None:
    with pytest.raises(StepFailed) as refused:
        refuse_server(planned({"next": "16"}))
    failure = refused.value.failure
    assert failure.reason is FailureReason.UNSUPPORTED
    assert "output: 'export'" in (failure.hint or "")
    refuse_server(planned({"vite": "8"}))
