"""What a warm build wrote becomes a manifest; what should not be read is not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.errors import StepFailed
from headrace.model.digest import digest_of
from headrace.model.plan import Routing
from headrace.model.version import Tree, TreeFile
from headrace.preview.output import OutputReader, Shown, plain_files


@pytest.fixture
def project(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "dist/assets").mkdir(parents=True)
    (tmp_path / "dist/index.html").write_text("<h1>one</h1>")
    (tmp_path / "dist/assets/index-AbCd1234.js").write_text("one()")
    (tmp_path / "dist/assets/index-AbCd1234.js.map").write_text("{}")
    (tmp_path / "dist/.env").write_text("SECRET=1")
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def _reader(**limits: int) -> OutputReader:
    return OutputReader("dist", Routing(spa=True), **{"most_bytes": 10**6, "most_files": 100, **limits})


def _paths(shown: Shown) -> list[str]:
    return [file.path for file in shown.manifest.files]


def test_pages_and_assets_are_shown_and_maps_and_secrets_are_not(project: int) -> None:
    shown = _reader().read(project)
    assert _paths(shown) == ["assets/index-AbCd1234.js", "index.html"]
    assert shown.maps == {"assets/index-AbCd1234.js.map": b"{}"}
    assert {file.digest for file in shown.manifest.files} | {shown.digest} == set(shown.blobs)


def test_a_changed_file_is_read_again_and_equal_output_is_the_same_page(project: int, tmp_path: Path) -> None:
    reader = _reader()
    first = reader.read(project)
    assert reader.read(project).digest == first.digest
    page = tmp_path / "dist/index.html"
    page.write_text("<h1>two</h1>")
    second = reader.read(project)
    assert second.blobs[digest_of(b"<h1>two</h1>")] == b"<h1>two</h1>"
    assert second.digest != first.digest
    page.write_text("<h1>one</h1>")
    assert reader.read(project).digest == first.digest


def test_a_removed_file_is_gone(project: int, tmp_path: Path) -> None:
    reader = _reader()
    reader.read(project)
    (tmp_path / "dist/assets/index-AbCd1234.js").unlink()
    assert _paths(reader.read(project)) == ["index.html"]


def test_links_and_pipes_of_a_tenant_are_neither_followed_nor_waited_for(project: int, tmp_path: Path) -> None:
    (tmp_path / "dist/passwd").symlink_to("/etc/passwd")
    (tmp_path / "dist/up").symlink_to("..")
    os.mkfifo(tmp_path / "dist/pipe")
    assert _paths(_reader().read(project)) == ["assets/index-AbCd1234.js", "index.html"]


@pytest.mark.parametrize("limits", [{"most_files": 1}, {"most_bytes": 3}])
def test_an_output_over_the_limits_is_refused(project: int, limits: dict[str, int]) -> None:
    with pytest.raises(StepFailed, match=r"too large|more than"):
        _reader(**limits).read(project)


def test_an_empty_output_is_refused(tmp_path: Path, project: int) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StepFailed, match="nothing to show"):
        OutputReader("empty", Routing(), most_bytes=1, most_files=1).read(project)


def test_rules_of_the_output_count(project: int, tmp_path: Path) -> None:
    (tmp_path / "dist/_redirects").write_text("/old /new 301\n")
    shown = _reader().read(project)
    assert [rule.path for rule in shown.manifest.routing.redirects] == ["/old"]
    assert "_redirects" not in _paths(shown)


def test_plain_files_are_shown_as_they_are_stored() -> None:
    def file(path: str) -> TreeFile:
        return TreeFile(path=path, digest=digest_of(path.encode()), size=len(path))

    tree = Tree(files=(file(".env"), file("public/index.html"), file("public/style.css"), file("readme.md")))
    shown = plain_files(tree, "public", Routing())
    assert [(entry.path, entry.digest) for entry in shown.manifest.files] == [
        ("index.html", digest_of(b"public/index.html")),
        ("style.css", digest_of(b"public/style.css")),
    ]
    with pytest.raises(StepFailed, match="nothing to show"):
        plain_files(tree, "missing", Routing())
