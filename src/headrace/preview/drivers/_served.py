"""A development server that nobody can give orders: it is asked for pages, and its log is read."""

import asyncio
import re
from collections.abc import Callable, Sequence
from html import unescape
from typing import ClassVar

from headrace.diagnostics.base import LogLine, Parser
from headrace.diagnostics.diagnose import LAST, PARSERS
from headrace.diagnostics.fit import cut
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic
from headrace.preview.base import Change, Link, Outcome, Setup
from headrace.preview.drivers._http import Answer, ask

_ADDRESS = re.compile(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::(?P<port>\d{2,5}))(?![\d.])")
_TITLE = re.compile(r"<(?:title|h1|pre)[^>]*>([^<]{1,600})<", re.IGNORECASE)
#: Lines of a log that are looked at for one answer; a server may print megabytes.
_MOST_LINES = 2_000


class ServedBuilder:
    """Implements `Builder` over any server. What its tool means by its log is said by `parsers`."""

    parsers: ClassVar[Sequence[Parser]] = (*PARSERS, *LAST)
    #: A bundler's first compile, on a machine that does other things too. A server that dies is not waited for.
    first_seconds: ClassVar[float] = 300.0
    apply_seconds: ClassVar[float] = 60.0
    #: How long its log says nothing before it counts as done.
    quiet_seconds: ClassVar[float] = 0.15
    #: How often a page that answers 5xx is asked for again, when the log does not say why.
    tries: ClassVar[int] = 4

    def __init__(self, setup: Setup, link: Link, name: str) -> None:
        assert setup.page_port is not None  # noqa: S101 - set by its driver
        self._asked_port = self._port = setup.page_port
        self._directory = setup.directory
        self._paths = set(setup.paths)
        self._link = link
        self._name = name
        #: Lines up to here were looked at for addresses. What follows them is read once, however much is printed.
        self._seen = 0
        self._end = 0
        self._ports = [setup.page_port]

    async def first(self) -> Outcome:
        try:
            async with asyncio.timeout(self.first_seconds):
                while not await self._listens():
                    if self._link.ended:
                        return self._failed(f"{self._name} ended before it answered", 0)
                    await asyncio.sleep(0.05)
                return await self._looked(0)
        except TimeoutError:
            where = f"on port {self._asked_port}, nor on one that its log names"
            return self._failed(f"{self._name} did not answer {where} within {self.first_seconds:.0f} s", 0)

    def expect(self) -> None:
        pass  # such servers can't be told

    async def apply(self, change: Change) -> Outcome:
        self._paths.update(change.written)
        self._paths.difference_update(change.removed)
        before = self._last()
        try:
            async with asyncio.timeout(self.apply_seconds):
                await self._quiet(before)
                return await self._looked(before)
        except TimeoutError:
            return self._failed(f"{self._name} did not answer within {self.apply_seconds:.0f} s", before)

    async def source_map(self, path: str) -> bytes | None:  # noqa: ARG002 - such servers keep theirs to themselves
        return None

    def on_error(self, tell: Callable[[Outcome], None]) -> None:
        """It tells nothing by itself."""

    async def close(self) -> None:
        """Each question has a connection of its own."""

    async def _looked(self, after: int) -> Outcome:
        """The page as it is now, asked for until it is there or the log says what is wrong."""
        answer: Answer | None = None
        for attempt in range(self.tries):
            if attempt:
                await asyncio.sleep(0.25 * attempt)
            answer = await ask(self._link, self._port, "/", self.apply_seconds)
            if self._link.ended:
                return self._failed(f"{self._name} ended", after)
            if answer is not None and answer.status < 500:
                return Outcome(ok=True, page_port=self._port)
            await self._quiet(self._last())
            if any(one.file for one in self._diagnostics(after)):
                break
        if answer is None:
            return self._failed(f"{self._name} does not listen on port {self._port} any more", after)
        said = _TITLE.search(answer.text)
        about = f": {cut(unescape(said[1]).strip(), 300)}" if said else ""
        return self._failed(f"the page answers {answer.status}{about}", after)

    async def _listens(self) -> bool:
        """Whether it answers: on the port it was given, or on the one that it says it has."""
        for line in self._link.lines(self._seen):
            self._seen = line.seq
            self._ports += [int(found["port"]) for found in _ADDRESS.finditer(line.text[:1000])]
        self._ports = list(dict.fromkeys(port for port in self._ports if 0 < port < 65536))[:20]
        for port in self._ports:
            if await ask(self._link, port, "/", self.first_seconds) is not None:
                self._port = port
                return True
        return False

    async def _quiet(self, seen: int) -> None:
        while True:
            await asyncio.sleep(self.quiet_seconds)
            last = self._last()
            if last == seen:
                return
            seen = last

    def _last(self) -> int:
        """The number of the last line there is."""
        lines = self._link.lines(self._end)
        self._end = lines[-1].seq if lines else self._end
        return self._end

    def _diagnostics(self, after: int) -> tuple[Diagnostic, ...]:
        lines = [LogLine(seq=line.seq, text=line.text[:2000]) for line in self._link.lines(after)[-_MOST_LINES:]]
        places = Places(self._paths, self._directory)
        for parser in self.parsers:
            if found := parser.parse(lines, places):
                unique = {(one.diagnostic.file, one.diagnostic.line, one.diagnostic.message): one for one in found}
                return tuple(one.diagnostic for one in unique.values())[:10]
        return ()

    def _failed(self, message: str, after: int) -> Outcome:
        diagnostics = self._diagnostics(after)
        if diagnostics:
            return Outcome(ok=False, diagnostics=diagnostics, message=f"{message}; {cut(diagnostics[0].message, 300)}")
        said = [line.text.strip() for line in self._link.lines(after)[-40:] if line.text.strip()]
        return Outcome(ok=False, message=message + (f"; it said: {cut(' / '.join(said[-3:]), 500)}" if said else ""))
