"""
Random archives against the reader of uploads: `scripts/soak archives --examples 10000`.

What is accepted has exactly the files that Python's own readers see in it; what is refused leaves nothing; nothing is ever
written beside its place. The short form is `tests/hostile/test_archives.py`.
"""

import argparse
import asyncio
import gzip
import io
import shutil
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headrace.errors import HeadraceError
from headrace.model.version import ArchiveSource
from headrace.settings import Settings
from headrace.source.archive import ArchiveFetcher

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PARTS = [
    "a",
    "b",
    "A",
    "d",
    "d",
    "..",
    ".",
    "",
    ".git",
    "git~1",
    "x\\y",
    "C:",
    "é",
    "e\u0301",
    "\n",
    "n" * 120,
    "__MACOSX",
]
_NAMES = st.lists(st.sampled_from(_PARTS), min_size=1, max_size=4).map("/".join)
_PLAIN = st.lists(st.sampled_from(["a", "b", "c", "d", "é", "x y", "top"]), min_size=1, max_size=4).map("/".join)
_TAR_KINDS = st.sampled_from(
    [tarfile.REGTYPE] * 12
    + [tarfile.DIRTYPE] * 4
    + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, b"S", b"7"]
)
_ZIP_MODES = st.sampled_from([0] * 6 + [0o100644] * 6 + [0o100755, 0o40755, 0o120777, 0o104755, 0o010644, 0o020644])
_TARGETS = st.sampled_from(["/etc", "..", "a", "../../../tmp", ""])


@dataclass(frozen=True)
class Member:
    name: str
    kind: bytes
    mode: int
    data: bytes
    target: str


@dataclass(frozen=True)
class Archive:
    raw: bytes
    form: str


_DATA = st.one_of(st.binary(max_size=40), st.integers(0, 5000).map(bytes))
_HOSTILE = st.builds(
    Member, name=st.one_of(_PLAIN, _PLAIN, _NAMES), kind=_TAR_KINDS, mode=_ZIP_MODES, data=_DATA, target=_TARGETS
)
_HONEST = st.builds(
    Member,
    name=_PLAIN,
    kind=st.just(tarfile.REGTYPE),
    mode=st.sampled_from([0o100644, 0o100755]),
    data=_DATA,
    target=st.just(""),
)
#: Most archives are honest but for one member at most, or nothing would ever be accepted.
_MEMBERS = st.one_of(
    st.lists(_HONEST, max_size=5, unique_by=lambda member: member.name),
    st.tuples(st.lists(_HONEST, max_size=3, unique_by=lambda member: member.name), _HOSTILE).map(
        lambda both: [*both[0], both[1]]
    ),
    st.lists(_HOSTILE, max_size=6),
)


def _tar(members: list[Member], format: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type = member.kind
            info.mode = member.mode & 0o7777 or 0o644
            info.linkname = member.target if member.kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            info.size = len(member.data) if member.kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(member.data))
    return out.getvalue()


