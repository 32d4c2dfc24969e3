"""What ends an attempt: what passes is tried again, what stays is named, and nothing of ours is said to strangers."""

import errno

import pytest

from headrace.errors import (
    Conflict,
    DatabaseUnusable,
    EngineLost,
    ExecutorUnavailable,
    InvalidInput,
    StoreFull,
    ToolUnavailable,
    Unavailable,
)
from headrace.model.diagnostic import FailureReason
from headrace.model.plan import StepId
from headrace.pipeline.broken import may_pass, our_fault


@pytest.mark.parametrize(
    ("exc", "passes", "reason"),
    [
        (StoreFull("full"), True, FailureReason.DISK_FULL),
        (DatabaseUnusable("gone"), True, FailureReason.STORAGE_ERROR),
        (Unavailable("busy", code="db.busy"), True, FailureReason.INTERNAL),
        (Unavailable("busy", code="storage.busy"), True, FailureReason.INTERNAL),
        (Unavailable("broken", code="storage.error"), True, FailureReason.STORAGE_ERROR),
        (Unavailable("others", code="version.busy"), False, FailureReason.INTERNAL),
        (EngineLost("docker went away"), True, FailureReason.ENGINE_LOST),
        (ExecutorUnavailable("no runc"), False, FailureReason.EXECUTOR_UNAVAILABLE),
        (ToolUnavailable("no node"), False, FailureReason.REGISTRY_UNAVAILABLE),
        (Conflict("no"), False, FailureReason.INTERNAL),
        (InvalidInput("no"), False, FailureReason.INTERNAL),
        (OSError(errno.EMFILE, "too many open files"), True, FailureReason.INTERNAL),
        (OSError(errno.ENOMEM, "no memory"), True, FailureReason.INTERNAL),
        (OSError(errno.EACCES, "/var/lib/headrace/x"), False, FailureReason.INTERNAL),
        (ValueError("/var/lib/headrace/x"), False, FailureReason.INTERNAL),
    ],
)
def test_what_ended_an_attempt_is_named(exc: Exception, passes: bool, reason: FailureReason) -> None:
    failure = our_fault(StepId.BUILD, exc)
    assert (may_pass(exc), failure.reason, failure.step) == (passes, reason, StepId.BUILD)


@pytest.mark.parametrize("exc", [KeyError("secret"), OSError(errno.EIO, "I/O error", "/var/lib/headrace/headrace.db")])
def test_what_we_did_not_expect_says_nothing_of_this_machine(exc: Exception) -> None:
    failure = our_fault(StepId.BUILD, exc)
    assert "headrace.db" not in failure.model_dump_json()
    assert "secret" not in failure.model_dump_json()
    assert failure.hint


def test_what_we_know_keeps_its_words_and_its_way_out() -> None:
    failure = our_fault(StepId.DEPENDENCIES, StoreFull("the disk is full", hint="free some"))
    assert (failure.message, failure.hint) == ("the disk is full", "free some")
