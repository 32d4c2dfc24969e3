"""
Every fact of a build, one class for each kind. The classes are the reference of the event stream.

A stored event is one JSON object on one line: `{"seq":42,"ts":"…","type":"build.log","build_id":"…",…}`.
`seq` starts at 1 and has no gap. `ts` is UTC with milliseconds. Readers ignore types they don't know.
Unset optional fields are left out.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from headrace.model.build import BuildOptions, BuildStatus, Receipt, StepStatus, WaitReason
from headrace.model.diagnostic import Diagnostic, Failure
from headrace.model.digest import Digest
from headrace.model.plan import CacheKey, StepId
from headrace.model.sandbox import HostUse, SetupWork
from headrace.model.trust import Trust
from headrace.model.value import Value


class Recorded(Value):
    """What events of all logs have."""

    #: Number of the event in its log. Zero until it is appended.
    seq: int = 0
    ts: str = ""


class _Event(Recorded):
    build_id: str


class BuildCreated(_Event):
    """A build was asked for. The first event of a log."""

    type: Literal["build.created"] = "build.created"
    project_id: str
    version_id: str | None = None
    #: Known at once when the version is stored already and can be planned.
    result_key: Digest | None = None
    framework: str | None = None
    options: BuildOptions = BuildOptions()


class BuildQueued(_Event):
    """The build waits for a worker."""

    type: Literal["build.queued"] = "build.queued"
    #: How many builds will be started before it, as things stand, and why it waits. Left out when it starts at once.
    ahead: int = 0
    reason: WaitReason | None = None
    message: str = ""


class BuildWaiting(_Event):
    """It is the build's turn, and what it is taken to need does not fit into the memory that builds may have."""

    type: Literal["build.waiting"] = "build.waiting"
    reason: WaitReason
    needed_bytes: int
    free_bytes: int
    message: str


class BuildStarted(_Event):
    """A worker took the build. Recorded again when another worker takes it over."""

    type: Literal["build.started"] = "build.started"
    worker: str
    #: Rises with each worker that takes the build. Writes with an older one are refused.
    fence: int
    executor: str


class SetupStarted(_Event):
    """Something is done once for this machine, before its first sandbox."""

    type: Literal["build.setup.started"] = "build.setup.started"
    work: SetupWork
    message: str


class SetupCompleted(_Event):
    """It is done."""

    type: Literal["build.setup.completed"] = "build.setup.completed"
    work: SetupWork
    message: str
    seconds: float


class StepStarted(_Event):
    """A step began."""

    type: Literal["build.step.started"] = "build.step.started"
    step: StepId


class StepCompleted(_Event):
    """A step ended. `cached` means that its result came from the cache and nothing ran."""

    type: Literal["build.step.completed"] = "build.step.completed"
    step: StepId
    status: StepStatus
    seconds: float
    cached: bool = False
    #: What people read behind the ✓, such as `Build produced 42 files`.
    summary: str = ""


class SourceResolved(_Event):
    """The build's version is known, and stored."""

    type: Literal["source.resolved"] = "source.resolved"
    version_id: str
    tree: Digest
    commit: str | None = None
    branch: str | None = None
    trust: Trust = Trust.TRUSTED
    files: int
    bytes: int


class PlanMade(_Event):
    """`plan` is the digest of the stored plan; the rest is what people want to see of it."""

    type: Literal["plan.made"] = "plan.made"
    plan: Digest
    framework: str
    package_manager: str | None = None
    tools: tuple[str, ...] = ()
    output: str


class CommandStarted(_Event):
    """A command of the step runs in the sandbox."""

    type: Literal["build.command.started"] = "build.command.started"
    step: StepId
    argv: tuple[str, ...]
    #: Names only, never values.
    env: tuple[str, ...] = ()
    network: str = "none"


class CommandCompleted(_Event):
    """A command ended: how, what it took, and what it printed in numbers."""

    type: Literal["build.command.completed"] = "build.command.completed"
    step: StepId
    exit_code: int | None = None
    killed_by: str | None = None
    seconds: float
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    lines: int = 0
    bytes: int = 0
    #: SHA-256 of the bytes the command printed, stdout and stderr in the order of the log.
    sha256: str = ""
    truncated_bytes: int = 0
    #: Processes that were still running when the command's leader had exited.
    background_killed: int = 0


