"""`vercel.json`: its commands and directories, its redirects, rewrites and headers."""

import json
import re
from typing import Any

from headrace.model.plan import RedirectRule
from headrace.plan.hosts.base import HostSettings, Said, entries, words
from headrace.plan.hosts.patterns import from_vercel, is_everything, target_from_vercel
from headrace.plan.jsonc import read_json
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.refusal import config_error

NAME = "vercel.json"

#: Its names of frameworks that are others here.
FRAMEWORKS = {
    "nextjs": "next", "nuxtjs": "nuxt", "sveltekit-1": "sveltekit", "docusaurus-2": "docusaurus", "vue": "vue-cli",
    "preact": "preact-cli", "solidstart-1": "solidstart", "ionic-angular": "angular", "ionic-react": "create-react-app",
    "umijs": "umi", "nestjs": "nest", "blitzjs": "blitz", "svelte": "rollup",
}  # fmt: skip

_SILENT = frozenset({"$schema", "version", "name", "public", "github", "git", "alias", "scope", "relatedProjects"})
_WHY = {
    "functions": "functions are not run here",
    "crons": "nothing is run at set times",
    "regions": "a site is served from here alone",
    "images": "images are served as the build wrote them",
    "routes": "use rewrites, redirects and headers, or headrace.toml",
    "builds": "the build of package.json is run",
    "env": "there are no functions that would read it; [env] in headrace.toml is for builds",
    "ignoreCommand": "every version that is asked for is built",
    "devCommand": "previews run the dev script of package.json",
    "middleware": "it would have to run for every request",
}


def read_vercel(view: ProjectView) -> HostSettings | None:
    text = view.text(NAME)
    if text is None:
        return None
    path = joined(view.root, NAME)
    raw = parse_json(path, text)
    said = Said(path)
    scripts = view.manifest.scripts if view.manifest else {}
    said.build(raw.get("buildCommand"), "buildCommand", scripts)
    said.install(raw.get("installCommand"), "installCommand")
    said.text("output", raw.get("outputDirectory"), "outputDirectory")
    framework = raw.get("framework")
    said.text(
        "framework", FRAMEWORKS.get(framework, framework) if isinstance(framework, str) else framework, "framework"
    )
    said.flag("trailing_slash", raw.get("trailingSlash"), "trailingSlash")
    said.flag("clean_urls", raw.get("cleanUrls"), "cleanUrls")
    build = raw.get("build")
    if env := words(build.get("env") if isinstance(build, dict) else None):
        said.values["env"] = {name: value for name, value in env.items() if not value.startswith("@")}
    _rules(said, raw)
    known = {"buildCommand", "installCommand", "outputDirectory", "framework", "trailingSlash", "cleanUrls", "build"}
    for key in raw.keys() - known - _SILENT - {"redirects", "rewrites", "headers"}:
        said.ignore(key, _WHY.get(key, "it has no meaning here"))
    said.ignored.sort(key=lambda ignored: ignored.setting)
    return said.settings()


def parse_json(path: str, text: str, *, comments: bool = False) -> dict[str, Any]:
    """Raises StepFailed with the line."""
    try:
        raw = read_json(text or "{}", comments=comments)
    except json.JSONDecodeError as exc:
        raise config_error(
            f"{path} is not valid JSON: {exc.msg} (line {exc.lineno}, column {exc.colno})",
            hint="correct it, or remove it: it is read because it may say how the project is built",
            file=path, line=exc.lineno, column=exc.colno,
        ) from exc  # fmt: skip
    except RecursionError as exc:
        raise config_error(f"{path} is nested too deeply", hint=f"write a plain {path}", file=path) from exc
    return raw


def _rules(said: Said, raw: dict[str, Any]) -> None:
    for entry in entries(raw.get("redirects")):
        status = entry.get("statusCode", 308 if entry.get("permanent", True) else 307)
        _rule(said, entry, status if status in (301, 302, 303, 307, 308) else 308, "redirects", force=True)
    for entry in entries(raw.get("rewrites")):
        source, to = str(entry.get("source", "")), str(entry.get("destination", ""))
        if to in ("/index.html", "/") and is_everything(source) and not entry.get("has") and not entry.get("missing"):
            said.values["spa"] = True
        else:
            _rule(said, entry, 200, "rewrites", force=False)
    for entry in entries(raw.get("headers")):
        source = str(entry.get("source", ""))
        found = from_vercel(source) if not entry.get("has") and not entry.get("missing") else None
        pairs = [(str(pair.get("key", "")), str(pair.get("value", ""))) for pair in entries(entry.get("headers"))]
        said.header(found[0] if found else None, pairs, f"headers of {source}")


def _rule(said: Said, entry: dict[str, Any], status: int, kind: str, *, force: bool) -> None:
    source, to = str(entry.get("source", "")), str(entry.get("destination", ""))
    setting = f"{kind} of {source}"
    found = from_vercel(source)
    target = target_from_vercel(to, found[1]) if found else None
    if entry.get("has") or entry.get("missing"):
        said.ignore(setting, "conditions on requests are not supported")
    elif found is None or target is None:
        said.ignore(setting, "its pattern can't be followed here")
    elif status == 200 and not target.startswith("/"):
        said.ignore(setting, "passing requests on to another host is not supported")
    elif not target.startswith(("/", "https://", "http://")):
        said.ignore(setting, f"{to[:100]!r} is neither a path nor an address")
    elif status == 200 and re.match(r"/api(/|$)", target):
        said.ignore(setting, "functions are not run here")
    else:
        said.redirects.append(RedirectRule(path=found[0], to=target, status=status, force=force))
