"""Buckets of every kind, and real servers that speak like the vendors': moto for S3, Azurite for Azure."""

import base64
import hashlib
import hmac
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote
from uuid import uuid4

import httpx2
import obstore
import pytest
from obstore.store import AzureStore, MemoryStore
from pydantic import SecretStr

from headrace.model.bucket import BucketAccess, parse_bucket_url
from headrace.settings import Settings
from headrace.source._bucket import Bucket
from headrace.source._bucket_cloud import CloudBucket
from headrace.source.bucket import BucketFetcher, open_bucket

if TYPE_CHECKING:  # it is in the stubs only
    from obstore.store import ObjectStore

REPOSITORY = Path(__file__).parents[3]
AZURITE = REPOSITORY / ".headrace" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
MOTO = Path(sys.executable).parent / "moto_server"
#: The account that every Azurite has.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#: moto looks at its form only, unless it is told otherwise.
S3_HEADERS = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
}


class Peer:
    """A server process of the tests, on a port that it chose itself."""

    def __init__(self, argv: list[str], place: Path, environment: dict[str, str] | None = None) -> None:
        log = place / f"{Path(argv[0]).name}-{uuid4().hex[:8]}.log"
        with log.open("wb") as output:
            env = {**os.environ, **(environment or {})}
            self.process = subprocess.Popen(argv, stdout=output, stderr=output, cwd=place, env=env)
        deadline = time.monotonic() + 60
        while not (said := re.search(r"(?:Running|listens) on (http://127\.0\.0\.1:[1-9]\d*)", log.read_text())):
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        self.url = said[1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Kind(Protocol):
    """A bucket that the tests write to past Headrace, as other programs do."""

    name: str
    access: BucketAccess

    def put(self, key: str, data: bytes) -> None: ...

    def delete(self, key: str) -> None: ...

    def all(self) -> dict[str, bytes]: ...

    def media_type(self, key: str) -> str | None:
        """None where buckets keep none."""
        ...

    def open(self, access: BucketAccess) -> Bucket: ...


class Cloud:
    """What is the same for all whose client is obstore. Keys are relative to the bucket."""

    name = ""
    access: BucketAccess
    store: "ObjectStore"

    def put(self, key: str, data: bytes) -> None:
        obstore.put(self.store, key, data)

    def delete(self, key: str) -> None:
        obstore.delete(self.store, key)

    def all(self) -> dict[str, bytes]:
        found = [entry["path"] for page in obstore.list(self.store) for entry in page]
        return {key: bytes(obstore.get(self.store, key).bytes()) for key in found}

    def media_type(self, key: str) -> str | None:
        return str(obstore.get(self.store, key).attributes["Content-Type"])

    def open(self, access: BucketAccess) -> Bucket:
        return open_bucket(access)


class Memory(Cloud):
    name = "memory"

    def __init__(self) -> None:
        self.access = BucketAccess(url="s3://memory")
        self.store = MemoryStore()

    def open(self, access: BucketAccess) -> Bucket:
        return CloudBucket(self.store, parse_bucket_url(access.url))


class Moto(Cloud):
    name = "s3"

    def __init__(self, endpoint: str) -> None:
        bucket = f"test-{uuid4().hex[:12]}"
        self.address = f"{endpoint}/{bucket}"
        self.access = BucketAccess(
            url=f"s3://{bucket}",
            endpoint=endpoint,
            region="us-east-1",
            account="id",
            secret=SecretStr("the secret of s3"),
            allow_http=True,
        )
        assert httpx2.put(self.address, headers=S3_HEADERS).is_success
        opened = open_bucket(self.access)
        assert isinstance(opened, CloudBucket)
        self.store = opened._store

    def put(self, key: str, data: bytes) -> None:
        """Any key at all: the client would refuse some."""
        server, bucket = self.address.removeprefix("http://").split("/")
        # Sent as it is: other clients would resolve `..`.
        connection = HTTPConnection(server)
        connection.request("PUT", f"/{bucket}/{quote(key)}", data, S3_HEADERS)
        assert connection.getresponse().status == 200
        connection.close()


class Oss(Moto):
    """A server of S3 that refuses what Alibaba OSS refuses."""

    name = "oss"

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.front = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.front.serve_forever, args=(0.05,), daemon=True).start()
        front = f"http://127.0.0.1:{self.front.server_address[1]}"
        self.access = self.access.model_copy(update={"endpoint": front, "virtual_hosted": True})

    def close(self) -> None:
        self.front.shutdown()
        self.front.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server, bucket = self.address.removeprefix("http://").split("/")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                conditional = {"if-match", "if-none-match"} & {name.lower() for name in self.headers}
                if re.match(rf"/{bucket}([/?]|$)", self.path):
                    self._refuse(403, "SecondLevelDomainForbidden")
                elif self.command == "PUT" and conditional:
                    self._refuse(501, "NotImplemented")
                elif self.command == "POST" and "?delete" in self.path and "Content-MD5" not in self.headers:
                    self._refuse(400, "MissingArgument")
                else:
                    self._pass(body)

            do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

            def _refuse(self, status: int, code: str) -> None:
                self._answer(status, {}, f"<Error><Code>{code}</Code></Error>".encode())

            def _pass(self, body: bytes) -> None:
                connection = HTTPConnection(server)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                connection.request(self.command, f"/{bucket}{self.path}", body, headers)
                answer = connection.getresponse()
                self._answer(answer.status, dict(answer.getheaders()), answer.read())
                connection.close()

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                        self.send_header(name, value)
                size = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
                self.send_header("Content-Length", size)
                self.end_headers()
                self.wfile.write(body)

        return Handler


