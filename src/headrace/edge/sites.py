"""Which site a label shows now. A switch in this process is seen at once, one by another process within the time to live."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from headrace.edge.address import is_label
from headrace.edge.site import Site
from headrace.model.artifact import Manifest
from headrace.model.digest import Digest
from headrace.model.project import ProxyRule
from headrace.store.base import Store

#: How old an answer of `resolve` may be.
LIFE_SECONDS = 0.5
#: How long pages of a replaced deployment may still load their own hashed files.
GRACE_SECONDS = 600.0
_MOST_PREVIOUS = 3

_MOST_LABELS = 10_000
#: Sites in memory are limited by what their manifests take: about 1 KB for each file.
_MOST_FILES = 200_000
_LARGE = 256 * 1024

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Target:
    """What a label points at."""

    deployment_id: str
    artifact: Digest
    #: Rules of the project: what other servers answer.
    proxy: tuple[ProxyRule, ...] = ()


Resolve = Callable[[str], Awaitable[Target | None]]


class _Entry:
    """What is known of a label."""

    def __init__(self) -> None:
        self.site: Site | None = None
        self.until = 0.0
        #: Sites that were here before, the newest first, with the time when they went.
        self.previous: tuple[tuple[Site, float], ...] = ()
        self.looking: asyncio.Task[bool] | None = None

    def show(self, site: Site | None, until: float) -> None:
        if self.site is not None and site is not self.site:
            # A label that was taken away shows nothing any more, also nothing old.
            self.previous = ((self.site, time.monotonic()), *self.previous)[:_MOST_PREVIOUS] if site else ()
        self.site, self.until = site, until


class Sites:
    """For one event loop."""

    def __init__(self, store: Store, resolve: Resolve, *, life_seconds: float = LIFE_SECONDS) -> None:
        self._store = store
        self._resolve = resolve
        self._life = life_seconds
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._parsed: OrderedDict[Target, Site] = OrderedDict()
        self._files = 0

    def current(self, label: str) -> Site | None:
        """The site, if it is known for certain without waiting."""
        entry = self._entries.get(label)
        return entry.site if entry is not None and time.monotonic() < entry.until else None

    async def get(self, label: str) -> Site | None:
        """The site, or None when no deployment has the label. Raises what `resolve` and the store raise."""
        if not is_label(label):
            return None
        entry = self._entry(label)
        while time.monotonic() >= entry.until:
            if entry.looking is None:
                entry.looking = asyncio.create_task(self._look(label, entry))
                entry.looking.add_done_callback(_retrieve)
            # One look for all who wait; it goes on when one of them leaves. What an `invalidate` overtook doesn't count.
            if await asyncio.shield(entry.looking):
                break
        return entry.site

    def previous(self, label: str) -> list[Site]:
        """Sites that the label showed until a short while ago, the newest first."""
        entry = self._entries.get(label)
        since = time.monotonic() - GRACE_SECONDS
        return [site for site, gone in entry.previous if gone > since] if entry else []

    def invalidate(self, label: str) -> None:
        """The label was pointed elsewhere: the next request looks again, and answers of older looks are dropped."""
        if entry := self._entries.get(label):
            entry.until = 0.0
            entry.looking = None

    def _entry(self, label: str) -> _Entry:
        entry = self._entries.get(label)
        if entry is None:
            entry = self._entries[label] = _Entry()
            while len(self._entries) > _MOST_LABELS:
                self._entries.popitem(last=False)
        self._entries.move_to_end(label)
        return entry

    async def _look(self, label: str, entry: _Entry) -> bool:
        """Ask who is behind the label. False when the answer came too late to be true."""
        me, began = asyncio.current_task(), time.monotonic()
        try:
            target = await self._resolve(label)
            site = await self._site(target) if target else None
        except Exception:
            if entry.site is None:
                raise
            # A busy database must not take a site down that is in memory.
            _log.exception("a site's address can't be looked up; the last known answer stays", label=label)
            site = entry.site
        finally:
            current = entry.looking is me
            if current:
                entry.looking = None
        if current:
            entry.show(site, began + self._life)
        return current

    async def _site(self, target: Target) -> Site:
        site = self._parsed.get(target)
        if site is None:
            data = await self._store.read(target.artifact)
            # Large manifests take long enough to be felt by other visitors.
            site = await asyncio.to_thread(_parse, target, data) if len(data) > _LARGE else _parse(target, data)
            site = self._parsed.setdefault(target, site)
            self._make_room()
        self._parsed.move_to_end(target)
        return site

    def _make_room(self) -> None:
        self._files = sum(len(site.files) for site in self._parsed.values())
        while self._files > _MOST_FILES and len(self._parsed) > 1:
            _, gone = self._parsed.popitem(last=False)
            self._files -= len(gone.files)
            for label, entry in list(self._entries.items()):
                if entry.site is gone and entry.looking is None:
                    del self._entries[label]
                entry.previous = tuple(old for old in entry.previous if old[0] is not gone)


def _parse(target: Target, data: bytes) -> Site:
    return Site(target.deployment_id, Manifest.model_validate_json(data), proxy=target.proxy)


def _retrieve(task: "asyncio.Task[bool]") -> None:
    """The waiters get the error; when all have left, nobody needs it."""
    if not task.cancelled():
        task.exception()
