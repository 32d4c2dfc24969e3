"""
Makes projects as their creators do, builds each once with no configuration in the real sandbox, and writes what came of it.

    .venv/bin/python -m tests.acceptance.frameworks.collect DIRECTORY [PROJECT …]

`templates.json` has the projects: a package that makes one (`run`), its files (`files`), or a change of another one (`of`);
`lock` writes the lock file. Generators and package managers come from npm through `npx` and run on this machine, not in a
sandbox. What is in DIRECTORY is used again; data of Headrace is below it, too. Rows of other projects in
`collection.json` stay as they are. One build at a time; nothing here is a test.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.plan.detectors.frameworks import ROWS

HERE = Path(__file__).parent
COLLECTION = HERE / "collection.json"
TEMPLATES: list[dict[str, Any]] = json.loads((HERE / "templates.json").read_text())
_MADE_SECONDS = 300
_BUILD_SECONDS = 600


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("directory", type=Path)
    arguments.add_argument("projects", nargs="*")
    chosen = arguments.parse_args()
    directory: Path = chosen.directory.absolute()
    (directory / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
    for template in TEMPLATES:
        if chosen.projects and template["project"] not in chosen.projects:
            continue
        root = made(template, directory)
        if root is None:
            sys.stderr.write(f"{template['project']}: its generator made nothing\n")
            continue
        row = built(template, root, directory / "data")
        keep(row)
        sys.stderr.write(f"{row['project']}: {row['result']}\n")


def made(template: Mapping[str, Any], directory: Path) -> Path | None:
    """The project's directory, without what an install left; None when there is none."""
    root: Path = directory / "projects" / template["project"]
    if root.exists():
        return root
    root.parent.mkdir(exist_ok=True)
    if run := template.get("run"):
        _npx([word.replace("{name}", root.name) for word in run], root.parent)
    elif other := template.get("of"):
        source = made(next(one for one in TEMPLATES if one["project"] == other), directory)
        if source is not None:
            shutil.copytree(source, root)
            file, before, after = template["replace"]
            (root / file).write_text((root / file).read_text().replace(before, after, 1))
    for path, text in template.get("files", {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    if lock := template.get("lock"):
        # Yarn takes a directory with a .git for the top of a project, and does not look above it.
        (root / ".git").mkdir()
        _npx(lock, root, direct=lock[0] == "npm")
        (root / ".git").rmdir()
    for left in (*root.rglob("node_modules"), root / ".git", root / ".yarn"):
        shutil.rmtree(left, ignore_errors=True)
    (root / ".pnp.cjs").unlink(missing_ok=True)
    return root if root.is_dir() and any(root.iterdir()) else None


def _npx(words: list[str], directory: Path, *, direct: bool = False) -> None:
    environment = {
        **os.environ,
        "npm_config_yes": "true",
        "YARN_ENABLE_IMMUTABLE_INSTALLS": "false",
        "YARN_ENABLE_TELEMETRY": "0",
    }
    command = words if direct else ["npx", *words]
    try:
        subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_MADE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"{' '.join(words)}: stopped after {_MADE_SECONDS} s\n")


def built(template: Mapping[str, Any], root: Path, data_dir: Path) -> dict[str, str]:
    """The row of a project: what it was taken for, how long it took, what came of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment = {**kept, "HEADRACE_DATA_DIR": str(data_dir)}
    events = data_dir.parent / "events.ndjson"
    program = [sys.executable, "-m", "headrace", "build", str(root), "--json", "--force", "--events", str(events)]
    answer = subprocess.run(program, env=environment, capture_output=True, timeout=_BUILD_SECONDS, check=False)
    return row_of(template, root, json.loads(answer.stdout), _read(events))


def _read(events: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in events.read_text().splitlines()]


def row_of(
    template: Mapping[str, Any], root: Path, build: Mapping[str, Any], events: list[dict[str, Any]]
) -> dict[str, str]:
    planned = next((one for one in events if one["type"] == "plan.made"), {})
    stored = next((one for one in events if one["type"] == "build.step.completed" and one["step"] == "artifact"), None)
    seconds = {command["step"]: f"{command['seconds']:.1f} s" for command in build["commands"]}
    tools = dict(tool.split() for tool in planned.get("tools", ()))
    manager, framework = planned.get("package_manager") or "", planned.get("framework", "")
    failure = build.get("failure")
    return {
        "project": template["project"],
        "made_from": template["made_from"],
        "framework": framework,
        "version": _version(root, framework),
        "manager": f"{manager} {tools.get(manager, '')}".strip(),
        "node": tools.get("node", "").partition(".")[0],
        "install": seconds.get("dependencies", ""),
        "build": seconds.get("build", "") if failure is None else "",
        "files": stored["summary"].split()[0] if stored and failure is None else "",
        "result": "built"
        if failure is None
        else f"`{failure['reason']}`: {failure['message'][:160].replace('|', '/')}",
    }


def _version(root: Path, framework: str) -> str:
    """The version of the framework that the project asks for."""
    marks = next((row.packages for row in ROWS if row.framework == framework), (framework,))
    for manifest in (root / "package.json", *root.glob("*/*/package.json")):
        if manifest.exists():
            raw = json.loads(manifest.read_text())
            asked = {**raw.get("devDependencies", {}), **raw.get("dependencies", {})}
            if found := next((asked[mark] for mark in marks if mark in asked), None):
                return str(found)
    return ""


def keep(row: dict[str, str]) -> None:
    """In the table, in the place of the project's earlier row or at its end."""
    rows: list[dict[str, str]] = json.loads(COLLECTION.read_text())
    names = [one["project"] for one in rows]
    if row["project"] in names:
        rows[names.index(row["project"])] = row
    else:
        rows.append(row)
    lines = ",\n".join(f"  {json.dumps(one)}" for one in rows)
    COLLECTION.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
