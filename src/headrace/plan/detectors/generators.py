"""Generators of sites that aren't written for Node: recognised and explained, because their programs are on no registry of ours."""

import re
from dataclasses import dataclass

from headrace.model.diagnostic import FailureReason
from headrace.model.plan import Refused
from headrace.plan.detectors.base import Detected
from headrace.plan.project_view import ProjectView


@dataclass(frozen=True)
class Generator:
    framework: str
    title: str
    #: A file, and what has to stand in it, as a regular expression.
    marks: tuple[tuple[str, str], ...]
    command: str
    output: str


GENERATORS = (
    Generator(
        "hugo", "Hugo",
        (
            *((f"hugo.{ending}", "") for ending in ("toml", "yaml", "yml", "json")),
            *((f"config.{ending}", r"(?i)\bbaseURL\b") for ending in ("toml", "yaml", "yml", "json")),
            ("config/_default/hugo.toml", ""), ("config/_default/config.toml", ""),
        ),
        "hugo", "public",
    ),
    Generator("zola", "Zola", (("zola.toml", ""), ("config.toml", r"(?m)^base_url\s*=")), "zola build", "public"),
    Generator("bridgetown", "Bridgetown", (("bridgetown.config.yml", ""), ("config/initializers.rb", "Bridgetown")), "bridgetown build", "output"),
    Generator("jekyll", "Jekyll", (("_config.yml", ""), ("_config.yaml", ""), ("Gemfile", r"['\"](?:jekyll|github-pages)['\"]")), "jekyll build", "_site"),
    Generator("middleman", "Middleman", (("Gemfile", r"['\"]middleman['\"]"), ("config.rb", r"\b(?:activate|page|configure) ")), "middleman build", "build"),
    Generator("nanoc", "nanoc", (("nanoc.yaml", ""),), "nanoc compile", "output"),
    Generator("mkdocs", "MkDocs", (("mkdocs.yml", ""), ("mkdocs.yaml", "")), "mkdocs build", "site"),
    Generator("zensical", "Zensical", (("zensical.toml", ""),), "zensical build", "site"),
    Generator("pelican", "Pelican", (("pelicanconf.py", ""),), "pelican content", "output"),
    Generator("nikola", "Nikola", (("conf.py", r"BLOG_TITLE|nikola"),), "nikola build", "output"),
    Generator("sphinx", "Sphinx", (("docs/conf.py", r"extensions|project"), ("conf.py", r"sphinx"), ("docs/source/conf.py", "")), "sphinx-build docs _site", "_site"),
    Generator("lektor", "Lektor", (("models/page.ini", ""),), "lektor build -O _site", "_site"),
    Generator("mdbook", "mdBook", (("book.toml", r"\[book\]"),), "mdbook build", "book"),
    Generator("cobalt", "Cobalt", (("_cobalt.yml", ""),), "cobalt build", "_site"),
    Generator("cecil", "Cecil", (("cecil.yml", ""), ("cecil.php", "")), "cecil build", "_site"),
    Generator("quarto", "Quarto", (("_quarto.yml", ""),), "quarto render", "_site"),
    Generator("lume", "Lume", (("_config.ts", r"lume/"),), "deno task build", "_site"),
    Generator("elm", "Elm", (("elm.json", r"\"type\"\s*:\s*\"application\""),), "elm make src/Main.elm --output=dist/index.html", "dist"),
)  # fmt: skip


class ForeignGenerator:
    """Implements `Detector` for one of them. A build script says that Node builds it after all."""

    def __init__(self, row: Generator) -> None:
        self._row = row

    @property
    def framework(self) -> str:
        return self._row.framework

    def detect(self, view: ProjectView) -> Detected | None:
        row = self._row
        if view.manifest is not None and view.manifest.scripts.get("build", "").strip():
            return None
        mark = next((file for file, text in row.marks if view.has(file) and _holds(view, file, text)), None)
        if mark is None or (view.has("index.html") and not _is_template(view)):
            return None
        return Detected(
            framework=row.framework,
            why=f"{mark} is there",
            source=mark,
            output=row.output,
            output_why=f"where {row.title} writes its pages",
            refused=Refused(
                reason=FailureReason.UNSUPPORTED,
                message=f"this is a site of {row.title} ({mark} is there), and {row.title} can't be run here: "
                "tool chains come from the registries of npm, and it is on none",
                hint=f'run `{row.command}` before, commit {row.output}/, and write [build] command = "true" and '
                f'output = "{row.output}" in headrace.toml; or add a build script to package.json that needs Node alone',
                file=mark,
            ),
        )


def _holds(view: ProjectView, file: str, pattern: str) -> bool:
    return not pattern or re.search(pattern, (view.text(file) or "")[:262_144]) is not None


def _is_template(view: ProjectView) -> bool:
    """Whether index.html is something to make a page from, not a page."""
    text = (view.text("index.html") or "")[:65_536].lstrip()
    return text.startswith("---") or "{%" in text
