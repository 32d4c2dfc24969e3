"""What is said when nothing can be built: what was looked for, what is there, and what to write."""

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.refusal import refusal

#: Files of projects that are known but can't be built or run here yet.
_OTHERS: dict[str, str] = {
    "go.mod": "a Go module",
    "Cargo.toml": "a Rust crate",
    "Gemfile": "a Ruby project",
    "composer.json": "a PHP project",
    "deno.json": "a Deno project",
    "deno.jsonc": "a Deno project",
    "mix.exs": "an Elixir project",
    "pom.xml": "a Java project",
    "build.gradle": "a Java project",
    "build.gradle.kts": "a Kotlin project",
    "pubspec.yaml": "a Dart or Flutter project",
    "gleam.toml": "a Gleam project",
    "shard.yml": "a Crystal project",
    "Package.swift": "a Swift package",
    "Dockerfile": "an image description",
}


def nothing_to_build(view: ProjectView, wish: str | None = None) -> StepFailed:
    looked = "a Vite project, a build script in package.json, or an index.html (also in public, site, www, docs, …)"
    if wish:
        looked = f"a {wish} project"
    where = f"in {view.root!r} " if view.root else ""
    message = f"nothing to build {where}was found. Looked for: {looked}. Found: {_found(view)}"
    if elsewhere := projects_below(view):
        roots = ", ".join(elsewhere)
        hint = f'there is a project in {roots}: write root = "{elsewhere[0]}" in headrace.toml at the root of the repository'
    elif kind := next((kind for name, kind in _OTHERS.items() if view.has(name)), None):
        return refusal(
            FailureReason.UNSUPPORTED,
            f"this looks like {kind}, which can't be built here yet. Looked for: {looked}. Found: {_found(view)}",
            hint='if it also makes static files, write [build] command = "…" and output = "…" in headrace.toml',
        )
    elif view.manifest:
        hint = f'add "scripts": {{"build": "…"}} to {view.manifest.path}, or an index.html'
    else:
        hint = 'add an index.html, or write [build] command = "…" and output = "…" in headrace.toml'
    return refusal(FailureReason.NOTHING_TO_BUILD, message, hint=hint)


def _found(view: ProjectView) -> str:
    """The first names at the project's root, as people see them in a listing."""
    names = sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in view.names})
    shown = ", ".join(names[:15])
    more = f" and {len(names) - 15} more" if len(names) > 15 else ""
    return f"{shown}{more}" if names else "no files"


def projects_below(view: ProjectView) -> list[str]:
    """Directories that look like projects, the nearest first."""
    marks = ("package.json", "index.html")
    found = {
        name.rpartition("/")[0]
        for name in view.names
        if name.rpartition("/")[2] in marks and name.count("/") in (1, 2, 3) and "node_modules" not in name
    }
    return [joined(view.root, name) for name in sorted(found, key=lambda name: (name.count("/"), name))[:5]]
