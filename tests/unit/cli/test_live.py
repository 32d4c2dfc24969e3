"""The live region, drawn on a console that keeps what it is given."""

import io

import pytest
from rich.console import Console

from headrace.cli.live import BuildView, LiveProgress
from headrace.cli.progress import OnlyNew, PlainProgress, event_of
from headrace.model.build import BuildStatus, StepStatus, WaitReason
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.event import BuildCompleted, BuildQueued, Event, Log, StepCompleted, StepStarted
from headrace.model.plan import StepId

BUILD = "build_01m7"


def failing_build() -> list[Event]:
    failure = Failure(reason=FailureReason.COMMAND_FAILED, step=StepId.BUILD, message="npm run build: exit code 1")
    return [
        StepStarted(build_id=BUILD, step=StepId.DEPENDENCIES),
        StepCompleted(
            build_id=BUILD,
            step=StepId.DEPENDENCIES,
            status=StepStatus.SUCCEEDED,
            seconds=0.004,
            cached=True,
            summary="30 packages",
        ),
        StepStarted(build_id=BUILD, step=StepId.BUILD),
        Log(build_id=BUILD, step=StepId.BUILD, stream="stdout", line="\x1b]0;owned\x07\x1b[31mlast words\x1b[0m"),
        StepCompleted(build_id=BUILD, step=StepId.BUILD, status=StepStatus.FAILED, seconds=3.2),
        BuildCompleted(build_id=BUILD, status=BuildStatus.FAILED, seconds=3.3, failure=failure),
    ]


def drawn(events: list[Event]) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None, legacy_windows=False)
    with LiveProgress(console) as live:
        for event in events:
            live.show(event)
    return screen.getvalue()


def test_a_failed_build_leaves_its_steps_its_last_words_and_the_reason() -> None:
    shown = drawn(failing_build())
    assert "30 packages (cached)" in shown
    assert "  last words" in shown.splitlines()
    assert "npm run build: exit code 1" in shown
    assert "✗" in shown


def test_why_a_build_waits_is_shown_until_its_first_step() -> None:
    view = BuildView()
    view.take(BuildQueued(build_id=BUILD, ahead=2, reason=WaitReason.SLOTS, message="2 builds go before it"))
    assert "Waiting: 2 builds go before it" in text_of(view)
    view.take(StepStarted(build_id=BUILD, step=StepId.SOURCE))
    assert "Waiting" not in text_of(view)


def text_of(view: BuildView) -> str:
    screen = io.StringIO()
    Console(file=screen, width=100, color_system=None).print(view.running())
    return screen.getvalue()


def test_what_a_build_prints_can_not_command_the_terminal() -> None:
    assert "owned" not in drawn(failing_build())


def test_a_step_that_has_no_end_yet_is_no_mistake_when_the_build_ends() -> None:
    events = [*failing_build()[:3], failing_build()[-1]]
    assert "…" in drawn(events)


def test_plain_progress_is_one_text_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    plain = PlainProgress()
    for event in failing_build():
        plain.show(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "│ last words" in captured.err


def test_an_event_of_a_later_version_is_skipped() -> None:
    assert event_of(b'{"seq":1,"ts":"","type":"build.teleported","build_id":"b"}') is None
    assert event_of(b'{"seq":1,"ts":"","type":"build.queued","build_id":"b"}') is not None
    with pytest.raises(ValueError, match="seq"):
        event_of(b'{"seq":"one","ts":"","type":"build.queued","build_id":"b"}')


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        (("10", "11", "12"), "│ one"),
        (("08", "09", "12"), "│ one"),
        (("07", "08", "09"), "built before"),
    ],
)
def test_a_build_that_ended_earlier_is_one_line_and_not_a_replay(
    times: tuple[str, str, str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    events: list[Event] = [
        Log(build_id=BUILD, step=StepId.BUILD, stream="stdout", line="one", ts=times[0]),
        Log(build_id=BUILD, step=StepId.BUILD, stream="stdout", line="two", ts=times[1]),
        BuildCompleted(build_id=BUILD, status=BuildStatus.SUCCEEDED, seconds=1, ts=times[2]),
    ]
    only_new = OnlyNew(PlainProgress(), since="10")
    for event in events:
        only_new.show(event)
    said = capsys.readouterr().err
    assert shown in said
    assert len(said.splitlines()) == (1 if shown == "built before" else 3)
