"""What an install left in its cache is looked at without following anything that it put there."""

from pathlib import Path

import pytest

from headrace.pipeline.shared_packages import found_in

PLACES = {"a": "cache/deep/a.zip", "b": "b.tgz"}


@pytest.fixture
def real(tmp_path: Path) -> Path:
    (tmp_path / "real/cache/deep").mkdir(parents=True)
    (tmp_path / "real/cache/deep/a.zip").touch()
    (tmp_path / "real/b.tgz").touch()
    (tmp_path / "real/more").touch()
    return tmp_path / "real"


def test_what_the_lock_file_names_is_found_and_nothing_else(real: Path) -> None:
    assert found_in(real, PLACES) == {"a": real / "cache/deep/a.zip", "b": real / "b.tgz"}
    assert found_in(real, {"a": "cache/other", "b": "b.tgz/x", "c": "cache"}) == {}


def test_a_cache_that_leads_elsewhere_is_not_looked_into(real: Path, tmp_path: Path) -> None:
    assert found_in(tmp_path / "none", PLACES) == {}
    (tmp_path / "link").symlink_to(real)
    assert found_in(tmp_path / "link", PLACES) == {}
    for inner in ("half/cache", "deeper/cache/deep"):
        (tmp_path / inner).parent.mkdir(parents=True)
        (tmp_path / inner).symlink_to(real / inner.partition("/")[2])
        assert found_in(tmp_path / inner.partition("/")[0], PLACES) == {}
