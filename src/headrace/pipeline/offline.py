"""Builds without a network: everything comes from what is here, and what isn't here is named."""

from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import StepId


def missing(step: StepId, what: str) -> StepFailed:
    """The end of a build that may not fetch `what`."""
    return StepFailed(
        Failure(
            reason=FailureReason.OFFLINE_MISS,
            step=step,
            message=f"this build may not use the network, and {what} is not here",
            hint="build once without --offline: what is fetched stays",
        )
    )
