"""Cloudflare, Firebase, Render and Railway, as far as they build pages; and what starts servers elsewhere."""

import re
from typing import Any

from headrace.errors import StepFailed
from headrace.model.plan import RedirectRule
from headrace.plan.hosts.base import HostSettings, Said, entries, words
from headrace.plan.hosts.vercel import parse_json
from headrace.plan.project_view import ProjectView, joined, parse_toml
from headrace.site.redirects_file import pattern_problem

_NO_SERVER = "servers can't be deployed yet; it would start one"


def _parsed(said: Said, text: str) -> dict[str, Any]:
    """Empty for a file that its own host could not read either: most projects keep these for something else than builds."""
    try:
        if said.source.endswith(".toml"):
            return parse_toml(said.source, text)
        return parse_json(said.source, text, comments=True)
    except StepFailed as broken:
        said.ignore("the file", broken.failure.message)
        return {}


def read_wrangler(view: ProjectView) -> HostSettings | None:
    """Pages of Cloudflare, and assets of a Worker."""
    name = view.first("wrangler.toml", "wrangler.jsonc", "wrangler.json")
    if name is None:
        return None
    path = joined(view.root, name)
    said = Said(path)
    raw = _parsed(said, view.text(name) or "")
    said.text("output", raw.get("pages_build_output_dir"), "pages_build_output_dir")
    assets = raw.get("assets")
    if isinstance(assets, dict):
        said.text("output", assets.get("directory"), "assets.directory")
        if assets.get("not_found_handling") == "single-page-application":
            said.values["spa"] = True
    build = raw.get("build")
    if isinstance(build, dict):
        said.build(build.get("command"), "build.command", view.manifest.scripts if view.manifest else {})
    for key, why in (
        ("main", "Workers are not run here"),
        ("vars", "they are a Worker's; [env] in headrace.toml is for builds"),
    ):
        if key in raw:
            said.ignore(key, why)
    bindings = [
        key
        for key in raw
        if key.endswith(("_namespaces", "_databases", "_buckets", "_objects")) or key in ("ai", "queues", "services")
    ]
    if bindings:
        said.ignore(", ".join(sorted(bindings)), "Workers are not run here")
    return said.settings()


def read_firebase(view: ProjectView) -> HostSettings | None:
    text = view.text("firebase.json")
    if text is None:
        return None
    path = joined(view.root, "firebase.json")
    said = Said(path)
    raw = _parsed(said, text)
    hosting = raw.get("hosting")
    for other in raw.keys() - {"hosting", "$schema", "emulators"}:
        said.ignore(other, "only hosting has a meaning here")
    if isinstance(hosting, list):
        if len(hosting) > 1:
            said.ignore("hosting", "it describes several sites; write the output of the one to build in headrace.toml")
        hosting = hosting[0] if len(hosting) == 1 else None
    if isinstance(hosting, dict):
        _firebase_hosting(said, hosting)
    return said.settings()


def _firebase_hosting(said: Said, hosting: dict[str, Any]) -> None:
    said.text("output", hosting.get("public"), "hosting.public")
    said.flag("clean_urls", hosting.get("cleanUrls"), "hosting.cleanUrls")
    said.flag("trailing_slash", hosting.get("trailingSlash"), "hosting.trailingSlash")
    for entry in entries(hosting.get("rewrites")):
        if entry.get("destination") == "/index.html" and entry.get("source") in ("**", "/**"):
            said.values["spa"] = True
        else:
            said.ignore(
                f"hosting.rewrites of {entry.get('source', entry.get('regex', ''))}", "write it in headrace.toml"
            )
    for entry in entries(hosting.get("redirects")):
        source = re.sub(r"/\*\*$", "/*", str(entry.get("source", "")))
        to, status = str(entry.get("destination", "")), entry.get("type", 301)
        if pattern_problem(source) or status not in (301, 302, 303, 307, 308) or not to.startswith(("/", "http")):
            said.ignore(f"hosting.redirects of {source}", "its pattern can't be followed here")
        else:
            said.redirects.append(RedirectRule(path=source, to=to, status=status, force=True))
    for entry in entries(hosting.get("headers")):
        source = re.sub(r"^/?\*\*$", "/*", re.sub(r"/\*\*$", "/*", str(entry.get("source", ""))))
        pairs = [(str(pair.get("key", "")), str(pair.get("value", ""))) for pair in entries(entry.get("headers"))]
        said.header(source if not pattern_problem(source) else None, pairs, f"hosting.headers of {source}")


