"""
The append-only NDJSON file of one build's events: numbering, locking, tailing.

Standard library only: a supervisor imports this without the rest of Headrace.
"""

from collections.abc import Sequence
from pathlib import Path


class EventFile:
    """One event file. Any number of processes may hold one and append; the numbers stay dense."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, records: Sequence[bytes], *, close: bool = False) -> int:
        """
        Append records and return the number of the first. A record is a JSON object without its beginning:
        `"ts":"…","type":"…",…}`; `{"seq":N,` is written before it and a newline behind it.
        """
        raise NotImplementedError
