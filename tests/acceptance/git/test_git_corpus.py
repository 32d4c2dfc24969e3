"""Every hostile repository of the corpus, fetched from a real `git http-backend` and stored: taken as data, or refused with its code."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.git.corpus import CASES, Case, outcome_of

from headrace.errors import HeadraceError, StepFailed
from headrace.model.version import GitSource
from headrace.settings import Settings
from headrace.source.git import GitFetcher
from headrace.store.local import LocalStore
from headrace.tree import snapshot, store_tree

#: Far more than any of them takes. Whatever hung would end as `source_timeout`, which none of them may.
SECONDS = 60


async def _taken(settings: Settings, source: GitSource, into: Path) -> str:
    """What comes of a source when a build fetches and stores it."""
    try:
        fetched = await GitFetcher(settings).fetch(source, into, seconds=SECONDS)
        tree = await asyncio.to_thread(snapshot, fetched.root, fetched.paths)
        await store_tree(LocalStore(settings.data_dir / "blobs"), fetched.root, tree)
    except (HeadraceError, StepFailed) as exc:
        said = str(exc)
        assert said
        assert str(settings.data_dir) not in said
        assert all(char.isprintable() or char == "\n" for char in said)
        return outcome_of(exc)
    return "ok"


def _everything(root: Path) -> Mapping[str, object]:
    """Every file below `root` that is not the host's, the data directory's or the fetched tree's own."""
    found: dict[str, object] = {}
    for directory, names, files in os.walk(root):
        if Path(directory) == root:
            names[:] = [name for name in names if name not in ("host", "data", "out")]
        for name in [*names, *files]:
            path = Path(directory, name)
            found[str(path)] = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=list(CASES))
async def test_a_hostile_repository_is_data_or_refused(
    settings: Settings, git_host: Any, tmp_path: Path, name: str, case: Case
) -> None:
    guarded = tmp_path / "guarded"
    guarded.mkdir()
    (guarded / "sentinel").write_text("untouched")
    before = _everything(tmp_path)
    case.make(git_host.repository("r"), guarded / "canary")
    lowered = settings.model_copy(update=case.limits)
    assert await _taken(lowered, GitSource(url=git_host.url("r"), ref=case.ref), tmp_path / "out") == case.outcome
    assert _everything(tmp_path) == before
    asked = {path.split("/")[1] for path, _ in git_host.requests}
    assert asked == {"r"}
    # What was taken goes away again, whatever its names are.
    shutil.rmtree(tmp_path / "out", ignore_errors=case.outcome != "ok")
    if case.outcome != "ok":
        assert not list((tmp_path / "data").glob("blobs/*/*"))


def test_the_corpus_has_forty_repositories() -> None:
    assert len(CASES) >= 40
