"""Files of other hosts, read for what they mean here."""

import json

import pytest

from headrace.errors import StepFailed
from headrace.model.plan import BuildPlan, RedirectRule
from headrace.model.project import ProjectSettings
from headrace.plan.hosts.base import Said
from headrace.plan.hosts.patterns import from_vercel, is_everything, target_from_vercel
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

PACKAGE = json.dumps(
    {"scripts": {"build": "vite build", "build:site": "vite build --mode site"}, "devDependencies": {"vite": "8"}}
)


def planned(**files: str) -> BuildPlan:
    named = {name.replace("__", "."): text for name, text in files.items()}
    return make_plan(MemoryFiles({"package.json": PACKAGE, **named}), ProjectSettings(), PlanLimits())


def vercel(**settings: object) -> BuildPlan:
    return planned(vercel__json=json.dumps(settings))


def built(plan: BuildPlan) -> str:
    assert plan.build is not None
    return plan.build.argv[-1]


def ignored(plan: BuildPlan) -> dict[str, str]:
    return {one.setting: one.why for one in plan.ignored}


def test_vercels_commands_and_directories_are_followed() -> None:
    plan = vercel(buildCommand="node make.js", outputDirectory="site", installCommand="npm ci --legacy-peer-deps")
    assert built(plan) == "node make.js"
    assert plan.output == "site"
    assert plan.output_candidates[0] == "dist"
    assert plan.install is not None
    assert plan.install.command.argv == ("sh", "-c", "npm ci --legacy-peer-deps")
    assert "vercel.json output" in {choice.source for choice in plan.choices}


def test_a_script_of_package_json_is_run_as_one_whatever_manager_a_host_names() -> None:
    assert built(vercel(buildCommand="yarn build:site")) == "vite build --mode site"
    assert built(vercel(buildCommand="npm install && npm run build:site")) == "vite build --mode site"


def test_the_projects_own_file_goes_before_a_hosts() -> None:
    plan = planned(
        headrace__toml='[build]\ncommand = "own"\noutput = "mine"\n',
        vercel__json='{"buildCommand": "theirs", "outputDirectory": "site"}',
    )
    assert built(plan) == "own"
    assert plan.output == "mine"
    assert "headrace.toml build.command" in ignored(plan)["command"]
    assert plan.output_candidates == ()


def test_vercels_rules_are_ours() -> None:
    plan = vercel(
        cleanUrls=False,
        trailingSlash=True,
        redirects=[
            {"source": "/old", "destination": "/new", "permanent": False},
            {"source": "/blog/:rest*", "destination": "/news/:rest*"},
            {"source": "/x", "destination": "/y", "has": [{"type": "header", "key": "a"}]},
        ],
        rewrites=[
            {"source": "/(.*)", "destination": "/index.html"},
            {"source": "/api/:x", "destination": "https://a.b"},
        ],
        headers=[{"source": "/assets/(.*)", "headers": [{"key": "X-A", "value": "1"}]}],
    )
    assert plan.routing.redirects == (
        RedirectRule(path="/old", to="/new", status=307, force=True),
        RedirectRule(path="/blog/*", to="/news/:splat", status=308, force=True),
    )
    assert (plan.routing.spa, plan.routing.clean_urls, plan.routing.trailing_slash) == (True, False, True)
    assert [(rule.path, rule.headers) for rule in plan.routing.headers] == [("/assets/*", (("X-A", "1"),))]
    assert set(ignored(plan)) == {"redirects of /x", "rewrites of /api/:x"}


def test_what_has_no_meaning_here_is_said_once() -> None:
    plan = vercel(functions={}, crons=[], ignoreCommand="exit 1", **{"$schema": "x"})
    assert set(ignored(plan)) == {"functions", "crons", "ignoreCommand"}
    assert len(plan.ignored) == 3


def test_a_broken_vercel_json_is_an_error_with_its_line() -> None:
    with pytest.raises(StepFailed) as stopped:
        planned(vercel__json='{\n "buildCommand": "x",\n}')
    assert stopped.value.failure.diagnostics[0].file == "vercel.json"
    assert stopped.value.failure.diagnostics[0].line == 3


NETLIFY = """
[build]
base = "web"
command = "npm run build"
publish = "out"
ignore = "exit 0"
functions = "api"
environment = { NODE_VERSION = "22", VITE_A = "1", NETLIFY_X = "2" }

[context.production]
command = "npm run build:site"

[context.deploy-preview]
command = "no"

[[redirects]]
from = "/*"
to = "/index.html"
status = 200

[[redirects]]
from = "/fn/*"
to = "/.netlify/functions/:splat"

[[headers]]
for = "/*"
[headers.values]
X-Frame-Options = "DENY"
"""


