"""Whose a sandbox is: a build's or a preview's. It decides what the records of its commands are."""

from headrace.errors import ExecutorUnavailable
from headrace.loglines import Origin, of_build, of_preview
from headrace.model.sandbox import SandboxCommand, SandboxSpec


def origin_of(spec: SandboxSpec, command: SandboxCommand) -> Origin:
    """Raises ExecutorUnavailable for a command of a build without its step."""
    if spec.project_id is not None:
        return of_preview(spec.project_id)
    if spec.build_id is None or command.step is None:
        raise ExecutorUnavailable(f"a command of the sandbox {spec.id} belongs to no step of a build")
    return of_build(spec.build_id, command.step)


def soft_seconds(spec: SandboxSpec, command: SandboxCommand) -> float | None:
    """When to warn that the time is nearly over. A preview is meant to run until it is put to sleep."""
    return None if spec.project_id is not None else command.limits.seconds * command.limits.soft_fraction
