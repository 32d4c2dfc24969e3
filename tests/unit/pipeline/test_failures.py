"""A failure is small, whatever raised it and however long the names are that strangers gave."""

from tests.unit.pipeline.conftest import Shop

from headrace.diagnostics.fit import LARGEST
from headrace.errors import EngineLost, ExecutorUnavailable
from headrace.model.plan import StepId
from headrace.pipeline.broken import may_pass, our_fault


async def test_a_refusal_with_long_names_is_at_most_eight_kibibytes(shop: Shop) -> None:
    # Four bytes for each letter.
    shop.write("headrace.toml", f'[build]\nframework = "{"🧱" * 9000}"\n')
    build = await shop.build()
    assert build.failure is not None
    assert build.failure.reason == "config_error"
    assert build.failure.diagnostics[0].file == "headrace.toml"
    assert len(build.failure.model_dump_json().encode()) <= LARGEST


def test_an_engine_that_died_may_come_back_and_has_a_reason_of_its_own() -> None:
    lost = EngineLost("no answer")
    assert may_pass(lost)
    assert our_fault(StepId.BUILD, lost).reason == "engine_lost"
    assert not may_pass(ExecutorUnavailable("no engine"))
