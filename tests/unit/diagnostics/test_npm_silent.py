"""npm that ends with nothing but the place of its own log, which is gone with the sandbox."""

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult


def test_the_place_of_its_own_log_is_not_the_reason() -> None:
    line = "npm error A complete log of this run can be found in: /home/builder/.npm/_logs/2026-11-29-debug-0.log"
    failure = diagnose(
        StepId.DEPENDENCIES,
        PlannedCommand(argv=("npm", "install")),
        CommandResult(exit_code=1, seconds=167),
        [LogLine(seq=14, text=line)],
        ["package.json"],
    )
    assert "did not say why" in failure.message
    assert "build again" in (failure.hint or "")
    assert "_logs" not in failure.model_dump_json()
