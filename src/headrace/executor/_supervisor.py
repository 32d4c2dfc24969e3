"""
Owns one command from its start to its end, and outlives the worker that asked for it.

It holds the pipes, the limits and the sandbox's mounts, and writes `exit.json` as its last act. Standard library only:
it is forked from `_spawner`, many of them may live for hours, and each is small.
"""

import fcntl
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from headrace import linux
from headrace.executor._disk import DiskWatch
from headrace.executor._engine import ContainerEngine, Engine, Leader, ProcessEngine
from headrace.executor._instructions import Instructions, asked_to_kill, read_instructions, write_aside
from headrace.executor._mounts import private_mounts
from headrace.executor._output import LogFailed, OutputLog, output_pipe
from headrace.executor._runtime import ContainerFailed, hidden_mount

_TICK = 0.25
#: After the end of everything, for bytes that are still in the pipes.
_DRAIN_SECONDS = 2.0


def supervise(directory: Path) -> None:
    """Run the command of `directory`. Does nothing when another supervisor has it, or it has ended."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if (directory / "exit.json").exists():
        return
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {time.monotonic()}".encode(), 0)
    _Supervisor(directory, read_instructions(directory)).run()


class _Supervisor:
    def __init__(self, directory: Path, instructions: Instructions) -> None:
        self._directory = directory
        self._instructions = instructions
        self._wake = _open_wake(directory)
        self._killed_by: str | None = None
        self._exit_code: int | None = None
        self._background = 0
        self._warned = False
        self._began = time.monotonic()
        self._disk = DiskWatch(instructions.watched, instructions.disk_bytes)

    def run(self) -> None:
        try:
            result = self._run()
        except ContainerFailed as exc:
            result = {"failed": str(exc)}
        write_aside(self._directory / "exit.json", json.dumps(result).encode())

    def _run(self) -> dict[str, object]:
        given = self._instructions
        linux.adopt_orphans()
        if reason := asked_to_kill(self._directory):
            return {"killed_by": reason, "seconds": 0.0}
        engine = self._engine()
        stdout, stderr = output_pipe(), output_pipe()
        self._began = time.monotonic()
        try:
            leader = engine.start(stdout[1], stderr[1])
        except ContainerFailed:
            engine.clean()
            raise
        os.close(stdout[1])
        os.close(stderr[1])
        log = OutputLog(given.log, given.build_id, given.step, given.log_bytes)
        log.attach(stdout[0], "stdout")
        log.attach(stderr[0], "stderr")
        readers = {stdout[0], stderr[0]}
        try:
            self._follow(engine, leader, log, readers)
        except LogFailed as exc:
            self._killed_by = self._killed_by or ("disk" if exc.full else "lost")
        seconds = time.monotonic() - self._began
        self._background = engine.others() if self._killed_by is None else 0
        engine.kill(leader)
        self._end_of_leader(leader)
        self._drain(log, readers)
        return self._result(engine, log, seconds)

    def _engine(self) -> Engine:
        given = self._instructions
        if given.container:
            private_mounts(hidden_mount(given.container.runtime))
            return ContainerEngine(given.container)
        assert given.process
        return ProcessEngine(given.process)

    def _follow(self, engine: Engine, leader: Leader, log: OutputLog, readers: set[int]) -> None:
        """Until the command ends, or there is a reason to end it."""
        poller = select.poll()
        control = leader.control.fileno() if leader.control else -1
        for descriptor in (*readers, self._wake, leader.descriptor, *([control] if leader.control else [])):
            poller.register(descriptor, select.POLLIN)
        next_look = 0.0
        while self._killed_by is None:
            ready = [descriptor for descriptor, _ in poller.poll(_TICK * 1000)]
            for reader in readers.intersection(ready):
                if not log.pump(reader):
                    poller.unregister(reader)
                    readers.remove(reader)
            if self._wake in ready:
                self._look_at_wish()
            if control in ready or leader.descriptor in ready:
                self._read_exit_code(leader)
                return
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + _TICK
                log.show_waiting()
                self._check_limits(engine, log)

    def _look_at_wish(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake, 4096)
        self._killed_by = self._killed_by or asked_to_kill(self._directory)

    def _check_limits(self, engine: Engine, log: OutputLog) -> None:
        given = self._instructions
        seconds = time.monotonic() - self._began
        if seconds >= given.seconds:
            self._killed_by = "timeout"
        elif engine.out_of_memory():
            self._killed_by = "memory"
        elif self._disk.exceeded():
            self._killed_by = "disk"
        elif seconds >= given.soft_seconds and not self._warned:
            self._warned = True
            text = f"{seconds:.0f} s of at most {given.seconds:.0f} s have passed"
            log.fact("build.warning", code="limit.time_soon", message=text)

    def _read_exit_code(self, leader: Leader) -> None:
        if leader.control:
            leader.control.setblocking(False)
            with suppress(BlockingIOError, ConnectionError, ValueError):
                self._exit_code = int(leader.control.recv(64))

    def _end_of_leader(self, leader: Leader) -> None:
        with suppress(ChildProcessError):
            _, status = os.waitpid(leader.pid, 0)
            if leader.control is None and self._killed_by is None:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = code if code >= 0 else 128 - code
        if self._exit_code is None and self._killed_by is None:
            # Somebody outside killed the first process: how the command would have ended is not known.
            self._killed_by = "lost"

    def _drain(self, log: OutputLog, readers: set[int]) -> None:
        end = time.monotonic() + _DRAIN_SECONDS
        with suppress(LogFailed):
            while readers and time.monotonic() < end:
                ready, _, _ = select.select(list(readers), [], [], 0.05)
                for reader in ready:
                    if not log.pump(reader):
                        readers.remove(reader)
                if not ready and self._instructions.process:
                    return

    def _result(self, engine: Engine, log: OutputLog, seconds: float) -> dict[str, object]:
        usage = engine.usage()
        if usage.out_of_memory and self._killed_by in (None, "lost"):
            self._killed_by = "memory"
        engine.clean()
        return {
            "exit_code": self._exit_code if self._killed_by is None else None,
            "killed_by": self._killed_by,
            "pids_limit_hit": usage.pids_limit_hit,
            "seconds": seconds,
            "peak_memory_bytes": usage.peak_memory_bytes,
            "cpu_seconds": usage.cpu_seconds,
            "background_killed": self._background,
            "output": log.finish(),
        }


def _open_wake(directory: Path) -> int:
    """A FIFO that we also hold open for writing, so that it never reports its end."""
    with suppress(FileExistsError):
        os.mkfifo(directory / "wake", 0o600)
    return os.open(directory / "wake", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


Stream = Literal["stdout", "stderr"]

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    supervise(Path(sys.argv[1]))
