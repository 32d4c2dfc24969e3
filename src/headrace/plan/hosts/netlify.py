"""`netlify.toml`: how it builds, its contexts, its redirects and headers."""

from typing import Any

from headrace.model.plan import RedirectRule
from headrace.plan.hosts.base import HostSettings, Said, entries, words
from headrace.plan.project_view import ProjectView, joined
from headrace.site.redirects_file import pattern_problem

NAME = "netlify.toml"

_STATUSES = (200, 301, 302, 303, 307, 308, 404)
_WHY = {
    "functions": "functions are not run here",
    "edge_functions": "functions are not run here",
    "plugins": "plugins of builds are not run here",
    "images": "images are served as the build wrote them",
    "integrations": "they belong to the other host",
    "extensions": "they belong to the other host",
}
_SILENT = frozenset({"build", "context", "redirects", "headers", "dev", "template", "graph"})


def read_netlify(view: ProjectView) -> HostSettings | None:
    """The production context over `[build]`: every build here is one that may be shown to everybody."""
    if not view.has(NAME):
        return None
    raw = view.toml(NAME)
    said = Said(joined(view.root, NAME))
    contexts = _table(raw, "context")
    build = {**_table(raw, "build"), **_table(contexts, "production")}
    scripts = view.manifest.scripts if view.manifest else {}
    said.build(build.get("command"), "build.command", scripts)
    said.text("output", build.get("publish"), "build.publish")
    said.text("root", build.get("base"), "build.base")
    _environment(
        said,
        {**words(_table(raw, "build").get("environment")), **words(_table(contexts, "production").get("environment"))},
    )
    for name in contexts.keys() - {"production"}:
        said.ignore(f"context.{name}", "every build is one of production")
    if "ignore" in build:
        said.ignore("build.ignore", "every version that is asked for is built")
    for name in ("functions", "edge_functions"):
        if name in build:
            said.ignore(f"build.{name}", "functions are not run here")
    for name in raw.keys() - _SILENT:
        said.ignore(name, _WHY.get(name, "it has no meaning here"))
    for entry in entries(raw.get("redirects")):
        _redirect(said, entry)
    for entry in entries(raw.get("headers")):
        path = str(entry.get("for", ""))
        pairs = list(words(entry.get("values")).items())
        said.header(path if not pattern_problem(path) else None, pairs, f"headers for {path}")
    said.ignored.sort(key=lambda ignored: ignored.setting)
    return said.settings()


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _environment(said: Said, env: dict[str, str]) -> None:
    if node := env.pop("NODE_VERSION", None):
        said.values["node"] = node.removeprefix("v")
    flags = env.pop("NPM_FLAGS", "") or ""
    if "--legacy-peer-deps" in flags or "--force" in flags:
        said.ignore("build.environment.NPM_FLAGS", "write legacy-peer-deps=true in .npmrc")
    for name in [name for name in env if name.startswith("NETLIFY_") or name.endswith("_FLAGS")]:
        said.ignore(f"build.environment.{name}", "it belongs to the other host")
        del env[name]
    if env:
        said.values["env"] = env


def _redirect(said: Said, entry: dict[str, Any]) -> None:
    path, to = str(entry.get("from", "")), str(entry.get("to", ""))
    status = entry.get("status", 301)
    setting = f"redirect from {path}"
    if path == "/*" and to in ("/index.html", "/") and status == 200 and not entry.get("conditions"):
        said.values["spa"] = True
    elif entry.get("conditions") or entry.get("signed"):
        said.ignore(setting, "conditions on requests are not supported")
    elif to.startswith("/.netlify/"):
        said.ignore(setting, "functions are not run here")
    elif problem := pattern_problem(path):
        said.ignore(setting, problem)
    elif status not in _STATUSES or not to.startswith(("/", "https://", "http://")):
        said.ignore(setting, "its status or its target can't be followed here")
    elif status in (200, 404) and not to.startswith("/"):
        said.ignore(setting, "passing requests on to another host is not supported")
    else:
        query = tuple(words(entry.get("query")).items())
        said.redirects.append(
            RedirectRule(path=path, to=to, status=status, force=entry.get("force") is True, query=query)
        )
