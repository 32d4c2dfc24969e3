"""What is a fork bomb, and what only reaches its limit."""

from headrace.executor._fork_bomb import MANY, MANY_SECONDS, PATIENCE_SECONDS, ForkBomb


def first_seen(refused: list[tuple[float, int]]) -> float | None:
    """When it is known for one; each look at a command is a time and how many processes it was refused until then."""
    bomb = ForkBomb()
    return next((now for now, count in refused if bomb.seen(count, now)), None)


def test_who_is_refused_on_and_on_is_one() -> None:
    looks = [(step / 4, 10 * step) for step in range(1, 100)]
    assert first_seen(looks) == 0.25 + PATIENCE_SECONDS


def test_who_is_refused_thousands_is_one_sooner() -> None:
    assert first_seen([(step / 4, 250 * step) for step in range(1, 100)]) == 0.25 + MANY_SECONDS
    assert first_seen([(step / 4, MANY // 20 * step) for step in range(1, 100)]) == 20 / 4


def test_one_that_others_hold_up_for_seconds_is_one_still() -> None:
    # As it was counted beside two others: a second of hundreds, then nothing for 4 s, again and again.
    looks, count = [], 0
    for step in range(200):
        count += 200 if step % 20 < 4 else 0
        looks.append((step / 4, count))
    seen = first_seen(looks)
    assert seen is not None
    assert seen <= 20


def test_who_is_refused_nothing_is_none() -> None:
    assert first_seen([(float(step), 0) for step in range(1000)]) is None


def test_who_was_refused_some_and_makes_do_is_none() -> None:
    assert first_seen([(step / 4, 5000) for step in range(1, 1000)]) is None
    # Three seconds of it, each minute.
    asked, count = [], 0
    for step in range(5000):
        count += 300 if step % 240 < 12 else 0
        asked.append((step / 4, count))
    assert first_seen(asked) is None


def test_who_asks_again_now_and_then_is_none() -> None:
    # Once in 4 s.
    assert first_seen([(step / 4, step // 16) for step in range(1, 2000)]) is None


def test_late_looks_at_a_busy_machine_see_one_too() -> None:
    assert first_seen([(step * 5.0, step) for step in range(1, 10)]) == 15.0