def read_render(view: ProjectView) -> HostSettings | None:
    """The static site of `render.yaml`, when it describes one. It is YAML; these lines of it are read and no others."""
    text = view.text("render.yaml")
    if text is None:
        return None
    said = Said(joined(view.root, "render.yaml"))
    services = re.split(r"(?m)^[ \t]*-[ \t]+(?=type\s*:)", text[:262_144])
    sites = [
        service
        for service in services
        if re.search(r"(?m)^[ \t]*(?:env|runtime)\s*:\s*static\b|staticPublishPath", service)
    ]
    if len(sites) == 1:
        found = {
            key: value.strip("\"' ") for key, value in re.findall(r"(?m)^[ \t]*(\w+)[ \t]*:[ \t]*([^#\n]+)", sites[0])
        }
        said.text("output", found.get("staticPublishPath"), "staticPublishPath")
        said.text("root", found.get("rootDir"), "rootDir")
        said.build(found.get("buildCommand"), "buildCommand", view.manifest.scripts if view.manifest else {})
    if len(sites) > 1:
        said.ignore("services", "it describes several sites; write the output of the one to build in headrace.toml")
    elif len(services) - 1 > len(sites):
        said.ignore("services that are no static sites", "servers, databases and jobs can't be deployed yet")
    return said.settings()


def read_railway(view: ProjectView) -> HostSettings | None:
    name = view.first("railway.json", "railway.toml")
    if name is None:
        return None
    path = joined(view.root, name)
    said = Said(path)
    raw = _parsed(said, view.text(name) or "")
    build, deploy = raw.get("build"), raw.get("deploy")
    if isinstance(build, dict):
        said.build(build.get("buildCommand"), "build.buildCommand", view.manifest.scripts if view.manifest else {})
    if isinstance(deploy, dict):
        said.ignore("deploy", _NO_SERVER)
    return said.settings()


def read_starters(view: ProjectView) -> list[HostSettings]:
    """Files that say how a program is started, or packed into an image."""
    found = []
    if (text := view.text("Procfile")) is not None:
        said = Said(joined(view.root, "Procfile"))
        web = re.search(r"(?m)^web\s*:\s*(.+)$", text[:65_536])
        said.ignore("web" if web else "processes", f"{_NO_SERVER}: {web[1].strip()[:200]}" if web else _NO_SERVER)
        found.append(said.settings())
    if view.has("fly.toml"):
        said = Said(joined(view.root, "fly.toml"))
        raw = _parsed(said, view.text("fly.toml") or "")
        service = raw.get("http_service")
        port = (
            f" (it listens on port {service['internal_port']})"
            if isinstance(service, dict) and "internal_port" in service
            else ""
        )
        said.ignore("the app", f"machines are not started here{port}")
        if env := words(raw.get("env")):
            said.ignore(
                f"env ({', '.join(sorted(env)[:10])})", "it is the machine's; [env] in headrace.toml is for builds"
            )
        found.append(said.settings())
    if (text := view.text("app.json")) is not None and re.search(
        r'"(?:formation|buildpacks|addons|dynos)"', text[:262_144]
    ):
        said = Said(joined(view.root, "app.json"))
        said.ignore("formation, buildpacks, addons", "dynos are not started here")
        found.append(said.settings())
    if view.has("Dockerfile"):
        said = Said(joined(view.root, "Dockerfile"))
        said.ignore("the image", "images are not built here; the project is built as its other files say")
        found.append(said.settings())
    return found
