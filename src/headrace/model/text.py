"""
What people read of a build: one event in, one text out.

Our own lines are made from events only and stand at the left edge; what a command printed stands behind `│ `. So nothing
that a build prints can look like a line of ours.
"""

import re

from headrace.model.build import BuildStatus, StepStatus
from headrace.model.diagnostic import Diagnostic
from headrace.model.event import (
    BuildCompleted,
    BuildCreated,
    BuildDiagnostic,
    BuildQueued,
    BuildStarted,
    BuildWaiting,
    BuildWarning,
    CacheDecision,
    CancelRequested,
    CommandCompleted,
    CommandStarted,
    EgressDenied,
    EgressLimit,
    EgressNewHost,
    EgressUnreachable,
    Event,
    Log,
    LogTruncated,
    PlanMade,
    SetupCompleted,
    SetupStarted,
    StepCompleted,
    StepStarted,
)
from headrace.model.plan import StepId

#: Planning runs nothing and takes no number: it is part of getting the project ready.
BANNERS = {
    StepId.SOURCE: "STEP 1: GETTING THE SOURCE",
    StepId.DEPENDENCIES: "STEP 2: INSTALLING DEPENDENCIES",
    StepId.BUILD: "STEP 3: BUILDING",
    StepId.VERIFY: "STEP 4: CHECKING THE OUTPUT",
    StepId.ARTIFACT: "STEP 5: STORING THE ARTIFACT",
    StepId.DEPLOY: "STEP 6: DEPLOYING",
}

_DONE = {
    StepId.SOURCE: "Source is there",
    StepId.PLAN: "Planned",
    StepId.DEPENDENCIES: "Dependencies are there",
    StepId.BUILD: "Build command ended",
    StepId.VERIFY: "Output is sound",
    StepId.ARTIFACT: "Artifact stored",
    StepId.DEPLOY: "Deployed",
}

_KILLED = {
    "cancelled": "cancelled",
    "memory": "out of memory",
    "timeout": "out of time",
    "disk": "out of disk space",
    "processes": "started processes without end",
    "lost": "lost with its sandbox",
}

_COLOUR = re.compile(r"\x1b\[[0-9;:]{0,32}m")
_SEQUENCE = re.compile(
    r"""(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)  # titles, links, the clipboard: up to their end
      | (?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|$)                            # cursor, erasing, colours
      | \x1b[ -/]*(?:[0-~]|$)                                             # the short ones
      | [\x00-\x08\x0b-\x1f\x7f-\x9f]                                     # other controls; a tab is text
      | [\u202a-\u202e\u2066-\u2069\u2028\u2029]                          # writing direction, foreign line ends
    """,
    re.VERBOSE | re.DOTALL,
)


def plain(text: str) -> str:
    """The text without control characters and escape sequences. Of a progress line that overwrote itself, the last state."""
    return text if text.isprintable() else _SEQUENCE.sub("", _last_state(text))


def coloured(text: str) -> str:
    """Like `plain`, but colours and styles stay, and end with the text."""
    if text.isprintable():
        return text
    shown = _SEQUENCE.sub(lambda found: found[0] if _COLOUR.fullmatch(found[0]) else "", _last_state(text))
    return shown + "\x1b[0m" if "\x1b" in shown else shown


def as_text(event: Event, *, colours: bool = False) -> str | None:
    """
    What to print for an event, without a newline at its end; None for one that says nothing to people.

    `colours` keeps the colours of log lines, for a terminal.
    """
    match event:
        case Log():
            # A stored line holds no newline. One that somebody made up would begin a line that looks like ours.
            line = event.line.replace("\n", " ")
            return f"│ {coloured(line) if colours else plain(line)}"
        case SetupStarted():
            return setup_text(event.message)
        case SetupCompleted():
            return setup_text(event.message, event.seconds)
        case StepStarted():
            return BANNERS.get(event.step)
        case StepCompleted():
            return _step_end(event)
        case CommandStarted():
            return f"$ {' '.join(_inline(argument) for argument in event.argv)}"
        case CommandCompleted():
            return _command_end(event)
        case BuildDiagnostic():
            return diagnostic_text(event.diagnostic)
        case CacheDecision():
            return _cache(event)
        case BuildCompleted():
            return _end(event)
        case _:
            return _notice(event)


def diagnostic_text(found: Diagnostic) -> str:
    """`src/App.tsx:3:5: error TS2304: message`, with the excerpt and the hint below."""
    where = ":".join(str(part) for part in (found.file, found.line, found.column) if part is not None)
    kind = " ".join(part for part in (found.severity, found.code) if part)
    lines = [_inline(f"{where}: {kind}: {found.message}" if where else f"{found.tool}: {kind}: {found.message}")]
    if found.excerpt:
        lines += [f"  │ {plain(line)}" for line in found.excerpt.split("\n")]
    if found.hint:
        lines.append(f"  → {_inline(found.hint)}")
    return "\n".join(lines)


