"""Hosts that want a credential, that are elsewhere, that are silent, slow or gone."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from headrace.errors import InvalidInput
from headrace.model.diagnostic import FailureReason
from headrace.model.version import GitSource
from headrace.settings import Settings
from headrace.source.git import GitFetcher

TOKEN = "tok-4f1c-Secret+/="
#: As it is written inside an address.
QUOTED = "tok-4f1c-Secret%2B%2F%3D"


class TestPrivate:
    async def test_a_token_reads_a_private_repository_and_stays_out_of_sight(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any, argument_lists: Any
    ) -> None:
        git_host.repository("private/r").commit({"a": b"1"})
        url = f"https://ann:{QUOTED}@localhost:{git_host.port}/private/r"
        seen: set[str] = set()
        task = asyncio.create_task(fetch(settings, tmp_path / "out", GitSource(url=url)))
        while not task.done():
            seen |= argument_lists()
            await asyncio.sleep(0)
        fetched = await task
        assert any("git-upload-pack" in line or "ls-remote" in line for line in seen)
        kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
        for text in (" ".join(seen), fetched.model_dump_json(), kept.decode(errors="replace")):
            assert TOKEN not in text
            assert QUOTED not in text

    @pytest.mark.parametrize("user", ["", "ann:wrong@", "ann@"])
    async def test_without_the_right_token_it_ends_at_once_and_asks_nobody(
        self, settings: Settings, git_host: Any, tmp_path: Path, user: str, refused: Any
    ) -> None:
        git_host.repository("private/r").commit({"a": b"1"})
        started = time.monotonic()
        failure = await refused(
            settings, tmp_path / "out", GitSource(url=f"https://{user}localhost:{git_host.port}/private/r")
        )
        assert failure.reason is FailureReason.SOURCE_AUTH_FAILED
        assert time.monotonic() - started < 15
        assert "wrong" not in failure.model_dump_json()

    async def test_a_mirror_that_was_fetched_with_a_token_is_not_read_without_it(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any, refused: Any
    ) -> None:
        commit = git_host.repository("private/r").commit({"a": b"1"})
        await fetch(
            settings, tmp_path / "1", GitSource(url=f"https://ann:{QUOTED}@localhost:{git_host.port}/private/r")
        )
        failure = await refused(settings, tmp_path / "2", GitSource(url=git_host.url("private/r"), commit=commit))
        assert failure.reason is FailureReason.SOURCE_AUTH_FAILED


class TestHosts:
    async def test_a_private_address_is_refused_unless_the_operator_lists_the_host(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        git_host.repository("r").commit({"a": b"1"})
        for host in ("127.0.0.1", "other.example"):
            fetcher = GitFetcher(settings, resolve=lambda host, port: ["127.0.0.1"])
            with pytest.raises(InvalidInput) as caught:
                await fetcher.fetch(GitSource(url=git_host.url("r", host)), tmp_path / "out", seconds=20)
            assert caught.value.exact_code == "source.address_forbidden"
        assert git_host.requests == []

    async def test_the_connection_goes_where_the_check_looked(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any
    ) -> None:
        # No name server knows git.example: only the pinned address can have been used.
        git_host.repository("r").commit({"a": b"1"})
        lookups: list[str] = []

        def resolve(host: str, port: int) -> Collection[str]:
            lookups.append(host)
            return ["127.0.0.1"]

        fetcher = GitFetcher(settings, resolve=resolve)
        await fetcher.fetch(GitSource(url=git_host.url("r", "git.example")), tmp_path / "out", seconds=20)
        assert lookups == ["git.example"]

    @pytest.mark.parametrize("to", ["https://127.0.0.1:9/r", "file:///etc", "http://169.254.169.254/"])
    async def test_a_redirect_is_not_followed(
        self, settings: Settings, git_host: Any, tmp_path: Path, to: str, refused: Any
    ) -> None:
        git_host.moved_to = to
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("moved/r")))
        assert failure.reason is FailureReason.SOURCE_FORBIDDEN
        assert "source.redirect_forbidden" in failure.message

    async def test_a_certificate_that_is_not_trusted_ends_it(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        git_host.repository("r").commit({"a": b"1"})
        other = settings.model_copy(update={"ca_file": Path("/etc/ssl/certs/ca-certificates.crt")})
        failure = await refused(other, tmp_path / "out", GitSource(url=git_host.url("r")))
        assert failure.reason is FailureReason.SOURCE_UNREACHABLE
        assert "HEADRACE_CA_FILE" in failure.hint

    async def test_a_port_where_nobody_listens(self, settings: Settings, tmp_path: Path, refused: Any) -> None:
        failure = await refused(settings, tmp_path / "out", GitSource(url="https://localhost:9/r"))
        assert failure.reason is FailureReason.SOURCE_UNREACHABLE

    async def test_a_host_that_never_answers_costs_the_limit_and_leaves_no_process(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any, argument_lists: Any
    ) -> None:
        started = time.monotonic()
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("silent/r")), seconds=1)
        assert failure.reason is FailureReason.SOURCE_TIMEOUT
        assert time.monotonic() - started < 30
        assert not any(git_host.url("silent/r") in line for line in argument_lists())

    async def test_a_host_that_sends_a_byte_at_a_time_costs_the_limit(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        git_host.repository("r").commit({"a": os.urandom(10_000)})
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("trickle/r")), seconds=2)
        assert failure.reason is FailureReason.SOURCE_TIMEOUT

    async def test_a_connection_that_ends_in_the_middle_leaves_nothing_half(
        self, settings: Settings, git_host: Any, tmp_path: Path, refused: Any
    ) -> None:
        git_host.repository("r").commit({"a": os.urandom(200_000)})
        failure = await refused(settings, tmp_path / "out", GitSource(url=git_host.url("broken/r")))
        assert failure.reason is FailureReason.SOURCE_UNREACHABLE

    async def test_cancelling_ends_every_process(
        self, settings: Settings, git_host: Any, tmp_path: Path, fetch: Any, argument_lists: Any
    ) -> None:
        task = asyncio.create_task(fetch(settings, tmp_path / "out", GitSource(url=git_host.url("silent/r"))))
        while not any("git-remote-https" in line and git_host.url("silent/r") in line for line in argument_lists()):
            await asyncio.sleep(0.01)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 30
        assert not any(git_host.url("silent/r") in line for line in argument_lists())

    def test_git_ends_with_the_process_that_wanted_it(self, git_host: Any, tmp_path: Path, argument_lists: Any) -> None:
        code = (
            "import asyncio, sys; from pathlib import Path; from headrace.settings import Settings\n"
            "from headrace.source.git import GitFetcher; from headrace.model.version import GitSource\n"
            "into = Path(sys.argv[1]); own = Settings(data_dir=into / 'd', git_hosts=('localhost',), ca_file=sys.argv[3])\n"
            "asyncio.run(GitFetcher(own).fetch(GitSource(url=sys.argv[2]), into / 'o', seconds=60))"
        )
        argv = [sys.executable, "-c", code, str(tmp_path), git_host.url("silent/r"), str(git_host.certificate)]
        with subprocess.Popen(argv) as process:
            while not any("git-remote-https" in line and git_host.url("silent/r") in line for line in argument_lists()):
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
        wait_until(lambda: not any(git_host.url("silent/r") in line for line in argument_lists()))
