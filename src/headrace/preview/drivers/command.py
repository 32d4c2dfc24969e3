"""Any development server that a project's own script starts: told its port, asked for its page, its log read."""

import posixpath
import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.model.plan import BuildPlan, PlannedCommand
from headrace.model.preview import PreviewMode
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import joined
from headrace.preview.base import Builder, Change, FreePort, Link, Setup
from headrace.preview.drivers._scripts import calls
from headrace.preview.drivers._served import ServedBuilder

#: How programs are told a port that don't read `PORT`.
_PORT_FLAGS = {
    "astro": "--port {port} --host 127.0.0.1",
    "nuxt": "--port {port} --host 127.0.0.1",
    "nuxi": "--port {port} --host 127.0.0.1",
    "vite": "--port {port} --strictPort --host 127.0.0.1",
    "vinxi": "--port {port} --host 127.0.0.1",
    "ng": "--port {port} --host 127.0.0.1",
    "gatsby": "--port {port} --host 127.0.0.1",
    "vue-cli-service": "--port {port} --host 127.0.0.1",
    "webpack": "--port {port} --host 127.0.0.1",
    "parcel": "--port {port}",
    "eleventy": "--port {port}",
    "docusaurus": "--port {port} --host 127.0.0.1 --no-open",
    "react-router": "--port {port} --host 127.0.0.1",
    "next": "--port {port} --hostname 127.0.0.1",
    "remix": "--port {port} --host 127.0.0.1",
    "vitepress": "--port {port} --strictPort --host 127.0.0.1",
    "vuepress": "--port {port} --host 127.0.0.1",
    "rspress": "--port {port} --host 127.0.0.1",
    "rsbuild": "--port {port} --host 127.0.0.1",
    "rspack": "--port {port} --host 127.0.0.1",
    "slidev": "--port {port} --bind 127.0.0.1",
    "storybook": "--port {port} --host 127.0.0.1 --ci",
    "hexo": "--port {port} --ip 127.0.0.1",
    "ember": "--port {port} --host 127.0.0.1",
    "quasar": "--port {port} --hostname 127.0.0.1",
    "stencil": "--port {port} --address 127.0.0.1 --no-open",
    "analog": "--port {port} --host 127.0.0.1",
}

_READ_ONCE = re.compile(
    r"package\.json|headrace\.toml|\.npmrc|\.env(?:\..+)?|[\w.-]+\.config\.\w+|tsconfig.*\.json|\.babelrc"
)

#: Directories in which tools keep what makes their next start faster.
_CACHES = ("node_modules/.vite", "node_modules/.astro", "node_modules/.cache", ".nuxt", ".svelte-kit")


class CommandDriver:
    name: ClassVar[str] = "command"
    modes: ClassVar[Sequence[PreviewMode]] = (PreviewMode.DEV,)

    def fits(self, plan: BuildPlan, files: ProjectFiles, mode: PreviewMode) -> str | None:  # noqa: ARG002
        if plan.dev is None:
            return "package.json has no dev script"
        return None

    def setup(self, plan: BuildPlan, files: ProjectFiles, mode: PreviewMode, port: FreePort) -> Setup:  # noqa: ARG002
        assert plan.dev is not None  # noqa: S101 - `fits` was asked
        own = (joined(plan.root, cache) for cache in _CACHES)
        return served(plan.dev, files, port(), keep=tuple(dict.fromkeys((*own, *plan.caches))))

    def attach(self, setup: Setup, plan: BuildPlan, link: Link) -> Builder:
        return ServedBuilder(setup, link, f"the dev script ({plan.framework})")

    def restarts(self, plan: BuildPlan, change: Change) -> bool:  # noqa: ARG002
        return any(_READ_ONCE.fullmatch(posixpath.basename(path)) for path in (*change.written, *change.removed))


def served(dev: PlannedCommand, files: ProjectFiles, page: int, *, keep: tuple[str, ...]) -> Setup:
    """A command for development that serves its page on the port `page`."""
    return Setup(
        argv=with_port(dev.argv, page),
        directory=dev.directory,
        env={**dev.env, **environment(page)},
        page_port=page,
        keep=keep,
        host=f"localhost:{page}",
        paths=files.paths(),
    )


def environment(port: int) -> dict[str, str]:
    """What servers read of where to listen, and what keeps them from opening browsers and telling others of it."""
    return {
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "HOSTNAME": "127.0.0.1",
        "BROWSER": "none",
        "NODE_ENV": "development",
        "NEXT_TELEMETRY_DISABLED": "1",
        "ASTRO_TELEMETRY_DISABLED": "1",
        "NUXT_TELEMETRY_DISABLED": "1",
    }


def with_port(argv: tuple[str, ...], port: int) -> tuple[str, ...]:
    """The command with the flag that its last program knows; as it is when that program is not known."""
    if argv[:2] != ("sh", "-c"):
        return argv
    found = calls(argv[2])
    if not found:
        return argv
    last = found[-1]
    flag = _PORT_FLAGS.get(last.program)
    if flag is None or any(word in ("--port", "-p") or word.startswith("--port=") for word in last.words):
        return argv
    return ("sh", "-c", f"{argv[2]} {flag.format(port=port)}")
