"""What every document and file of this repository keeps to."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from headrace.cli.catalogue import NAMES

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "headrace"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SPEC.md", *sorted((ROOT / "docs").glob("*.md"))]
DRAWERS = {"utils", "util", "helpers", "helper", "common", "manager", "shared", "core", "misc"}
#: Folders whose files documents may name.
FOLDERS = ("src", "docs", "scripts", "tests", "examples", "benchmarks", ".ci")


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def relative(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_link_to_what_exists(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_files_that_exist(document: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*-]*)`", document.read_text())
    # A page is one of somebody's site, not of this repository.
    missing = [name for name in named if not name.endswith(".html") and not list(ROOT.glob(name.rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_commands_of_the_documents_exist(document: Path) -> None:
    text = document.read_text()
    assert set(re.findall(r"\./headrace ([a-z]+)", text)) <= set(NAMES)
    assert [name for name in re.findall(r"\./scripts/(\w+)", text) if not (ROOT / "scripts" / name).is_file()] == []
    assert [name for name in re.findall(r"examples/[\w-]+", text) if not (ROOT / name).is_dir()] == []


def test_pages_made_from_the_code_are_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write_docs.py", "--check"], capture_output=True, text=True, check=False
    )
    assert made.stdout == ""


def test_words_of_the_glossary_are_words_of_the_code() -> None:
    rows = re.findall(r"\| `(headrace\.[\w.]+)` \|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert len(rows) > 30
    assert [name for name in rows if not _exists(name)] == []


def _exists(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return hasattr(importlib.import_module(module), attribute)
    return True


def test_the_levels_of_the_document_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    checked = [sorted(re.findall(r"\w+", level)) for level in contracts[0]["layers"]]
    table = (ROOT / "docs" / "architecture.md").read_text().split("## Levels")[1].split("\n\n")
    rows = next(part for part in table if part.startswith("| Level")).splitlines()[2:]
    assert [sorted(re.findall(r"`(\w+)`", row.split("|")[2])) for row in rows] == checked


def test_every_module_says_what_it_is_for() -> None:
    modules = [path for path in SOURCE.rglob("*.py") if path.name != "__init__.py"]
    assert relative([path for path in modules if not path.read_text().startswith('"""')]) == []


def test_there_are_no_drawers() -> None:
    assert (
        relative([path for path in tracked() if DRAWERS & {part.removesuffix(".py") for part in path.parts[-3:]}]) == []
    )


def test_files_are_small_enough_to_read() -> None:
    limits = {SOURCE: 400, ROOT / "tests": 600}
    modules = [(path, limit) for folder, limit in limits.items() for path in folder.rglob("*.py")]
    assert relative([path for path, limit in modules if len(path.read_text().splitlines()) > limit]) == []


#: Who else may look at the environment, and at what: the terminal's variables, those a command without isolation gets.
READERS = {
    "src/headrace/settings.py",
    "src/headrace/cli/output.py",
    "src/headrace/executor/process.py",
    "src/headrace/executor/_probe/identity.py",  # a sandbox's
}


def test_only_the_settings_read_our_variables() -> None:
    readers = [path for path in SOURCE.rglob("*.py") if re.search(r"os\.(environ|getenv)", path.read_text())]
    assert set(relative(readers)) <= READERS


def test_marks_in_the_code_have_an_issue() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))")
    marked = [
        path for path in tracked() if path.suffix == ".py" and path != Path(__file__) and marks.search(path.read_text())
    ]
    assert relative(marked) == []


def test_nothing_is_tracked_that_a_command_makes() -> None:
    made = re.compile(r"(^|/)(__pycache__|node_modules|dist|\.venv|\.env|\.DS_Store)(/|$)|\.(pyc|orig|rej|log)$")
    assert [name for name in relative(tracked()) if made.search(name)] == []


def test_no_file_names_a_directory_of_one_machine() -> None:
    home = re.compile(rb"(?<![\w/.])/(?:work|Users/\w+|home/(?!build\b)\w+/\w+)/")
    texts = [path for path in tracked() if path.suffix not in {".png", ".svg", ".ico", ".woff2"}]
    assert relative([path for path in texts if home.search(path.read_bytes()) and path != Path(__file__)]) == []


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "examples").glob("*/package-lock.json")), ids=lambda path: path.parent.name
)
def test_lock_files_of_examples_name_the_public_registry_only(lock: Path) -> None:
    hosts = set(re.findall(r'"resolved": "https?://([^/"]+)/', lock.read_text()))
    assert hosts <= {"registry.npmjs.org"}


def test_the_changelog_is_by_kind_and_says_why() -> None:
    text = (ROOT / "docs" / "changelog.md").read_text()
    releases = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert releases[0] == "Unreleased"
    assert [name for name in releases[1:] if not re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", name)] == []
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Fixed", "Removed", "Security"}
    lines = re.findall(r"^- (.+)$", text, re.MULTILINE)
    assert [line for line in lines if not re.search(r"because|so that|:|\]\(", line) or not line.endswith(".")] == []


def test_scripts_can_be_run() -> None:
    scripts = [
        ROOT / "headrace",
        ROOT / ".ci" / "run",
        *(path for path in (ROOT / "scripts").iterdir() if not path.suffix),
    ]
    assert relative([path for path in scripts if not path.stat().st_mode & 0o111]) == []


def test_hooks_run_the_same_checks() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"entry: scripts/check (\w+)", hooks) == ["lint", "format", "types", "imports"]
