"""What the sandbox itself saw: the first source of a reason, because a log can say anything."""

import signal

from headrace.model.diagnostic import FailureReason
from headrace.model.limits import Limits
from headrace.model.plan import PlannedCommand
from headrace.model.sandbox import CommandResult, KillReason

_MIB = 2**20
#: How V8 ends a process whose heap is full, as shells report it: it differs between versions and machines.
_ABORTED = frozenset(128 + number for number in (signal.SIGABRT, signal.SIGTRAP, signal.SIGILL))
#: Less is not what a heap takes that is full, whatever its limit.
_LEAST_HEAP = 32 * _MIB
#: V8 gives a heap a quarter of the memory there is; half of that is left for what counts it otherwise.
_PART_OF_MEMORY = 8


def evident(command: PlannedCommand, result: CommandResult) -> tuple[FailureReason, str, str | None] | None:
    """Reason, message and hint, when the end of the command shows them without its log."""
    limits = command.limits
    match result.killed_by:
        case KillReason.MEMORY:
            peak = f"it reached {result.peak_memory_bytes / _MIB:,.0f} MiB, " if result.peak_memory_bytes else ""
            message = f"out of memory: {peak}the limit is {limits.memory_bytes / _MIB:,.0f} MiB"
            return (
                FailureReason.OUT_OF_MEMORY,
                message,
                "raise the memory limit of the project, or let the build use less",
            )
        case KillReason.TIMEOUT:
            message = f"stopped at its time limit of {limits.seconds:g} s"
            return (
                FailureReason.TIMEOUT,
                message,
                "raise the time limit of the project; does the command wait for something?",
            )
        case KillReason.DISK:
            return _disk_full(limits, result)
        case KillReason.PROCESSES:
            message = (
                f"stopped because it kept starting more than the {limits.pids} processes and threads that it may have"
            )
            return (
                FailureReason.PIDS_LIMIT,
                message,
                "does something start itself without end? Start fewer at the same time",
            )
        case KillReason.LOST:
            return FailureReason.SANDBOX_DIED, "the sandbox went away while the command ran", "try again"
        case KillReason.CANCELLED:
            return FailureReason.COMMAND_FAILED, "cancelled", None
    if result.exit_code == 128 + signal.SIGXFSZ:
        message = f"a file passed the disk limit of {limits.disk_bytes / _MIB:,.0f} MiB"
        return FailureReason.DISK_FULL, message, "raise the disk limit of the project, or write less"
    if result.pids_limit_hit and result.exit_code != 0:
        message = f"the limit of {limits.pids} processes and threads was reached"
        return FailureReason.PIDS_LIMIT, message, "let the command start fewer processes at the same time"
    return None


def heap_may_be_full(command: PlannedCommand, result: CommandResult) -> bool:
    """
    Whether what happened fits to a log that says that a JavaScript heap was full: anybody can print that. Its process was ended by
    V8, or by a program above it that has an exit code of its own; and that much memory was in use.
    """
    peak = result.peak_memory_bytes
    if result.exit_code in _ABORTED:
        return peak is None or peak >= _LEAST_HEAP
    return peak is not None and peak >= command.limits.memory_bytes // _PART_OF_MEMORY


def _disk_full(limits: Limits, result: CommandResult) -> tuple[FailureReason, str, str | None]:
    match result.disk_limit:
        case "machine":
            message = "the disk of the machine that builds is nearly full, and this command wrote to it"
            hint = "free space there, or run `headrace cache prune`"
        case "files":
            message = f"the command made more than {limits.disk_files:,} files"
            hint = "make fewer files; does something make them without end?"
        case _:
            message = f"the command wrote more than {limits.disk_bytes / _MIB:,.0f} MiB"
            hint = "raise the disk limit of the project, or write less"
    return FailureReason.DISK_FULL, message, hint


def how_it_ended(result: CommandResult) -> str:
    """`exit code 1`, or the signal that the exit code stands for."""
    code = result.exit_code
    if code is None:
        return "it did not end by itself"
    if code > 128:
        try:
            return f"ended by {signal.Signals(code - 128).name} (exit code {code})"
        except ValueError:
            pass
    return f"exit code {code}"
