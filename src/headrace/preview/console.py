"""
What a page told of itself, as facts: console lines, errors that nobody caught, requests that failed.

Everything here was said by a page of a tenant, in the browser of anybody: it is cut to size, cleaned and counted, and it
never changes how a preview stands.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from headrace.diagnostics.ansi import plain
from headrace.errors import InvalidInput
from headrace.model.ids import is_id
from headrace.model.preview import (
    PagePosition,
    PreviewConsole,
    PreviewError,
    PreviewEvent,
    PreviewRequestFailed,
    PreviewWarning,
)
from headrace.preview.originals import MapOf, Originals
from headrace.preview.stacktrace import Frame, frames_of

MAX_BODY = 64 * 1024
MAX_REPORTS = 60
#: Characters of a text, of an address, of a name.
LONGEST_TEXT = 4096
LONGEST_URL = 2048
LONGEST_NAME = 200
DEEPEST_STACK = 30

_OWN_SCRIPT = "/.headrace/page.js"
_ODD = re.compile("[\x80-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_REPORT_ID = re.compile(r"[A-Za-z0-9.-]{1,60}")


#: JSON knows numbers that no event could hold.
_Number = Annotated[int, Field(ge=-(10**9), le=10**9)]


class _Report(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    id: str = ""
    page: str = ""
    version_id: str | None = None
    stack: str = ""


class ConsoleReport(_Report):
    type: Literal["console"]
    level: Literal["debug", "log", "info", "warn", "error"]
    text: str


class ErrorReport(_Report):
    type: Literal["error"]
    message: str
    #: Where the browser says that it happened, for errors without a stack.
    file: str | None = None
    line: _Number | None = None
    column: _Number | None = None


class RequestReport(_Report):
    type: Literal["request"]
    method: str
    url: str
    status: _Number | None = None


class _Batch(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    version: Literal[1]
    reports: Annotated[
        tuple[Annotated[ConsoleReport | ErrorReport | RequestReport, Field(discriminator="type")], ...],
        Field(max_length=MAX_REPORTS),
    ]
    #: Reports that the page itself left out, because there were too many.
    dropped: Annotated[_Number, Field(ge=0)] = 0


Report = ConsoleReport | ErrorReport | RequestReport

_BATCH: TypeAdapter[_Batch] = TypeAdapter(_Batch)


class Batch(BaseModel):
    reports: tuple[Report, ...]
    dropped: int


def read_batch(body: bytes) -> Batch:
    """What a page posts. Raises InvalidInput for anything else."""
    try:
        batch = _BATCH.validate_json(body)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        place = "/".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{place or 'the body'}: {first['msg']}"[:300], code="report.invalid") from exc
    return Batch(reports=batch.reports, dropped=batch.dropped)


class Told:
    """Turns reports into events. One for a server: it counts for each project, and keeps decoded source maps."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._originals = Originals()
        self._clock = clock
        self._projects: OrderedDict[str, _Allowance] = OrderedDict()

    async def events(
        self, project_id: str, batch: Batch, *, origin: str, map_of: MapOf | None = None, root: str = ""
    ) -> list[PreviewEvent]:
        """
        The facts of a batch that a page of `origin` (`http://shop.preview.localhost:8080`) sent, as many as the project
        may tell now. A project that tells too much gets one warning for all that is left out in a minute.
        """
        allowance = self._allowance(project_id)
        taken = batch.reports[: allowance.take(len(batch.reports))]
        places = _Places(self._originals, origin, map_of if allowance.maps.take(1) else None, root)
        events = [await _event(project_id, report, places) for report in taken]
        dropped = len(batch.reports) - len(taken) + batch.dropped
        if dropped and allowance.warnings.take(1):
            message = "the page says more than is kept: messages are left out"
            events.append(PreviewWarning(project_id=project_id, code="preview.console_flood", message=message))
        return events

    def _allowance(self, project_id: str) -> "_Allowance":
        allowance = self._projects.pop(project_id, None) or _Allowance(self._clock)
        self._projects[project_id] = allowance
        if len(self._projects) > 10_000:
            self._projects.popitem(last=False)
        return allowance


class _Bucket:
    """Gives out at most `size` at once, and `rate` a second in the long run."""

    def __init__(self, size: float, rate: float, clock: Callable[[], float]) -> None:
        self._size, self._rate, self._clock = size, rate, clock
        self._left, self._seen = size, clock()

    def take(self, wanted: int) -> int:
        now = self._clock()
        self._left = min(self._size, self._left + (now - self._seen) * self._rate)
        self._seen = now
        given = min(wanted, int(self._left))
        self._left -= given
        return given


class _Allowance:
    """Of one project."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.take = _Bucket(300, 20, clock).take
        #: Batches whose places are looked up: decoding a map takes time.
        self.maps = _Bucket(20, 2, clock)
        self.warnings = _Bucket(1, 1 / 60, clock)


class _Places:
    """Looks the places of one batch up, each script's map once."""

    def __init__(self, originals: Originals, origin: str, map_of: MapOf | None, root: str) -> None:
        self._originals, self._origin, self._root = originals, origin, root
        self._wanted = map_of
        self._maps: dict[str, bytes | None] = {}

    async def of(self, frames: Sequence[Frame]) -> tuple[PagePosition, ...]:
        own = f"{self._origin}{_OWN_SCRIPT}"
        kept = [frame for frame in frames if frame.url.partition("?")[0] != own][:DEEPEST_STACK]
        return tuple([_clean_place(await self._find(frame)) for frame in kept])

    async def _find(self, frame: Frame) -> PagePosition:
        return await self._originals.find(frame, self._origin, self._map_of if self._wanted else None, self._root)

    async def _map_of(self, path: str) -> bytes | None:
        if path not in self._maps and self._wanted:
            # A page may name any number of addresses; each costs its server a request.
            self._maps[path] = await self._wanted(path) if len(self._maps) < 20 else None
        return self._maps.get(path)


async def _event(project_id: str, report: Report, places: _Places) -> PreviewEvent:
    told = {
        "project_id": project_id,
        "report": report.id if _REPORT_ID.fullmatch(report.id) else None,
        "page": clean(report.page, LONGEST_URL),
        "version_id": report.version_id if report.version_id and is_id(report.version_id) else None,
    }
    frames = frames_of(report.stack, DEEPEST_STACK + 5)
    if isinstance(report, ConsoleReport):
        stack = await places.of(frames[:5])
        at = stack[0] if stack else None
        return PreviewConsole(**told, level=report.level, text=clean(report.text, LONGEST_TEXT), at=at)
    if isinstance(report, ErrorReport):
        if not frames and report.file and report.line:
            frames = [Frame(None, report.file, max(1, report.line), report.column)]
        return PreviewError(**told, message=clean(report.message, LONGEST_TEXT), stack=await places.of(frames))
    status = report.status if report.status and 100 <= report.status <= 999 else None
    method = clean(report.method, 20).upper()
    return PreviewRequestFailed(**told, method=method, url=clean(report.url, LONGEST_URL), status=status)


def clean(text: str, longest: int) -> str:
    """For people and their terminals: no control characters, nothing that turns the reading direction, not too long."""
    # A sequence that the cut would tear apart is taken out whole.
    text = "\n".join(plain(line) for line in text[: longest * 2].replace("\r\n", "\n").split("\n"))
    text = _ODD.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _clean_place(place: PagePosition) -> PagePosition:
    function = clean(place.function, LONGEST_NAME) if place.function else None
    return place.but(file=clean(place.file, LONGEST_URL).replace("\n", " "), function=function)
