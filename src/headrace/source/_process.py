"""Runs git commands: bounded output, bounded time, and a process group that is gone when the call returns."""

import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from headrace.source._command import GitCommand
from headrace.source._stop import Stop

_CHUNK = 1 << 16
#: Becomes the command, and leaves beside it a watcher that ends the process group when the pipe $1 does: with this process, even
#: when it is killed. git's own helpers would wait for a silent host for minutes.
_WATCHED = '(read -r _; kill -KILL 0) <&"$1" >/dev/null 2>&1 & shift; exec "$@"'
_STDERR_BYTES = 16 * 1024


class GitFailed(Exception):
    """git ended with an error, or was ended. `text` is the beginning and the end of what it said."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"git ended with {status}")
        self.status = status
        self.text = text


class TooMuchOutput(Exception):
    """git printed more than the caller takes."""


class NoAnswer(Exception):
    """git was not ready in the time that the caller gives this one command."""


@dataclass
class _Output:
    out: list[bytes]
    err: bytes = b""
    size: int = 0
    too_much: bool = False


def run_git(command: GitCommand, stop: Stop, *, most: int = 1 << 20, seconds: float | None = None) -> bytes:
    """
    What git prints. Raises GitFailed, TooMuchOutput beyond `most` bytes, NoAnswer after `seconds`, and Stopped when the work
    was asked to end.
    """
    with _started(command, stop, stderr=subprocess.PIPE) as process:
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(seconds, end) if seconds else None
        if timer:
            timer.start()
        try:
            output = _collect(process, most)
        finally:
            if timer:
                timer.cancel()
                timer.join()
    stop.check()
    if output.too_much:
        raise TooMuchOutput
    if late.is_set():
        raise NoAnswer
    if process.returncode:
        raise GitFailed(process.returncode, output.err.decode(errors="replace"))
    return b"".join(output.out)


@contextmanager
def reading_git(command: GitCommand, stop: Stop, stdin: IO[bytes]) -> Iterator[IO[bytes]]:
    """git's output as a stream, of a command that reaches nothing and is given `stdin`. Raises GitFailed and Stopped at the end."""
    with _started(command, stop, stdin=stdin, stderr=subprocess.DEVNULL) as process:
        assert process.stdout  # noqa: S101 - for the type checker
        yield process.stdout
    stop.check()
    if process.returncode:
        raise GitFailed(process.returncode, "")


@contextmanager
def _started(
    command: GitCommand, stop: Stop, *, stderr: int, stdin: IO[bytes] | int = subprocess.DEVNULL
) -> Iterator["subprocess.Popen[bytes]"]:
    stop.check()
    ours, its = _lifeline()
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHED, "sh", str(its), *command.argv],
            env=dict(command.env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=1 << 20,
            start_new_session=True,
            pass_fds=(its,),
            cwd="/",
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(its)
    try:
        with stop.killing(lambda: _kill(process)):
            yield process
            _wait(process)
    finally:
        # The group's number stays ours until its leader is waited for, so nothing else can be hit.
        _kill(process)
        process.wait()
        os.close(ours)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def _lifeline() -> tuple[int, int]:
    """A pipe that ends with this process: the end that it keeps, and the one for the watcher."""
    its, ours = os.pipe()
    return ours, its


def _wait(process: "subprocess.Popen[bytes]") -> None:
    """Wait for the leader's end without taking its number off the table."""
    if process.stdout:
        # A leader that still wants to print must not wait for a reader that has gone.
        process.stdout.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _collect(process: "subprocess.Popen[bytes]", most: int) -> _Output:
    output = _Output(out=[])
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            selector.register(stream, selectors.EVENT_READ)  # type: ignore[arg-type]
        while selector.get_map():
            for key, _ in selector.select():
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    output.err = _ends(output.err + chunk)
                else:
                    output.size += len(chunk)
                    output.out.append(chunk)
                    if output.size > most:
                        output.too_much = True
                        _kill(process)
                        return output
    return output


def _ends(text: bytes) -> bytes:
    """The beginning and the end of a text: the cause is in one of them, and a server can send any amount between."""
    return text if len(text) <= _STDERR_BYTES else text[: _STDERR_BYTES // 2] + text[-_STDERR_BYTES // 2 :]
