"""What happens to somebody who clones the repository and runs the first command."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.cli.catalogue import overview

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("launcher")]


def run(*argv: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", env={**os.environ, **environment})


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone in which the launcher was run once."""
    place = tmp_path_factory.mktemp("clone") / "head race"
    subprocess.run(["git", "clone", "-q", ROOT, place], check=True)
    first = run(place / "headrace", "--help")
    assert first.returncode == 0, first.stderr
    assert first.stdout == overview()
    assert "installing Python packages" in first.stderr
    return place


def test_the_first_use_leaves_the_clone_clean(clone: Path) -> None:
    assert run("git", "-C", clone, "status", "--short").stdout == ""


def test_a_later_use_sets_nothing_up(clone: Path) -> None:
    later = run(clone / "headrace", "version")
    assert later.stdout.startswith("headrace ")
    assert later.stderr == ""


def test_it_works_through_a_symbolic_link(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "direct").symlink_to(clone / "headrace")
    (tmp_path / "bin" / "headrace").symlink_to("../direct")
    assert run(tmp_path / "bin" / "headrace", "version").stdout.startswith("headrace ")
    assert run("headrace", "version", PATH=f"{tmp_path}/bin:{os.environ['PATH']}").stdout.startswith("headrace ")


def test_the_callers_directory_and_python_settings_do_not_matter(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('the wrong click')")
    asked = subprocess.run(
        [clone / "headrace", "version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr


def test_bytecode_is_there_although_the_environment_forbids_writing_it(clone: Path) -> None:
    caches = [
        clone / "src/headrace/cli/__pycache__",
        *(clone / ".venv/lib").glob("python*/site-packages/click/__pycache__"),
    ]
    assert [cache for cache in caches if not list(cache.glob("*.pyc"))] == []


def test_a_changed_lock_is_noticed(clone: Path) -> None:
    now = time.time() + 1
    os.utime(clone / "uv.lock", (now, now))
    assert "installing Python packages" in run(clone / "headrace", "version").stderr


def test_a_copied_environment_is_made_again(clone: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(clone, moved, symlinks=True)
    asked = run(moved / "headrace", "version")
    assert "installing Python packages" in asked.stderr
    assert run(moved / ".venv/bin/python", "-I", "-c", "import headrace; print(headrace.__file__)").stdout.startswith(
        str(moved)
    )


def test_what_may_not_be_installed_is_named_exactly(clone: Path, tmp_path: Path) -> None:
    """A PATH that has neither the sandbox runtime nor a package manager."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "id", "git", "uv", "tr", "mktemp", "rm", "cat"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    light = run(clone / "scripts/setup", "--light", PATH=str(programs))
    assert light.returncode == 0, light.stderr
    assert "runc crun mmdebstrap" in light.stderr
    full = run(clone / "scripts/setup", PATH=str(programs))
    assert full.returncode != 0
    assert "chromium" in full.stderr
