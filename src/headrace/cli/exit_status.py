"""The exit status of every way out. The numbers are part of the interface: see docs/cli.md."""

from headrace.model.build import BuildStatus
from headrace.model.diagnostic import Failure, FailureReason

OK = 0
BUILD_FAILED = 1
USAGE = 2
NEEDS_INPUT = 4
OUR_FAULT = 70
TIMED_OUT = 124
INTERRUPTED = 130
#: As a program that SIGPIPE ended: whoever asked did not hear the end.
UNREAD = 141

_TIMEOUTS = {FailureReason.TIMEOUT, FailureReason.SOURCE_TIMEOUT}
_OURS = {
    FailureReason.INTERNAL,
    FailureReason.RUNNER_LOST,
    FailureReason.SANDBOX_DIED,
    FailureReason.STORAGE_ERROR,
    FailureReason.EXECUTOR_UNAVAILABLE,
    FailureReason.ENGINE_LOST,
}


def of_failure(failure: Failure | None) -> int:
    if failure is None:
        return BUILD_FAILED
    if failure.reason in _TIMEOUTS:
        return TIMED_OUT
    return OUR_FAULT if failure.reason in _OURS else BUILD_FAILED


def of_build(status: BuildStatus, failure: Failure | None) -> int:
    """The exit status for a build that has ended."""
    if status is BuildStatus.SUCCEEDED:
        return OK
    return INTERRUPTED if status is BuildStatus.CANCELLED else of_failure(failure)
