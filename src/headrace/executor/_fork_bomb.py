"""
Recognises a command that starts processes without end: it has been refused further ones for a while, on and on.

To be refused some is no reason to end a command, because many programs make do with fewer. One that goes on asking will not
come to an end by itself, and takes its processors until its time is over. Standard library only: the supervisor uses it.
"""

#: So long must it have been refused further ones.
PATIENCE_SECONDS = 10.0
#: Whoever asks for none that long waits for something, or tries again now and then.
_PAUSE_SECONDS = 2.0
#: Refused so many, in a burst that goes on this long, it is one, and has done enough harm: bombs are refused hundreds a second.
MANY, MANY_SECONDS = 3000, 4.0
#: One that was refused hundreds is not over when it pauses. Beside others of its kind it stands still for seconds.
_HUNDREDS, _LONG_PAUSE_SECONDS = 300, 5.0


class ForkBomb:
    def __init__(self) -> None:
        self._refused = 0
        self._last = 0.0
        #: When it began to be refused, and how many it had been until then.
        self._since: float | None = None
        self._before = 0

    def seen(self, refused: int, now: float) -> bool:
        """Whether it is one, by how many processes it was `refused` until `now`, in seconds of a clock that never goes back."""
        if refused > self._refused:
            if self._since is None:
                self._since, self._before = now, self._refused
            self._refused, self._last = refused, now
        elif now - self._last > (_LONG_PAUSE_SECONDS if self._refused - self._before >= _HUNDREDS else _PAUSE_SECONDS):
            self._since = None
        if self._since is None:
            return False
        many = self._refused - self._before >= MANY
        return self._last - self._since >= (MANY_SECONDS if many else PATIENCE_SECONDS)
