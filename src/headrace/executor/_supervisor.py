"""
Owns one command from its start to its end, and outlives the worker that asked for it.

It holds the pipes, the limits and the sandbox's mounts, and writes `exit.json` as its last act. A command is over when
its leader has ended and nobody else is left, not at the end of its pipes: a background process can hold those open.
Standard library only: it is forked from `_spawner`, and many may live for hours.
"""

import fcntl
import json
import os
import select
import signal
import time
import traceback
from contextlib import suppress
from pathlib import Path

from headrace import linux
from headrace.eventfile import EventFile
from headrace.executor._daemon_engine import DaemonEngine
from headrace.executor._disk import DiskWatch, Used
from headrace.executor._engine import ContainerEngine, Engine, Leader, ProcessEngine
from headrace.executor._fork_bomb import ForkBomb
from headrace.executor._instructions import (
    Instructions,
    ask_to_kill,
    asked_to_kill,
    read_instructions,
    take_room,
    tell_running,
    write_into_room,
    write_once_there_is_room,
)
from headrace.executor._launch import Launch
from headrace.executor._mounts import hide_mount, launch_at, network_at, private_mounts
from headrace.executor._namespace import Ground
from headrace.executor._output import CHUNK, LogFailed, Output
from headrace.executor._proxy import make_network, start_proxy
from headrace.executor._runtime import ContainerFailed, Runtime, hidden_mount
from headrace.loglines import Stream

#: After the end of everything, for bytes that are still in the pipes.
_DRAIN_SECONDS = 2.0


class Prepared:
    """
    What a container needs whatever it runs, made before it is known, so that no start has to wait for it. With the `runtime`
    that is expected, that one is started too.
    """

    def __init__(self, ground: Ground, runtime: Runtime | None) -> None:
        private_mounts(ground)
        as_root = ground.given is None
        #: For the mounts of the root. Only root may turn owners into others, and only root needs to.
        self.namespace = linux.NewUserNamespace() if as_root else None
        self._stage = ground.stage
        # Whose limits the supervisor keeps starts it in groups that aren't there yet.
        self._launch = self._new_launch(runtime) if runtime and as_root else None
        if self._launch:
            self._launch.hold()

    def launch(self, runtime: Runtime, *, groups: bool) -> Launch:
        return self._launch or self._new_launch(runtime, groups=groups)

    def _new_launch(self, runtime: Runtime, *, groups: bool = True) -> Launch:
        if hidden := hidden_mount(runtime):
            hide_mount(hidden)
        return Launch(runtime, launch_at(self._stage), groups=groups)


def supervise(directory: Path, prepared: Prepared | OSError | None) -> None:
    """
    Run the command of `directory`. Does nothing when another supervisor has it, or when it has ended. `prepared` is there for
    containers, or why it isn't.
    """
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if (directory / "exit.json").exists():
        return
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {time.monotonic()}".encode(), 0)
    end = directory / "exit.json"
    room = take_room(end)
    result = json.dumps(_Supervisor(directory, read_instructions(directory), prepared).run()).encode()
    if room is None:
        # Gone without a word, it would be taken for killed by whoever looks when there is room again.
        write_once_there_is_room(end, result)
    else:
        write_into_room(room, end, result)


