"""The live, warm view of a project's newest version: how it is shown, how it stands, and every fact of it."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from headrace.model.diagnostic import Diagnostic
from headrace.model.event import Recorded
from headrace.model.sandbox import HostUse
from headrace.model.value import Value


class PreviewMode(StrEnum):
    #: What production would serve, made anew by a warm process after each change.
    BUILD = "build"
    #: The framework's own development server.
    DEV = "dev"


class PreviewStatus(StrEnum):
    ASLEEP = "asleep"
    BUILDING = "building"
    READY = "ready"
    ERROR = "error"


class Protection(StrEnum):
    """Who may see a preview without being asked."""

    PUBLIC = "public"
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    MEMBERS = "members"


class PreviewState(Value):
    """How a preview stands now."""

    project_id: str
    status: PreviewStatus
    #: How it is shown: by a warm build, a development server, plain files, or by cached builds where nothing can watch.
    mode: PreviewMode | None = None
    driver: str | None = None
    #: Why this mode and driver, and not what was asked for.
    why: str = ""
    #: The newest version of the project, and the one that visitors see.
    version: str | None = None
    served_version: str | None = None
    url: str | None = None
    #: Of the newest version, when it failed.
    diagnostics: tuple[Diagnostic, ...] = ()
    message: str = ""
    #: From the change to "served" or "failed", of the newest version that came so far.
    seconds: float | None = None
    #: Bytes of the warm builder; None when it sleeps.
    memory_bytes: int | None = None
    protection: Protection = Protection.PUBLIC


class PreviewFact(Recorded):
    """What all events of a preview have."""

    project_id: str


class PreviewStarted(PreviewFact):
    """A warm builder is being started."""

    type: Literal["preview.started"] = "preview.started"
    driver: str
    mode: PreviewMode
    why: str = ""


class PreviewBuilding(PreviewFact):
    """A version is on its way to the page."""

    type: Literal["preview.building"] = "preview.building"
    version_id: str
    changed: int = 0


class PreviewReady(PreviewFact):
    """Visitors see this version from now on."""

    type: Literal["preview.ready"] = "preview.ready"
    version_id: str
    #: From the change to here.
    seconds: float
    url: str | None = None


class PreviewFailed(PreviewFact):
    """This version can't be shown. Visitors still see the last good one."""

    type: Literal["preview.failed"] = "preview.failed"
    version_id: str
    message: str
    seconds: float
    diagnostics: tuple[Diagnostic, ...] = ()


class PreviewAsleep(PreviewFact):
    """The warm builder was stopped. The next visit or change wakes it."""

    type: Literal["preview.asleep"] = "preview.asleep"
    why: Literal["idle", "memory", "asked", "died", "server"]
    message: str = ""


class PreviewWarning(PreviewFact):
    """Something that people should know and that ends nothing."""

    type: Literal["preview.warning"] = "preview.warning"
    code: str
    message: str


class PreviewLog(PreviewFact):
    """One line that the warm builder printed, without its newline. The fields are those of `build.log`."""

    type: Literal["preview.log"] = "preview.log"
    stream: Literal["stdout", "stderr"]
    line: str
    eol: bool = True
    raw: str | None = None


class PreviewLogTruncated(PreviewFact):
    """The builder printed more than its log keeps: `bytes` bytes are missing here, between the beginning and the end."""

    type: Literal["log.truncated"] = "log.truncated"
    bytes: int


class PreviewEgressDenied(PreviewFact):
    """The builder tried to connect to what it may not reach."""

    type: Literal["egress.denied"] = "egress.denied"
    host: str
    port: int
    why: str
    package: str | None = None


class PreviewEgressUnreachable(PreviewFact):
    """A host that the builder may reach could not be reached. Once for each host."""

    type: Literal["egress.unreachable"] = "egress.unreachable"
    host: str
    port: int
    why: str
    package: str | None = None


class PreviewEgressLimit(PreviewFact):
    """The builder met a cap of the network: its connections were cut, and it gets no more."""

    type: Literal["egress.limit"] = "egress.limit"
    limit: Literal["bytes", "upload_bytes", "connections"]
    most: int
    host: str
    port: int
    package: str | None = None


class PreviewEgressUsed(HostUse, PreviewFact):
    """What the builder's connections to one host came to in its life. The fields are those of a build's `egress.used`."""

    type: Literal["egress.used"] = "egress.used"


class PagePosition(Value):
    """A place in the project's own source, found by its source map; or in what the browser got, where there is none."""

    file: str
    line: int
    column: int | None = None
    function: str | None = None


class PageReport(PreviewFact):
    """What all events have that a page in somebody's browser told. Nothing of it is to be trusted."""

    #: The page's own name for this report: what it says to the window around it has the same one.
    report: str | None = None


class PreviewConsole(PageReport):
    """The page wrote to the browser's console. Said by the page, so not to be trusted."""

    type: Literal["preview.console"] = "preview.console"
    level: Literal["debug", "log", "info", "warn", "error"]
    text: str
    page: str
    version_id: str | None = None
    at: PagePosition | None = None


class PreviewError(PageReport):
    """An error that the page did not catch, or a promise that nobody handled. Said by the page."""

    type: Literal["preview.error"] = "preview.error"
    message: str
    page: str
    version_id: str | None = None
    stack: tuple[PagePosition, ...] = ()


class PreviewRequestFailed(PageReport):
    """The page asked for something and did not get it. Said by the page."""

    type: Literal["preview.request_failed"] = "preview.request_failed"
    method: str
    url: str
    #: None when there was no answer.
    status: int | None = None
    page: str
    version_id: str | None = None


PreviewEvent = Annotated[
    PreviewStarted
    | PreviewBuilding
    | PreviewReady
    | PreviewFailed
    | PreviewAsleep
    | PreviewWarning
    | PreviewLog
    | PreviewLogTruncated
    | PreviewEgressDenied
    | PreviewEgressUnreachable
    | PreviewEgressLimit
    | PreviewEgressUsed
    | PreviewConsole
    | PreviewError
    | PreviewRequestFailed,
    Field(discriminator="type"),
]

PREVIEW_EVENT: TypeAdapter[PreviewEvent] = TypeAdapter(PreviewEvent)
