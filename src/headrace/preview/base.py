"""
The contract of preview drivers: each knows how one kind of tool is kept warm and told of changes.

A driver is pure: it says what to run (`setup`). The session opens the sandbox, starts the command and then gives the
driver a `Link` to what runs (`attach`). Order of calls on a builder: `first` once, then for one change after another
`expect`, and `apply` when its files are in the sandbox; never two at a time.
"""

import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

from headrace.model.diagnostic import Diagnostic, LogLine
from headrace.model.plan import BuildPlan
from headrace.model.preview import PreviewMode
from headrace.plan.project_files import ProjectFiles

#: Drivers' programs, and where every preview's sandbox has them, read-only.
PROGRAM = Path(__file__).with_name("program")
MOUNTED = "/opt/headrace/preview"


class Change(NamedTuple):
    """What differs between two versions. Paths are relative to the version's root."""

    written: tuple[str, ...]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a change came out. `ok` False means that the page can't be made; `diagnostics` and `message` say why."""

    ok: bool
    diagnostics: tuple[Diagnostic, ...] = ()
    message: str = ""
    #: False when the served files are certainly those from before: nothing has to be read.
    output_changed: bool = True
    #: Where the page is served, when that is not the port that was asked for (dev mode; told by `first`).
    page_port: int | None = None
    #: The builder can't take this change after all: a new one has to be started for it.
    restart: bool = False


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What the sandbox runs."""

    argv: tuple[str, ...]
    #: Relative to the version's root.
    directory: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    #: TCP ports on the sandbox's loopback: where the page is served (dev), and where the driver's program takes orders.
    page_port: int | None = None
    control_port: int | None = None
    #: Directory, relative to the version's root, whose files are the page (build mode).
    output: str | None = None
    #: Directories, relative to the version's root, that make the next start faster when they are there again.
    keep: tuple[str, ...] = ()
    #: What the server must see as `Host` (and as host of `Origin`); None when it takes every name.
    host: str | None = None
    #: The version's files, so that a builder's diagnostics name only what is there.
    paths: Collection[str] = ()


class Link(Protocol):
    """What a builder may do with the command that runs."""

    def socket(self) -> socket.socket:
        """
        A new non-blocking TCP socket that reaches the sandbox's loopback. See `Sandbox.socket`. Raises ConnectionRefusedError
        when the command has ended.
        """
        ...

    def lines(self, after: int = 0) -> Sequence[LogLine]:
        """What the command has printed behind the event with this number."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the command has ended; then nothing will answer any more."""
        ...


class Builder(Protocol):
    """One that runs. When the tool dies or doesn't answer in time, calls end with an Outcome that is not ok and says so."""

    async def first(self) -> Outcome:
        """Wait until it has made its first page, or has failed at it."""
        ...

    def expect(self) -> None:
        """Files are about to be written. A tool that watches them waits for the change as a whole, some seconds at most."""
        ...

    async def apply(self, change: Change) -> Outcome:
        """Wait until the page shows the change, or can't."""
        ...

    async def source_map(self, path: str) -> bytes | None:
        """
        The source map of a file of the page as it is now, made when asked for; None when there is none. `path` has no slash
        before it and no query behind it. May be called at any time.
        """
        ...

    def on_error(self, tell: Callable[[Outcome], None]) -> None:
        """`tell` is called with errors that come up later, without a change: a visitor asked for a broken module."""
        ...

    async def close(self) -> None:
        """Give back connections. The sandbox is closed by the session."""
        ...


#: A port that nobody listens on in the sandbox.
FreePort = Callable[[], int]


class Driver(Protocol):
    name: ClassVar[str]
    #: Ways it can show a project, the preferred one first.
    modes: ClassVar[Sequence[PreviewMode]]

    def fits(self, plan: BuildPlan, files: ProjectFiles, mode: PreviewMode) -> str | None:
        """None when it can show this project in this mode; otherwise why not, in words for people."""
        ...

    def setup(self, plan: BuildPlan, files: ProjectFiles, mode: PreviewMode, port: FreePort) -> Setup: ...

    def attach(self, setup: Setup, plan: BuildPlan, link: Link) -> Builder: ...

    def restarts(self, plan: BuildPlan, change: Change) -> bool:
        """Whether a running builder can't take this change (its own configuration, for instance) and must be started anew."""
        ...
