"""The live region of a build on a terminal: steps with their times, and the last lines that they printed."""

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
    BuildWarning,
    EgressDenied,
    Event,
    Log,
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


class LiveProgress:
    """Redraws itself ten times a second, however many events arrive."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._started: dict[StepId, float] = {}
        self._ended: dict[StepId, StepCompleted] = {}
        self._spinner = Spinner("dots", style="cyan")
        self._lines: deque[str] = deque(maxlen=_LAST_WORDS)
        self._over = False
        self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._live.stop()

    def show(self, event: Event) -> None:
        match event:
            case StepStarted():
                self._started.setdefault(event.step, time.monotonic())
                self._lines.clear()
            case StepCompleted():
                self._ended[event.step] = event
            case Log():
                self._lines.append(plain(event.line))
            case BuildDiagnostic() | BuildWarning() | EgressDenied():
                self._live.console.print(Text(as_text(event) or ""))
            case BuildCompleted():
                self._finish(event)

    def _finish(self, event: BuildCompleted) -> None:
        self._over = True
        self._live.refresh()
        if event.failure is not None:
            for line in self._lines:
                self._live.console.print(Text("  " + line, style="dim"))
        self._live.console.print(Text(as_text(event) or "", style="red" if event.failure else "green"))

    def _render(self) -> RenderableType:
        steps = Table.grid(padding=(0, 1))
        for step, began in self._started.items():
            steps.add_row(*self._row(step, began))
        if self._over:
            return steps
        shown = list(self._lines)[-_LOG_LINES:]
        return Group(steps, *[Text("  " + line, style="dim", no_wrap=True, overflow="ellipsis") for line in shown])

    def _row(self, step: StepId, began: float) -> tuple[RenderableType, ...]:
        ended = self._ended.get(step)
        if ended is None:
            mark: RenderableType = Text("…", style="dim") if self._over else self._spinner
            return mark, Text(step), Text(seconds_text(time.monotonic() - began), style="dim"), Text("")
        sign, style = _MARKS.get(ended.status, ("·", ""))
        summary = f"{ended.summary} (cached)" if ended.cached else ended.summary
        return Text(sign, style=style), Text(step), Text(seconds_text(ended.seconds), style="dim"), Text(plain(summary))