class Azurite(Cloud):
    name = "azure"

    def __init__(self, endpoint: str) -> None:
        container = f"test-{uuid4().hex[:12]}"
        self.access = BucketAccess(
            url=f"az://{container}",
            endpoint=f"{endpoint}/{ACCOUNT}",
            account=ACCOUNT,
            secret=SecretStr(ACCOUNT_KEY),
            allow_http=True,
        )
        self._make(f"{endpoint}/{ACCOUNT}", container)
        opened = open_bucket(self.access)
        assert isinstance(opened, CloudBucket)
        assert isinstance(opened._store, AzureStore)
        self.store = opened._store

    def _make(self, account: str, container: str) -> None:
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "Content-Length": "0"}
        resource = f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-08-06\n{resource}"
        signed = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}"
        answer = httpx2.put(f"{account}/{container}?restype=container", headers=headers)
        assert answer.is_success, answer.text


class Directory:
    name = "directory"

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.access = BucketAccess(url=f"file://{root}")

    def put(self, key: str, data: bytes) -> None:
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)

    def delete(self, key: str) -> None:
        (self.root / key).unlink()

    def all(self) -> dict[str, bytes]:
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}

    def media_type(self, key: str) -> str | None:
        return None

    def open(self, access: BucketAccess) -> Bucket:
        return open_bucket(access)


@pytest.fixture(scope="session")
def start_moto(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Peer]:
    place = tmp_path_factory.mktemp("moto")
    return lambda **environment: Peer([str(MOTO), "-H", "127.0.0.1", "-p", "0"], place, environment)


@pytest.fixture(scope="session")
def start_azurite(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Peer]:
    if not AZURITE.exists():
        pytest.skip("Azurite is not installed: scripts/setup brings it")
    place = tmp_path_factory.mktemp("azurite")
    argv = [str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
    return lambda: Peer([*argv, "--disableTelemetry", "--skipApiVersionCheck", "--silent"], place)


@pytest.fixture(scope="session")
def moto(start_moto: Callable[..., Peer]) -> Iterator[Peer]:
    peer = start_moto()
    yield peer
    peer.kill()


@pytest.fixture(scope="session")
def azurite(start_azurite: Callable[..., Peer]) -> Iterator[Peer]:
    peer = start_azurite()
    yield peer
    peer.kill()


@pytest.fixture(scope="session")
def s3_of() -> Callable[[str], Kind]:
    """A new bucket of the server at this address."""
    return Moto


@pytest.fixture(params=["memory", "directory", "s3", "oss", "azure"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    """An empty bucket of each kind."""
    match request.param:
        case "memory":
            yield Memory()
        case "directory":
            yield Directory(tmp_path / "bucket")
        case "s3":
            yield Moto(request.getfixturevalue("moto").url)
        case "oss":
            oss = Oss(request.getfixturevalue("moto").url)
            yield oss
            oss.close()
        case _:
            yield Azurite(request.getfixturevalue("azurite").url)


@pytest.fixture
def settings(kind: Kind, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        buckets={"main": kind.access},
        upload_files=60,
        upload_bytes=8 << 20,
        clone_seconds=60,
    )


@pytest.fixture
def fetcher(kind: Kind, settings: Settings) -> BucketFetcher:
    return BucketFetcher(settings, open_bucket=kind.open)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    made = tmp_path / "scratch" / "source"
    made.mkdir(parents=True)
    return made
