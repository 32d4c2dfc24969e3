"""What the instructions of every command say, however it is run."""

from pathlib import Path

from headrace.executor._instructions import Instructions
from headrace.executor._origin import origin_of, soft_seconds
from headrace.model.sandbox import SandboxCommand, SandboxSpec


def instructions_of(spec: SandboxSpec, command: SandboxCommand, disk: Path, log: Path) -> Instructions:
    """
    `disk` is the sandbox's, `log` the event file. How the command is run is missing: see `dataclasses.replace`. Raises
    ExecutorUnavailable for a command of a build without its step.
    """
    limits = command.limits
    return Instructions(
        origin=origin_of(spec, command),
        log=str(log),
        seconds=limits.seconds,
        soft_seconds=soft_seconds(spec, command),
        log_bytes=limits.log_bytes,
        disk_bytes=limits.disk_bytes,
        disk_files=limits.disk_files,
        watched=[str(disk / "upper"), str(disk / "home")],
        secrets=command.secret_values,
    )
