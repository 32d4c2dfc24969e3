"""Whatever a failure holds, it is small."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.diagnostics.fit import LARGEST, fitted
from headrace.model.diagnostic import Diagnostic, Failure, FailureReason
from headrace.model.plan import StepId

#: Long texts without long generation: a piece, many times.
TEXTS = st.builds(lambda piece, times: piece * times, st.text(min_size=1, max_size=8), st.integers(1, 4000))
DIAGNOSTICS = st.builds(
    Diagnostic,
    tool=st.sampled_from(["tsc", "webpack"]),
    severity=st.just("error"),
    message=TEXTS,
    code=TEXTS | st.none(),
    file=TEXTS | st.none(),
    line=st.integers(1, 10**9) | st.none(),
    excerpt=TEXTS | st.none(),
    hint=TEXTS | st.none(),
    log_seq=st.integers(0, 10**12),
)


@given(
    message=TEXTS,
    hint=TEXTS | st.none(),
    command=st.lists(TEXTS, max_size=30),
    diagnostics=st.lists(DIAGNOSTICS, max_size=14),
)
def test_a_failure_is_at_most_eight_kibibytes(
    message: str, hint: str | None, command: list[str], diagnostics: list[Diagnostic]
) -> None:
    failure = Failure(
        reason=FailureReason.TYPE_ERROR,
        step=StepId.BUILD,
        message=message,
        hint=hint,
        command=tuple(command),
        exit_code=1,
        diagnostics=tuple(diagnostics),
    )
    short = fitted(failure)
    assert len(short.model_dump_json().encode()) <= LARGEST
    assert short.reason is failure.reason
    assert short.message[0] == failure.message[0]
