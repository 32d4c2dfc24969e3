"""One isolated place and the commands that run in it, as data. Executors turn this into mounts and processes."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from headrace.model.limits import GIB, MIB, Limits, NetworkPhase
from headrace.model.plan import StepId
from headrace.model.value import Value

#: The working directory inside every sandbox.
WORKING_DIRECTORY = "/app"


class SandboxMount(Value):
    """A directory of this machine that is visible in the sandbox, always read-only: a tool chain."""

    source: Path
    target: str


class SandboxSpec(Value):
    """What is asked of an executor. Nothing of it comes from a tenant unchecked."""

    #: Also the name of its directory, cgroup and container.
    id: str
    #: Whose it is: one of the two. What its commands print are `build.log` or `preview.log` records.
    build_id: str | None = None
    project_id: str | None = None
    #: Lower layers of `/app`, the topmost first. None of them is changed.
    layers: tuple[Path, ...]
    mounts: tuple[SandboxMount, ...] = ()
    limits: Limits = Limits()
    #: The executor fetches nothing for it.
    offline: bool = False

    @model_validator(mode="after")
    def _belongs_to_one(self) -> Self:
        if (self.build_id is None) == (self.project_id is None):
            raise ValueError("a sandbox belongs to a build or to the preview of a project")
        return self


class SandboxFile(NamedTuple):
    """A file to be written into a sandbox. `path` is relative to the working directory."""

    path: str
    data: bytes
    executable: bool = False


class OwnRegistry(Value):
    """A registry that a command has to itself, at the address `http://packages.headrace.invalid/`."""

    #: The host of the registry behind it.
    registry: str
    #: Directories of this machine: packages that need not be fetched, and where those that were are put.
    given: Path
    aside: Path


class Egress(Value):
    """What a command may reach. `hosts` are names the operator configured, allowed wherever they resolve to."""

    phase: NetworkPhase = NetworkPhase.NONE
    hosts: tuple[str, ...] = ()
    #: What one command may move in both directions and, of that, send; and how often it may connect, refusals included. At the
    #: first that is met all its connections are cut, and there are no more.
    bytes: int = Field(default=20 * GIB, ge=1)
    upload_bytes: int = Field(default=64 * MIB, ge=1)
    connections: int = Field(default=20_000, ge=1)
    registry: OwnRegistry | None = None


class SandboxCommand(Value):
    """One command of a sandbox. `index` numbers the commands of a sandbox from 0 and makes a start repeatable."""

    index: int
    #: Of the build. None in a preview.
    step: StepId | None = None
    argv: tuple[str, ...]
    #: Absolute, inside the sandbox.
    directory: str = WORKING_DIRECTORY
    #: The whole environment; nothing is inherited.
    env: dict[str, str] = Field(default_factory=dict)
    #: Names of variables whose values must not stand in the log.
    secrets: tuple[str, ...] = ()
    egress: Egress = Egress()
    limits: Limits = Limits()

    @property
    def secret_values(self) -> list[str]:
        return [self.env[name] for name in self.secrets if self.env.get(name)]


class KillReason(StrEnum):
    CANCELLED = "cancelled"
    MEMORY = "memory"
    TIMEOUT = "timeout"
    DISK = "disk"
    PROCESSES = "processes"
    LOST = "lost"


class OutputReceipt(Value):
    """What a command printed: see `CommandCompleted`."""

    lines: int = 0
    bytes: int = 0
    sha256: str = ""
    truncated_bytes: int = 0
    #: Of these, what no `log.truncated` tells: the disk was full to the end.
    unsaid_bytes: int = 0


class HostUse(Value):
    """What a command's connections to one host came to. `host` is empty for all that have no row of their own."""

    host: str
    port: int
    connections: int = 0
    refused: int = 0
    #: From the sandbox, and to it.
    bytes_up: int = 0
    bytes_down: int = 0
    first_at: str
    last_at: str
    #: Whose script connected first, as its process says: a hint, not to be trusted.
    package: str | None = None

    @classmethod
    def counted(
        cls,
        host: str,
        port: int,
        package: str,
        connections: int,
        refused: int,
        bytes_up: int,
        bytes_down: int,
        first_at: float,
        last_at: float,
    ) -> "HostUse":
        """From the fields of a row of `headrace.egress.ledger`."""
        return cls(
            host=host,
            port=port,
            connections=connections,
            refused=refused,
            bytes_up=bytes_up,
            bytes_down=bytes_down,
            first_at=_time_text(first_at),
            last_at=_time_text(last_at),
            package=package or None,
        )


def _time_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class CommandResult(Value):
    """
    How a command ended. `exit_code` is None when it did not end by itself.

    The reason comes from cgroup events and our own state, never from the exit code alone.
    """

    exit_code: int | None = None
    killed_by: KillReason | None = None
    #: The pids limit was reached at least once.
    pids_limit_hit: bool = False
    seconds: float
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    background_killed: int = 0
    #: Which limit of the disk it met: the bytes or the files that it may write, or the space that this machine has left.
    disk_limit: Literal["bytes", "files", "machine"] | None = None
    output: OutputReceipt = OutputReceipt()
    #: Hosts that it reached or was refused, where the executor sees that.
    network: tuple[HostUse, ...] = ()


class SetupWork(StrEnum):
    """What an executor does once for a machine."""

    BASE_SYSTEM = "base_system"
    CONTROLS = "controls"


class SetupStep(Value):
    """Such a work begins, or, with `seconds`, is done."""

    work: SetupWork
    message: str
    seconds: float | None = None


class Finding(Value):
    """One line of `headrace doctor`."""

    subject: str
    status: Literal["ok", "warning", "missing"]
    detail: str
    #: The exact command or setting that mends it.
    fix: str | None = None
    #: The control of the sandbox that it is about, by its number in docs/security.md, and the chapter of that.
    control: str | None = None
    chapter: str | None = None