class Log(_Event):
    """
    One line that a command printed, without its newline.

    `eol` is false when no newline follows: the last line of a stream, or a piece of a line over 64 KiB.
    `raw` is the line in base64 where it is not valid UTF-8; `line` then has U+FFFD in place of the bad bytes.
    """

    type: Literal["build.log"] = "build.log"
    step: StepId
    stream: Literal["stdout", "stderr"]
    line: str
    eol: bool = True
    raw: str | None = None


class LogTruncated(_Event):
    """The log passed its cap: `bytes` bytes of this command's output are missing here, between its beginning and its end."""

    type: Literal["log.truncated"] = "log.truncated"
    step: StepId
    bytes: int


class BuildDiagnostic(_Event):
    """One error or warning of a tool, found in the log."""

    type: Literal["build.diagnostic"] = "build.diagnostic"
    step: StepId
    diagnostic: Diagnostic


class BuildWarning(_Event):
    """Something that people should know and that did not end the build: a soft limit, an ignored setting."""

    type: Literal["build.warning"] = "build.warning"
    step: StepId | None = None
    code: str
    message: str


class CacheDecision(_Event):
    """Whether a cache answered, and if not, the first input that differs from the last build."""

    type: Literal["cache.decision"] = "cache.decision"
    step: StepId
    cache: Literal["dependencies", "result", "tree"]
    key: CacheKey
    hit: bool
    #: Name of the first differing input, such as `file package-lock.json` or `tool node`.
    differs: str | None = None
    #: In words: `Cache hit! …`, `Cache miss for key …`.
    explanation: str
    seconds_saved: float | None = None
    #: The build that made the entry.
    made_by: str | None = None
    #: After a miss, the closest entry, which is what is made begins with.
    begun_with: Digest | None = None
    #: Whose entries answered; after a miss, among whose entries goes what is made.
    trust: Trust = Trust.TRUSTED


class EgressDenied(_Event):
    """A command tried to connect to what its step may not reach. `package` is whose script it was, as its process says."""

    type: Literal["egress.denied"] = "egress.denied"
    step: StepId
    host: str
    port: int
    why: str
    package: str | None = None


class EgressUnreachable(_Event):
    """A host that a command may reach could not be reached: no name server knew or answered, nobody listened. Once for each host."""

    type: Literal["egress.unreachable"] = "egress.unreachable"
    step: StepId
    host: str
    port: int
    why: str
    package: str | None = None


class EgressLimit(_Event):
    """A command met a cap of the network: its connections were cut, and it gets no more."""

    type: Literal["egress.limit"] = "egress.limit"
    step: StepId
    limit: Literal["bytes", "upload_bytes", "connections"]
    most: int
    host: str
    port: int
    package: str | None = None


class EgressUsed(HostUse, _Event):
    """
    What a command's connections to one host came to. `new`: the step did not reach it in the last build that succeeded.

    Recorded when the command has ended. `host` is empty for all hosts that have no row of their own.
    """

    type: Literal["egress.used"] = "egress.used"
    step: StepId
    new: bool = False


class EgressNewHost(_Event):
    """A warning: the step reached a host that it did not reach in the last build that succeeded, `before`."""

    type: Literal["egress.new_host"] = "egress.new_host"
    step: StepId
    host: str
    port: int
    package: str | None = None
    before: str


class CancelRequested(_Event):
    """Somebody wants the build to end."""

    type: Literal["build.cancel_requested"] = "build.cancel_requested"
    by: str


class BuildCompleted(_Event):
    """The last event of a log."""

    type: Literal["build.completed"] = "build.completed"
    status: BuildStatus
    seconds: float
    version_id: str | None = None
    result_key: Digest | None = None
    artifact: Digest | None = None
    deployment_id: str | None = None
    url: str | None = None
    cached: bool = False
    failure: Failure | None = None
    receipt: Receipt = Receipt()


Event = Annotated[
    BuildCreated
    | BuildQueued
    | BuildWaiting
    | BuildStarted
    | SetupStarted
    | SetupCompleted
    | StepStarted
    | StepCompleted
    | SourceResolved
    | PlanMade
    | CommandStarted
    | CommandCompleted
    | Log
    | LogTruncated
    | BuildDiagnostic
    | BuildWarning
    | CacheDecision
    | EgressDenied
    | EgressUnreachable
    | EgressLimit
    | EgressUsed
    | EgressNewHost
    | CancelRequested
    | BuildCompleted,
    Field(discriminator="type"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
