"""What is done once for a machine is told to those who wait for it, also to who comes when it is under way."""

import pytest

from headrace.executor._setup import Setup
from headrace.model.sandbox import SetupStep, SetupWork


def test_a_step_is_told_with_its_purpose_when_it_begins_and_with_its_time_when_it_is_done() -> None:
    setup, heard = Setup(), list[SetupStep]()
    with setup.told(heard.append), setup.step(SetupWork.CONTROLS):
        pass
    begun, done = heard
    assert begun.work == done.work == SetupWork.CONTROLS
    assert "control" in begun.message
    assert begun.seconds is None
    assert done.seconds is not None


def test_who_comes_late_hears_what_is_under_way_and_who_has_left_hears_nothing() -> None:
    setup, early, late = Setup(), list[SetupStep](), list[SetupStep]()
    with setup.step(SetupWork.BASE_SYSTEM):
        with setup.told(early.append):
            pass
        with setup.told(late.append):
            pass
    assert len(early) == len(late) == 1
    assert early[0].work == SetupWork.BASE_SYSTEM


def test_a_step_that_fails_is_not_said_to_be_done_nor_to_be_under_way() -> None:
    setup, heard, late = Setup(), list[SetupStep](), list[SetupStep]()
    with pytest.raises(OSError, match="no"), setup.told(heard.append), setup.step(SetupWork.BASE_SYSTEM):
        raise OSError("no")
    with setup.told(late.append):
        pass
    assert len(heard) == 1
    assert late == []
