"""Where package managers keep what their lock files name: the names are those that they gave themselves."""

import base64
from pathlib import Path

import pytest

from headrace.plan.package_cache import package_cache

LOCKS = Path(__file__).parents[2] / "acceptance/locks"


def of(program: str, lock: str) -> dict[str, str]:
    cache = package_cache(program, [lock])
    return dict(cache.places) if cache else {}


def test_npm_names_packages_by_their_content() -> None:
    places = of("npm", (LOCKS / "package-lock.json").read_text())
    assert len(places) == 2
    assert all(
        place == f"_cacache/content-v2/sha512/{digest[:2]}/{digest[2:4]}/{digest[4:]}"
        for digest, place in places.items()
    )


def test_yarn_1_names_archives_by_their_address_and_scope() -> None:
    assert sorted(of("yarn", (LOCKS / "yarn-1.lock").read_text()).values()) == [
        "is-number-6.0.0.tgz",
        "is-odd-3.0.1.tgz",
    ]
    digest = base64.b64encode(bytes(64)).decode()
    entry = f'  resolved "https://registry.yarnpkg.com/@a/b/-/b-1.0.0.tgz#0123"\n  integrity sha512-{digest}\n'
    assert of("yarn", entry) == {"00" * 64: "@a-b-1.0.0.tgz"}


@pytest.mark.parametrize(
    "entry",
    [
        '  resolved "https://codeload.github.com/a/b/tar.gz/0123"\n',
        '  resolved "https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#0123"\n  integrity sha1-xxxx=\n',
        '  resolved "https://registry.yarnpkg.com/a/-/..%2fa"\n  integrity sha512-{digest}\n',
        '  resolved "https://registry.yarnpkg.com/a/-/{long}.tgz"\n  integrity sha512-{digest}\n',
    ],
)
def test_what_yarn_1_could_not_check_or_name_is_left_out(entry: str) -> None:
    digest = base64.b64encode(bytes(64)).decode()
    assert of("yarn", entry.format(digest=digest, long="x" * 300)) == {}


def test_packages_that_would_have_one_name_are_left_out() -> None:
    entries = [
        f'  resolved "https://registry.yarnpkg.com/{name}/-/a-1.0.0.tgz"\n'
        f"  integrity sha512-{base64.b64encode(bytes([name == 'a']) * 64).decode()}\n"
        for name in ("a", "b")
    ]
    assert len(of("yarn", entries[0])) == 1
    assert of("yarn", "".join(entries)) == {}


#: As Yarn 4.18 wrote it; the names are those of the files that it left in its mirror.
BERRY = """# comment

__metadata:
  version: 8
  cacheKey: 10c0

"@jridgewell/sourcemap-codec@npm:^1.5.5":
  version: 1.5.5
  resolution: "@jridgewell/sourcemap-codec@npm:1.5.5"
  checksum: 10c0/{a}
  languageName: node
  linkType: hard

"is-odd@npm:3.0.1":
  version: 3.0.1
  resolution: "is-odd@npm:3.0.1"
  dependencies:
    is-number: "npm:^6.0.0"
  checksum: {b}
  languageName: node
  linkType: hard

"is-odd@patch:is-odd@npm%3A3.0.1#x":
  version: 3.0.1
  resolution: "is-odd@patch:is-odd@npm%3A3.0.1#x::version=3.0.1&hash=2f3f"
  checksum: 10c0/{c}
  linkType: hard

"none@npm:1.0.0":
  version: 1.0.0
  resolution: "none@npm:1.0.0"
  conditions: os=darwin
  linkType: hard

"tiny@workspace:.":
  version: 0.0.0-use.local
  resolution: "tiny@workspace:."
  linkType: soft
"""


def test_yarn_4_names_its_archives_by_package_version_and_what_it_computes_of_both() -> None:
    text = BERRY.format(a="aa" * 64, b="bb" * 64, c="cc" * 64)
    assert of("yarn", text) == {
        "aa" * 64: "cache/@jridgewell-sourcemap-codec-npm-1.5.5-5189d9fc79-10c0.zip",
        "bb" * 64: "cache/is-odd-npm-3.0.1-93c3c3f41b-10c0.zip",
    }


SHA = base64.b64encode(bytes(64)).decode()


@pytest.mark.parametrize("lock", ["pnpm-lock.yaml", "bun.lock"])
def test_pnpm_and_bun_ask_a_registry_by_name_and_version(lock: str) -> None:
    cache = package_cache(lock.partition("-")[0].partition(".")[0], [(LOCKS / lock).read_text()])
    assert cache is not None
    assert cache.directory is None
    assert sorted(cache.places.values()) == ["is-number/-/is-number-6.0.0.tgz", "is-odd/-/is-odd-3.0.1.tgz"]


@pytest.mark.parametrize(
    ("program", "entry", "place"),
    [
        ("pnpm", f"  '@a/b@1.0.0-rc.1':\n    resolution: {{integrity: sha512-{SHA}}}\n", "@a/b/-/b-1.0.0-rc.1.tgz"),
        ("pnpm", f"  /a@1.0.0(react@18.0.0):\n    resolution: {{integrity: sha512-{SHA}}}\n", "a/-/a-1.0.0.tgz"),
        ("pnpm", f"  a@1.0.0:\n    resolution: {{integrity: sha512-{SHA}, tarball: https://x/a.tgz}}\n", None),
        ("pnpm", f"  a@https://x/a.tgz:\n    resolution: {{integrity: sha512-{SHA}}}\n", None),
        ("pnpm", f"  ../a@1.0.0:\n    resolution: {{integrity: sha512-{SHA}}}\n", None),
        ("pnpm", "  a@1.0.0:\n    resolution: {integrity: sha1-xxxx=}\n", None),
        ("bun", f'    "@a/b": ["@a/b@1.0.0", "", {{ "bin": "x" }}, "sha512-{SHA}"],\n', "@a/b/-/b-1.0.0.tgz"),
        ("bun", f'    "c/a": ["a@1.0.0", "", {{}}, "sha512-{SHA}"],\n', "a/-/a-1.0.0.tgz"),
        ("bun", f'    "a": ["a@1.0.0", "https://x/a.tgz", {{}}, "sha512-{SHA}"],\n', None),
        ("bun", f'    "a": ["a@github:a/a#0123", {{}}, "sha512-{SHA}"],\n', None),
    ],
)
def test_what_has_an_address_of_its_own_is_not_asked_of_the_usual_registry(
    program: str, entry: str, place: str | None
) -> None:
    assert of(program, entry) == ({"00" * 64: place} if place else {})


@pytest.mark.parametrize("manager", ["npm", "pnpm", "yarn-1", "yarn-4", "bun"])
def test_every_package_of_a_lock_file_is_found(manager: str) -> None:
    """134 packages; Yarn 4 has a checksum for one that it patched, too."""
    lock = next((Path(__file__).parents[3] / "benchmarks/locks" / manager).iterdir())
    assert len(of(manager.partition("-")[0], lock.read_text())) == 134


@pytest.mark.parametrize("program", ["sh", "node", "python"])
def test_nothing_is_said_of_programs_that_are_not_known(program: str) -> None:
    assert package_cache(program, [(LOCKS / "package-lock.json").read_text()]) is None


def test_a_project_without_a_lock_file_shares_nothing() -> None:
    assert package_cache("npm", []) is None
