"""Follows what happens in a preview beside what this command sends: errors of the page, changes that others made."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from headrace.cli.client import Client
from headrace.cli.preview_words import Words
from headrace.errors import HeadraceError, InvalidCursor

_PAUSE = 0.5
#: Facts about versions: whose they are is only known once our own request was answered.
_OF_VERSIONS = {"preview.building", "preview.ready", "preview.failed"}


class Follower:
    """Reads the preview's log in a thread of its own, from now on, for as long as the process lives."""

    def __init__(self, project: str, words: Words, others: Callable[[], None]) -> None:
        self._path = f"/projects/{project}/preview/events"
        self._words = words
        #: Called when somebody else made a version.
        self._others = others
        self._lock = threading.Lock()
        self._sending = False
        self._held: list[tuple[Any, bytes]] = []
        self._ours: set[str] = set()
        self._client: Client | None = None
        self._since = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def follow(self, client: Client) -> None:
        """From this server. Called again, after a restart, from that one."""
        started, self._client = self._client is not None, client
        if not started:
            threading.Thread(target=self._run, name="preview events", daemon=True).start()

    def sending(self) -> None:
        """From now on a version that appears may be ours."""
        with self._lock:
            self._sending = True

    def sent(self, ours: set[str]) -> None:
        """These are ours, and their sender has said how they came out."""
        with self._lock:
            self._sending, self._ours = False, ours
            held, self._held = self._held, []
            for event, line in held:
                self._take(event, line)

    def _run(self) -> None:
        after = 0
        while True:
            try:
                assert self._client  # noqa: S101 - set by `follow`
                for line in self._client.stream(self._path, after=after, follow=True):
                    event = orjson.loads(line)
                    after = event["seq"]
                    if event["ts"] >= self._since:
                        self._heard(event, line)
            except InvalidCursor:
                # The log was begun anew.
                after = 0
            except (HeadraceError, ValueError, KeyError):
                pass
            time.sleep(_PAUSE)

    def _heard(self, event: Any, line: bytes) -> None:
        if event["type"] not in _OF_VERSIONS:
            self._words.event(line)
            return
        with self._lock:
            if self._sending:
                self._held.append((event, line))
            else:
                self._take(event, line)

    def _take(self, event: Any, line: bytes) -> None:
        if event["version_id"] in self._ours:
            return
        self._words.event(line)
        if event["type"] == "preview.building":
            self._others()
