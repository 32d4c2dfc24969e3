"""Frameworks that are known by one package, a row for each: what they write, and what makes them need a server."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from headrace.plan.detectors.base import Detected, Detector
from headrace.plan.project_view import ProjectView

_CONFIG_ENDINGS = ("ts", "js", "mjs", "mts", "cjs", "cts")

#: Why a project of a framework is static; None when it needs a server.
IsStatic = Callable[[ProjectView, str], str | None]


@dataclass(frozen=True)
class Row:
    framework: str
    #: Any of these packages marks it.
    packages: tuple[str, ...]
    #: Name of its configuration without the ending.
    config: str
    output: str
    static: IsStatic
    output_candidates: tuple[str, ...] = ()
    published: str = "public"


def _says(pattern: str, why: str) -> IsStatic:
    """Static when the configuration's text says so."""
    return lambda _, text: why if re.search(pattern, text) else None


def _unless(pattern: str, why: str) -> IsStatic:
    return lambda _, text: None if re.search(pattern, text) else why


def _depends(package: str) -> IsStatic:
    return lambda view, _: f"it depends on {package}" if package in view.dependencies else None


def _generates(view: ProjectView, text: str) -> str | None:
    script = view.manifest.scripts.get("build", "") if view.manifest else ""
    if "generate" in script.split():
        return "the build script generates pages"
    return "its preset is static" if re.search(r"preset\s*:\s*['\"](static|github[_-]pages)['\"]", text) else None


def _never(_: ProjectView, __: str) -> None:
    return None


#: The most special first: SvelteKit is also Vite, and projects of Next may have Vite for their tests.
ROWS = (
    Row("next", ("next",), "next.config", "out", _says(r"output\s*:\s*['\"]export['\"]", "output is export")),
    Row(
        "astro", ("astro",), "astro.config", "dist", _unless(r"output\s*:\s*['\"]server['\"]", "Astro writes pages"),
        output_candidates=("dist/client",),
    ),
    Row("nuxt", ("nuxt", "nuxt-nightly"), "nuxt.config", ".output/public", _generates, output_candidates=("dist",)),
    Row(
        "sveltekit", ("@sveltejs/kit",), "svelte.config", "build", _depends("@sveltejs/adapter-static"),
        output_candidates=("dist",), published="static",
    ),
    Row(
        "react-router", ("@react-router/dev", "@remix-run/dev"), "react-router.config", "build/client",
        _says(r"\bssr\s*:\s*false\b", "ssr is false"), output_candidates=("dist/client", "dist"),
    ),
    Row("solidstart", ("@solidjs/start",), "app.config", ".output/public", _says(r"\bssr\s*:\s*false\b", "ssr is false")),
    Row("tanstack-start", ("@tanstack/react-start", "@tanstack/solid-start"), "vite.config", "dist/client", _never),
    Row("qwik", ("@builder.io/qwik-city", "@qwik.dev/router"), "vite.config", "dist", _never),
)  # fmt: skip


class ByPackage:
    """Implements `Detector` for one row."""

    def __init__(self, row: Row) -> None:
        self._row = row

    @property
    def framework(self) -> str:
        return self._row.framework

    def detect(self, view: ProjectView) -> Detected | None:
        row = self._row
        package = next((name for name in row.packages if name in view.dependencies), None)
        if package is None:
            return None
        config = view.first(*(f"{row.config}.{ending}" for ending in _CONFIG_ENDINGS))
        static = row.static(view, _without_comments(view.text(config) or "") if config else "")
        return Detected(
            framework=row.framework,
            kind="static" if static else "server",
            why=f"package.json depends on {package}" + (f", and {static}" if static else ", and it needs a server"),
            source=config or "package.json",
            script="build",
            output=row.output,
            output_why=f"where {row.framework} writes its pages",
            output_candidates=row.output_candidates,
            published=row.published,
        )


def _without_comments(text: str) -> str:
    return re.sub(r"(?m)(?:^|(?<=\s))//[^\n]*|/\*[\s\S]*?\*/", "", text) if len(text) < 1_000_000 else ""


FRAMEWORKS: tuple[Detector, ...] = tuple(ByPackage(row) for row in ROWS)
