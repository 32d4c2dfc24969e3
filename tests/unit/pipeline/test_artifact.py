import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
from backports import zstd

from headrace.checks.base import Output, OutputFile
from headrace.errors import StepFailed
from headrace.model.artifact import Artifact, ArtifactFile, Manifest
from headrace.model.diagnostic import FailureReason
from headrace.model.digest import digest_of
from headrace.model.plan import BuildPlan, RedirectRule, Routing
from headrace.pipeline.known_codings import KnownCodings
from headrace.pipeline.manifest import make_artifact
from headrace.site.codings import LARGEST
from headrace.store.memory import MemoryStore
from headrace.tree import canonical

TEXT = b"export const answer = 42; // the same words again and again\n" * 200


class Site:
    """An output on disk and the store that it is published to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = MemoryStore()
        self.warnings: list[str] = []
        self.known: KnownCodings | None = None

    def write(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            target = self.root / "dist" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def scan(self) -> Output:
        dist = self.root / "dist"
        found = sorted(path for path in dist.rglob("*") if path.is_file() or path.is_symlink())
        files = tuple(OutputFile(path=str(p.relative_to(dist)), size=p.lstat().st_size) for p in found)
        return Output(directory="dist", files=files, bytes=sum(file.size for file in files))

    async def publish(self, *, output: Output | None = None, routing: Routing | None = None) -> Manifest:
        return (await self.make(output=output, routing=routing))[1]

    async def make(self, *, output: Output | None = None, routing: Routing | None = None) -> tuple[Artifact, Manifest]:
        plan = BuildPlan(framework="static", output="dist", routing=routing or Routing())
        with directory(self.root) as tree_fd:
            return await make_artifact(
                self.store, tree_fd, output or self.scan(), plan, known=self.known, warn=self.warnings.append
            )


@contextmanager
def directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def by_path(manifest: Manifest) -> dict[str, ArtifactFile]:
    return {file.path: file for file in manifest.files}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_every_file_is_a_blob_under_its_digest(site: Site) -> None:
    site.write({"index.html": b"<h1>hi</h1>", "assets/index-BF8QNONU.js": TEXT})
    files = by_path(await site.publish())
    assert list(files) == ["assets/index-BF8QNONU.js", "index.html"]
    assert await site.store.read(files["index.html"].digest) == b"<h1>hi</h1>"
    assert files["assets/index-BF8QNONU.js"].size == len(TEXT)


async def test_the_artifact_is_the_digest_of_its_stored_manifest(site: Site) -> None:
    site.write({"index.html": b"<h1>hi</h1>", "a.txt": b"12345"})
    artifact, manifest = await site.make()
    assert artifact == Artifact(digest=digest_of(canonical(manifest)), files=2, bytes=16)
    assert Manifest.model_validate_json(await site.store.read(artifact.digest)) == manifest


async def test_equal_outputs_make_equal_artifacts(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        site = Site(tmp_path / name)
        site.write({"index.html": TEXT, "b.js": TEXT, "a.css": TEXT})
        digests.append((await site.make())[0].digest)
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("coding", "decode"),
    [("br", brotli.decompress), ("zstd", zstd.decompress), ("gzip", lambda data: zlib.decompress(data, wbits=31))],
)
async def test_text_is_stored_in_each_coding_too(site: Site, coding: str, decode: object) -> None:
    site.write({"app.js": TEXT})
    file = by_path(await site.publish())["app.js"]
    blob = await site.store.read(file.encodings[coding])
    assert len(blob) < len(TEXT) / 4
    assert decode(blob) == TEXT  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("short.js", b"let a = 1\n" * 50),
        ("photo.jpg", TEXT),
        ("random.js", os.urandom(8000)),
    ],
)
async def test_a_file_that_would_not_shrink_has_no_coding(site: Site, name: str, data: bytes) -> None:
    site.write({name: data})
    assert by_path(await site.publish())[name].encodings == {}


async def test_names_with_a_content_hash_are_immutable(site: Site) -> None:
    site.write({"assets/index-BF8QNONU.js": b"1", "main.3f2a1b4c.js": b"2", "jquery-3.7.1.min.js": b"3"})
    files = await site.publish()
    assert {file.path for file in files.files if file.immutable} == {"assets/index-BF8QNONU.js", "main.3f2a1b4c.js"}


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("index.html", "ü".encode(), "text/html; charset=utf-8"),
        ("old.html", "ü".encode("latin-1"), "text/html"),
        ("logo.svg", b"<svg/>", "image/svg+xml"),
        ("a.json", b"{}", "application/json"),
        ("page.png", b"<html>", "image/png"),
        ("data.unheard-of", b"", "application/octet-stream"),
        (".well-known/apple-app-site-association", b"{}", "application/json"),
    ],
)
async def test_the_media_type_comes_from_the_name(site: Site, name: str, data: bytes, kind: str) -> None:
    site.write({name: data})
    assert by_path(await site.publish())[name].media_type == kind


async def test_dotfiles_stay_private_except_well_known_and_the_user_is_told(site: Site) -> None:
    site.write(
        dict.fromkeys(("index.html", ".env", ".git/config", "a/.npmrc", ".well-known/x.txt", ".well-known/.env"), b"x")
    )
    assert list(by_path(await site.publish())) == [".well-known/x.txt", "index.html"]
    assert site.warnings[0].startswith("4 files are not published")
    assert ".env" in site.warnings[0]


async def test_paths_that_differ_in_case_only_are_pointed_out(site: Site) -> None:
    site.write({"Logo.png": b"1", "logo.png": b"2"})
    assert len((await site.publish()).files) == 2
    assert site.warnings == [
        "these paths differ only in case or accents; each is served as it is written: Logo.png, logo.png"
    ]


async def test_a_link_that_took_the_place_of_a_file_ends_the_build(site: Site, tmp_path: Path) -> None:
    site.write({"index.html": b"x"})
    output = site.scan()
    (tmp_path / "dist/index.html").unlink()
    (tmp_path / "dist/index.html").symlink_to("/etc/passwd")
    with pytest.raises(StepFailed) as stopped:
        await site.publish(output=output)
    assert stopped.value.failure.reason is FailureReason.OUTPUT_INVALID
    assert "index.html is a symbolic link" in stopped.value.failure.message


async def test_a_directory_that_became_a_link_ends_the_build(site: Site, tmp_path: Path) -> None:
    site.write({"a/secret.txt": b"x"})
    output = site.scan()
    (tmp_path / "dist/a").rename(tmp_path / "elsewhere")
    (tmp_path / "dist/a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StepFailed):
        await site.publish(output=output)


@pytest.mark.timeout(10)
async def test_a_fifo_is_refused_without_waiting_for_a_writer(site: Site, tmp_path: Path) -> None:
    site.write({"index.html": b"x"})
    output = site.scan()
    (tmp_path / "dist/index.html").unlink()
    os.mkfifo(tmp_path / "dist/index.html")
    with pytest.raises(StepFailed) as stopped:
        await site.publish(output=output)
    assert "not a regular file" in stopped.value.failure.message


async def test_a_file_that_went_away_ends_the_build(site: Site, tmp_path: Path) -> None:
    site.write({"index.html": b"x"})
    output = site.scan()
    (tmp_path / "dist/index.html").unlink()
    with pytest.raises(StepFailed):
        await site.publish(output=output)


async def test_a_file_too_large_for_memory_is_stored_without_codings(site: Site, tmp_path: Path) -> None:
    site.write({"big.js": b""})
    os.truncate(tmp_path / "dist/big.js", LARGEST + 1)
    file = by_path(await site.publish())["big.js"]
    assert (file.size, file.encodings) == (LARGEST + 1, {})


async def test_rule_files_become_routing_and_are_not_served(site: Site) -> None:
    site.write(
        {"index.html": b"x", "_redirects": b"/old /new 302\nnonsense\n", "_headers": b"/*\n  X-Frame-Options: DENY\n"}
    )
    manifest = await site.publish(routing=Routing(redirects=(RedirectRule(path="/a", to="/b"),)))
    assert [file.path for file in manifest.files] == ["index.html"]
    assert [rule.path for rule in manifest.routing.redirects] == ["/old", "/a"]
    assert manifest.routing.headers[0].headers == (("X-Frame-Options", "DENY"),)
    assert site.warnings == ["_redirects line 2 is ignored: 'nonsense' does not begin with a slash"]


@pytest.mark.parametrize(
    ("names", "spa", "not_found"),
    [
        (["index.html"], True, None),
        (["index.html", "404.html"], False, "404.html"),
        (["about.html"], False, None),
    ],
)
async def test_an_app_falls_back_to_its_page_unless_it_has_one_for_unknown_paths(
    site: Site, names: list[str], spa: bool, not_found: str | None
) -> None:
    site.write(dict.fromkeys(names, b"x"))
    routing = (await site.publish(routing=Routing(spa=True))).routing
    assert (routing.spa, routing.not_found) == (spa, not_found)


async def test_codings_of_unchanged_files_are_used_again(site: Site, tmp_path: Path) -> None:
    site.known = KnownCodings(tmp_path / "codings")
    site.write({"app.js": TEXT})
    first = await site.make()
    # What was remembered is used, not made anew: another blob in its place is taken.
    other = await site.store.put(b"coded earlier")
    site.known.remember_all([(digest_of(TEXT), {"br": other})])
    file = by_path(await site.publish())["app.js"]
    assert file.encodings == {"br": other}
    assert by_path(first[1])["app.js"].encodings != file.encodings


async def test_a_remembered_coding_whose_blob_is_gone_is_made_again(site: Site, tmp_path: Path) -> None:
    site.known = KnownCodings(tmp_path / "codings")
    site.write({"app.js": TEXT})
    first = await site.make()
    await site.store.delete(by_path(first[1])["app.js"].encodings["br"])
    second = await site.make()
    assert second == first
    assert brotli.decompress(await site.store.read(by_path(second[1])["app.js"].encodings["br"])) == TEXT


def test_what_is_remembered_of_files_that_are_gone_is_dropped(tmp_path: Path) -> None:
    known = KnownCodings(tmp_path)
    kept, gone = digest_of(b"kept"), digest_of(b"gone")
    known.remember_all([(kept, {}), (gone, {})])
    assert known.forget_all_but([kept]) == 1
    assert (known.find(kept), known.find(gone)) == ({}, None)


def test_a_damaged_memory_is_a_miss(tmp_path: Path) -> None:
    known = KnownCodings(tmp_path)
    digest = digest_of(b"x")
    known.remember_all([(digest, {})])
    next(tmp_path.glob("*/*/*")).write_bytes(b'{"br": "../../etc/passwd"}')
    assert known.find(digest) is None
