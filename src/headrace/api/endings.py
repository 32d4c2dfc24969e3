"""Waiting for builds to end, whoever works on them."""

import asyncio
from collections import defaultdict

from headrace.errors import found
from headrace.model.build import Build
from headrace.model.event import BuildCompleted, Event
from headrace.pipeline.services import Services
from headrace.records import builds

#: Another process may have the build, and then nobody here hears of its end.
_LOOK_SECONDS = 0.5


class Endings:
    """The journal tells at once of what ends in this process; a look at the row now and then finds the rest."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        services.journal.listen(self._heard)

    async def wait(self, build_id: str, seconds: float | None = None) -> Build:
        """The build when it has ended, or as it is after `seconds`. Leaving early changes nothing for the build."""
        bell = asyncio.Event()
        self._waiting[build_id].add(bell)
        try:
            async with asyncio.timeout(seconds):
                return await self._end_of(build_id, bell)
        except TimeoutError:
            return await self._row(build_id)
        finally:
            self._waiting[build_id].discard(bell)
            if not self._waiting[build_id]:
                del self._waiting[build_id]

    async def _end_of(self, build_id: str, bell: asyncio.Event) -> Build:
        while not (build := await self._row(build_id)).status.terminal:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await bell.wait()
            except TimeoutError:
                continue
        return build

    async def _row(self, build_id: str) -> Build:
        async with self._services.db.read() as c:
            return found(await builds.get(c, build_id), build_id)

    def _heard(self, event: Event) -> None:
        if isinstance(event, BuildCompleted):
            for bell in self._waiting.get(event.build_id, ()):
                bell.set()
