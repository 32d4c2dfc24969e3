"""A build on a terminal: steps with their times, the last lines that they printed, and at the end what came of it."""

import time
from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from headrace.model.build import StepStatus
from headrace.model.event import (
    BuildCompleted,
    BuildDiagnostic,
    BuildQueued,
    BuildWaiting,
    BuildWarning,
    EgressDenied,
    EgressLimit,
    EgressNewHost,
    EgressUnreachable,
    Event,
    Log,
    SetupCompleted,
    SetupStarted,
    StepCompleted,
    StepStarted,
)
from headrace.model.plan import StepId
from headrace.model.text import as_text, plain, seconds_text

_LOG_LINES = 6
#: After a failure, the lines that say why are usually the last ones.
_LAST_WORDS = 30

_MARKS = {
    StepStatus.SUCCEEDED: ("✓", "green"),
    StepStatus.FAILED: ("✗", "red"),
    StepStatus.CANCELLED: ("■", "yellow"),
    StepStatus.SKIPPED: ("-", "dim"),
}


class BuildView:
    """What a build looks like now. Takes events, makes no output."""

    def __init__(self) -> None:
        self._started: dict[StepId, float] = {}
        self._ended: dict[StepId, StepCompleted] = {}
        self._spinner = Spinner("dots", style="cyan")
        self._lines: deque[str] = deque(maxlen=_LAST_WORDS)
        self._remarks: list[str] = []
        self._end: BuildCompleted | None = None

    @property
    def began(self) -> bool:
        return bool(self._started) or self._end is not None

    def take(self, event: Event) -> None:
        match event:
            case BuildQueued() | BuildWaiting() if event.message:
                # Gone with the first step.
                self._lines.append(as_text(event) or "")
            case SetupStarted() | SetupCompleted():
                self._lines.append(as_text(event) or "")
            case StepStarted():
                self._started.setdefault(event.step, time.monotonic())
                self._lines.clear()
            case StepCompleted():
                self._ended[event.step] = event
            case Log():
                self._lines.append(plain(event.line))
            case (
                BuildDiagnostic()
                | BuildWarning()
                | EgressDenied()
                | EgressUnreachable()
                | EgressLimit()
                | EgressNewHost()
            ):
                self._remarks.append(as_text(event) or "")
            case BuildCompleted():
                self._end = event

    def running(self) -> RenderableType:
        shown = list(self._lines)[-_LOG_LINES:]
        return Group(
            self._steps(), *[Text("  " + line, style="dim", no_wrap=True, overflow="ellipsis") for line in shown]
        )

    def ended(self) -> RenderableType:
        """What stays: the steps, what is to be known of them, and how it ended."""
        parts: list[RenderableType] = [self._steps()]
        failed = self._end is not None and self._end.failure is not None
        if failed and not self._remarks:
            parts += [Text("  " + line, style="dim") for line in self._lines]
        parts += [Text(remark, style="yellow" if remark.startswith("!") else "") for remark in self._remarks]
        if self._end is not None:
            parts.append(Text(as_text(self._end) or "", style="red" if failed else "green"))
        return Group(*parts)

    def _steps(self) -> RenderableType:
        steps = Table.grid(padding=(0, 1))
        for justify in ("left", "left", "right", "left"):
            steps.add_column(justify=justify)
        for step, began in list(self._started.items()):
            steps.add_row(*self._row(step, began))
        return steps

    def _row(self, step: StepId, began: float) -> tuple[RenderableType, ...]:
        ended = self._ended.get(step)
        if ended is None:
            mark: RenderableType = self._spinner if self._end is None else Text("…", style="dim")
            return mark, Text(step), Text(seconds_text(time.monotonic() - began), style="dim"), Text("")
        sign, style = _MARKS.get(ended.status, ("·", ""))
        summary = f"{ended.summary} (cached)" if ended.cached else ended.summary
        return Text(sign, style=style), Text(step), Text(seconds_text(ended.seconds), style="dim"), Text(plain(summary))


class LiveProgress:
    """Draws the view ten times a second, however many events arrive, and leaves its end on the terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._view = BuildView()
        self._live = Live(
            console=self._console, get_renderable=self._view.running, refresh_per_second=10, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if self._view.began:
            self._console.print(self._view.ended())

    def show(self, event: Event) -> None:
        self._view.take(event)
