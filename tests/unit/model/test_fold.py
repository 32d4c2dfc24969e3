"""A build's row is the fold of its log, from wherever one begins."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.model.build import Build, BuildStatus, StepStatus
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.event import (
    BuildCompleted,
    BuildCreated,
    BuildQueued,
    BuildStarted,
    CancelRequested,
    CommandCompleted,
    CommandStarted,
    Event,
    Log,
    PlanMade,
    SourceResolved,
    StepCompleted,
    StepStarted,
)
from headrace.model.fold import apply, fold
from headrace.model.plan import StepId

DIGEST = "sha256:" + "a" * 64
ID = "build_x"

#: One event of each kind that a fold looks at, with choices where they matter.
_STEPS = st.sampled_from([StepId.SOURCE, StepId.PLAN, StepId.BUILD])
_EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(BuildQueued(build_id=ID)),
    st.builds(BuildStarted, build_id=st.just(ID), worker=st.just("w"), fence=st.just(1), executor=st.just("oci")),
    st.builds(StepStarted, build_id=st.just(ID), step=_STEPS),
    st.builds(
        StepCompleted,
        build_id=st.just(ID),
        step=_STEPS,
        status=st.sampled_from([StepStatus.SUCCEEDED, StepStatus.FAILED]),
        seconds=st.just(1.5),
        cached=st.booleans(),
    ),
    st.just(SourceResolved(build_id=ID, version_id="ver_1", tree=DIGEST, files=1, bytes=1)),
    st.just(PlanMade(build_id=ID, plan=DIGEST, framework="vite", output="dist")),
    st.builds(CommandStarted, build_id=st.just(ID), step=_STEPS, argv=st.just(("npm", "ci"))),
    st.builds(CommandCompleted, build_id=st.just(ID), step=_STEPS, exit_code=st.just(0), seconds=st.just(2.0)),
    st.just(Log(build_id=ID, step=StepId.BUILD, stream="stdout", line="x")),
    st.just(CancelRequested(build_id=ID, by="test")),
    st.builds(
        BuildCompleted,
        build_id=st.just(ID),
        status=st.sampled_from([BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELLED]),
        seconds=st.just(3.0),
        artifact=st.sampled_from([None, DIGEST]),
    ),
)


def numbered(events: Sequence[Event]) -> list[Event]:
    return [
        event.model_copy(update={"seq": n, "ts": f"2026-11-20T00:00:{n % 60:02}.000Z"})
        for n, event in enumerate(events, 1)
    ]


def log_of(*events: Event) -> list[Event]:
    return numbered([BuildCreated(build_id=ID, project_id="prj_1"), *events])


def folded(*events: Event) -> Build:
    build = fold(log_of(*events))
    assert build is not None
    return build


@given(st.lists(_EVENTS, max_size=30), st.data())
def test_any_prefix_and_then_the_whole_log_again_give_the_same_row(events: list[Event], data: st.DataObject) -> None:
    log = log_of(*events)
    prefix = data.draw(st.integers(0, len(log)))
    again_from = data.draw(st.integers(0, prefix))
    assert fold(log[again_from:], fold(log[:prefix])) == fold(log)


@given(st.lists(_EVENTS, max_size=30))
def test_a_row_reads_back_from_json_as_it_was(events: list[Event]) -> None:
    build = folded(*events)
    assert Build.model_validate_json(build.model_dump_json()) == build


@given(st.lists(_EVENTS, max_size=30))
def test_there_is_one_state_for_each_step_and_each_command(events: list[Event]) -> None:
    build = folded(*events)
    assert len({step.id for step in build.steps}) == len(build.steps)
    assert len({command.step for command in build.commands}) == len(build.commands)


@given(st.lists(_EVENTS, max_size=10), st.lists(_EVENTS, max_size=10))
def test_nothing_changes_a_build_that_has_ended(before: list[Event], after: list[Event]) -> None:
    end = BuildCompleted(build_id=ID, status=BuildStatus.CANCELLED, seconds=1)
    log = log_of(*before, end, *after)
    ended, later = fold(log[: len(before) + 2]), fold(log)
    assert ended is not None
    assert later is not None
    assert later.but(seen=0) == ended.but(seen=0)


def test_a_log_that_does_not_begin_with_its_creation_makes_no_row() -> None:
    assert fold([BuildQueued(build_id=ID, seq=1)]) is None


def test_a_whole_build_leaves_its_steps_commands_and_result() -> None:
    build = folded(
        BuildQueued(build_id=ID),
        BuildStarted(build_id=ID, worker="w", fence=1, executor="oci"),
        StepStarted(build_id=ID, step=StepId.BUILD),
        CommandStarted(build_id=ID, step=StepId.BUILD, argv=("vite", "build"), env=("CI",)),
        CommandCompleted(build_id=ID, step=StepId.BUILD, exit_code=0, seconds=2, peak_memory_bytes=7),
        StepCompleted(build_id=ID, step=StepId.BUILD, status=StepStatus.SUCCEEDED, seconds=2.5),
        BuildCompleted(build_id=ID, status=BuildStatus.SUCCEEDED, seconds=3, artifact=DIGEST, result_key=DIGEST),
    )
    assert (build.status, build.artifact, build.result_key, build.seen) == (BuildStatus.SUCCEEDED, DIGEST, DIGEST, 8)
    assert [(step.id, step.status, step.seconds) for step in build.steps] == [("build", "succeeded", 2.5)]
    assert build.commands[0].argv == ("vite", "build")
    assert build.commands[0].peak_memory_bytes == 7
    assert build.finished_at == "2026-11-20T00:00:08.000Z"


def test_a_worker_that_takes_over_runs_the_open_step_again_and_keeps_the_first_start() -> None:
    build = folded(
        BuildStarted(build_id=ID, worker="w1", fence=1, executor="oci"),
        StepStarted(build_id=ID, step=StepId.SOURCE),
        StepCompleted(build_id=ID, step=StepId.SOURCE, status=StepStatus.SUCCEEDED, seconds=1),
        StepStarted(build_id=ID, step=StepId.BUILD),
        BuildStarted(build_id=ID, worker="w2", fence=2, executor="oci"),
    )
    assert [step.id for step in build.steps] == ["source"]
    assert build.started_at == "2026-11-20T00:00:02.000Z"


@pytest.mark.parametrize("status", [BuildStatus.FAILED, BuildStatus.CANCELLED])
def test_a_step_that_was_running_ends_like_its_build(status: BuildStatus) -> None:
    failure = Failure(reason=FailureReason.TIMEOUT, step=StepId.BUILD, message="too slow")
    build = folded(
        StepStarted(build_id=ID, step=StepId.BUILD),
        BuildCompleted(build_id=ID, status=status, seconds=1, failure=failure),
    )
    assert build.steps[0].status == status.value
    assert build.failure == failure


def test_applying_an_event_twice_gives_the_very_same_build() -> None:
    log = log_of(BuildQueued(build_id=ID))
    build = fold(log)
    assert build is not None
    assert apply(build, log[-1]) is build
