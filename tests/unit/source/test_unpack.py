"""Archives that people make, and archives that nobody should. Rows B60 to B69 of the list of bad inputs."""

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import HeadraceError, InvalidInput, TooLarge
from headrace.source._intake import ArchiveLimits
from headrace.source._pack import pack_directory
from headrace.source._unpack import unpack

LIMITS = ArchiveLimits(bytes=32 << 20, files=1000)


def unpacked(archive: bytes, into: Path, limits: ArchiveLimits = LIMITS) -> dict[str, bytes]:
    into.mkdir(exist_ok=True)
    unpack(io.BytesIO(archive), into, limits)
    return {str(path.relative_to(into)): path.read_bytes() for path in sorted(into.rglob("*")) if path.is_file()}


def code_of(archive: bytes, into: Path, limits: ArchiveLimits = LIMITS) -> str:
    with pytest.raises(HeadraceError) as caught:
        unpacked(archive, into, limits)
    assert caught.value.http_status in {413, 422}
    assert str(into) not in caught.value.message
    return caught.value.exact_code


def tar(*members: tarfile.TarInfo | tuple[str, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def zipped(files: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


def zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


class TestWhatPeopleMake:
    FILES = (("a.txt", b"one"), ("dir/b.bin", bytes(range(256)) * 1000), ("dir/empty", b""), ("ü/ß.txt", b"x"))

    @pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    @pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
    def test_tar_files_of_every_kind(self, tmp_path: Path, format: int, pack: Callable[[bytes], bytes]) -> None:
        assert unpacked(pack(tar(*self.FILES, format=format)), tmp_path / "o") == dict(self.FILES)

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_zip_files(self, tmp_path: Path, method: int) -> None:
        assert unpacked(zipped(self.FILES, method), tmp_path / "o") == dict(self.FILES)

    def test_a_zip_file_that_was_written_as_a_stream(self, tmp_path: Path) -> None:
        class Pipe(io.RawIOBase):
            def __init__(self) -> None:
                self.data = bytearray()

            def writable(self) -> bool:
                return True

            def write(self, data: object) -> int:
                self.data += bytes(data)  # type: ignore[call-overload]
                return len(data)  # type: ignore[arg-type]

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.FILES:
                archive.writestr(name, data)
            with archive.open("big", "w", force_zip64=True) as file:
                file.write(b"wide")
        assert unpacked(bytes(pipe.data), tmp_path / "o") == {**dict(self.FILES), "big": b"wide"}

    def test_a_zip_file_with_more_entries_than_the_old_form_has_room_for(self, tmp_path: Path) -> None:
        archive = zipped([(f"f{number}", b"") for number in range(66_000)], zipfile.ZIP_STORED)
        assert len(unpacked(archive, tmp_path / "o", ArchiveLimits(bytes=32 << 20, files=70_000))) == 66_000

    @pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_long_names(self, tmp_path: Path, format: int) -> None:
        name = "/".join(["n" * 200] * 5)
        assert unpacked(tar((name, b"x"), ("a", b""), format=format), tmp_path / "o") == {"a": b"", name: b"x"}

    def test_odd_names_are_names(self, tmp_path: Path) -> None:
        files = dict.fromkeys(("-rf", "a\nb", "\x1b[2J", "x;y", '"q"', "n" * 255, ".gitignore", ".github/x"), b"x")
        assert unpacked(tar(*files.items()), tmp_path / "o") == files

    def test_a_single_directory_at_the_top_is_taken_off(self, tmp_path: Path) -> None:
        archive = zipped([("name-main/", b""), ("name-main/a", b"1"), ("name-main/name-main/b", b"2")])
        assert unpacked(archive, tmp_path / "o") == {"a": b"1", "name-main/b": b"2"}

    def test_what_macos_adds_is_left_out(self, tmp_path: Path) -> None:
        archive = zipped([("proj/a", b"1"), ("__MACOSX/proj/._a", b"junk")])
        assert unpacked(archive, tmp_path / "o") == {"a": b"1"}

    def test_a_single_directory_stays_when_the_archive_names_its_root(self, tmp_path: Path) -> None:
        archive = tar(entry("./", tarfile.DIRTYPE), ("./public/index.html", b"1"))
        assert unpacked(archive, tmp_path / "o") == {"public/index.html": b"1"}

    def test_a_single_file_is_not_taken_off(self, tmp_path: Path) -> None:
        assert unpacked(tar(("index.html", b"1")), tmp_path / "o") == {"index.html": b"1"}

    def test_modes_are_plain_and_times_are_new(self, tmp_path: Path) -> None:
        unpacked(
            tar(entry("run", mode=0o7755 & 0o1777), entry("a", mode=0o666), entry("d", tarfile.DIRTYPE, mode=0)),
            tmp_path / "o",
        )
        umask = os.umask(0)
        os.umask(umask)
        assert stat.S_IMODE((tmp_path / "o/run").stat().st_mode) == 0o755 & ~umask
        assert stat.S_IMODE((tmp_path / "o/a").stat().st_mode) == 0o644 & ~umask
        unpacked(zipped([(zip_entry("run", 0o100777), b""), (zip_entry("a", 0o100600), b"")]), tmp_path / "z")
        assert stat.S_IMODE((tmp_path / "z/run").stat().st_mode) == 0o755 & ~umask

    def test_gits_own_archives(self, tmp_path: Path) -> None:
        header = tarfile.TarInfo()
        made = tar(("p/a", b"1"))
        comment = header.create_pax_global_header({"comment": "ab" * 20})
        assert unpacked(comment + made, tmp_path / "o") == {"a": b"1"}


ESCAPES = [
    "../../x",
    "/abs",
    "C:\\x",
    "C:/x",
    "a/../../x",
    "a/..",
    "..",
    "..\\x",
    "a\\..\\..\\x",
    "//x",
    "./../x",
    "dir\\file",
]
RESERVED = [".git/config", "a/.git/hooks/x", ".GIT/x", "git~1/x", ".git", ".g\u200cit/x", ".git./x"]


class TestNames:
    @pytest.mark.parametrize("name", ESCAPES)
    def test_b62_a_path_that_leads_out_is_refused(self, tmp_path: Path, name: str) -> None:
        assert code_of(tar(("ok", b"1"), (name, b"x")), tmp_path / "t") == "archive.path_escape"
        if name != "a\\..\\..\\x":
            assert code_of(zipped([("ok", b"1"), (zip_entry(name, 0), b"x")]), tmp_path / "z") == "archive.path_escape"

    def test_the_message_shows_the_name_escaped(self, tmp_path: Path) -> None:
        with pytest.raises(HeadraceError) as caught:
            unpacked(tar(("../\x1b[31m", b"")), tmp_path / "o")
        assert "\x1b" not in caught.value.message
        assert "x1b" in caught.value.message

    @pytest.mark.parametrize("name", RESERVED)
    def test_b60_a_git_directory_is_refused(self, tmp_path: Path, name: str) -> None:
        assert code_of(tar((name, b"x")), tmp_path / "t") == "upload.reserved_path"
        assert code_of(zipped([(name, b"x")]), tmp_path / "z") == "upload.reserved_path"

    @pytest.mark.parametrize(
        "names",
        [
            ("a", "a"),
            ("a", "./a"),
            ("a", "A"),
            ("a", "a/b"),
            ("a/b", "a"),
            ("D/x", "d/y"),
            ("caf\u00e9", "cafe\u0301"),
            ("stra\u00dfe", "STRASSE"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_b67_two_entries_for_one_path_are_refused(self, tmp_path: Path, names: tuple[str, str]) -> None:
        assert code_of(tar(*((name, b"x") for name in names)), tmp_path / "t") == "archive.duplicate_path"
        assert code_of(zipped((name, b"x") for name in names), tmp_path / "z") == "archive.duplicate_path"

    def test_b66_a_name_without_end_is_refused(self, tmp_path: Path) -> None:
        assert code_of(tar(("n" * (10 << 20), b"")), tmp_path / "t") == "archive.invalid"
        assert code_of(tar(("n" * 256, b"")), tmp_path / "t2") == "archive.invalid"
        assert code_of(zipped([("n" * 60_000, b"")]), tmp_path / "z") == "archive.invalid"

    def test_a_name_that_is_not_text_is_refused(self, tmp_path: Path) -> None:
        archive = tar(("caf\udce9", b""), format=tarfile.GNU_FORMAT)
        assert code_of(archive, tmp_path / "t") == "archive.invalid"

    def test_b63_a_name_that_is_given_twice_is_refused(self, tmp_path: Path) -> None:
        gnu = tar(("n" * 150, b""), format=tarfile.GNU_FORMAT)[: 2 * 512]
        pax = tar(entry("short", pax_headers={"path": "other"}))
        assert code_of(gnu + pax, tmp_path / "t") == "archive.invalid"


class TestKinds:
    def test_b63_links_are_refused(self, tmp_path: Path) -> None:
        link = entry("d", tarfile.SYMTYPE, linkname="/etc")
        assert code_of(tar(link, ("d/passwd", b"x")), tmp_path / "1") == "archive.link_forbidden"
        hard = entry("h", tarfile.LNKTYPE, linkname="ok")
        assert code_of(tar(("ok", b"1"), hard), tmp_path / "2") == "archive.link_forbidden"
        long = entry("l", tarfile.SYMTYPE, linkname="x/" * 200)
        assert code_of(tar(long, format=tarfile.GNU_FORMAT), tmp_path / "3") == "archive.link_forbidden"
        assert code_of(tar(long), tmp_path / "4") == "archive.link_forbidden"
        assert code_of(zipped([(zip_entry("d", 0o120777), b"/etc")]), tmp_path / "5") == "archive.link_forbidden"

    @pytest.mark.parametrize(
        "member",
        [
            *(entry("x", kind) for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE)),
            *(entry("x", kind) for kind in (tarfile.GNUTYPE_SPARSE, b"D", b"M", b"V", b"s", b"Z")),
            *(entry("x", mode=mode) for mode in (0o4755, 0o2755, 0o6755)),
            entry("x", pax_headers={"SCHILY.xattr.security.capability": "x"}),
            entry("x", pax_headers={"SCHILY.acl.access": "user::rwx"}),
            entry("x", pax_headers={"LIBARCHIVE.xattr.user.x": "x"}),
            entry("x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.name": "../x"}),
        ],
    )
    def test_b64_what_is_neither_plain_file_nor_directory_is_refused(
        self, tmp_path: Path, member: tarfile.TarInfo
    ) -> None:
        assert code_of(tar(member), tmp_path / "o") == "archive.type_forbidden"

    @pytest.mark.parametrize("mode", [0o010644, 0o020644, 0o060644, 0o140644, 0o104755, 0o102755, 0o040755])
    def test_b64_in_zip_files(self, tmp_path: Path, mode: int) -> None:
        assert code_of(zipped([(zip_entry("x", mode), b"")]), tmp_path / "o") == "archive.type_forbidden"

    def test_what_macos_notes_of_each_file_is_no_reason(self, tmp_path: Path) -> None:
        member = entry("a", pax_headers={"LIBARCHIVE.xattr.com.apple.provenance": "x", "LIBARCHIVE.creationtime": "1"})
        assert unpacked(tar(member), tmp_path / "o") == {"a": b""}


class TestSizes:
    def test_b65_a_small_file_that_unpacks_to_a_large_one_is_refused(self, tmp_path: Path) -> None:
        small = ArchiveLimits(bytes=1 << 40, files=10)
        zeros = tar(entry("zero", size=64 << 20))
        for name, archive in enumerate(
            (gzip.compress(zeros), zstd.compress(zeros), zipped([("zero", bytes(64 << 20))]))
        ):
            assert code_of(archive, tmp_path / str(name), small) == "archive.too_large"

    def test_b65_what_a_zip_file_says_is_added_up_before_anything_is_unpacked(self, tmp_path: Path) -> None:
        claim = zipped([("x", b"1")]).replace(struct.pack("<2L", 3, 1), struct.pack("<2L", 3, 0xFFFFFFF0))
        assert code_of(claim, tmp_path / "o2") == "archive.too_large"
        assert not list((tmp_path / "o2").iterdir())

    def test_b65_entries_that_share_their_bytes_are_refused(self, tmp_path: Path) -> None:
        archive = bytearray(zipped([("a", b"x" * 1000), ("b", b"x" * 1000)], zipfile.ZIP_STORED))
        second = archive.rindex(b"PK\1\2")
        archive[second + 42 : second + 46] = struct.pack("<L", 0)
        assert code_of(bytes(archive), tmp_path / "o") == "archive.too_large"

    def test_b65_an_archive_in_an_archive_is_a_file(self, tmp_path: Path) -> None:
        inner = zipped([("x", b"1")])
        assert unpacked(zipped([("inner.zip", inner)]), tmp_path / "o") == {"inner.zip": inner}

    def test_b65_the_limit_is_held_while_unpacking(self, tmp_path: Path) -> None:
        noise = os.urandom(2 << 20)
        limits = ArchiveLimits(bytes=1 << 20, files=10)
        for name, archive in enumerate((gzip.compress(tar(("a", noise))), tar(("a", noise)), zipped([("a", noise)]))):
            assert code_of(archive, tmp_path / str(name), limits) == "archive.too_large"

    def test_b66_too_many_entries_are_refused(self, tmp_path: Path) -> None:
        names = [(f"f{number}", b"") for number in range(1001)]
        assert code_of(tar(*names), tmp_path / "t") == "archive.too_many_files"
        assert code_of(zipped(names), tmp_path / "z") == "archive.too_many_files"
        assert not list((tmp_path / "z").iterdir())

    def test_b66_a_claim_of_more_bytes_than_there_are_is_refused(self, tmp_path: Path) -> None:
        header = entry("x", size=1 << 32).tobuf(tarfile.GNU_FORMAT)
        assert code_of(header + bytes(1024), tmp_path / "1") == "archive.too_large"
        header = entry("x", size=1000).tobuf(tarfile.GNU_FORMAT)
        assert code_of(header + b"short", tmp_path / "2") == "archive.corrupt"
        negative = bytearray(entry("x").tobuf(tarfile.GNU_FORMAT))
        negative[124:136] = b"\xff" * 12
        negative[148:156] = b"%06o\0 " % (sum(negative[:148]) + sum(negative[156:]) + 256)
        assert code_of(bytes(negative) + bytes(1024), tmp_path / "3") == "archive.corrupt"


def _without_crc(archive: bytes) -> bytes:
    crc = struct.pack("<L", zlib.crc32(b"hello world"))
    return archive.replace(crc, b"\1\2\3\4")


ZIP = zipped([("a", b"hello world"), ("b", b"more")])
TAR = tar(("a", b"hello world"), ("b", b"more"))
GZ = gzip.compress(TAR)
ZSTD = zstd.compress(TAR)


class TestDamage:
    @pytest.mark.parametrize(
        "archive",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"PK\3\4", id="four bytes"),
            pytest.param(ZIP[:-10], id="zip cut"),
            pytest.param(ZIP[: len(ZIP) // 2], id="zip cut in half"),
            pytest.param(_without_crc(ZIP), id="zip with a wrong sum"),
            pytest.param(ZIP + b"<html>", id="zip with something behind"),
            pytest.param(b"<html></html>" * 50 + ZIP, id="zip behind html"),
            pytest.param(ZIP + ZIP, id="two zips"),
            pytest.param(ZIP[:-2] + struct.pack("<H", 22) + ZIP[-22:], id="two ends"),
            pytest.param(ZIP.replace(b"PK\1\2", b"PK\1\3", 1), id="zip list damaged"),
            pytest.param(ZIP.replace(b"a", b"c", 1), id="zip says two names"),
            pytest.param(TAR[:600], id="tar cut"),
            pytest.param(TAR[: 2 * 512], id="tar without an end"),
            pytest.param(TAR + b"x", id="tar with something behind"),
            pytest.param(TAR.replace(b"0000644", b"0000645", 1), id="tar header damaged"),
            pytest.param(GZ[:-5], id="gzip cut"),
            pytest.param(GZ[:100], id="gzip cut early"),
            pytest.param(GZ + b"x", id="gzip with something behind"),
            pytest.param(GZ + GZ, id="two gzips"),
            pytest.param(GZ[:-8] + b"\0\0\0\0" + GZ[-4:], id="gzip with a wrong sum"),
            pytest.param(gzip.compress(b"no tar" * 200), id="gzip of something else"),
            pytest.param(ZSTD[:-5], id="zstd cut"),
            pytest.param(ZSTD + b"x", id="zstd with something behind"),
        ],
    )
    def test_b68_a_damaged_archive_is_refused(self, tmp_path: Path, archive: bytes) -> None:
        assert code_of(archive, tmp_path / "o") == "archive.corrupt"

    @pytest.mark.parametrize(
        "archive",
        [
            pytest.param(b"Rar!\x1a\x07\x01\0" + bytes(600), id="rar"),
            pytest.param(b"7z\xbc\xaf\x27\x1c" + bytes(600), id="7z"),
            pytest.param(b"BZh91AY" + bytes(600), id="bzip2"),
            pytest.param(b"\xfd7zXZ\0" + bytes(600), id="xz"),
            pytest.param(b"%PDF-1.7" + bytes(600), id="pdf"),
            pytest.param(zipped([("a", b"x" * 100)], zipfile.ZIP_LZMA), id="zip with lzma"),
            pytest.param(zipped([("a", b"x" * 100)], zipfile.ZIP_BZIP2), id="zip with bzip2"),
            pytest.param(ZIP.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"), id="encrypted zip"),
            pytest.param(tarfile.TarInfo().create_pax_global_header({"path": "x"}) + TAR, id="global path"),
        ],
    )
    def test_b69_what_is_not_supported_is_refused(self, tmp_path: Path, archive: bytes) -> None:
        assert code_of(archive, tmp_path / "o") == "archive.unsupported"

    def test_a_check_that_raises_ends_the_unpacking(self, tmp_path: Path) -> None:
        def stop() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            unpack(io.BytesIO(TAR), tmp_path, LIMITS, stop)
        assert not list(tmp_path.iterdir())


_NAMES = st.lists(
    st.sampled_from(["a", "b", "A", "..", ".", "", ".git", "x\\y", "é", "\n"]), min_size=1, max_size=4
).map("/".join)
_KINDS = st.sampled_from(
    [tarfile.REGTYPE] * 4 + [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, b"S", b"Z"]
)
_TARGETS = st.sampled_from(["/etc", "..", "a", "../../../tmp"])


def _all_below(path: Path) -> list[tuple[str, bytes]]:
    return sorted((str(one), one.read_bytes() if one.is_file() else b"") for one in path.rglob("*"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(members=st.lists(st.tuples(_NAMES, _KINDS, st.binary(max_size=600), _TARGETS), max_size=6), damage=st.data())
def test_no_archive_writes_outside_of_its_place(
    tmp_path_factory: pytest.TempPathFactory,
    members: list[tuple[str, bytes, bytes, str]],
    damage: st.DataObject,
) -> None:
    around = tmp_path_factory.mktemp("around")
    (around / "secret").write_bytes(b"untouched")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind, data, target in members:
            info = entry(name, kind, linkname=target if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else "")
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    raw = bytearray(out.getvalue())
    for _ in range(damage.draw(st.integers(0, 3))):
        raw[damage.draw(st.integers(0, min(len(raw), 4096) - 1))] = damage.draw(st.integers(0, 255))
    (around / "into").mkdir()
    try:
        unpack(io.BytesIO(bytes(raw)), around / "into", LIMITS)
    except (InvalidInput, TooLarge) as refused:
        if not refused.exact_code.startswith(("archive.", "upload.")):
            raise
    assert [path.name for path in sorted(around.iterdir())] == ["into", "secret"]
    assert (around / "secret").read_bytes() == b"untouched"
    for path in (around / "into").rglob("*"):
        assert not path.is_symlink()
        assert path.is_file() or path.is_dir()
        assert path.name != ".git"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damaged_zip_file_does_harm(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    around = tmp_path_factory.mktemp("around")
    raw = bytearray(zipped([("a", b"hello"), ("dir/b", b"x" * 500), ("c/", b"")]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (around / "into").mkdir()
    try:
        unpack(io.BytesIO(bytes(raw)), around / "into", LIMITS)
    except (InvalidInput, TooLarge) as refused:
        if not refused.exact_code.startswith(("archive.", "upload.")):
            raise
    assert [path.name for path in around.iterdir()] == ["into"]


class TestPacking:
    def test_what_is_packed_is_what_is_unpacked(self, tmp_path: Path) -> None:
        root = tmp_path / "p"
        (root / "public").mkdir(parents=True)
        (root / "public/index.html").write_bytes(b"<p>" * 100_000)
        (root / "public/run").write_bytes(b"#!")
        (root / "public/run").chmod(0o755)
        (root / "public" / ("n" * 200)).write_bytes(b"")
        archive = b"".join(pack_directory(root))
        files = unpacked(archive, tmp_path / "o")
        assert files == {"public/index.html": b"<p>" * 100_000, "public/run": b"#!", "public/" + "n" * 200: b""}
        assert (tmp_path / "o/public/run").stat().st_mode & 0o100

    def test_the_same_files_give_the_same_bytes(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            (tmp_path / name / "d").mkdir(parents=True)
            for file in ("d/b", "a") if name == "one" else ("a", "d/b"):
                (tmp_path / name / file).write_text(file)
        os.utime(tmp_path / "two/a", (1, 1))
        (tmp_path / "two/d").chmod(0o700)
        assert b"".join(pack_directory(tmp_path / "one")) == b"".join(pack_directory(tmp_path / "two"))

    def test_ignored_files_stay_at_home(self, tmp_path: Path) -> None:
        (tmp_path / ".gitignore").write_text(".env\n")
        (tmp_path / ".env").write_text("SECRET=1")
        (tmp_path / "node_modules").mkdir()
        (tmp_path / "node_modules/x").write_text("x")
        assert b"SECRET" not in b"".join(pack_directory(tmp_path))

    def test_a_link_to_a_file_of_the_project_is_packed_as_that_file(self, tmp_path: Path) -> None:
        root = tmp_path / "p"
        root.mkdir()
        (root / "a").write_text("1")
        (root / "link").symlink_to("a")
        assert unpacked(b"".join(pack_directory(root)), tmp_path / "o") == {"a": b"1", "link": b"1"}

    @pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "nowhere", ".env", "dir", "loop"])
    def test_any_other_link_is_refused(self, tmp_path: Path, target: str) -> None:
        root = tmp_path / "p"
        (root / "dir").mkdir(parents=True)
        (root / "dir/x").write_text("x")
        (tmp_path / "secret").write_text("x")
        (root / ".env").write_text("SECRET=1")
        (root / ".gitignore").write_text(".env\n")
        (root / "loop").symlink_to(target)
        with pytest.raises(HeadraceError) as caught:
            b"".join(pack_directory(root))
        assert caught.value.exact_code == "source.entry_forbidden"
