"""Packages are kept by their content and given to those who name it."""

import hashlib
import os
from pathlib import Path

import pytest

from headrace.layers.packages import Packages

OURS, THEIRS = "workspace:default", "workspace:default untrusted:prj_1"


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    return Packages(tmp_path / "packages")


def file(tmp_path: Path, content: bytes) -> tuple[str, Path]:
    path = tmp_path / f"file-{hashlib.sha256(content).hexdigest()[:8]}"
    path.write_bytes(content)
    return hashlib.sha512(content).hexdigest(), path


def given(packages: Packages, digest: str, place: Path, *scopes: str) -> bytes | None:
    packages.give(scopes, {digest: place})
    return place.read_bytes() if place.exists() else None


def test_what_is_kept_is_given_in_its_scope_and_in_no_other(packages: Packages, tmp_path: Path) -> None:
    digest, path = file(tmp_path, b"package")
    assert packages.keep(OURS, {digest: path}) == 1
    assert given(packages, digest, tmp_path / "a/b/c", OURS) == b"package"
    assert given(packages, digest, tmp_path / "d", THEIRS) is None
    assert given(packages, digest, tmp_path / "e", THEIRS, OURS) == b"package"


def test_a_file_under_the_name_of_another_is_not_kept(packages: Packages, tmp_path: Path) -> None:
    wanted, _ = file(tmp_path, b"package")
    _, evil = file(tmp_path, b"evil")
    assert packages.keep(OURS, {wanted: evil}) == 0
    assert given(packages, wanted, tmp_path / "a", OURS) is None
    assert packages.all() == []


def test_a_damaged_package_is_replaced_by_one_that_was_fetched_again(packages: Packages, tmp_path: Path) -> None:
    digest, path = file(tmp_path, b"package")
    packages.keep(OURS, {digest: path})
    packages.all()[0].path.write_bytes(b"damaged")
    packages.keep(OURS, {digest: path})
    assert given(packages, digest, tmp_path / "a", OURS) == b"package"


def test_links_and_what_is_no_file_are_not_kept(packages: Packages, tmp_path: Path) -> None:
    digest, path = file(tmp_path, b"package")
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "fifo")
    found = {"link": tmp_path / "link", "fifo": tmp_path / "fifo", "none": tmp_path / "none", "directory": tmp_path}
    for place in found.values():
        assert packages.keep(OURS, {digest: place}) == 0
    assert packages.all() == []


def test_what_the_giver_changes_afterwards_changes_nothing(packages: Packages, tmp_path: Path) -> None:
    digest, path = file(tmp_path, b"package")
    packages.keep(OURS, {digest: path})
    path.write_bytes(b"changed")
    assert given(packages, digest, tmp_path / "a", OURS) == b"package"


def test_a_pool_is_one_entry_and_goes_as_one(packages: Packages, tmp_path: Path) -> None:
    packages.keep(OURS, dict([file(tmp_path, b"one"), file(tmp_path, b"two!")]))
    (pool,) = packages.pools()
    assert (pool.scope, pool.files, pool.bytes) == (OURS, 2, 7)
    place = tmp_path / "kept"
    digest, _ = file(tmp_path, b"one")
    packages.give([OURS], {digest: place})
    assert packages.remove(pool.digest)
    assert not packages.remove(pool.digest)
    assert packages.pools() == []
    assert place.read_bytes() == b"one"


def test_being_given_is_a_use(packages: Packages, tmp_path: Path) -> None:
    digest, path = file(tmp_path, b"package")
    packages.keep(OURS, {digest: path})
    os.utime(packages.all()[0].path, (1, 1))
    assert packages.all()[0].used_at.startswith("1970")
    packages.give([OURS], {digest: tmp_path / "a"})
    assert not packages.all()[0].used_at.startswith("1970")
