"""
A client of the npm registry: what a version of a package consists of, and its file, checked while it is downloaded.

Imported when a tool is fetched for the first time: the HTTP client is heavy, and most builds fetch none.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx2

from headrace.disk import storage_errors
from headrace.errors import InvalidInput, ToolUnavailable
from headrace.model.value import Value

T = TypeVar("T")

_PUBLIC = "registry.npmjs.org"
_HINT = "check the network and HEADRACE_NPM_REGISTRY, then try again"
_ABBREVIATED = "application/vnd.npm.install-v1+json"


class PackageFile(Value):
    name: str
    version: str
    url: str
    #: `sha512-<base64>`.
    integrity: str


class _Passing(Exception):
    """Trying again may help."""


class NpmRegistry:
    """Use as `async with open_registry(url)`."""

    def __init__(self, url: str, client: httpx2.AsyncClient, pauses: Sequence[float]) -> None:
        self._url = url.rstrip("/")
        self._client = client
        self._pauses = pauses

    async def find(self, name: str, version: str) -> PackageFile:
        """Raises InvalidInput for a version that isn't published, ToolUnavailable when the registry can't answer."""
        path = quote(name, safe="@")
        answer = await self._json(f"{self._url}/{path}/{quote(version)}")
        if answer is None:
            # Not every registry knows addresses of single versions.
            package = await self._json(f"{self._url}/{path}", {"Accept": _ABBREVIATED})
            if package is None:
                raise ToolUnavailable(f"{self._url} has no package {name}", hint=_HINT)
            answer = package.get("versions", {}).get(version)
            if answer is None:
                raise _unpublished(name, version, list(package.get("versions", {})))
        distribution = answer.get("dist", {}) if isinstance(answer, dict) else {}
        url, integrity = distribution.get("tarball"), distribution.get("integrity")
        if not isinstance(url, str) or not isinstance(integrity, str) or not integrity.startswith("sha512-"):
            raise ToolUnavailable(f"{self._url} gives no address and SHA-512 for {name} {version}", hint=_HINT)
        return PackageFile(name=name, version=version, url=self._own(url), integrity=integrity)

    async def download(self, package: PackageFile, into: Path, pinned: str | None = None) -> None:
        """
        Write the package's file to `into` and check it. `pinned` is what a project declared, as `<algorithm>.<hexadecimal>`:
        raises InvalidInput (`tool.integrity`) when the file is another.
        """
        hashes = await self._try(lambda: self._download(package, into, pinned))
        if pinned is not None:
            algorithm, _, expected = pinned.partition(".")
            if not hmac.compare_digest(hashes[algorithm].hexdigest(), expected.lower()):
                raise InvalidInput(
                    f"{package.name} {package.version} does not have the hash that the project pins ({pinned[:24]}…)",
                    code="tool.integrity",
                    hint="correct the hash behind `+` in packageManager, or remove it",
                )

    async def _download(self, package: PackageFile, into: Path, pinned: str | None) -> "dict[str, hashlib._Hash]":
        hashes = {name: hashlib.new(name) for name in {"sha512", _algorithm(pinned)}}
        # As it is: the checks are about the packed file.
        async with self._client.stream("GET", package.url, headers={"Accept-Encoding": "identity"}) as response:
            _check_status(response.status_code, package.url)
            with storage_errors(), into.open("wb") as file:
                async for piece in response.aiter_bytes(1 << 20):
                    await asyncio.to_thread(_take, piece, file.write, *(seen.update for seen in hashes.values()))
        if not hmac.compare_digest(_integrity(hashes["sha512"]), package.integrity.split()[0].partition("?")[0]):
            raise _Passing(f"{package.url} does not have the SHA-512 that the registry declares")
        return hashes

    async def _json(self, url: str, headers: dict[str, str] | None = None) -> dict[str, Any] | None:
        """None for 404."""

        async def get() -> dict[str, Any] | None:
            response = await self._client.get(url, headers=headers)
            if response.status_code == 404:
                return None
            _check_status(response.status_code, url)
            answer = response.json()
            return answer if isinstance(answer, dict) else {}

        return await self._try(get)

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T:
        for pause in (*self._pauses, None):
            try:
                return await call()
            except httpx2.InvalidURL as exc:
                raise ToolUnavailable(f"{self._url} is no address of a registry: {exc}", hint=_HINT) from exc
            except (httpx2.RequestError, _Passing, ValueError) as exc:
                if pause is None:
                    why = str(exc) or type(exc).__name__
                    raise ToolUnavailable(f"{self._url} can't be used now: {why}", hint=_HINT) from exc
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def _own(self, url: str) -> str:
        """Registries that copy the public one often leave its addresses in what they answer."""
        parts = urlsplit(url)
        if parts.hostname == _PUBLIC and urlsplit(self._url).hostname != _PUBLIC:
            return f"{self._url}{parts.path}"
        return url


@asynccontextmanager
async def open_registry(url: str, pauses: Sequence[float]) -> AsyncIterator[NpmRegistry]:
    """`pauses` lie between the attempts of a request that fails for a passing reason."""
    timeout = httpx2.Timeout(30.0, connect=10.0)
    async with httpx2.AsyncClient(timeout=timeout, follow_redirects=True) as client:
        yield NpmRegistry(url, client, pauses)


def _check_status(status: int, url: str) -> None:
    if status in (408, 425, 429) or status >= 500:
        raise _Passing(f"{url} answered {status}")
    if status != 200:
        raise ToolUnavailable(f"{url} answered {status}", hint=_HINT)


def _take(piece: bytes, *takers: Callable[[bytes], object]) -> None:
    for taker in takers:
        taker(piece)


def _algorithm(pinned: str | None) -> str:
    if pinned is None:
        return "sha512"
    algorithm, dot, _ = pinned.partition(".")
    if not dot or algorithm not in ("sha1", "sha224", "sha256", "sha384", "sha512"):
        raise InvalidInput(f"the hash {pinned[:40]!r} of a tool is not of the form sha512.<hex>", code="tool.integrity")
    return algorithm


def _integrity(seen: "hashlib._Hash") -> str:
    return f"sha512-{base64.b64encode(seen.digest()).decode()}"


def _unpublished(name: str, version: str, published: Sequence[str]) -> InvalidInput:
    stable = sorted((v for v in published if "-" not in v), key=_order, reverse=True)
    major = version.partition(".")[0]
    near = [v for v in stable if v.partition(".")[0] == major][:5]
    newest = list({v.partition(".")[0]: v for v in reversed(stable)}.values())[::-1][:8]
    return InvalidInput(
        f"{name} {version} is not published",
        code="tool.unknown_version",
        hint=f"choose one of: {', '.join(near or newest)}",
    )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.partition("+")[0].split("."))
