import pytest

from headrace.errors import StepFailed
from headrace.model.plan import RedirectRule, Routing
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

MANIFEST = '{"scripts": {"build": "vite build"}, "dependencies": {"vite": "8"}}'


def routing(**files: str) -> Routing:
    given = {
        "package.json": MANIFEST,
        **{name.replace("__", "/").replace("_", "."): text for name, text in files.items()},
    }
    return make_plan(MemoryFiles(given), ProjectSettings(), PlanLimits()).routing


def test_a_page_for_unknown_paths_goes_before_the_single_page() -> None:
    assert routing().spa
    assert routing(public__404_html="").not_found == "404.html"
    assert not routing(public__404_html="").spa


def test_the_project_file_decides_and_its_rules_come_first() -> None:
    toml = (
        "[routing]\nspa = false\nclean_urls = false\ntrailing_slash = true\n"
        '[[routing.redirects]]\nfrom = "/a/*"\nto = "/b/:splat"\nstatus = 308\n'
        '[[routing.headers]]\npath = "/*"\nheaders = { X-Frame-Options = "DENY" }\n'
    )
    made = routing(headrace_toml=toml, vite_config_ts="export default { base: '/app/' }")
    assert (made.spa, made.clean_urls, made.trailing_slash) == (False, False, True)
    assert made.redirects == (
        RedirectRule(path="/a/*", to="/b/:splat", status=308),
        RedirectRule(path="/app/*", to="/:splat", status=200),
    )
    assert made.headers[0].headers == (("X-Frame-Options", "DENY"),)


@pytest.mark.parametrize(
    "toml",
    [
        '[[routing.redirects]]\nfrom = "a"\nto = "/b"\n',
        '[[routing.redirects]]\nfrom = "/a"\nto = "b"\n',
        '[[routing.redirects]]\nfrom = "/a"\nto = "/b"\nstatus = 418\n',
        '[[routing.redirects]]\nfrom = "/a"\nto = "https://b.example/"\nstatus = 200\n',
        '[[routing.redirects]]\nfrom = "/a/*/b"\nto = "/b"\n',
        '[[routing.headers]]\npath = "/*"\nheaders = { "Set-Cookie" = "a=1" }\n',
        '[[routing.headers]]\npath = "/*"\nheaders = { "X-A" = "a\\nb" }\n',
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(toml: str) -> None:
    with pytest.raises(StepFailed):
        routing(headrace_toml=toml)
