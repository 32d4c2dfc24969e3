"""
The fold: a build is what its events say, applied in order.

Pure, and idempotent by `seq`: applying a log again from any point on changes nothing. Once a build is over, nothing
changes it any more, whatever a worker that was late may have written.
"""

from collections.abc import Iterable

from headrace.model.build import Build, BuildStatus, CommandState, NetworkUse, StepState, StepStatus
from headrace.model.event import (
    BuildCompleted,
    BuildCreated,
    BuildQueued,
    BuildStarted,
    BuildWaiting,
    CacheDecision,
    CommandCompleted,
    CommandStarted,
    EgressUsed,
    Event,
    PlanMade,
    SourceResolved,
    StepCompleted,
    StepStarted,
)

#: How a step that was running ends when its build does.
_STEP_END = {
    BuildStatus.SUCCEEDED: StepStatus.SUCCEEDED,
    BuildStatus.FAILED: StepStatus.FAILED,
    BuildStatus.CANCELLED: StepStatus.CANCELLED,
}


def started(event: BuildCreated) -> Build:
    """The build that this first event makes."""
    return Build(
        id=event.build_id,
        project_id=event.project_id,
        version_id=event.version_id,
        result_key=event.result_key,
        framework=event.framework,
        options=event.options,
        created_at=event.ts,
        seen=event.seq,
    )


def fold(events: Iterable[Event], build: Build | None = None) -> Build | None:
    """All events, onto `build` or onto what their `build.created` makes. None when there is no such event."""
    for event in events:
        if build is not None:
            build = apply(build, event)
        elif isinstance(event, BuildCreated):
            build = started(event)
    return build


def apply(build: Build, event: Event) -> Build:
    """The build after the event. The same build for an event that it has seen."""
    if event.seq <= build.seen:
        return build
    if build.status.terminal:
        return build.model_copy(update={"seen": event.seq})
    return build.model_copy(update={**_changes(build, event), "seen": event.seq})


def _changes(build: Build, event: Event) -> dict[str, object]:
    match event:
        case BuildCreated():
            known = ("version_id", "result_key", "framework", "options")
            return {name: getattr(event, name) for name in known}
        case BuildQueued():
            return {"status": BuildStatus.QUEUED, "waits_for": event.reason}
        case BuildWaiting():
            return {"waits_for": event.reason}
        case BuildStarted():
            # A worker that takes the build over runs the step again that its predecessor was in.
            steps = tuple(step for step in build.steps if step.status != StepStatus.RUNNING)
            return {
                "status": BuildStatus.BUILDING,
                "started_at": build.started_at or event.ts,
                "steps": steps,
                "waits_for": None,
            }
        case SourceResolved():
            return {"version_id": event.version_id}
        case CacheDecision(cache="result") if event.trust == build.options.trust:
            # What answered an untrusted build from among the trusted ones is not its own.
            return {"result_key": event.key.digest}
        case PlanMade():
            return {"plan": event.plan, "framework": event.framework}
        case StepStarted() | StepCompleted():
            return {"steps": _with_step(build.steps, _step(build, event))}
        case CommandStarted() | CommandCompleted():
            return {"commands": _with_command(build.commands, _command(build, event))}
        case EgressUsed():
            return {"network": _with_use(build.network, event)}
        case BuildCompleted():
            return _end(build, event)
        case _:
            return {}


def _step(build: Build, event: StepStarted | StepCompleted) -> StepState:
    if isinstance(event, StepStarted):
        return StepState(id=event.step, status=StepStatus.RUNNING, started_at=event.ts)
    before = next((step for step in build.steps if step.id == event.step), None)
    return StepState(
        id=event.step,
        status=event.status,
        started_at=before.started_at if before else event.ts,
        seconds=event.seconds,
        cached=event.cached,
    )


def _command(build: Build, event: CommandStarted | CommandCompleted) -> CommandState:
    if isinstance(event, CommandStarted):
        return CommandState(step=event.step, argv=event.argv, env=event.env, network=event.network)
    before = next((command for command in build.commands if command.step == event.step), None)
    return (before or CommandState(step=event.step, argv=())).model_copy(
        update={
            "exit_code": event.exit_code,
            "killed_by": event.killed_by,
            "seconds": event.seconds,
            "peak_memory_bytes": event.peak_memory_bytes,
            "cpu_seconds": event.cpu_seconds,
            "lines": event.lines,
            "bytes": event.bytes,
            "sha256": event.sha256,
            "truncated_bytes": event.truncated_bytes,
        }
    )


def _end(build: Build, event: BuildCompleted) -> dict[str, object]:
    open_step = StepStatus.RUNNING
    ended = {"status": _STEP_END.get(event.status, StepStatus.FAILED)}
    return {
        "status": event.status,
        "waits_for": None,
        "steps": tuple(s.model_copy(update=ended) if s.status == open_step else s for s in build.steps),
        "version_id": event.version_id or build.version_id,
        "result_key": event.result_key or build.result_key,
        "artifact": event.artifact,
        "deployment_id": event.deployment_id,
        "failure": event.failure,
        "receipt": event.receipt,
        "finished_at": event.ts,
    }


def _with_step(states: tuple[StepState, ...], state: StepState) -> tuple[StepState, ...]:
    """A step that runs again, under another worker, takes the place of its first run."""
    if all(known.id != state.id for known in states):
        return (*states, state)
    return tuple(state if known.id == state.id else known for known in states)


def _with_use(uses: tuple[NetworkUse, ...], event: EgressUsed) -> tuple[NetworkUse, ...]:
    use = NetworkUse(**{name: getattr(event, name) for name in NetworkUse.model_fields})
    others = [u for u in uses if (u.step, u.host, u.port) != (use.step, use.host, use.port)]
    return (*others, use)


def _with_command(states: tuple[CommandState, ...], state: CommandState) -> tuple[CommandState, ...]:
    if all(known.step != state.step for known in states):
        return (*states, state)
    return tuple(state if known.step == state.step else known for known in states)
