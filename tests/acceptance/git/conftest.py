"""Git sources are tried against a host of the tests' own."""

import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.acceptance.git.git_host import GitHost, hosting, make_certificate

from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure
from headrace.model.version import GitSource
from headrace.settings import Settings
from headrace.source.base import Fetched
from headrace.source.git import GitFetcher


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def git_host(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[GitHost]:
    with hosting(tmp_path / "host", certificate) as host:
        yield host


@pytest.fixture
def settings(tmp_path: Path, git_host: GitHost) -> Settings:
    return Settings(data_dir=tmp_path / "data", git_hosts=("localhost", "git.example"), ca_file=git_host.certificate)


async def _fetch(settings: Settings, into: Path, source: GitSource, seconds: float = 60) -> Fetched:
    return await GitFetcher(settings).fetch(source, into, seconds=seconds)


async def _refused(settings: Settings, into: Path, source: GitSource, seconds: float = 60) -> Failure:
    with pytest.raises(StepFailed) as caught:
        await _fetch(settings, into, source, seconds)
    assert not into.exists()
    assert not list(into.parent.glob(f".{into.name}*"))
    return caught.value.failure


def _argument_lists() -> set[str]:
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                found.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.fixture
def fetch() -> Callable[..., Awaitable[Fetched]]:
    """Fetch a source with these settings into this directory."""
    return _fetch


@pytest.fixture
def refused() -> Callable[..., Awaitable[Failure]]:
    """Why a source can't be fetched, after nothing of it was left."""
    return _refused


@pytest.fixture
def argument_lists() -> Callable[[], set[str]]:
    """The command lines of everything that runs on this machine."""
    return _argument_lists