class _Supervisor:
    def __init__(self, directory: Path, instructions: Instructions, prepared: Prepared | OSError | None) -> None:
        self._prepared = prepared
        self._directory = directory
        self._instructions = instructions
        self._output = Output(
            EventFile(Path(instructions.log)),
            instructions.origin,
            log_bytes=instructions.log_bytes,
            secrets=instructions.secrets,
        )
        self._streams: dict[int, Stream] = {}
        self._killed_by: str | None = None
        self._disk_limit: str | None = None
        self._fork_bomb = ForkBomb()
        self._exit_code: int | None = None
        self._began = time.monotonic()
        self._warned = False

    def run(self) -> dict[str, object]:
        """What goes into `exit.json`."""
        self._wake = _open_wake(self._directory)
        self._obey_signals()
        linux.adopt_orphans()
        # The wish may be older than this process. Looked at after the FIFO is open, so that none falls between.
        if reason := asked_to_kill(self._directory):
            return {"killed_by": reason, "seconds": 0.0}
        try:
            engine = self._engine()
            return self._supervise(engine, self._start(engine))
        except ContainerFailed as exc:
            return {"failed": str(exc), "lost": exc.lost}
        except Exception as exc:
            traceback.print_exc()
            return {"failed": f"the supervisor failed: {exc!r}"}

    def _obey_signals(self) -> None:
        """Whoever ends this machine's services ends the command too, and its end is written down."""
        signal.signal(signal.SIGTERM, lambda *_: ask_to_kill(self._directory, "lost"))
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)

    def _engine(self) -> Engine:
        given = self._instructions
        if given.process:
            return ProcessEngine(given.process)
        if not isinstance(self._prepared, Prepared):
            raise ContainerFailed(f"no namespace for the sandbox could be made: {self._prepared}")
        if given.daemon:
            assert self._prepared.namespace  # noqa: S101 - only root has an engine
            return DaemonEngine(given, self._directory, self._prepared.namespace)
        assert given.container  # noqa: S101
        if given.egress:
            start_proxy(make_network(network_at(given.container.root.stage)), given)
        launch = self._prepared.launch(given.container.runtime, groups=given.container.own is None)
        return ContainerEngine(given.container, self._prepared.namespace, launch)

    def _start(self, engine: Engine) -> Leader:
        stdout, stderr = engine.pipes()
        self._streams = {stdout[0]: "stdout", stderr[0]: "stderr"}
        try:
            leader = engine.start(stdout[1], stderr[1])
            tell_running(self._directory, leader.pid)
            return leader
        except BaseException:
            engine.clean()
            raise
        finally:
            os.close(stdout[1])
            os.close(stderr[1])

    def _supervise(self, engine: Engine, leader: Leader) -> dict[str, object]:
        background, given = 0, self._instructions
        disk = DiskWatch(given.watched, Used(given.disk_bytes, given.disk_files), engine.processes)
        try:
            self._follow(engine, leader, disk)
            background = engine.others() if self._killed_by is None else 0
        except LogFailed as exc:
            self._killed_by = self._killed_by or ("disk" if exc.full else "lost")
        finally:
            engine.kill(leader)
        self._end_of(leader)
        if self._exit_code and self._killed_by is None and (limit := disk.exceeded_at_end()):
            self._killed_by, self._disk_limit = "disk", limit
        self._drain()
        seconds = time.monotonic() - self._began
        usage = engine.usage()
        if usage.out_of_memory and self._killed_by in (None, "lost"):
            self._killed_by = "memory"
        engine.clean()
        self._output.close()
        return {
            "exit_code": self._exit_code if self._killed_by is None else None,
            "killed_by": self._killed_by,
            "pids_limit_hit": usage.pids_limit_hit,
            "seconds": seconds,
            "peak_memory_bytes": usage.peak_memory_bytes,
            "cpu_seconds": usage.cpu_seconds,
            "background_killed": background,
            "disk_limit": self._disk_limit,
            "output": self._output.receipt(),
        }

    def _follow(self, engine: Engine, leader: Leader, disk: DiskWatch) -> None:
        """Until the leader has ended, or there is a reason to end it."""
        ends = {leader.descriptor} if leader.control is None else {leader.descriptor, leader.control}
        poller = select.poll()
        for descriptor in (*self._streams, *ends, self._wake):
            poller.register(descriptor, select.POLLIN)
        next_look = 0.0
        while self._killed_by is None:
            ready = {descriptor for descriptor, _ in poller.poll(min(disk.wait(), engine.wait()) * 1000)}
            for reader in ready.intersection(self._streams):
                if not self._read(reader) or self._is_flood():
                    poller.unregister(reader)
            if self._wake in ready:
                with suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                self._killed_by = asked_to_kill(self._directory)
            elif ready & ends:
                self._read_exit_code(leader)
                return
            if time.monotonic() >= next_look:
                self._look(engine, disk)
                for reader in self._streams:
                    poller.register(reader, select.POLLIN)
                next_look = time.monotonic() + min(disk.wait(), engine.wait())

    def _is_flood(self) -> bool:
        """
        A command without an end could have a processor thrown away what it prints, for days. It gets a chunk read with each
        look, and waits for the rest.
        """
        return self._output.full and self._instructions.soft_seconds is None

    def _read(self, reader: int) -> bool:
        """Move a chunk from a pipe to the log. False at the pipe's end."""
        try:
            chunk = os.read(reader, CHUNK)
        except BlockingIOError:
            return True
        if not chunk:
            del self._streams[reader]
            os.close(reader)
            return False
        self._output.feed(self._streams[reader], chunk)
        return True

    def _look(self, engine: Engine, disk: DiskWatch) -> None:
        given = self._instructions
        seconds = time.monotonic() - self._began
        self._output.show_waiting()
        if seconds >= given.seconds:
            self._killed_by = "timeout"
        elif engine.out_of_memory():
            self._killed_by = "memory"
        elif limit := disk.exceeded():
            self._killed_by, self._disk_limit = "disk", limit
        elif self._fork_bomb.seen(engine.refused(), seconds):
            self._killed_by = "processes"
        elif given.soft_seconds is not None and seconds >= given.soft_seconds and not self._warned:
            self._warned = True
            text = f"{seconds:.0f} s of the {given.seconds:g} s that this step may take have passed"
            self._output.warn("limit.time_soon", text)

    def _read_exit_code(self, leader: Leader) -> None:
        if leader.control is not None:
            os.set_blocking(leader.control, False)
            with suppress(OSError, ValueError):
                self._exit_code = int(os.read(leader.control, 64))

    def _end_of(self, leader: Leader) -> None:
        with suppress(ChildProcessError):
            _, status = os.waitpid(leader.pid, 0)
            if leader.control is None:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = code if code >= 0 else 128 - code
        if self._exit_code is None and self._killed_by is None:
            # Somebody outside killed the first process: how the command would have ended is not known.
            self._killed_by = "lost"

    def _drain(self) -> None:
        """What was printed before the end. Everybody who could print is gone, except from a process without a sandbox."""
        end = time.monotonic() + _DRAIN_SECONDS
        while self._streams and time.monotonic() < end:
            ready, _, _ = select.select(list(self._streams), [], [], 0.05)
            if not ready and self._instructions.process:
                return
            for reader in ready:
                with suppress(LogFailed):
                    self._read(reader)


def _open_wake(directory: Path) -> int:
    """A FIFO that is also held open for writing, so that it never reports its end."""
    with suppress(FileExistsError):
        os.mkfifo(directory / "wake", 0o600)
    return os.open(directory / "wake", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
