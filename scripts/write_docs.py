"""
Write the pages of docs/ that are made from the code: configuration.md from the settings, cli.md from the commands, map.md
from the first sentence of every module, failures.md from the meanings of the reasons, breakages.md
from the recorded failures, the table of security.md from the list of controls.

    .venv/bin/python scripts/write_docs.py            write them
    .venv/bin/python scripts/write_docs.py --check    exit 1 and name those that are out of date
"""

import importlib
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
from pydantic.fields import FieldInfo

from headrace.cli.catalogue import CATALOGUE
from headrace.diagnostics.reasons import markdown as failures
from headrace.executor._controls import CONTROLS, Shown
from headrace.plan.detectors.frameworks import ROWS
from headrace.plan.detectors.generators import GENERATORS
from headrace.plan.detectors.python import PYTHON_ROWS
from headrace.plan.detectors.row import Row, always
from headrace.plan.project_schema import project_schema
from headrace.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

_CONFIGURATION = """\
# Configuration

Made from `src/headrace/settings.py` by `scripts/write_docs.py`; a test keeps it up to date.

A setting is an environment variable, or the same name in lower case without `HEADRACE_` as a key of
`headrace-server.toml` in the directory where Headrace is started. A variable wins over the file, an option of the
command line over both. Settings are read once, when the process starts. An unknown variable that begins with
`HEADRACE_` and an unknown key are errors: a typing mistake does not become a default. A variable with several names has
commas between them; in the file they are a list.

| Variable | Default | What it does |
|---|---|---|
"""

_CLIENT_ONLY = """
Only the command line reads these:

| Variable | What it does |
|---|---|
| `HEADRACE_URL` | The server that commands talk to. Without it the one of this machine's data directory. |
| `HEADRACE_TOKEN` | Its token (the setting above). Without it the one kept in the data directory. |
| `NO_COLOR`, `CI`, `TERM=dumb` | No colours; in CI and on a dumb terminal also no live region, only plain lines. |
"""

_CLI = """\
# The command line

Made from the commands by `scripts/write_docs.py`; a test keeps it up to date.

stdout carries the result, stderr what people read meanwhile. `--json` prints data only. On a terminal a build is shown
in a live region; in a pipe, in CI, with `TERM=dumb` it is plain lines.

| Exit status | Meaning |
|---|---|
| 0 | done |
| 1 | the build failed; `doctor`: something is missing; `logs --verify`: something is missing in the log |
| 2 | wrong usage |
| 3 | not authenticated, or not allowed |
| 4 | needs input that nobody can give here |
| 5 | not found |
| 6 | the server can't be reached |
| 70 | our fault |
| 78 | a setting is wrong |
| 124 | timed out |
| 130 | interrupted or cancelled |
| 141 | whoever read what was said stopped reading, as `head` does |
"""


_MAP = """\
# Map

Made from the first sentence of every module by `scripts/write_docs.py`; a test keeps it up to date. What the parts are
for, and which may import which, is in [architecture.md](architecture.md).
"""


