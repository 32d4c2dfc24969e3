"""A build: its row is a fold over its events, so the two can't disagree."""

import hashlib
from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field

from headrace.model.diagnostic import Failure
from headrace.model.digest import Digest
from headrace.model.plan import StepId
from headrace.model.sandbox import HostUse
from headrace.model.trust import Trust
from headrace.model.value import Value

#: SHA-256 of nothing: a command that was lost before it could say what it printed.
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class BuildStatus(StrEnum):
    QUEUED = "queued"
    BUILDING = "building"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELLED)


class WaitReason(StrEnum):
    """Why a build does not run yet."""

    #: As many builds run as may at the same time.
    SLOTS = "slots"
    #: What it is taken to need does not fit into the memory that builds may have.
    MEMORY = "memory"


class StepStatus(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class StepState(Value):
    id: StepId
    status: StepStatus
    started_at: str
    seconds: float | None = None
    cached: bool = False


class CommandState(Value):
    """One command of the build: what was run and what it took. Unset until it ended: all but the first four."""

    step: StepId
    argv: tuple[str, ...]
    #: Names only, never values.
    env: tuple[str, ...] = ()
    network: str = "none"
    exit_code: int | None = None
    killed_by: str | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    lines: int = 0
    bytes: int = 0
    sha256: str = ""
    truncated_bytes: int = 0

    @property
    def failed(self) -> bool:
        """It has ended, and not well."""
        return self.seconds is not None and (self.exit_code != 0 or self.killed_by is not None)


class NetworkUse(HostUse):
    """What one step's connections to one host came to: see `egress.used`."""

    step: StepId
    new: bool = False


class Receipt(Value):
    """
    What the build's commands printed, in numbers that a reader can recompute from the log.

    `sha256` rolls over the commands: r(0) is 32 zero bytes, r(k) = SHA-256(r(k-1) + SHA-256(bytes of command k)).
    """

    lines: int = 0
    bytes: int = 0
    sha256: str = "0" * 64
    #: Bytes that the log's cap cut away. Not in `lines`, `bytes` or `sha256`.
    truncated_bytes: int = 0


def receipt_of(commands: Iterable[CommandState]) -> Receipt:
    """The receipt of a build's ended commands, in the order in which they ran."""
    ended = [command for command in commands if command.seconds is not None]
    rolling = bytes(32)
    for command in ended:
        rolling = hashlib.sha256(rolling + bytes.fromhex(command.sha256 or EMPTY_SHA256)).digest()
    return Receipt(
        lines=sum(command.lines for command in ended),
        bytes=sum(command.bytes for command in ended),
        sha256=rolling.hex(),
        truncated_bytes=sum(command.truncated_bytes for command in ended),
    )


class BuildOptions(Value):
    """What a request may ask of a build."""

    #: Build although the same inputs were built before.
    force: bool = False
    #: Neither read nor write the layer cache.
    no_cache: bool = False
    trust: Trust = Trust.TRUSTED
    #: Use no network: every command runs without one, and what would have to be fetched ends the build.
    offline: bool = False
    #: Another one of the repository's apps than that of the project's settings.
    app: str | None = Field(default=None, min_length=1, max_length=214)
    executor: str | None = None
    #: Wall time of the whole build.
    seconds: float | None = None
    #: End when the dependencies are there, and publish nothing: a preview starts on them.
    dependencies_only: bool = False


class Build(Value):
    id: str
    project_id: str
    version_id: str | None = None
    status: BuildStatus = BuildStatus.QUEUED
    options: BuildOptions = BuildOptions()
    steps: tuple[StepState, ...] = ()
    #: At most one for each step.
    commands: tuple[CommandState, ...] = ()
    #: Known from the plan; at once when the version is stored already and can be planned.
    framework: str | None = None
    #: The network ledger: at most one row for each step, host and port.
    network: tuple[NetworkUse, ...] = ()
    #: The stored plan, a blob of canonical JSON.
    plan: Digest | None = None
    #: Key of the result: equal keys make equal artifacts.
    result_key: Digest | None = None
    artifact: Digest | None = None
    deployment_id: str | None = None
    failure: Failure | None = None
    receipt: Receipt | None = None
    #: The project's environment uses this build.
    active: bool = False
    #: What it was last said to wait for. Unset when it is started.
    waits_for: WaitReason | None = None
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    #: `seq` of the last event that was applied.
    seen: int = 0

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most that a command of it used; None when none was measured."""
        return max((c.peak_memory_bytes for c in self.commands if c.peak_memory_bytes is not None), default=None)
