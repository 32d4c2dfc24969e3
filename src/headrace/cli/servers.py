"""Finds the server of this data directory, or starts one."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.cli.client import Client
from headrace.errors import NotAuthenticated, ServerUnreachable, Unavailable
from headrace.settings import Settings, server_url

#: Seconds that a server may need to start. The first start makes its database.
_START_SECONDS = 60
_POLL_SECONDS = 0.02


def connect(settings: Settings) -> Client:
    """The server that HEADRACE_URL names, or the one of this data directory. Raises ServerUnreachable."""
    if url := server_url():
        return Client(url, settings.token or _kept_token(settings))
    if client := running(settings):
        return client
    raise ServerUnreachable(
        "no server runs for this data directory",
        hint="start one with `headrace serve` or `headrace up`, or set HEADRACE_URL and HEADRACE_TOKEN",
    )


@contextmanager
def reading(settings: Settings) -> Iterator[Client]:
    """A server for commands that only look: `connect`, or this data directory opened in this process when none runs."""
    yield connect(settings)


def running(settings: Settings) -> Client | None:
    """The server of this data directory, if one answers."""
    try:
        found = json.loads((settings.data_dir / "server.json").read_bytes())
        os.kill(found["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    client = Client(found["url"], settings.token or _kept_token(settings))
    return client if client.ready() else None


@contextmanager
def started(settings: Settings, *, port: int | None, stays: bool) -> Iterator[Client]:
    """
    A server of this data directory that was started now. It ends with this context, or goes on when `stays`.

    A server that doesn't stay reads a pipe that this process holds, so it also ends when this process is killed.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = settings.data_dir / "server.log"
    with log.open("ab") as words:
        process = subprocess.Popen(
            [*_serve_argv(settings, port), *([] if stays else ["--until-stdin-closes"])],
            stdin=subprocess.DEVNULL if stays else subprocess.PIPE,
            stdout=words,
            stderr=words,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the server in order
        )
    try:
        yield _wait(settings, process, log)
    except BaseException:
        process.terminate()
        raise
    finally:
        if not stays:
            assert process.stdin  # noqa: S101 - it is a pipe
            process.stdin.close()
            process.wait()
        process.returncode = process.poll() or 0  # the child goes on, and that is meant


def _wait(settings: Settings, process: "subprocess.Popen[bytes]", log: Path) -> Client:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        client = running(settings)
        if client:
            return client
        if process.poll() is not None:
            raise Unavailable(f"the server did not start: {_last_words(log)}", hint=f"its log is {log}")
        time.sleep(_POLL_SECONDS)
    raise Unavailable("the server did not answer in time", hint=f"its log is {log}")


def _serve_argv(settings: Settings, port: int | None) -> list[str]:
    if port is None:
        port = settings.port if _is_free(settings.host, settings.port) else 0
    return [sys.executable, "-I", "-m", "headrace", "serve", "--port", str(port)]


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _kept_token(settings: Settings) -> str:
    try:
        return (settings.data_dir / "token").read_text().strip()
    except OSError as exc:
        raise NotAuthenticated(
            f"there is no token in {settings.data_dir}", hint="set HEADRACE_TOKEN to the server's token"
        ) from exc


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