def test_netlify_means_its_production_context_and_its_base() -> None:
    files = {"netlify.toml": NETLIFY, "web/package.json": PACKAGE}
    plan = make_plan(MemoryFiles(files), ProjectSettings(), PlanLimits())
    assert (plan.root, plan.output, built(plan)) == ("web", "web/out", "vite build --mode site")
    assert plan.build is not None
    assert plan.build.env["VITE_A"] == "1"
    assert plan.tools[0].version.startswith("22.")
    assert plan.routing.spa
    assert plan.routing.headers[0].headers == (("X-Frame-Options", "DENY"),)
    assert set(ignored(plan)) == {
        "build.ignore", "build.functions", "build.environment.NETLIFY_X", "context.deploy-preview", "redirect from /fn/*",
    }  # fmt: skip


def test_cloudflare_names_its_assets() -> None:
    plan = planned(wrangler__jsonc='{ // pages\n "pages_build_output_dir": "./out",\n "main": "src/worker.ts",\n}')
    assert plan.output == "out"
    assert set(ignored(plan)) == {"main"}
    assets = planned(wrangler__toml='[assets]\ndirectory = "out"\nnot_found_handling = "single-page-application"\n')
    assert (assets.output, assets.routing.spa) == ("out", True)


def test_firebase_and_render_name_their_sites() -> None:
    firebase = planned(firebase__json='{"hosting": {"public": "out", "cleanUrls": true}, "functions": {}}')
    assert firebase.output == "out"
    assert set(ignored(firebase)) == {"functions"}
    render = planned(
        render__yaml="services:\n  - type: web\n    env: static\n    buildCommand: npm ci && npm run build:site\n"
        "    staticPublishPath: ./out\n  - type: web\n    env: node\n"
    )
    assert (render.output, built(render)) == ("out", "vite build --mode site")
    assert set(ignored(render)) == {"services that are no static sites"}


def test_what_would_start_servers_is_said() -> None:
    plan = planned(
        Procfile="web: node server.js\n", fly__toml="[http_service]\ninternal_port = 8080\n", Dockerfile="FROM x"
    )
    assert {one.source for one in plan.ignored} == {"Procfile", "fly.toml", "Dockerfile"}
    assert "node server.js" in ignored(plan)["web"]
    assert "8080" in ignored(plan)["the app"]


def test_the_output_of_a_program_is_no_directory_of_pages() -> None:
    package = json.dumps({"scripts": {"build": "next build"}, "dependencies": {"next": "16"}})
    files = {"package.json": package, "netlify.toml": '[build]\npublish = ".next"\n'}
    plan = make_plan(MemoryFiles(files), ProjectSettings(), PlanLimits())
    assert (plan.kind, plan.output) == ("server", "out")
    assert "output" in ignored(plan)


def test_a_framework_that_a_host_names_and_the_project_is_not_is_ignored() -> None:
    assert vercel(framework="nextjs").framework == "vite"
    assert "framework" in ignored(vercel(framework="nextjs"))
    assert ignored(vercel(framework="vite")) == {}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("/a/:b", ("/a/:b", None)),
        ("/a/:b*", ("/a/*", "b")),
        ("/a/(.*)", ("/a/*", "1")),
        ("/:path(.*)", ("/*", "path")),
        ("/(a|b)", None),
        ("/a{/:b}?", None),
        ("/a/:b(\\d+)", None),
    ],
)
def test_patterns_are_turned_into_ours_or_refused(theirs: str, ours: tuple[str, str | None] | None) -> None:
    assert from_vercel(theirs) == ours


def test_targets_use_what_the_star_stands_for() -> None:
    assert target_from_vercel("/b/$1", "1") == "/b/:splat"
    assert target_from_vercel("/b/:path*", "path") == "/b/:splat"
    assert target_from_vercel("/b/$2", "1") is None


@pytest.mark.parametrize("source", ["/(.*)", "/:path*", "/((?!api/).*)", "/((?!api|assets/.*).*)"])
def test_rules_for_everything_are_known(source: str) -> None:
    assert is_everything(source)


def test_an_install_that_means_the_usual_one_is_not_taken_over() -> None:
    for command in ("npm install", "pnpm i", "yarn", "bun install"):
        said = Said("x")
        said.install(command, "installCommand")
        assert said.settings().install is None


def test_a_broken_file_that_is_there_for_something_else_stops_no_plan() -> None:
    plan = planned(fly__toml="x =", firebase__json="{", wrangler__jsonc="{")
    assert [(one.source, one.setting) for one in plan.ignored] == [
        ("wrangler.jsonc", "the file"),
        ("firebase.json", "the file"),
        ("fly.toml", "the file"),
        ("fly.toml", "the app"),
    ]
