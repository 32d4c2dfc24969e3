"""What is done once for a machine before its first sandbox, and who hears of it: it takes half a minute in which nothing else happens."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import structlog

from headrace.executor._base_system import has_base_system, provide_base_system
from headrace.executor.base import Tell
from headrace.model.sandbox import SetupStep, SetupWork
from headrace.settings import Settings

_log = structlog.get_logger(__name__)

#: What is said when it begins, and when it has ended.
_MESSAGES = {
    SetupWork.BASE_SYSTEM: (
        "making the base system of sandboxes from Debian's packages: about 15 s and 180 MB",
        "The base system of sandboxes is made",
    ),
    SetupWork.CONTROLS: (
        "trying every control of the sandbox from inside, before anything runs in one: about 10 s",
        "Every control of the sandbox was tried",
    ),
}


class Setup:
    """Of one executor."""

    def __init__(self) -> None:
        self._listeners: list[Tell] = []
        self._now: SetupStep | None = None

    @contextmanager
    def told(self, tell: Tell) -> Iterator[None]:
        """`tell` hears of every step meanwhile, and of the one that is under way."""
        self._listeners.append(tell)
        try:
            if self._now:
                tell(self._now)
            yield
        finally:
            self._listeners.remove(tell)

    @contextmanager
    def step(self, work: SetupWork) -> Iterator[None]:
        began = time.monotonic()
        begins, ended = _MESSAGES[work]
        self._now = SetupStep(work=work, message=begins)
        self._say(self._now)
        try:
            yield
        finally:
            self._now = None
        self._say(SetupStep(work=work, message=ended, seconds=round(time.monotonic() - began, 3)))

    def _say(self, step: SetupStep) -> None:
        _log.info("once for this machine", work=step.work, what=step.message, seconds=step.seconds)
        for tell in list(self._listeners):
            tell(step)


async def base_system(settings: Settings, setup: Setup) -> Path:
    """Its root directory, made when it isn't there. Raises ExecutorUnavailable."""
    missing = not has_base_system(settings.data_dir)
    with setup.step(SetupWork.BASE_SYSTEM) if missing else nullcontext():
        return await asyncio.to_thread(provide_base_system, settings.data_dir, settings.debian_mirror)
