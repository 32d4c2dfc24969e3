"""Archives that are sent: written to disk as they come, counted and digested, gone when the request is over."""

import asyncio
import base64
import binascii
import hashlib
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.requests import ClientDisconnect

from headrace.disk import storage_errors
from headrace.errors import BadRequest, InvalidInput, TooLarge
from headrace.model.digest import Digest
from headrace.model.ids import new_id

MEDIA_TYPES = (
    "application/x-tar",
    "application/gzip",
    "application/x-gzip",
    "application/zip",
    "application/zstd",
    "application/octet-stream",
)

#: RFC 9530.
_CONTENT_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")


@dataclass(frozen=True)
class Received:
    archive: Path
    #: An empty directory for what is in it.
    into: Path
    digest: Digest


@asynccontextmanager
async def received(request: Request, directory: Path, limit: int) -> AsyncIterator[Received]:
    """The request's body as a file below `directory`. Raises TooLarge, and InvalidInput for a wrong `Content-Digest`."""
    place = directory / new_id("req")
    try:
        with storage_errors():
            (place / "tree").mkdir(parents=True)
        digest = await _write(request, place / "archive", limit)
        _refuse_other(request, digest)
        yield Received(archive=place / "archive", into=place / "tree", digest=f"sha256:{digest.hex()}")
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


async def _write(request: Request, path: Path, limit: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    sha, size = hashlib.sha256(), 0
    try:
        with storage_errors(), path.open("wb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                sha.update(chunk)
                file.write(chunk)
    except ClientDisconnect as exc:
        raise BadRequest("the upload ended before its end") from exc
    if size == 0:
        raise InvalidInput("the upload is empty", code="archive.empty", hint="send a tar, tar.gz or zip file")
    return sha.digest()


def _refuse_other(request: Request, digest: bytes) -> None:
    given = _CONTENT_DIGEST.search(request.headers.get("content-digest", ""))
    if given is None:
        return
    try:
        same = base64.b64decode(given[1], validate=True) == digest
    except binascii.Error:
        same = False
    if not same:
        raise InvalidInput("what arrived is not what Content-Digest says", code="upload.digest_mismatch")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"an upload has at most {limit} bytes",
        code="archive.too_large",
        hint="leave out what the build makes again, such as node_modules",
    )
