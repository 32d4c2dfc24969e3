"""Vite, and what is built by it without a framework of its own: React, Vue, Svelte, Solid, Lit, plain JavaScript."""

import posixpath
import re
from typing import ClassVar

from headrace.plan.detectors.base import Detected
from headrace.plan.detectors.scripts import chosen_build, chosen_dev
from headrace.plan.project_view import ProjectView, joined

CONFIG_FILES = tuple(f"vite.config.{ending}" for ending in ("ts", "js", "mjs", "mts", "cjs", "cts"))

#: The configuration is a program; only settings that stand in it as plain text are read.
_TEXT_SETTING = r"(?m)^[^/\n]*?\b{name}\s*:\s*(['\"`])([^'\"`$\n]+)\1"


class Vite:
    framework: ClassVar[str] = "vite"

    def detect(self, view: ProjectView) -> Detected | None:
        config = view.first(*CONFIG_FILES)
        if "vite" not in view.dependencies and "rolldown-vite" not in view.dependencies and config is None:
            return None
        text = (view.text(config) or "") if config else ""
        root = _inside(_setting(text, "root") or "")
        output, why = _output(view, text, root)
        spa, spa_why = _spa(text, config or "vite.config")
        return Detected(
            framework=self.framework,
            why=f"{config} is there" if config else "package.json depends on vite",
            source=config or "package.json",
            script=chosen_build(view, "vite build", beside=False) or "build",
            dev_script=chosen_dev(view, "vite"),
            output=output,
            output_why=why,
            output_candidates=("dist", "build", "out", joined(root, "dist"), "dist/client", "public"),
            spa=spa,
            spa_why=spa_why,
            published=joined(root, _inside(_setting(text, "publicDir") or "public")),
            base=_base(view, text),
            caches=("node_modules/.vite",),
        )


def _setting(text: str, name: str) -> str | None:
    match = re.search(_TEXT_SETTING.format(name=name), text)
    return match[2] if match else None


def _output(view: ProjectView, config: str, root: str) -> tuple[str, str]:
    script = view.manifest.scripts.get("build", "") if view.manifest else ""
    flag = re.search(r"\bvite build\b[^&|;]*?--outDir[ =](['\"]?)([\w./@-]+)\1", script)
    if flag:
        return _beside(view.root, root, flag[2]), "the build script says --outDir"
    if setting := _setting(config, "outDir"):
        return _beside(view.root, root, setting), "build.outDir of Vite's configuration"
    return joined(root, "dist"), "Vite's default"


def _beside(project: str, root: str, path: str) -> str:
    """`path` as seen from Vite's `root`, also beside the project in its repository; Vite's default for any other place."""
    place = posixpath.normpath(posixpath.join(project, root, path))
    if path.startswith("/") or place.startswith("..") or place == "." or f"{project}/".startswith(f"{place}/"):
        return joined(root, "dist")
    return posixpath.relpath(f"/{place}", f"/{project}")


def _inside(path: str) -> str:
    """A directory of the configuration as a path below the project, `""` when it is not one."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    return "" if path.startswith("/") or ".." in names else "/".join(names)


def _spa(config: str, source: str) -> tuple[bool, str]:
    kind = _setting(config, "appType")
    if kind == "mpa":
        return False, f"appType in {source} says that it has several pages"
    if len(re.findall(r"\.html['\"`]", config)) > 1:
        return False, f"{source} builds several pages"
    return True, "a single page, whose routes only the browser knows"


def _base(view: ProjectView, config: str) -> str:
    script = view.manifest.scripts.get("build", "") if view.manifest else ""
    flag = re.search(r"\bvite build\b[^&|;]*?--base[ =](['\"]?)(/[\w./-]*)\1", script)
    base = flag[2] if flag else _setting(config, "base") or "/"
    return f"/{base.strip('/')}/" if re.fullmatch(r"/[\w.-]+(/[\w.-]+)*/?", base) and ".." not in base else "/"
