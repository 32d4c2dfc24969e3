import click
import pytest

from headrace import errors
from headrace.cli import group
from headrace.cli.exit_status import of_build
from headrace.model.build import BuildStatus
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import StepId


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (BuildStatus.SUCCEEDED, None, 0),
        (BuildStatus.FAILED, FailureReason.TYPE_ERROR, 1),
        (BuildStatus.FAILED, FailureReason.TIMEOUT, 124),
        (BuildStatus.FAILED, FailureReason.SOURCE_TIMEOUT, 124),
        (BuildStatus.FAILED, FailureReason.INTERNAL, 70),
        (BuildStatus.FAILED, FailureReason.RUNNER_LOST, 70),
        (BuildStatus.FAILED, None, 1),
        (BuildStatus.CANCELLED, None, 130),
    ],
)
def test_a_build_says_by_its_status_how_it_ended(
    status: BuildStatus, reason: FailureReason | None, expected: int
) -> None:
    failure = Failure(reason=reason, step=StepId.BUILD, message="it ended") if reason else None
    assert of_build(status, failure) == expected


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (errors.InvalidInput("no"), 2),
        (errors.NeedsInput("no"), 4),
        (errors.NotAuthenticated("no"), 3),
        (errors.NotAllowed("no"), 3),
        (errors.NotFound("no"), 5),
        (errors.ServerUnreachable("no"), 6),
        (errors.ExecutorUnavailable("no"), 70),
        (errors.InvalidSetting("no"), 78),
        (KeyboardInterrupt(), 130),
        (click.UsageError("no"), 2),
        (ZeroDivisionError("no"), 70),
    ],
)
def test_every_way_out_has_its_exit_status(
    raised: BaseException, expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise raised

    command = click.Command("version", callback=fail)
    assert group.run_command(command, []) == expected
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


def test_an_error_prints_its_code_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise errors.InvalidInput("the path leaves the archive", hint="pack it again", code="archive.path_escape")

    group.run_command(click.Command("version", callback=fail), [])
    assert "the path leaves the archive [archive.path_escape]" in (said := capsys.readouterr().err)
    assert "pack it again" in said
