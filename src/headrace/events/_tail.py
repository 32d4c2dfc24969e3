"""The growing end of one log, watched once for all who follow it in this process."""

import asyncio
import os
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from headrace.eventfile import PIECE, FileState, parse_state, piece_at, read_state, state_path

#: Pieces that followers at the same place share. With PIECE this bounds the memory of a tail.
_SHARED = 8
_BUDGET = 64 * 1024 * 1024
_LEAST = 32 * 1024
_NOWAIT = getattr(os, "RWF_NOWAIT", None)


class Tail:
    """
    Where a log has got to, and its bytes. Used from one event loop.

    One task polls the state file for what other processes append, while somebody waits; appends of this process wake
    at once through `refresh`. A follower is only an offset: one that is slow or goes away costs nothing.
    """

    def __init__(self, path: Path, poll_seconds: float) -> None:
        self.path = path
        self.state = FileState()
        #: The log was deleted: nothing more will come.
        self.gone = False
        self.followers = 0
        self._poll_seconds = poll_seconds
        self._fd = self._state_fd = -1
        self._changed = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._pieces: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    @property
    def fd(self) -> int:
        return self._fd

    @property
    def ended(self) -> bool:
        return self.state.closed or self.gone

    def refresh(self) -> None:
        """Look where the log is now, and wake the followers if it grew or ended."""
        self._reach(self._look())

    def _reach(self, state: FileState | None) -> None:
        # A state may be behind what was counted already, after a writer was killed.
        if state is not None and (state.size > self.state.size or (state.closed and not self.state.closed)):
            self.state = state
            self._wake()

    def check_gone(self) -> None:
        """Notice that the log was deleted. One that was compressed is deleted too, but then it has ended before."""
        if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
            self.refresh()
            self.gone = True
            self._wake()

    async def grown(self, beyond: int) -> None:
        """Wait until the log is longer than `beyond`, or has ended."""
        while self.state.size <= beyond and not self.ended:
            if self._poller is None or self._poller.done():
                self._poller = asyncio.create_task(self._poll(), name=f"tail {self.path.stem}")
            await self._changed.wait()

    async def piece(self, start: int) -> bytes:
        """Whole lines from offset `start` on. There must be some."""
        # A client that does not read holds up to one piece in memory, so with many clients pieces get smaller.
        size = max(_LEAST, min(PIECE, _BUDGET // max(1, self.followers)))
        end = min(self.state.size, start + size)
        piece = self._pieces.get((start, end))
        if piece is None:
            # Cold data is read in a thread: a slow disk must not hold up the other streams.
            piece = _in_memory(self._fd, start, end) or await asyncio.to_thread(
                piece_at, self._fd, start, self.state.size, size
            )
            self._pieces[start, end] = piece
            if len(self._pieces) > _SHARED:
                self._pieces.popitem(last=False)
        return piece

    async def close(self) -> None:
        if self._poller is not None:
            self._poller.cancel()
            with suppress(asyncio.CancelledError):
                await self._poller
        for descriptor in (self._fd, self._state_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._state_fd = -1

    async def _poll(self) -> None:
        looks = 0
        while not self.ended:
            await asyncio.sleep(self._poll_seconds)
            self.refresh()
            looks += 1
            if looks % 64 == 0:
                self._reach(read_state(self.path))
                self.check_gone()

    def _look(self) -> FileState | None:
        if self._fd >= 0:
            return parse_state(os.pread(self._state_fd, 64, 0))
        try:
            self._state_fd = os.open(state_path(self.path), os.O_RDONLY | os.O_CLOEXEC)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if self._state_fd >= 0:
                os.close(self._state_fd)
                self._state_fd = -1
            return None
        return read_state(self.path)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _in_memory(fd: int, start: int, end: int) -> bytes:
    """Whole lines between the offsets, if they are in the page cache; else nothing."""
    if _NOWAIT is None:
        return b""
    buffer = bytearray(end - start)
    try:
        got = os.preadv(fd, [buffer], start, _NOWAIT)
    except OSError:
        return b""
    return bytes(memoryview(buffer)[: buffer.rfind(b"\n", 0, got) + 1])
