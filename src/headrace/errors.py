"""
Every exception: a code that never changes, an HTTP status, an exit status, whether trying again can help.

A user's build that fails is a result (`headrace.model.diagnostic.Failure`), not an exception.
`StepFailed` carries one through the pipeline and never leaves it.
"""

import errno
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:  # keeps this module light: the CLI imports it before anything else
    from headrace.model.diagnostic import Failure


_SHORT = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}


class HeadraceError(Exception):
    """An error with a stable code. The message says what happened; `hint` says what to do."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 70
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, hint: str | None = None, field: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        #: JSON pointer of the offending part of a request.
        self.field = field
        #: A more exact code than the class's, such as `archive.path_escape`.
        self.exact_code = code or self.code


class InvalidInput(HeadraceError):
    """The request or the command line asks for something that cannot be."""

    code = "input.invalid"
    http_status = 422
    exit_status = 2


class InvalidCursor(HeadraceError):
    """The place that a stream should go on from is no place of this stream."""

    code = "stream.cursor_invalid"
    http_status = 400
    exit_status = 2


class InvalidSetting(HeadraceError):
    """A setting is wrong; the process does not start."""

    code = "setting.invalid"
    exit_status = 78


class NeedsInput(HeadraceError):
    """The command line would have to ask, and nobody is there to answer."""

    code = "input.needed"
    http_status = 400
    exit_status = 4


class NotAuthenticated(HeadraceError):
    code = "auth.required"
    http_status = 401
    exit_status = 3


class NotAllowed(HeadraceError):
    code = "auth.forbidden"
    http_status = 403
    exit_status = 3


class NotFound(HeadraceError):
    code = "not_found"
    http_status = 404
    exit_status = 5


class Conflict(HeadraceError):
    """The thing is in a state that does not allow this."""

    code = "conflict"
    http_status = 409
    exit_status = 1


class TooLarge(HeadraceError):
    code = "body.too_large"
    http_status = 413
    exit_status = 2


class BadRequest(HeadraceError):
    """What arrived is not a request that can be read."""

    code = "request.invalid"
    http_status = 400
    exit_status = 2


class WrongHost(HeadraceError):
    """The request was meant for another server."""

    code = "host.unknown"
    http_status = 421


class MethodNotAllowed(HeadraceError):
    code = "method.not_allowed"
    http_status = 405


class NotAcceptable(HeadraceError):
    code = "accept.unsupported"
    http_status = 406


class PreconditionFailed(HeadraceError):
    """The thing changed since the client read it."""

    code = "precondition.failed"
    http_status = 412
    exit_status = 1


class UnsupportedMediaType(HeadraceError):
    code = "content_type"
    http_status = 415
    exit_status = 2


class TooManyRequests(HeadraceError):
    code = "rate.limited"
    http_status = 429
    retryable = True


class SafeMode(HeadraceError):
    """The operator switched the running of code off."""

    code = "safe_mode"
    http_status = 403
    exit_status = 1


class ServerUnreachable(HeadraceError):
    code = "server.unreachable"
    http_status = 503
    exit_status = 6
    retryable = True


class Unavailable(HeadraceError):
    """A part this needs does not answer now."""

    code = "unavailable"
    http_status = 503
    retryable = True


class DatabaseUnusable(HeadraceError):
    """The database is missing, damaged, replaced or of another version. Nothing is changed; an operator must look."""

    code = "database.unusable"
    http_status = 503
    exit_status = 78


class ExecutorUnavailable(Unavailable):
    """No sandbox can be opened on this machine."""

    code = "executor.unavailable"
    retryable = False


class EngineLost(ExecutorUnavailable):
    """The container engine that sandboxes were opened with does not answer any more. It may come back."""

    code = "engine.lost"
    retryable = True


class SandboxBlocked(HeadraceError):
    """What a sandbox's commands have put in its working directory is in the way of a file."""

    code = "sandbox.blocked"
    http_status = 409
    exit_status = 1


class NotFetched(HeadraceError):
    """Something that may not be fetched now, by its name, isn't here. The stages of a build make a result of it."""

    code = "offline_miss"


class ToolUnavailable(Unavailable):
    """A tool chain could not be fetched."""

    code = "tool.unavailable"


class BucketUnreachable(Unavailable):
    """Object storage does not answer, or not in time."""

    code = "bucket.unreachable"


class BucketDenied(Unavailable):
    """Object storage refuses what this server's operator gave it as a right."""

    code = "bucket.denied"
    retryable = False


class StoreFull(HeadraceError):
    code = "storage.full"
    http_status = 507
    retryable = True


class CorruptBlob(HeadraceError):
    """Bytes do not have the digest they are stored under. Readers treat it as a miss."""

    code = "storage.corrupt"


class SealBroken(HeadraceError):
    """A value that was sealed can't be opened: the key is another one, or the value was changed."""

    code = "secret.unreadable"
    http_status = 503


class LeaseLost(HeadraceError):
    """Another worker took the build over; this one must stop writing."""

    code = "lease.lost"
    http_status = 409


def is_short(exc: BaseException | None) -> bool:
    """Whether this machine lacks something that others will give back: descriptors, memory, processes, threads."""
    if isinstance(exc, OSError):
        return exc.errno in _SHORT
    # Python has no class for it.
    return isinstance(exc, RuntimeError) and "can't start new thread" in str(exc)


class StepFailed(Exception):
    """
    The user's build can't go on.

    Raised by sources, the planner, checks and pipeline stages; caught by `pipeline.run`, nowhere else.
    """

    def __init__(self, failure: "Failure") -> None:
        super().__init__(failure.message)
        self.failure = failure


_T = TypeVar("_T")


def found(thing: _T | None, what: str) -> _T:
    """`thing`, if it is there. Raises NotFound."""
    if thing is None:
        raise NotFound(f"{what} does not exist", hint="check the id")
    return thing
