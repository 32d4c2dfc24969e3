"""Package managers that a project's scripts call although another one installs its dependencies."""

import re
from collections.abc import Iterator, Sequence

from headrace.model.plan import Tool
from headrace.plan.lock_files import reader_of
from headrace.plan.manager_versions import ManagerName, runs_on
from headrace.plan.manifest import LIFECYCLE_SCRIPTS, Manifest
from headrace.plan.package_manager import ManagerChoice
from headrace.plan.project_view import ProjectView

_CALLS = re.compile(r"(?:^|[\s;&|(\"'])(npm|npx|pnpm|pnpx|yarn|yarnpkg|bun|bunx)\s")
_OWNER: dict[str, ManagerName] = {
    "npm": "npm", "npx": "npm", "pnpm": "pnpm", "pnpx": "pnpm", "yarn": "yarn", "yarnpkg": "yarn", "bun": "bun", "bunx": "bun",
}  # fmt: skip
#: Scripts that a build, an install or a preview starts.
_STARTS = ("build", "generate", "export", "dev", "develop", "serve", "start", *LIFECYCLE_SCRIPTS)


def nested_managers(
    manager: ManagerChoice, manifests: Sequence[Manifest], node_major: int, view: ProjectView
) -> tuple[Tool, ...]:
    """Tools that must be there too: `npm run css && vite build` in a project of pnpm needs npm."""
    called = {
        _OWNER[name] for manifest in manifests for text in _reached(manifest) for name in _CALLS.findall(f"{text} ")
    }
    return tuple(
        Tool(name=name, version=version)
        for name in sorted(called - {manager.name})
        if runs_on(name, version := reader_of(name, None, node_major, view).version, node_major)
    )


def _reached(manifest: Manifest) -> Iterator[str]:
    """Texts of the scripts that may run, also by another script that names them."""
    starts = [around + name for name in _STARTS for around in ("", "pre", "post")]
    waiting = [name for name in starts if name in manifest.scripts]
    seen = set(waiting)
    while waiting:
        text = manifest.scripts[waiting.pop()]
        yield text
        words = set(re.split(r"[\s\"';&|()]+", text))
        named = [name for name in manifest.scripts if name in words and name not in seen]
        seen.update(named)
        waiting += named
