"""
Where package managers look for packages as they came, each under a name that the lock file gives it together with its SHA-512.

Only such packages can be shared: whoever gives one can compare it with the lock file before anybody uses it.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

_NPM = re.compile(r'"integrity":\s*"[^"]*?sha512-([A-Za-z0-9+/]{86}==)')
_YARN_1 = re.compile(
    r'^  resolved "(https?://[^"]+)"\n  integrity (?:\S+ )*?sha512-([A-Za-z0-9+/]{86}==)', re.MULTILINE
)
#: The names that Yarn 1 gives to what it fetches from a registry: the scope, and the last part of the address.
_YARN_1_NAME = re.compile(r"/(?:(@[^/]+)(?:/|%2[fF]))?[^/]+/(?:-|_attachments)/(?:@[^/]+/)?([^/]+)$")
_BERRY = re.compile(
    r'^  resolution: "(?:@([\w.~-]+)/)?([\w.~-]+)@(npm:(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?))"\n(?:(?!  checksum:)  .*\n)*'
    r"  checksum: (?:(\w+)/)?([0-9a-f]{128})$",
    re.MULTILINE,
)
_BERRY_KEY = re.compile(r"^  cacheKey: (\w+)$", re.MULTILINE)
_NAME = r"((?:@(?!\.)[\w.~-]+/)?(?!\.)[\w.~-]+)@(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)"
#: Of a package that has an address of its own, more follows.
_PNPM = re.compile(
    rf"^  '?/?{_NAME}(?:\([^\n]*\))?'?:\n    resolution: \{{integrity: sha512-([A-Za-z0-9+/]{{86}}==)\}}$", re.MULTILINE
)
_BUN = re.compile(rf'^    "[^"\n]+": \["{_NAME}", "", .*"sha512-([A-Za-z0-9+/]{{86}}==)"\],?$', re.MULTILINE)
_FILE_NAME = re.compile(r"[\w@.~+-]{1,200}")


class PackageCache(NamedTuple):
    """A package manager's cache, as far as its content is named by a lock file."""

    #: Beside the lock file, while the install runs; None for a manager that is given packages by a registry of its own.
    directory: str | None
    #: The variables that tell the manager where they are.
    variables: tuple[str, ...]
    #: Hexadecimal SHA-512 of a file -> where it is below the directory.
    places: Mapping[str, str]


class _Manager(NamedTuple):
    directory: str | None
    variables: tuple[str, ...]
    #: Pairs of a SHA-512 and a place, of the text of a lock file.
    read: Callable[[str], Iterator[tuple[str, str]]]


def package_cache(program: str, locks: Iterable[str]) -> PackageCache | None:
    """The cache of an install by `program` with these lock files; None where no such cache can be shared."""
    texts = list(locks)
    berry = program == "yarn" and any("\n__metadata:\n" in text for text in texts)
    manager = _MANAGERS.get("berry" if berry else program)
    if manager is None:
        return None
    places = _unambiguous(dict(pair for text in texts for pair in manager.read(text)))
    return PackageCache(manager.directory, manager.variables, places) if places else None


def _unambiguous(places: dict[str, str]) -> dict[str, str]:
    """Without names that several packages would have: whoever finds the wrong one there gives up."""
    often = Counter(places.values())
    return {digest: place for digest, place in places.items() if often[place] == 1}


def _npm(text: str) -> Iterator[tuple[str, str]]:
    for found in _NPM.findall(text):
        digest = _hex(found)
        yield digest, f"_cacache/content-v2/sha512/{digest[:2]}/{digest[2:4]}/{digest[4:]}"


def _yarn_1(text: str) -> Iterator[tuple[str, str]]:
    for address, found in _YARN_1.findall(text):
        named = _YARN_1_NAME.search(urlsplit(address).path)
        if named:
            name = f"{named[1]}-{named[2]}" if named[1] else named[2]
            if _FILE_NAME.fullmatch(name):
                yield _hex(found), name


def _berry(text: str) -> Iterator[tuple[str, str]]:
    usual = _BERRY_KEY.search(text)
    for scope, name, reference, version, own, digest in _BERRY.findall(text):
        key = own or (usual[1] if usual else "")
        identity = hashlib.sha512(f"{scope}{name}".encode()).hexdigest()
        locator = hashlib.sha512(f"{identity}{reference}".encode()).hexdigest()[:10]
        whole = f"{f'@{scope}-' if scope else ''}{name}-npm-{version}-{locator}-{key}.zip"
        if key and _FILE_NAME.fullmatch(whole):
            yield digest, f"cache/{whole}"


def _pnpm(text: str) -> Iterator[tuple[str, str]]:
    for name, version, found in _PNPM.findall(text):
        yield _hex(found), _at_registry(name, version)


def _bun(text: str) -> Iterator[tuple[str, str]]:
    for name, version, found in _BUN.findall(text):
        yield _hex(found), _at_registry(name, version)


def _at_registry(name: str, version: str) -> str:
    return f"{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def _hex(encoded: str) -> str:
    return base64.b64decode(encoded).hex()


_MANAGERS = {
    "npm": _Manager(".npm-cache", ("npm_config_cache",), _npm),
    # What Yarn 1 calls its offline mirror holds the archives as the registry has them; its cache holds what was in them.
    "yarn": _Manager(".yarn-packages", ("npm_config_yarn_offline_mirror",), _yarn_1),
    # The mirror of Yarn 2 and later is below its global folder: archives that Yarn made, which yarn.lock has the checksums of.
    "berry": _Manager(".yarn-packages", ("YARN_GLOBAL_FOLDER",), _berry),
    # Both keep unpacked files, of which nothing could be checked. What they ask a registry for can be.
    "pnpm": _Manager(None, ("npm_config_registry", "pnpm_config_registry"), _pnpm),
    "bun": _Manager(None, ("npm_config_registry", "BUN_CONFIG_REGISTRY"), _bun),
}
