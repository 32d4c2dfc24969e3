"""Buckets of S3, Azure and Google, and of those that speak like them. The only module that knows their client."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store

from headrace.errors import (
    BucketDenied,
    BucketUnreachable,
    HeadraceError,
    InvalidInput,
    InvalidSetting,
    NotFound,
    TooLarge,
)
from headrace.model.bucket import BucketAccess, BucketUrl, parse_bucket_url
from headrace.source._bucket import Entry, Moved
from headrace.tree.paths import shown

if TYPE_CHECKING:  # they are in its stubs only
    from obstore.store import AzureConfig, ClientConfig, ObjectStore, RetryConfig, S3Config

_STATUS = re.compile(r"status code: (\d{3})")
#: S3's and Azure's own word for what is wrong, inside their XML.
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_KEY = re.compile(r'(?:Path|path) "([^"]{0,300})"')
_RETRIES: "RetryConfig" = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
_CONNECT_SECONDS, _REQUEST_SECONDS = 5, 60
#: More are sent in several parts.
_PART = 8 << 20


def open_cloud(access: BucketAccess) -> "CloudBucket":
    url = parse_bucket_url(access.url)
    client: ClientConfig = {
        "allow_http": access.allow_http,
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
        "timeout": timedelta(seconds=_REQUEST_SECONDS),
    }
    try:
        return CloudBucket(_store(url, access, client), url)
    except (BaseError, ValueError):
        # Its own words may quote the secret.
        said = f"HEADRACE_BUCKETS: the credential or the endpoint of {url} can't be used"
        raise InvalidSetting(said, hint="see docs/buckets.md") from None


def _store(url: BucketUrl, access: BucketAccess, client: "ClientConfig") -> "ObjectStore":
    secret = access.secret.get_secret_value() if access.secret else None
    if url.scheme == "s3":
        config: S3Config = {"virtual_hosted_style_request": access.virtual_hosted}
        if access.endpoint:
            config["endpoint"] = access.endpoint
        if access.region:
            config["region"] = access.region
        if access.account and secret:
            config |= {"access_key_id": access.account, "secret_access_key": secret}
        return S3Store(url.name, config=config, client_options=client, retry_config=_RETRIES)
    if url.scheme == "gs":
        return GCSStore(url.name, service_account_key=secret, client_options=client, retry_config=_RETRIES)
    azure: AzureConfig = {"container_name": url.name}
    if access.account:
        azure["account_name"] = access.account
    if access.endpoint:
        azure["endpoint"] = access.endpoint
    if secret and "sig=" in secret:
        azure["sas_key"] = secret
    elif secret:
        azure["account_key"] = secret
    return AzureStore(config=azure, client_options=client, retry_config=_RETRIES)


class CloudBucket:
    def __init__(self, store: "ObjectStore", url: BucketUrl) -> None:
        self._store = store
        self._url = url
        self._prefix = "".join(f"{part}/" for part in url.parts)

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[Entry]]:
        with self._speaking():
            async for page in obstore.list(self._store, self._prefix + prefix, chunk_size=1000):
                yield [
                    Entry(
                        key=found["path"].removeprefix(self._prefix),
                        size=found["size"],
                        etag=(found["e_tag"] or "").strip('"'),
                        modified=found["last_modified"],
                    )
                    for found in page
                ]

    async def exists(self, key: str) -> bool:
        with self._speaking():
            try:
                await obstore.head_async(self._store, self._prefix + key)
            except FileNotFoundError:
                return False
        return True

    async def read(self, entry: Entry, start: int, end: int) -> bytes:
        with self._speaking():
            try:
                found = await obstore.get_async(
                    self._store,
                    self._prefix + entry.key,
                    options={"if_match": f'"{entry.etag}"', "range": (start, end)},
                )
            except FileNotFoundError:
                raise Moved from None
            return bytes(await found.bytes_async())

    async def read_now(self, key: str, most_bytes: int) -> bytes | None:
        with self._speaking():
            try:
                found = await obstore.get_async(self._store, self._prefix + key)
            except FileNotFoundError:
                return None
            if found.meta["size"] > most_bytes:
                raise TooLarge(f"{shown(key)} has more than {most_bytes} bytes", code="file.too_large")
            return bytes(await found.bytes_async())

    async def write(self, key: str, data: bytes | AsyncIterator[bytes], media_type: str) -> None:
        with self._speaking():
            attributes = {"Content-Type": media_type}
            await obstore.put_async(self._store, self._prefix + key, data, attributes=attributes, chunk_size=_PART)

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            # Azure says so of what is not there, S3 does not.
            with suppress(FileNotFoundError), self._speaking(missing=True):
                await obstore.delete_async(self._store, self._prefix + key)

    @contextmanager
    def _speaking(self, *, missing: bool = False) -> Iterator[None]:
        """What the client says, in our words. Its own are not passed on: they hold addresses that may be signed."""
        try:
            yield
        except FileNotFoundError:
            if missing:
                raise
            raise self._no_bucket() from None
        except PreconditionError:
            raise Moved from None
        except (BaseError, ValueError, NotImplementedError, OSError) as exc:
            raise self._error(exc) from None

    def _error(self, exc: Exception) -> HeadraceError | Moved:
        text = str(exc)
        status = int(found[1]) if (found := _STATUS.search(text)) else 0
        said = f" ({code[1]})" if (code := _CODE.search(text)) else f" ({status})" if status else ""
        if isinstance(exc, PermissionDeniedError | UnauthenticatedError) or status in {301, 307, 400, 401, 403}:
            hint = "the operator should look at the credential and its rights, in HEADRACE_BUCKETS"
            return BucketDenied(f"{self._url} refuses this server{said}", hint=hint)
        if status == 404:
            return self._no_bucket()
        if status in {412, 416}:
            return Moved()
        if "path segment" in text or "parse path" in text or "parsing Path" in text:
            name = shown(key[1]) if (key := _KEY.search(text)) else "a name"
            return InvalidInput(
                f"{self._url} holds {name!r}, which can't be a file of a project",
                code="bucket.path_invalid",
                hint="names are relative, without `..`, empty parts and control characters: rename or remove it",
            )
        return BucketUnreachable(f"{self._url} does not answer{said}", hint="try again later")

    def _no_bucket(self) -> NotFound:
        return NotFound(
            f"there is no bucket {self._url.scheme}://{self._url.name}",
            code="bucket.not_found",
            hint="the operator should make it, or look at HEADRACE_BUCKETS",
        )
