"""
Makes projects as their creators do, builds each once with no configuration in the real sandbox, and writes what came of it.

    .venv/bin/python -m tests.acceptance.frameworks.collect DIRECTORY [PROJECT …]

`templates.json` has the projects: a package that makes one (`run`, with the `keys` for its questions), its files (`files`), or a
change of another one (`of`); `then` is run inside of it, and `lock` writes the lock file. Generators and package managers come
from npm through `npx` and run on this machine, not in a sandbox. One build at a time; nothing here is a test.

It may be stopped at any time and started again: projects that are in DIRECTORY are used as they are, those with a row in
`DIRECTORY/rows` are not built again unless they are named. Data of Headrace is below DIRECTORY, too. Rows of other projects in
`collection.json` stay as they are.
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

from tests.acceptance.frameworks import generators

from headrace.disk import replace_file
from headrace.plan.detectors.frameworks import ROWS

HERE = Path(__file__).parent
COLLECTION = HERE / "collection.json"
TEMPLATES: list[dict[str, Any]] = json.loads((HERE / "templates.json").read_text())
#: Of a whole build, installing included. The process gets a little more, to say that it was over.
_BUILD_SECONDS = 1200
#: What says nothing of the project.
_OURS = ("executor_unavailable", "internal", "storage_error")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=Path)
    arguments.add_argument("projects", nargs="*")
    chosen = arguments.parse_args()
    directory: Path = chosen.directory.absolute()
    (directory / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "rows").mkdir(exist_ok=True)
    if unknown := set(chosen.projects) - {template["project"] for template in TEMPLATES}:
        arguments.error(f"not in templates.json: {', '.join(sorted(unknown))}")
    for template in TEMPLATES:
        kept = directory / "rows" / f"{template['project']}.json"
        if template["project"] in chosen.projects or not (chosen.projects or kept.exists()):
            _collect(template, directory, kept)


def _collect(template: Mapping[str, Any], directory: Path, kept: Path) -> None:
    root = made(template, directory)
    row = built(template, root, directory / "data") if root else None
    if row is None:
        _say(
            template,
            "its generator made nothing" if root is None else "the build did not end; it is tried again next time",
        )
        return
    keep(row)
    replace_file(kept, json.dumps(row).encode(), durable=False)
    _say(template, row["result"])


def _say(template: Mapping[str, Any], what: str) -> None:
    sys.stderr.write(f"{template['project']}: {what}\n")


def made(template: Mapping[str, Any], directory: Path) -> Path | None:
    """The project's directory, without what an install left; None when there is none."""
    root: Path = directory / "projects" / template["project"]
    if root.exists():
        return root
    # Made aside, so that one whose making was interrupted is not taken for whole.
    aside = directory / "making" / template["project"]
    shutil.rmtree(aside.parent, ignore_errors=True)
    aside.parent.mkdir()
    if run := template.get("run"):
        words = [word.replace("{name}", aside.name) for word in run]
        generators.npx(words, aside.parent, keys=template.get("keys"))
    elif other := template.get("of"):
        source = made(next(one for one in TEMPLATES if one["project"] == other), directory)
        if source is None:
            return None
        aside.parent.mkdir(exist_ok=True)
        shutil.copytree(source, aside)
        if change := template.get("replace"):
            file, before, after = change
            (aside / file).write_text((aside / file).read_text().replace(before, after, 1))
    if run and not (aside.is_dir() and any(aside.iterdir())):
        return None
    for path, text in template.get("files", {}).items():
        (aside / path).parent.mkdir(parents=True, exist_ok=True)
        (aside / path).write_text(text)
    if then := template.get("then"):
        generators.npx(then, aside)
    if lock := template.get("lock"):
        _write_lock(lock, aside)
    for left in (*aside.rglob("node_modules"), aside / ".git", aside / ".yarn"):
        shutil.rmtree(left, ignore_errors=True)
    (aside / ".pnp.cjs").unlink(missing_ok=True)
    root.parent.mkdir(exist_ok=True)
    aside.rename(root)
    return root


def _write_lock(lock: list[str], root: Path) -> None:
    # Yarn takes a directory with a .git for the top of a project, and does not look above it.
    (root / ".git").mkdir(exist_ok=True)
    generators.run(lock if lock[0] == "npm" else ["npx", *lock], root)


def built(template: Mapping[str, Any], root: Path, data_dir: Path) -> dict[str, str] | None:
    """The row of a project: what it was taken for, how long it took, what came of it. None when that can't be said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment = {**kept, "HEADRACE_DATA_DIR": str(data_dir)}
    events = data_dir.parent / "events.ndjson"
    events.unlink(missing_ok=True)
    options = ["--json", "--force", "--events", str(events), "--timeout", str(_BUILD_SECONDS)]
    program = [sys.executable, "-m", "headrace", "build", str(root), *options]
    try:
        answer = subprocess.run(program, env=environment, capture_output=True, timeout=_BUILD_SECONDS + 60, check=False)
    except subprocess.TimeoutExpired:
        return None
    if not answer.stdout.strip():
        sys.stderr.write(answer.stderr.decode(errors="replace")[-2000:])
        return None
    build = json.loads(answer.stdout)
    if (build.get("failure") or {}).get("reason") in _OURS:
        sys.stderr.write(f"{build['failure']['message']}\n")
        return None
    return row_of(template, root, build, _read(events))


def _read(events: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in events.read_text().splitlines()]


def row_of(
    template: Mapping[str, Any], root: Path, build: Mapping[str, Any], events: list[dict[str, Any]]
) -> dict[str, str]:
    planned = next((one for one in events if one["type"] == "plan.made"), {})
    stored = next((one for one in events if one["type"] == "build.step.completed" and one["step"] == "artifact"), None)
    seconds = {one["step"]: f"{one['seconds']:.1f} s" for one in build["commands"] if one["seconds"] is not None}
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
    replace_file(COLLECTION, f"[\n{lines}\n]\n".encode(), durable=False)


if __name__ == "__main__":
    main()