def configuration() -> str:
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(name, field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return _CONFIGURATION + "\n".join(rows) + "\n" + _CLIENT_ONLY


#: Defaults that depend on the machine, in words. A setting with a default factory that is missing here is an error.
_MADE_HERE = {
    "data_dir": "`$XDG_DATA_HOME/headrace`, or `~/.local/share/headrace`",
    "cpus": "all of the machine",
    "ca_file": "`$SSL_CERT_FILE`, or the system's",
    "builds_memory_bytes": "three quarters of the machine's",
    "preview_memory_bytes": "half of the machine's",
}


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None or name in _MADE_HERE:
        return _MADE_HERE[name]
    match field.default:
        case None | () | dict():
            return "none"
        case bool() as value:
            return f"`{str(value).lower()}`"
        case tuple() as values:
            return f"`{','.join(values)}`"
        case value:
            return f"`{value}`"


def cli() -> str:
    parts = [_CLI]
    for title, commands in CATALOGUE.items():
        parts.append(f"## {title}\n")
        for name in commands:
            command: click.Command = importlib.import_module(f"headrace.cli.{name}").command
            parts += _pages(f"headrace {name}", command)
    return "\n".join(parts)


def _pages(path: str, command: click.Command) -> list[str]:
    # The width is given: click would take that of the terminal.
    context = click.Context(
        command, info_name=path, terminal_width=100, max_content_width=100, help_option_names=["-h", "--help"]
    )
    pages = [f"### {path}\n", f"```\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            pages += _pages(f"{path} {name}", inner)
    return pages


def module_map() -> str:
    source = ROOT / "src" / "headrace"
    parts = [_MAP]
    for directory in [source, *sorted(path for path in source.rglob("*") if path.is_dir())]:
        modules = sorted(path for path in directory.glob("*.py") if path.name != "__init__.py")
        if not modules:
            continue
        parts.append(f"## {directory.relative_to(source.parent)}/\n")
        about = _first_sentence(directory / "__init__.py") or _first_sentence(directory / "base.py")
        parts += [f"{about}.\n"] if about else []
        parts += [*(f"- `{module.name}`: {_first_sentence(module)}" for module in modules), ""]
    return "\n".join(parts)


def _first_sentence(module: Path) -> str:
    """The first sentence of the module's docstring; empty for a module that isn't there or has none."""
    if not module.exists():
        return ""
    docstring = re.match(r'"""(.*?)"""', module.read_text(), re.DOTALL)
    paragraph = " ".join(docstring[1].strip().split("\n\n")[0].split()) if docstring else ""
    return re.split(r"(?<=\.) ", paragraph, maxsplit=1)[0].rstrip(".")


def schema() -> str:
    return json.dumps(project_schema(), indent=2, ensure_ascii=False) + "\n"


_FRAMEWORKS = """\
# Frameworks

Made from `src/headrace/plan/detectors/` and `tests/acceptance/frameworks/collection.json` by `scripts/write_docs.py`; a test keeps it
up to date. How a plan is made of it is in [planning.md](planning.md).

A row is asked before the ones below it, so a meta-framework goes before the bundler that it is made with. “Files when” says what
makes it write pages; where it says “always” there is nothing to set. The name in the first column is the one for
`framework` below `[build]` in `headrace.toml`.

## What is recognised

| Name | Framework | Marked by | Build | Output | Files when | Single page | Development port | Variables that visitors see |
|---|---|---|---|---|---|---|---|---|
"""

_OTHER_FRAMEWORKS = """
Beside the table: `angular` (the build of `angular.json` or `project.json` names its output; `"outputMode": "server"` and `ssr` need a
server), `nx` (an app of an Nx workspace, built by it; the framework is the one that it is made with: [monorepos.md](monorepos.md)),
`vite` (its configuration names root, output and base), `script` (any other build script: the output is looked for),
`static` (plain files), `dev-script` (only a script that starts something: shown as a preview).

Planned as programs that have to run, and refused when they are to be deployed: {python}.

Recognised and explained, because no registry of tool chains has them: {generators}.

## What was built

Templates of `create-*` packages, and projects written by hand like them, built with no configuration of Headrace in the real sandbox.
`python -m tests.acceptance.frameworks.collect DIRECTORY` makes and builds those from `vite-vanilla` on again, and goes on where it was stopped; the version is what the project asks
for. Install and build were measured once each, on a machine with two cores that did many other things (load 5 to 20): they show
what is slow, not how fast it could be. {built} of {all} are built; the others end with the reason that is shown.

| Project | Made from | Framework | Version | Package manager | Node | Install | Build | Files | Result |
|---|---|---|---|---|---|---|---|---|---|
"""


def frameworks() -> str:
    rows = [_FRAMEWORKS + "\n".join(map(_framework, ROWS))]
    python = ", ".join(row.title for row in PYTHON_ROWS)
    collection = json.loads((ROOT / "tests" / "acceptance" / "frameworks" / "collection.json").read_text())
    built = sum(row["result"] == "built" for row in collection)
    generators = ", ".join(row.title for row in GENERATORS)
    rows.append(
        _OTHER_FRAMEWORKS.format(python=python, generators=generators, built=built, all=len(collection)).rstrip("\n")
    )
    names = ("project", "made_from", "framework", "version", "manager", "node", "install", "build", "files", "result")
    rows += ["| " + " | ".join(str(row.get(name, "")) for name in names) + " |" for row in collection]
    return "\n".join(rows) + "\n"


def _framework(row: Row) -> str:
    marks = ", ".join(f"`{mark}`" for mark in (*row.packages, *row.files))
    needs = "always" if row.static is always else row.as_files or "never"
    cells = (
        f"`{row.framework}`", row.title, marks, f"`{row.build}`" if row.build else "", row.output, needs,
        "yes" if row.spa else "", str(row.port or ""), ", ".join(f"`{prefix}`" for prefix in row.env_prefix),
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


_BREAKAGES = """\
# What is read of real failures

Made from `tests/golden/diagnostics/expected.json` by `scripts/write_docs.py`; a test holds the code to every row.

Each row is a project that was broken, nearly always in one line, and built by the real tool; what it printed is in
`tests/golden/diagnostics`, with the files of the project. Beside them are logs of builds that end well, in which nothing
may be found. [failures.md](failures.md) has the meaning of the reasons. {cases} failures, {placed} with a file,
{lines} with its line. A log of 100,000 lines takes 0.2 to 0.7 s and at most 7 MiB on one core of a small machine.

| Case | Tool | Reason | Place | Message |
|---|---|---|---|---|
"""


def breakages() -> str:
    expected = json.loads((ROOT / "tests/golden/diagnostics/expected.json").read_text())
    rows = []
    for case, found in sorted(expected.items()):
        place = ":".join(str(part) for part in (found["file"], found["line"], found["column"]) if part is not None)
        message = found["message"][:80].replace("|", "\\|").replace("\n", " ").replace("`", "'").replace("<", "&lt;")
        shown = place.replace("_", "\\_")
        rows.append(f"| {case} | {found['tool']} | `{found['reason']}` | {shown} | {message} |")
    placed = sum(found["file"] is not None for found in expected.values())
    lines = sum(found["line"] is not None for found in expected.values())
    recorded = _BREAKAGES.format(cases=len(rows), placed=placed, lines=lines) + "\n".join(rows) + "\n"
    return recorded + built_breakages()


_BUILT = """
## Broken in one line, and built

Projects of [frameworks.md](frameworks.md#what-was-built), each broken in one line and built in the real sandbox: what the failure object
says, beside the reason, file and line that the change has (for a lock file out of step, the lock file). In {right} of {all}, over {kinds} kinds of
projects, the first diagnostic is the cause in its line; in {near} of the others reason and file are right, and the line is where the tool
noticed it. Seven of those that are right were read wrongly at first (three of Rspack, one each of Svelte, Astro 4, Farm and Turborepo), and were built
again when that was mended; what Docusaurus says is read since, and was not built again.

| Project | Changed | Into | Reason, file and line | Said |
|---|---|---|---|---|
"""


def built_breakages() -> str:
    cases = json.loads((ROOT / "tests/acceptance/frameworks/breakages.json").read_text())
    rows = []
    for case in cases:
        wanted = f"`{case['reason']}` {case['file']}" + (f":{case['line']}" if case["line"] else "")
        place = ":".join(str(part) for part in (case["said_file"], case["said_line"]) if part is not None)
        said = "the same" if _right(case) else f"`{case['said_reason']}` {place}".strip()
        before, after = (f"`{case[side].strip()}`".replace("|", "\\|") for side in ("before", "after"))
        rows.append(f"| {case['project']} | {before} | {after} | {wanted} | {said} |")
    right = sum(map(_right, cases))
    near = sum(
        not _right(case) and (case["said_reason"], case["said_file"]) == (case["reason"], case["file"])
        for case in cases
    )
    kinds = len({case["framework"] for case in cases})
    return _BUILT.format(right=right, all=len(cases), kinds=kinds, near=near) + "\n".join(rows) + "\n"


def _right(case: dict[str, Any]) -> bool:
    return (case["said_reason"], case["said_file"], case["said_line"]) == (case["reason"], case["file"], case["line"])


_CONTROLS_BEGIN, _CONTROLS_END = "<!-- controls: made", "<!-- end of controls -->"


def security() -> str:
    """The page as it is written, with the table of controls put in anew."""
    before, begin, rest = (DOCS / "security.md").read_text().partition(_CONTROLS_BEGIN)
    note, _, _ = rest.partition("\n")
    after = rest.partition(_CONTROLS_END)[2]
    rows = ["| Control | | What must hold | Shown |", "|---|---|---|---|"]
    for control in CONTROLS:
        shown = ", ".join(_SHOWN[way] for way in control.shown)
        if control.where:
            shown += f": {f'`{control.where}`' if Shown.TEST in control.shown else control.where}"
        rows.append(f"| {control.number} | {control.name} | {control.must} | {shown} |")
    return f"{before}{begin}{note}\n" + "\n".join(rows) + f"\n{_CONTROLS_END}{after}"


_BAD_INPUTS = """\
# Bad inputs

Made from `tests/hostile/register.toml` by `scripts/write_docs.py`; a test keeps it up to date, and another one holds the
register to the tests there are.

What somebody can send that nobody should, and what comes of it. Whatever it is, the answer is a problem with a code and a
hint, or a build that failed with a reason: never HTTP 500, never a wait without an end, nothing half stored, and what was
stored before is still there. A reason (`source_forbidden`) is that of a build, a code (`archive.corrupt`) that of a request.
The numbers are those of the list that the product was built against.
"""


def bad_inputs() -> str:
    parts = [_BAD_INPUTS]
    for section in tomllib.loads((ROOT / "tests/hostile/register.toml").read_text())["section"]:
        rows = [f"\n## {section['title']}\n", "| | What | Answer | Shown by |", "|---|---|---|---|"]
        for row in section["row"]:
            if "not_yet" in row:
                rows.append(f"| {row['id']} | {row['input']} | not yet: {row['not_yet']} | |")
                continue
            shown = "<br>".join(f"`{test.rpartition('::')[2]}`" for test in row["shown_by"])
            rows.append(f"| {row['id']} | {row['input']} | {row['answer']} | {shown} |")
        parts.append("\n".join(rows))
    return "\n".join(parts) + "\n"


_SHOWN = {
    Shown.INSIDE: "inside",
    Shown.DEED: "deed",
    Shown.HOST: "machine",
    Shown.TEST: "test",
    Shown.NOT: "**not shown**",
}

PAGES = {
    "security.md": security,
    "bad-inputs.md": bad_inputs,
    "breakages.md": breakages,
    "frameworks.md": frameworks,
    "configuration.md": configuration,
    "cli.md": cli,
    "map.md": module_map,
    "headrace.schema.json": schema,
    "failures.md": failures,
}


def main() -> int:
    stale = [name for name, make in PAGES.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != make()]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"docs/{name} is out of date; run scripts/write_docs.py")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(PAGES[name]())
        print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