def _zip(members: list[Member], method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive, warnings.catch_warnings(action="ignore"):
        for member in members:
            is_directory = member.kind == tarfile.DIRTYPE
            info = zipfile.ZipInfo(member.name + "/" * is_directory)
            info.compress_type, info.create_system = method, 3
            info.external_attr = (0o40755 if is_directory else member.mode) << 16
            archive.writestr(info, b"" if is_directory else member.data)
    return out.getvalue()


_FORMS: dict[str, Callable[[list[Member]], bytes]] = {
    "ustar": lambda members: _tar(members, tarfile.USTAR_FORMAT),
    "gnu": lambda members: _tar(members, tarfile.GNU_FORMAT),
    "pax": lambda members: _tar(members, tarfile.PAX_FORMAT),
    "tar.gz": lambda members: gzip.compress(_tar(members, tarfile.PAX_FORMAT), 1),
    "tar.zst": lambda members: zstd.compress(_tar(members, tarfile.GNU_FORMAT)),
    "zip": lambda members: _zip(members, zipfile.ZIP_DEFLATED),
    "zip, stored": lambda members: _zip(members, zipfile.ZIP_STORED),
}


@st.composite
def archives(draw: st.DrawFn) -> Archive:
    """Archives of every form, with honest and with hostile members, a third of them damaged."""
    form = draw(st.sampled_from(sorted(_FORMS)))
    try:
        raw = bytearray(_FORMS[form](draw(_MEMBERS)))
    except ValueError:  # a name that ustar has no room for
        raw = bytearray(_FORMS["pax"]([]))
    if raw and draw(st.integers(0, 2)) == 0:
        for _ in range(draw(st.integers(0, 4))):
            raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
        end = draw(st.sampled_from([len(raw), len(raw), draw(st.integers(0, len(raw)))]))
        raw = raw[:end] + draw(st.sampled_from([b"", b"", b"x", b"PK\5\6" + bytes(18)]))
    return Archive(bytes(raw), form)


def independent(archive: Archive) -> dict[str, bytes]:
    """What Python's own readers see in an archive, with the rules that Headrace documents: a single directory is taken off."""
    found: dict[str, bytes] = {}
    has_root = False
    directories: set[str] = set()
    for name, content in _members(archive.raw):
        path = "/".join(part for part in name.split("/") if part not in ("", "."))
        if not path:
            has_root = True
        elif path.split("/")[0] != "__MACOSX":
            if content is None:
                directories.add(path)
            else:
                found[path] = content
    tops = {path.partition("/")[0] for path in [*found, *directories]}
    if len(tops) != 1 or has_root or tops & found.keys():
        return found
    return {path.partition("/")[2]: content for path, content in found.items()}


def _members(raw: bytes) -> Iterator[tuple[str, bytes | None]]:
    if raw.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(raw)) as opened:
            for info in opened.infolist():
                yield info.filename, None if info.is_dir() else opened.read(info)
        return
    if raw.startswith(b"\x1f\x8b"):
        raw = gzip.decompress(raw)
    elif raw.startswith(b"\x28\xb5\x2f\xfd"):
        raw = zstd.decompress(raw)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            assert member.isreg() or member.isdir(), member
            file = tar.extractfile(member)
            # An old way to say that something is a directory.
            is_directory = member.isdir() or member.name.endswith("/")
            yield member.name, None if is_directory or file is None else file.read()


@dataclass
class Judge:
    """Gives archives to the reader of uploads, and holds it to its promises."""

    counts: Counter[str] = field(default_factory=Counter)

    def __call__(self, archive: Archive) -> None:
        with _place() as place:
            (place / "archive").write_bytes(archive.raw)
            code = self._taken(place)
            self.counts[code] += 1
            left = sorted(path.name for path in place.iterdir())
            if code == "ok":
                assert left == ["archive", "into", "sentinel"], left
                assert _files(place / "into") == independent(archive)
            else:
                assert code.startswith(("archive.", "upload.")), code
                assert left == ["archive", "sentinel"], left
            assert (place / "sentinel").read_bytes() == b"untouched"

    def _taken(self, place: Path) -> str:
        fetcher = ArchiveFetcher(Settings(data_dir=place, upload_bytes=1 << 20, upload_files=100))
        source = ArchiveSource(path=str(place / "archive"))
        try:
            asyncio.run(fetcher.fetch(source, place / "into", seconds=30))
        except HeadraceError as refused:
            assert refused.http_status in (413, 422), refused
            assert str(place) not in refused.message
            return refused.exact_code
        return "ok"


@contextmanager
def _place() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="archives-"))
    try:
        (place / "sentinel").write_bytes(b"untouched")
        yield place
    finally:
        shutil.rmtree(place)


def _files(root: Path) -> dict[str, bytes]:
    found = {}
    for path in root.rglob("*"):
        assert not path.is_symlink(), path
        assert path.is_file() or path.is_dir(), path
        if path.is_file():
            assert path.stat().st_mode & 0o7022 == 0, path
            found[str(path.relative_to(root))] = path.read_bytes()
    return found


def judge_archives(examples: int, **more: Any) -> Counter[str]:
    """Judge so many random archives; how many ended with which code. Raises AssertionError with the smallest counterexample."""
    judge = Judge()
    phases = [Phase.explicit, Phase.generate, Phase.shrink]
    checked = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        **more,
    )(given(archives())(judge.__call__))
    checked()
    return judge.counts


def main() -> None:
    parser = argparse.ArgumentParser(description="Random archives against the reader of uploads.")
    parser.add_argument("--examples", type=int, default=10_000)
    examples = parser.parse_args().examples
    began = time.monotonic()
    counts = judge_archives(examples)
    print(
        f"{sum(counts.values())} archives in {time.monotonic() - began:.0f} s: 0 written outside, 0 left half, 0 read differently"
    )
    for code, count in counts.most_common():
        print(f"  {count:>7}  {code}")


if __name__ == "__main__":
    main()
