"""What an executor does once for a machine is told to the build that waits for it."""

from tests.unit.pipeline.conftest import Shop

from headrace.model.event import SetupCompleted, SetupStarted
from headrace.model.sandbox import SetupStep, SetupWork

STEPS = [
    SetupStep(work=SetupWork.BASE_SYSTEM, message="making it"),
    SetupStep(work=SetupWork.BASE_SYSTEM, message="It is made", seconds=1.5),
]


async def test_the_build_that_waits_for_it_says_so_and_the_next_one_does_not(shop: Shop) -> None:
    shop.executor.setup = [*STEPS]
    first, again = await shop.build(), await shop.build(force=True)
    [started] = await shop.events(first, "build.setup.started")
    [completed] = await shop.events(first, "build.setup.completed")
    assert isinstance(started, SetupStarted)
    assert isinstance(completed, SetupCompleted)
    assert (started.message, completed.seconds) == ("making it", 1.5)
    assert await shop.events(again, "build.setup.started") == []


async def test_a_build_without_a_network_does_not_begin_with_what_may_fetch_something(shop: Shop) -> None:
    await shop.build()
    shop.executor.setup = [*STEPS]
    again = await shop.build(offline=True, force=True)
    assert again.status == "succeeded"
    assert shop.executor.setup == STEPS
