from pathlib import Path

import pytest

from headrace.cli.sources import source_of
from headrace.errors import InvalidInput
from headrace.model.version import DirectorySource, GitSource, place_name


def test_a_directory_is_named_by_its_real_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "link").symlink_to("site")
    monkeypatch.chdir(tmp_path)
    assert source_of("link") == DirectorySource(path=str(tmp_path / "site"))


@pytest.mark.parametrize("url", ["https://example.org/a/b.git", "file:///srv/b", "git@example.org:a/b.git"])
def test_an_address_is_a_repository(url: str) -> None:
    assert source_of(url, "main") == GitSource(url=url, ref="main")


def test_what_is_neither_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for text in ("nowhere", str(tmp_path / "file")):
        with pytest.raises(InvalidInput) as caught:
            source_of(text)
        assert caught.value.hint


def test_a_ref_of_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--ref"):
        source_of(str(tmp_path), "main")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (DirectorySource(path="/a/my site"), "my site"),
        (GitSource(url="https://example.org/a/b.git"), "b"),
        (GitSource(url="git@example.org:c.git"), "c"),
        (DirectorySource(path="/"), "project"),
    ],
)
def test_a_project_is_called_like_the_last_part_of_its_place(source: DirectorySource | GitSource, name: str) -> None:
    assert place_name(source) == name
