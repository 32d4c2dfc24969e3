"""What can't be known because this machine is short of something is no answer about a project."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.shortage import no_descriptors_left

from headrace.checks.output_finder import find_output
from headrace.checks.output_reader import DescriptorReader, list_output
from headrace.layers.layers import Layers
from headrace.layers.merged import visible
from headrace.model.digest import digest_of
from headrace.model.plan import BuildPlan, CacheKey, PlannedCommand
from headrace.pipeline.broken import may_pass
from headrace.plan.project_files import DirectoryFiles

PLAN = BuildPlan(framework="vite", output="dist", output_candidates=("build",), build=PlannedCommand(argv=("x",)))


@pytest.mark.parametrize(
    "look",
    [
        lambda root, tree: find_output(tree, PLAN),
        lambda root, tree: list_output(tree, "dist", max_files=10, max_bytes=1000),
        lambda root, tree: DescriptorReader(tree, "dist").read("index.html", 10),
        lambda root, tree: DirectoryFiles(root).read("dist/index.html"),
        lambda root, tree: visible(tree, ["dist"]),
    ],
    ids=["output", "files", "page", "project file", "layer"],
)
def test_a_lack_of_descriptors_is_told_as_that_and_passes(tmp_path: Path, look: Callable[[Path, int], object]) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/index.html").write_text("page")
    tree = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        there = look(tmp_path, tree)
        assert there
        with no_descriptors_left(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)) as short:
            look(tmp_path, tree)
        assert may_pass(short.value)
        assert look(tmp_path, tree) == there
    finally:
        os.close(tree)


def test_a_layer_that_can_not_be_read_now_is_not_taken_for_a_lost_one(tmp_path: Path) -> None:
    layers = Layers(tmp_path / "layers")
    key = CacheKey(digest=digest_of(b"a"), inputs=())
    with layers.scratch() as made:
        layer = layers.commit(key, made, made_by="", seconds=1, scope="")
    again = Layers(tmp_path / "layers")
    with no_descriptors_left(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        again.find(key.digest)
    with no_descriptors_left(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        again.damaged(layer)
    assert again.find(key.digest) == layer


def test_a_directory_that_could_not_be_looked_into_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node_modules/a/b").mkdir(parents=True)
    (tmp_path / "node_modules/a/b/index.js").touch()
    tree, opened = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY), os.open

    def broken(path: str, *how: int, **where: int) -> int:
        if path == "b":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return opened(path, *how, **where)

    try:
        with monkeypatch.context() as disk:
            disk.setattr(os, "open", broken)
            with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                visible(tree, ["node_modules"])
        assert "node_modules/a/b/index.js" in visible(tree, ["node_modules"])
    finally:
        os.close(tree)
