"""How a check says that an output can't be published."""

from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import StepId

#: Names in a message: enough to see what is wrong.
_NAMED = 5


def refusal(reason: FailureReason, message: str, *, hint: str) -> Failure:
    return Failure(reason=reason, step=StepId.VERIFY, message=message[:2000], hint=hint[:1000])


def named(paths: list[str]) -> str:
    """The first paths, and how many more there are."""
    shown = ", ".join(path[:200] for path in paths[:_NAMED])
    more = len(paths) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown
