"""How the planner says that a project can't be planned: a result with a place and a way out, never an exception of ours."""

from headrace.errors import StepFailed
from headrace.model.diagnostic import Diagnostic, Failure, FailureReason
from headrace.model.plan import StepId


def refusal(
    reason: FailureReason,
    message: str,
    *,
    hint: str,
    file: str | None = None,
    line: int | None = None,
    column: int | None = None,
    excerpt: str | None = None,
) -> StepFailed:
    """A StepFailed of the plan step. With `file` it carries one diagnostic that points there."""
    place = Diagnostic(
        tool="headrace",
        severity="error",
        message=message[:1000],
        code=reason.value,
        file=file,
        line=line,
        column=column,
        excerpt=excerpt,
        hint=hint[:1000],
    )
    return StepFailed(
        Failure(
            reason=reason,
            step=StepId.PLAN,
            message=message[:2000],
            hint=hint[:1000],
            diagnostics=(place,) if file is not None else (),
        )
    )


def config_error(
    message: str,
    *,
    hint: str,
    file: str,
    line: int | None = None,
    column: int | None = None,
    excerpt: str | None = None,
) -> StepFailed:
    """A file that people wrote is wrong, at this place."""
    return refusal(FailureReason.CONFIG_ERROR, message, hint=hint, file=file, line=line, column=column, excerpt=excerpt)


def line_at(text: str, line: int) -> str | None:
    """The line with this 1-based number, shortened, as an excerpt."""
    lines = text.splitlines()
    return lines[line - 1].strip()[:200] if 0 < line <= len(lines) else None
