"""Failures of the source step, as results."""

from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import StepId


def source_failed(reason: FailureReason, message: str, *, hint: str | None = None) -> StepFailed:
    return StepFailed(Failure(reason=reason, step=StepId.SOURCE, message=message, hint=hint))


def too_large(message: str) -> StepFailed:
    return source_failed(
        FailureReason.SOURCE_TOO_LARGE,
        message,
        hint="leave files out, or let the operator raise HEADRACE_UPLOAD_BYTES or HEADRACE_UPLOAD_FILES",
    )


def timed_out(seconds: float) -> StepFailed:
    return source_failed(
        FailureReason.SOURCE_TIMEOUT,
        f"the source was not there after {seconds:g} s",
        hint="try again; the operator can raise HEADRACE_CLONE_SECONDS",
    )
