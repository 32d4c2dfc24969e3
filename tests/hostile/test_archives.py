"""More archives that nobody should make, and random ones. The first hundred are in `tests/unit/source/test_unpack.py`."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.soak.archives import judge_archives

from headrace.errors import HeadraceError
from headrace.model.version import ArchiveSource
from headrace.settings import Settings
from headrace.source.archive import ArchiveFetcher

#: Pax headers and members, as bytes.
Pieces = list[bytes]


def header(name: str, kind: bytes = b"0", data: bytes = b"", **fields: object) -> bytes:
    """One member of a tar file, with its header and padding, and no end."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


def pax(**keys: str) -> bytes:
    records = b""
    for key, value in keys.items():
        text = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(text) + len(str(len(text)))
        records += f"{length + (len(str(length)) > len(str(len(text))))}".encode() + text
    return header("pax", b"x", records)


def tar(*pieces: bytes) -> bytes:
    return b"".join(pieces) + bytes(1024)


def zipped(*members: tuple[str, bytes], **fields: object) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return out.getvalue()


def unicode_name(raw: bytes, name: str) -> bytes:
    """An extra field of zip that gives a member another name than its header does."""
    return struct.pack("<2HBL", 0x7075, 5 + len(name), 1, zlib.crc32(raw)) + name.encode()


ZIP = zipped(("a", b"hello"))

ARCHIVES: dict[str, tuple[bytes, str]] = {
    "pax renames a member out of the tree": (tar(pax(path="../../x"), header("a")), "archive.path_escape"),
    "pax renames a member to the root of the host": (tar(pax(path="/etc/x"), header("a")), "archive.path_escape"),
    "pax makes a link of a file": (tar(pax(linkpath="/etc/passwd"), header("a")), "archive.link_forbidden"),
    "pax says another size": (tar(pax(size="99999999999"), header("a", data=b"x")), "archive.too_large"),
    "pax says a size that is none": (tar(pax(size="-1"), header("a", data=b"x")), "archive.corrupt"),
    "pax has a NUL in a name": (tar(pax(path="a\0b"), header("a")), "archive.invalid"),
    "pax says a name twice": (tar(pax(path="a"), pax(path="b"), header("a")), "archive.invalid"),
    "pax of a sparse file": (tar(pax(GNU__sparse__realsize="1099511627776"), header("a")), "archive.type_forbidden"),
    "pax about nothing": (tar(pax(path="a")), "archive.corrupt"),
    "a long name that leads out": (tar(header("L", b"L", b"../" * 60 + b"x\0"), header("a")), "archive.path_escape"),
    "a long link before a file": (tar(header("K", b"K", b"/etc/passwd\0"), header("a")), "archive.link_forbidden"),
    "a hard link to a file outside": (tar(header("a", b"1", linkname="/etc/passwd")), "archive.link_forbidden"),
    "a directory that is a link, and a file behind it": (
        tar(header("d", b"2", linkname="/tmp"), header("d/canary", data=b"x")),
        "archive.link_forbidden",
    ),
    "a directory with bytes": (tar(header("d", b"5", b"x")), "archive.corrupt"),
    "a link that ends like a directory": (tar(header("d/", b"2", linkname="/etc")), "archive.link_forbidden"),
    "a negative size": (tar(header("a").replace(b"00000000000\0", b"-0000000001\0", 1)), "archive.corrupt"),
    "a tar in a gzip in a gzip": (gzip.compress(gzip.compress(tar(header("a", data=b"x")))), "archive.corrupt"),
    "a zip in a gzip": (gzip.compress(ZIP * 20), "archive.corrupt"),
    "an end before the members": (bytes(1024) + tar(header("a", data=b"x")), "archive.corrupt"),
    "a member behind the end": (tar(header("a", data=b"x")) + header("../x", data=b"x"), "archive.corrupt"),
    "zip, a second name that leads out": (
        zipped(("a", b"x"), extra=unicode_name(b"a", "../../x")),
        "archive.invalid",
    ),
    "zip, a link by another system's mark": (
        zipped(("a", b"/etc/passwd"), create_system=19, external_attr=0o120777 << 16),
        "archive.link_forbidden",
    ),
    "zip, a member of 2^63 bytes": (
        ZIP.replace(struct.pack("<2L", 5, 5), struct.pack("<2L", 0xFFFFFFFF, 0xFFFFFFFF)),
        "archive.corrupt",
    ),
    "zip, a member without a name": (zipped(("a", b"x"), ("", b"")), "archive.invalid"),
    "zip, a file in the place of the root": (zipped(("a", b"x"), (".", b"x")), "archive.invalid"),
    "a file in the place of the root": (tar(header("a", data=b"x"), header("./.", data=b"x")), "archive.invalid"),
    "zip, two volumes": (ZIP[:-18] + struct.pack("<H", 1) + ZIP[-16:], "archive.unsupported"),
    "zip, more entries than there are": (ZIP[:-14] + struct.pack("<2H", 2, 2) + ZIP[-10:], "archive.corrupt"),
    "zip, fewer entries than there are": (ZIP[:-14] + struct.pack("<2H", 0, 0) + ZIP[-10:], "archive.corrupt"),
    "zip, a list that lies elsewhere": (ZIP[:-6] + struct.pack("<L", 0) + ZIP[-2:], "archive.corrupt"),
    "zip, a comment that is another zip": (ZIP[:-2] + struct.pack("<H", len(ZIP)) + ZIP, "archive.corrupt"),
    "zip, strong encryption": (
        ZIP.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\x41\0"),
        "archive.unsupported",
    ),
    "zip, a method of its own": (ZIP.replace(b"\x14\0\0\0\0\0", b"\x14\0\0\0\x63\0"), "archive.unsupported"),
    "a page that begins like a zip": (b"PK\3\4<html><script>alert(1)</script>" + bytes(200), "archive.corrupt"),
}


@pytest.mark.parametrize(("raw", "code"), ARCHIVES.values(), ids=list(ARCHIVES))
async def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path: Path, raw: bytes, code: str) -> None:
    (tmp_path / "archive").write_bytes(raw)
    fetcher = ArchiveFetcher(Settings(data_dir=tmp_path, upload_bytes=1 << 20, upload_files=100))
    with pytest.raises(HeadraceError) as caught:
        await fetcher.fetch(ArchiveSource(path=str(tmp_path / "archive")), tmp_path / "into", seconds=30)
    assert (caught.value.exact_code, caught.value.http_status in (413, 422)) == (code, True)
    assert caught.value.hint or code == "archive.invalid"
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def _matryoshka(pack: Callable[[bytes], bytes], levels: int) -> bytes:
    inner = bytes(1 << 16)
    for _ in range(levels):
        inner = pack(inner)
    return inner


async def test_archives_in_archives_are_files_however_deep_they_go(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(zipped(("42.zip", _matryoshka(lambda inner: zipped(("x.zip", inner)), 16))))
    fetcher = ArchiveFetcher(Settings(data_dir=tmp_path))
    fetched = await fetcher.fetch(ArchiveSource(path=str(tmp_path / "archive")), tmp_path / "into", seconds=30)
    assert [path.name for path in fetched.root.iterdir()] == ["42.zip"]


def test_random_archives_are_read_as_others_read_them_or_leave_nothing() -> None:
    counts = judge_archives(200, derandomize=True)
    assert counts["ok"] >= 20
    assert len(counts) >= 6
