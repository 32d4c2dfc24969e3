"""What an install left in its cache is looked at without following anything that it put there."""

from pathlib import Path

from headrace.pipeline.shared_packages import _CONTENT, _plain


def test_a_cache_that_leads_elsewhere_is_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "real" / _CONTENT).mkdir(parents=True)
    assert _plain(tmp_path / "real")
    assert not _plain(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert not _plain(tmp_path / "link")
    (tmp_path / "half/_cacache").mkdir(parents=True)
    (tmp_path / "half/_cacache/content-v2").symlink_to(tmp_path / "real/_cacache/content-v2")
    assert not _plain(tmp_path / "half")
