"""Which script of a project builds it, and which starts its development server."""

import re

from headrace.plan.project_view import ProjectView

#: Names that development servers usually have, the surest first.
DEV_NAMES = ("dev", "develop", "serve", "start")

#: A script that runs others does what they do.
_RUNS_OTHERS = re.compile(
    r"\b(?:npm|pnpm|yarn|bun)\s+(?:run\s|-|[\w:]+)|\b(?:run-s|run-p|npm-run-all|turbo|nx|lerna|wireit)\b"
)


def calls_it(text: str, command: str) -> bool:
    """Whether a script's text calls `command`, such as `vitepress build`, with whatever behind it."""
    words = r"\s+".join(map(re.escape, command.split()))
    return bool(words) and re.search(rf"(?:^|[\s/&|;(]){words}(?![\w:-])", text) is not None


def chosen_build(view: ProjectView, command: str, *, beside: bool) -> str | None:
    """
    The script that builds a project of a framework whose build is `command`; None when there is none.

    That is `build`, unless the framework usually stands `beside` something else that `build` makes.
    """
    scripts = view.manifest.scripts if view.manifest else {}
    usual = scripts.get("build", "").strip()
    if usual and (not beside or calls_it(usual, command) or _RUNS_OTHERS.search(usual)):
        return "build"
    own = [name for name, text in scripts.items() if calls_it(text, command) and not _is_dev(name, text)]
    return min(own, key=lambda name: (len(name), name)) if own else "build" if usual else None


def chosen_dev(view: ProjectView, command: str, *, beside: bool = False) -> str | None:
    """The script that starts the development server: one that calls the framework's own, else one with a usual name."""
    scripts = view.manifest.scripts if view.manifest else {}
    usual = [name for name in DEV_NAMES if scripts.get(name, "").strip()]
    # `serve` and `start` often show what was built; the others never do.
    if usual and (not command or (not beside and usual[0] in DEV_NAMES[:2])):
        return usual[0]
    own = [name for name in usual if calls_it(scripts[name], command)]
    # Behind the usual names come those of documentation beside a library: `docs:dev`.
    own += [name for name, text in scripts.items() if name not in usual and calls_it(text, command)]
    own = [name for name in own if not re.search(r"build|preview|deploy|lint|test|check", name)]
    return next(iter((*own, *usual)), None)


def _is_dev(name: str, text: str) -> bool:
    return re.search(r"dev|watch|serve|start|preview|deploy|test|lint|clean", name) is not None or "--watch" in text
