"""Which frameworks are known by their packages, and when they need a server."""

import json
import re

import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.model.plan import BuildPlan
from headrace.model.project import ProjectSettings
from headrace.plan.detectors.frameworks import ROWS
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


def test_a_project_with_only_a_development_script_is_planned_for_its_preview() -> None:
    plan = make_plan(
        MemoryFiles({"package.json": '{"scripts": {"dev": "node server.js"}}'}), ProjectSettings(), PlanLimits()
    )
    assert (plan.framework, plan.kind, plan.build) == ("dev-script", "server", None)
    assert plan.dev is not None
    with pytest.raises(StepFailed, match="needs a server"):
        refuse_server(plan)


def test_a_framework_without_its_build_script_says_which_is_missing() -> None:
    plan = planned({"next": "16"}, {"next.config.js": "module.exports = { output: 'export' }"}, build="")
    assert plan.dev is not None
    assert plan.refused is not None
    assert plan.refused.reason == "missing_script"


def test_a_generator_of_pages_is_run_without_a_script() -> None:
    plan = make_plan(
        MemoryFiles({"package.json": '{"devDependencies": {"@11ty/eleventy": "3"}}'}), ProjectSettings(), PlanLimits()
    )
    assert plan.build is not None
    assert plan.build.argv == ("sh", "-c", "eleventy")
    assert plan.output == "_site"


@pytest.mark.parametrize(
    ("package", "files", "script", "output"),
    [
        ("next", {"next.config.js": "module.exports = { output: 'export', distDir: 'site' }"}, "next build", "site"),
        ("astro", {"astro.config.mjs": "export default { outDir: './public_html' }"}, "astro build", "public_html"),
        ("@docusaurus/core", {}, "docusaurus build --out-dir public", "public"),
        ("parcel", {}, "parcel build src/*.html --dist-dir www", "www"),
        ("webpack", {"webpack.config.js": "output: { path: path.resolve(__dirname, 'pub') }"}, "webpack", "pub"),
        (
            "@vue/cli-service",
            {"vue.config.js": "module.exports = { outputDir: 'www' }"},
            "vue-cli-service build",
            "www",
        ),
        ("hexo", {"_config.yml": "title: x\npublic_dir: site\n"}, "hexo generate", "site"),
        ("@11ty/eleventy", {}, "eleventy --output=www", "www"),
        ("astro", {"astro.config.mjs": "export default { outDir: '../out' }"}, "astro build", "dist"),
    ],
)
def test_the_output_is_the_one_that_the_project_names(
    package: str, files: dict[str, str], script: str, output: str
) -> None:
    assert planned({package: "1"}, files, build=script).output == output


def test_pages_that_expect_to_lie_below_a_path_answer_there_too() -> None:
    plan = planned({"astro": "5"}, {"astro.config.mjs": "export default { base: '/docs' }"})
    assert ("/docs/*", "/:splat", 200) in {(rule.path, rule.to, rule.status) for rule in plan.routing.redirects}


def test_servers_are_known_by_what_they_start_with() -> None:
    for package in ("express", "fastify", "hono", "@nestjs/core", "koa", "elysia"):
        plan = planned({package: "1"}, build="tsc", start="node dist/main.js")
        assert plan.kind == "server"
        assert plan.refused is not None
    assert planned({"express": "5"}, build="node make.js", dev="").framework == "script"


def test_each_row_is_whole() -> None:
    assert len({row.framework for row in ROWS}) == len(ROWS) >= 60
    for row in ROWS:
        assert row.packages or row.files, row.framework
        assert row.title, row.framework
        for pattern in (*row.output_settings, *row.output_flags):
            assert re.compile(pattern).groups == 1, row.framework
        re.compile(row.ready)
