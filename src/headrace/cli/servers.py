"""Finds the server of this data directory, or starts one."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from headrace.cli.client import Client, error_class
from headrace.errors import HeadraceError, NotAuthenticated, NotFound, ServerUnreachable, Unavailable
from headrace.settings import Settings, server_url

_LOOK_SECONDS = 0.3


@dataclass
class Server:
    """A server that commands talk to."""

    client: Client
    #: The process, when this command started it.
    process: "subprocess.Popen[bytes] | None" = None

    def stop(self) -> None:
        """End the server that was started here; nothing happens to one that was there before."""
        if self.process:
            self.process.terminate()
            self.process.wait()

    def check(self, settings: Settings) -> None:
        """Raises Unavailable when the server was started here and has ended: nobody starts it again."""
        if self.process and self.process.poll() is not None:
            raise Unavailable(
                f"the server ended with status {self.process.returncode}", hint=f"see {settings.data_dir}/server.log"
            )

    def stay(self, settings: Settings) -> NoReturn:
        """Wait for Ctrl-C. Raises KeyboardInterrupt, and what `check` does."""
        while True:
            self.check(settings)
            # Not for ever: a signal that comes in the moment before a wait does not end it.
            time.sleep(_LOOK_SECONDS)


def known(settings: Settings) -> Client | None:
    """The server that HEADRACE_URL names, or else the one of this data directory, if it answers."""
    if url := server_url():
        return Client(url, settings.token or _kept_token(settings))
    return _announced(settings)


def connect(settings: Settings) -> Client:
    """For commands that act. Raises ServerUnreachable when no server runs."""
    if client := known(settings):
        return client
    raise ServerUnreachable(
        "no server runs for this data directory",
        hint="start one with `headrace serve` or `headrace up`, or set HEADRACE_URL and HEADRACE_TOKEN",
    )


@contextmanager
def reading(settings: Settings) -> Iterator[Client]:
    """For commands that only look: the known server, or one that answers for this command alone."""
    if client := known(settings):
        yield client
    elif not (settings.data_dir / "headrace.db").exists():
        raise NotFound(f"nothing was built yet: {settings.data_dir} is empty", hint="headrace up DIRECTORY")
    else:
        with _child(settings, ["--port", "0", "--only-answer"], stays=False) as server:
            yield server.client


@contextmanager
def serving(settings: Settings, *, port: int | None, stays: bool) -> Iterator[Server]:
    """For commands that build: the known server, or one that is started. It ends with this context unless it `stays`."""
    if client := known(settings):
        yield Server(client)
        return
    if port is None:
        port = settings.port if _is_free(settings.host, settings.port) else 0
    with _child(settings, ["--port", str(port)], stays=stays) as server:
        yield server


def _announced(settings: Settings) -> Client | None:
    """The server of this data directory, if one answers."""
    try:
        found = json.loads((settings.data_dir / "server.json").read_bytes())
        os.kill(found["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    client = Client(found["url"], settings.token or _kept_token(settings))
    return client if client.ready() else None


@contextmanager
def _child(settings: Settings, options: list[str], *, stays: bool) -> Iterator[Server]:
    """
    `headrace serve` as a process of its own, in a session of its own: Ctrl-C is for this process, which ends it in order.

    A server that doesn't stay reads a pipe that this process holds, so it also ends when this process is killed.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = settings.data_dir / "server.log"
    argv = [sys.executable, "-I", "-m", "headrace", "serve", *options, *([] if stays else ["--until-stdin-closes"])]
    stdin = subprocess.DEVNULL if stays else subprocess.PIPE
    with log.open("ab") as words:
        begin = words.tell()
        process = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=words, start_new_session=True)
    assert process.stdout  # noqa: S101 - it is a pipe
    try:
        # The first line is the server's address; none means that it has ended.
        url = process.stdout.readline().decode().strip()
        if not url:
            process.wait()
            raise _reason(log, begin)
        yield Server(Client(url, settings.token or _kept_token(settings)), process)
    except BaseException:
        process.terminate()
        raise
    finally:
        if process.stdin:
            process.stdin.close()
            process.wait()
        process.stdout.close()
        # One that stays is left running on purpose; Popen would complain.
        process.returncode = process.poll() or 0


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


def _reason(log: Path, begin: int) -> HeadraceError:
    """Why a server did not start: the error that it printed last."""
    said = log.read_bytes()[begin:].decode(errors="replace").strip()
    found = re.search(r"^error: (?P<message>.*) \[(?P<code>[\w.]+)\](?:\nhint: (?P<hint>.*))?", said, re.MULTILINE)
    if found is None:
        last = said.splitlines()[-1] if said else "it said nothing"
        return Unavailable(f"the server did not start: {last}", hint=f"its log is {log}")
    kind = error_class(found["code"]) or Unavailable
    return kind(found["message"], hint=found["hint"], code=found["code"])
