"""What goes wrong with object storage: it dies, refuses, lies about sizes, or changes while it is read."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from headrace.errors import BucketDenied, BucketUnreachable, Conflict, StepFailed
from headrace.model.bucket import BucketAccess
from headrace.model.diagnostic import FailureReason
from headrace.model.version import BucketSource, Tree, TreeFile
from headrace.settings import Settings
from headrace.source._bucket import Bucket, Entry
from headrace.source.bucket import BucketFetcher, open_bucket
from headrace.store.memory import MemoryStore

pytestmark = pytest.mark.xdist_group("buckets")
clouds = pytest.mark.parametrize("kind", ["s3", "azure"], indirect=True)

PROJECT = "prj_01m7xpeyhy9gptce7gk34taj0d"


class Between:
    """A TCP relay before a server. `cut_after` bytes of answers it breaks every connection, and takes no more."""

    def __init__(self, url: str, cut_after: int | None = None) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._server = (host, int(port))
        self._left = cut_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # A thread that waits in accept() is not woken by close() alone.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._open += [client, server]
            threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, start: socket.socket, end: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := start.recv(65536):
                if counted and self._left is not None:
                    data, self._left = data[: self._left], max(0, self._left - len(data))
                end.sendall(data)
                if self._left == 0:
                    break
        if self._left == 0:
            self.close()


@contextmanager
def relayed(access: BucketAccess, cut_after: int | None = None) -> Iterator[BucketAccess]:
    assert access.endpoint is not None
    server = "/".join(access.endpoint.split("/")[:3])
    between = Between(server, cut_after)
    yield access.model_copy(update={"endpoint": access.endpoint.replace(server, between.url)})
    between.close()


def fetcher_of(settings: Settings, access: BucketAccess) -> BucketFetcher:
    return BucketFetcher(settings.model_copy(update={"buckets": {"main": access}}))


async def failure(fetcher: BucketFetcher, source: BucketSource, into: Path, seconds: float = 60) -> Any:
    with pytest.raises(StepFailed) as caught:
        await fetcher.fetch(source, into, seconds=seconds, project_id=PROJECT)
    assert [path.name for path in into.parent.iterdir()] == ["source"]
    assert list(into.iterdir()) == []
    return caught.value.failure


# -- servers that go away ----------------------------------------------------------------------------------------------


@clouds
async def test_a_connection_that_is_cut_in_the_middle_leaves_no_half_version(
    kind: Any, settings: Settings, into: Path
) -> None:
    for n in range(20):
        kind.put(f"{PROJECT}/frontend/{n}", b"x" * 100_000)
    with relayed(kind.access, cut_after=700_000) as access:
        found = await failure(fetcher_of(settings, access), BucketSource(url=access.url), into, seconds=60)
    assert found.reason in {FailureReason.SOURCE_UNREACHABLE, FailureReason.SOURCE_TIMEOUT}
    # It is there again, and so are the files.
    await fetcher_of(settings, kind.access).fetch(
        BucketSource(url=kind.access.url), into, seconds=60, project_id=PROJECT
    )
    assert len(list((into / "frontend").iterdir())) == 20


async def test_a_server_that_is_killed_in_the_middle_leaves_no_half_version(
    start_moto: Callable[..., Any], s3_of: Callable[[str], Any], tmp_path: Path, into: Path
) -> None:
    peer = start_moto()
    kind = s3_of(peer.url)
    for n in range(60):
        kind.put(f"{PROJECT}/frontend/{n}", b"x" * 1000)

    class Killing:
        """The bucket, until the tenth file is asked for."""

        def __init__(self, inner: Bucket) -> None:
            self._inner, self._reads = inner, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        async def read(self, entry: Entry, start: int, end: int) -> bytes:
            self._reads += 1
            if self._reads == 10:
                peer.kill()
            return await self._inner.read(entry, start, end)

    settings = Settings(data_dir=tmp_path / "data", buckets={"main": kind.access})
    fetcher = BucketFetcher(settings, open_bucket=lambda access: Killing(open_bucket(access)))
    found = await failure(fetcher, BucketSource(url=kind.access.url), into)
    assert found.reason is FailureReason.SOURCE_UNREACHABLE
    assert "bucket.unreachable" in found.message


@clouds
async def test_nobody_there_is_unreachable_and_names_no_credential(kind: Any, settings: Settings, into: Path) -> None:
    access = kind.access.model_copy(update={"endpoint": "http://127.0.0.1:9/devstoreaccount1"})
    fetcher = fetcher_of(settings, access)
    found = await failure(fetcher, BucketSource(url=access.url), into)
    assert found.reason is FailureReason.SOURCE_UNREACHABLE
    for call in (
        fetcher.list_files(BucketSource(url=access.url), PROJECT),
        fetcher.read_files(BucketSource(url=access.url), PROJECT, ["frontend/a"], most_bytes=10),
    ):
        with pytest.raises(BucketUnreachable) as caught:
            await call
        assert caught.value.retryable
        assert "127.0.0.1" not in caught.value.message
        assert caught.value.__cause__ is None


async def test_a_server_that_says_nothing_is_a_timeout(tmp_path: Path, into: Path) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
    access = BucketAccess(url="s3://silent", endpoint=endpoint, account="a", secret=SecretStr("b"), allow_http=True)
    fetcher = BucketFetcher(Settings(data_dir=tmp_path / "data", buckets={"main": access}, clone_seconds=0.5))
    found = await failure(fetcher, BucketSource(url="s3://silent"), into, seconds=0.5)
    assert found.reason is FailureReason.SOURCE_TIMEOUT
    with pytest.raises(BucketUnreachable):
        await fetcher.list_files(BucketSource(url="s3://silent"), PROJECT)
    silent.close()


@clouds
async def test_a_write_that_broke_off_is_completed_by_the_next_one(kind: Any, settings: Settings) -> None:
    store = MemoryStore()
    kind.put(f"{PROJECT}/frontend/old", b"1")
    data = {f"frontend/{n}": bytes([n]) * 200_000 for n in range(20)}
    files = [TreeFile(path=path, digest=await store.put(b), size=len(b)) for path, b in data.items()]
    tree = Tree(files=tuple(sorted(files, key=lambda file: file.path)))
    with relayed(kind.access, cut_after=4_000) as access, pytest.raises(BucketUnreachable):
        await fetcher_of(settings, access).write_version(BucketSource(url=access.url), PROJECT, tree, store, seconds=60)
    # Nothing goes before everything has come.
    assert f"{PROJECT}/frontend/old" in kind.all()
    fetcher = fetcher_of(settings, kind.access)
    written = await fetcher.write_version(BucketSource(url=kind.access.url), PROJECT, tree, store, seconds=60)
    assert written.removed == 1
    assert kind.all() == {f"{PROJECT}/{path}": b for path, b in data.items()}


# -- servers that refuse -----------------------------------------------------------------------------------------------


async def refuses(fetcher: BucketFetcher, url: str, into: Path) -> None:
    found = await failure(fetcher, BucketSource(url=url), into)
    assert found.reason is FailureReason.SOURCE_AUTH_FAILED
    assert "bucket.denied" in found.message
    with pytest.raises(BucketDenied) as caught:
        await fetcher.list_files(BucketSource(url=url), PROJECT)
    assert not caught.value.retryable
    assert "HEADRACE_BUCKETS" in (caught.value.hint or "")
    with pytest.raises(StepFailed) as step:
        await fetcher.read_files(BucketSource(url=url), PROJECT, ["frontend/a"], most_bytes=10)
    assert step.value.failure.reason is FailureReason.SOURCE_AUTH_FAILED


@pytest.mark.parametrize("kind", ["azure"], indirect=True)
@pytest.mark.parametrize("secret", ["d3Jvbmc=", "sv=2021-08-06&sig=wrong%3D"])
async def test_a_wrong_key_of_azure_is_said_to_be_refused(
    kind: Any, settings: Settings, into: Path, secret: str
) -> None:
    access = kind.access.model_copy(update={"secret": SecretStr(secret)})
    await refuses(fetcher_of(settings, access), access.url, into)


async def test_a_wrong_key_of_s3_is_said_to_be_refused(
    start_moto: Callable[..., Any], s3_of: Callable[[str], Any], tmp_path: Path, into: Path
) -> None:
    # One request is free: the one that makes the bucket.
    peer = start_moto(INITIAL_NO_AUTH_ACTION_COUNT="1")
    kind = s3_of(peer.url)
    fetcher = BucketFetcher(Settings(data_dir=tmp_path / "data", buckets={"main": kind.access}))
    await refuses(fetcher, kind.access.url, into)
    peer.kill()


@pytest.mark.parametrize("kind", ["oss"], indirect=True)
async def test_a_store_that_takes_virtual_hosted_requests_only_says_so(
    kind: Any, settings: Settings, into: Path
) -> None:
    access = kind.access.model_copy(update={"virtual_hosted": False})
    found = await failure(fetcher_of(settings, access), BucketSource(url=access.url), into)
    assert found.reason is FailureReason.SOURCE_AUTH_FAILED
    assert "SecondLevelDomainForbidden" in found.message


@pytest.mark.parametrize("kind", ["directory"], indirect=True)
async def test_a_directory_gives_nothing_that_is_outside_of_it(
    kind: Any, settings: Settings, into: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("theirs")
    kind.put(f"{PROJECT}/frontend/a", b"1")
    frontend = kind.root / PROJECT / "frontend"
    (frontend / "file").symlink_to(outside / "secret")
    (frontend / "folder").symlink_to(outside)
    (kind.root / PROJECT / "backend").symlink_to(outside)
    (kind.root / "prj_link").symlink_to(outside)
    fetcher, source = fetcher_of(settings, kind.access), BucketSource(url=kind.access.url)
    assert [file.path for file in await fetcher.list_files(source, PROJECT)] == ["frontend/a"]
    wanted = ["frontend/file", "frontend/folder/secret", "backend/secret", "frontend/a"]
    found = await fetcher.read_files(source, PROJECT, wanted, most_bytes=100)
    assert found == {**dict.fromkeys(wanted), "frontend/a": b"1"}

    store = MemoryStore()
    entry = TreeFile(path="frontend/folder/new", digest=await store.put(b"x"), size=1)
    with pytest.raises(Exception, match="in the way"):
        await fetcher.write_version(source, PROJECT, Tree(files=(entry,)), store, seconds=9)
    assert [path.name for path in outside.iterdir()] == ["secret"]


# -- files that change meanwhile ---------------------------------------------------------------------------------------


class Changing:
    """The bucket, and somebody who writes to it each time a file is read."""

    def __init__(self, inner: Bucket, change: Callable[[int], None]) -> None:
        self._inner, self._change = inner, change
        self._reads = 0

    def pages(self, prefix: str) -> AsyncIterator[Sequence[Entry]]:
        return self._inner.pages(prefix)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read(self, entry: Entry, start: int, end: int) -> bytes:
        self._reads += 1
        await asyncio.to_thread(self._change, self._reads)
        return await self._inner.read(entry, start, end)


async def test_files_that_change_while_they_are_fetched_are_of_one_moment(
    kind: Any, settings: Settings, into: Path
) -> None:
    def change(reads: int) -> None:
        if reads == 1:
            kind.put(f"{PROJECT}/frontend/a", b"new")
            kind.put(f"{PROJECT}/frontend/b", b"newer")
            kind.delete(f"{PROJECT}/frontend/c")

    for name in "abc":
        kind.put(f"{PROJECT}/frontend/{name}", b"old")
    fetcher = BucketFetcher(settings, open_bucket=lambda access: Changing(kind.open(access), change))
    await fetcher.fetch(BucketSource(url=kind.access.url), into, seconds=60, project_id=PROJECT)
    found = {path.name: path.read_bytes() for path in (into / "frontend").iterdir()}
    assert found == {"a": b"new", "b": b"newer"}


async def test_files_that_never_rest_are_said_to_change(kind: Any, settings: Settings, into: Path) -> None:
    def change(reads: int) -> None:
        kind.put(f"{PROJECT}/frontend/a", b"%d" % reads)

    kind.put(f"{PROJECT}/frontend/a", b"0")
    fetcher = BucketFetcher(settings, open_bucket=lambda access: Changing(kind.open(access), change))
    with pytest.raises(Conflict) as caught:
        await fetcher.fetch(BucketSource(url=kind.access.url), into, seconds=60, project_id=PROJECT)
    assert caught.value.exact_code == "bucket.changed"
    assert [path.name for path in into.parent.iterdir()] == ["source"]
    assert list(into.iterdir()) == []