def setup_text(message: str, seconds: float | None = None) -> str:
    """What is done once for a machine; `seconds` when it is done."""
    if seconds is None:
        return f"Once for this machine: {_inline(message)}"
    return f"✓ {_inline(message)} ({seconds_text(seconds)})"


def seconds_text(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f} min {rest:.0f} s" if minutes else f"{seconds:.1f} s"


def _step_end(event: StepCompleted) -> str:
    what = _inline(event.summary) or _DONE[event.step]
    took = "from the cache" if event.cached else seconds_text(event.seconds)
    match event.status:
        case StepStatus.SUCCEEDED:
            return f"✓ {what} ({took})"
        case StepStatus.SKIPPED:
            return f"- {what}"
        case StepStatus.CANCELLED:
            return f"■ Step {event.step} cancelled after {took}"
        case _:
            return f"✗ Step {event.step} failed after {took}"


def _command_end(event: CommandCompleted) -> str | None:
    lines = []
    if event.killed_by:
        lines.append(f"✗ Command ended after {seconds_text(event.seconds)}: {_KILLED.get(event.killed_by, 'killed')}")
    elif event.exit_code:
        lines.append(f"✗ Command ended after {seconds_text(event.seconds)} with exit code {event.exit_code}")
    if event.background_killed:
        lines.append(f"! Processes left in the background and killed: {event.background_killed}")
    return "\n".join(lines) or None


def _cache(event: CacheDecision) -> str:
    files = [entry.name.removeprefix("file ") for entry in event.key.inputs if entry.name.startswith("file ")]
    lines = (
        [f"Cache key from {_inline(', '.join(files))}: {event.key.digest.removeprefix('sha256:')[:12]}"]
        if files
        else []
    )
    return "\n".join([*lines, _inline(event.explanation)])


def _end(event: BuildCompleted) -> str:
    took = "the same inputs were built before" if event.cached else f"in {seconds_text(event.seconds)}"
    if event.status is BuildStatus.SUCCEEDED:
        return f"✓ Build succeeded, {took}" + (f": {_inline(event.url)}" if event.url else "")
    if event.status is BuildStatus.CANCELLED:
        return "■ Build cancelled"
    if event.failure is None:
        return f"✗ Build {event.status}"
    hint = f"\n  → {_inline(event.failure.hint)}" if event.failure.hint else ""
    return f"✗ Build failed ({event.failure.step}, {event.failure.reason}): {_inline(event.failure.message)}{hint}"


def _notice(event: Event) -> str | None:
    match event:
        case BuildCreated():
            return f"Build {event.build_id}"
        case BuildQueued(message=str(why)) | BuildWaiting(message=str(why)) if why:
            return f"Waiting: {_inline(why)}"
        case BuildStarted(fence=fence) if fence > 1:
            return "! Another worker goes on with this build"
        case PlanMade():
            return _inline(f"Plan: {', '.join([event.framework, *event.tools])}; output in {event.output}")
        case LogTruncated():
            return f"! Not in the log, because it was full: {event.bytes} bytes"
        case BuildWarning():
            return f"! {_inline(event.message)}"
        case EgressDenied():
            return (
                f"! Connection to {_inline(event.host)}:{event.port} refused{_by(event.package)}: {_inline(event.why)}"
            )
        case EgressUnreachable():
            return f"! {_inline(event.host)}:{event.port} can't be reached{_by(event.package)}: {_inline(event.why)}"
        case EgressLimit():
            cap = f"{event.limit.replace('_', ' ')}, at most {event.most}"
            return f"! Connections cut at {_inline(event.host)}:{event.port}{_by(event.package)}: {cap}"
        case EgressNewHost():
            return (
                f"! New host: {_inline(event.host)}:{event.port}{_by(event.package)}; the last build did not reach it"
            )
        case CancelRequested():
            return f"! Cancellation asked for by {_inline(event.by)}"
        case _:
            return None


def _by(package: str | None) -> str:
    return f" (package {_inline(package)})" if package else ""


def _inline(text: str) -> str:
    """Text of others inside a line of ours: one line, whatever it was."""
    return text if text.isprintable() else " ".join(plain(line).strip() for line in text.splitlines() if line.strip())


def _last_state(text: str) -> str:
    text = text.rstrip("\r\n")
    return text[text.rfind("\r") + 1 :]
