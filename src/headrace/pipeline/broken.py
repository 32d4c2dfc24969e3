"""What ends an attempt at a build without being the build's fault: whether it passes, and what is said when it does not."""

from headrace.errors import (
    DatabaseUnusable,
    EngineLost,
    ExecutorUnavailable,
    HeadraceError,
    StoreFull,
    ToolUnavailable,
    is_short,
)
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import StepId

#: Codes of what may be over in a moment.
_PASSING = {"db.busy", "storage.busy", "storage.error", "engine.lost", "executor.base_damaged"}


def may_pass(exc: Exception) -> bool:
    """Whether another attempt may go well: nothing that can be said now would be about the project."""
    if isinstance(exc, HeadraceError):
        passes = isinstance(exc, StoreFull | DatabaseUnusable) or exc.exact_code in _PASSING
        return passes or is_short(exc.__cause__)
    return is_short(exc)


def our_fault(step: StepId, exc: Exception) -> Failure:
    known = isinstance(exc, HeadraceError)
    return Failure(
        reason=_reason(exc),
        step=step,
        message=str(exc) if known else "Headrace itself failed; the server's log says why",
        hint=exc.hint if isinstance(exc, HeadraceError) else "try again; if it stays, report it with the server's log",
    )


def _reason(exc: Exception) -> FailureReason:
    match exc:
        case StoreFull():
            return FailureReason.DISK_FULL
        case EngineLost():
            return FailureReason.ENGINE_LOST
        case ExecutorUnavailable():
            return FailureReason.EXECUTOR_UNAVAILABLE
        case ToolUnavailable():
            return FailureReason.REGISTRY_UNAVAILABLE
        case HeadraceError(exact_code="storage.error") | DatabaseUnusable():
            return FailureReason.STORAGE_ERROR
        case _:
            return FailureReason.INTERNAL
