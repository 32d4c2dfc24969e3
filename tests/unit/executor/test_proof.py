"""What is remembered of a proof, and what is refused."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace.errors import ExecutorUnavailable, InvalidSetting
from headrace.executor._proof import Proof, accepted_controls, control_findings, refuse_weak
from headrace.executor._prove import Held
from headrace.settings import Settings

GOOD = [Held("H13", True, '"2"'), Held("H32", True, "{}")]
WEAK = [Held("H13", True, '"2"'), Held("H32", False, '{"fill_disk": "exit code 0"}')]


class Prover:
    """Says the next of `answers` each time."""

    def __init__(self, *answers: Sequence[Held]) -> None:
        self.answers = list(answers)

    async def __call__(self) -> Sequence[Held]:
        return self.answers.pop(0)


async def test_what_was_proven_is_proven_once(tmp_path: Path) -> None:
    prover = Prover(GOOD)
    assert await Proof(tmp_path, ["runc"]).of(prover, ()) == GOOD
    assert await Proof(tmp_path, ["runc"]).of(prover, ()) == GOOD


async def test_another_runtime_is_another_proof(tmp_path: Path) -> None:
    prover = Prover(GOOD, WEAK, WEAK)
    assert await Proof(tmp_path, ["runc"]).of(prover, ()) == GOOD
    assert await Proof(tmp_path, ["crun"]).of(prover, ()) == WEAK


async def test_what_was_missing_is_tried_again_because_it_may_have_been_mended(tmp_path: Path) -> None:
    prover = Prover(WEAK, WEAK, GOOD)
    assert await Proof(tmp_path, []).of(prover, ()) == WEAK
    assert await Proof(tmp_path, []).of(prover, ()) == GOOD


async def test_a_control_is_missing_when_it_did_not_hold_twice(tmp_path: Path) -> None:
    assert await Proof(tmp_path, []).of(Prover(WEAK, GOOD), ()) == GOOD
    assert await Proof(tmp_path, []).anew(Prover(WEAK, GOOD)) == GOOD
    assert await Proof(tmp_path, []).anew(Prover(WEAK, WEAK)) == WEAK


async def test_who_tries_for_ever_lets_others_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.executor._proof._MOST_SECONDS", 0.05)

    async def hang() -> Sequence[Held]:
        await asyncio.sleep(60)
        return GOOD

    with pytest.raises(ExecutorUnavailable, match="longer than"):
        await Proof(tmp_path, []).of(hang, ())
    assert await Proof(tmp_path, []).of(Prover(GOOD), ()) == GOOD


async def test_what_is_accepted_is_remembered_too(tmp_path: Path) -> None:
    prover = Prover(WEAK)
    assert await Proof(tmp_path, []).of(prover, ("H32",)) == WEAK
    assert await Proof(tmp_path, []).of(prover, ("H32",)) == WEAK


async def test_a_record_that_can_not_be_read_is_none(tmp_path: Path) -> None:
    prover = Prover(GOOD, WEAK, WEAK)
    await Proof(tmp_path, []).of(prover, ())
    (record,) = tmp_path.glob(".proven-*.json")
    record.write_text("[1")
    assert await Proof(tmp_path, []).of(prover, ()) == WEAK


def test_a_missing_control_is_refused_with_the_setting_that_accepts_it() -> None:
    with pytest.raises(ExecutorUnavailable) as refused:
        refuse_weak([*WEAK, Held("H9", False, '"0"')], ("H13",), "oci")
    assert refused.value.exact_code == "executor.controls_missing"
    assert "H32 limited disk" in refused.value.message
    assert "HEADRACE_ACCEPT_WEAKER_SANDBOX=H9,H13,H32" in (refused.value.hint or "")


def test_an_accepted_one_is_not_refused_and_said(caplog: pytest.LogCaptureFixture) -> None:
    refuse_weak(WEAK, ("H32",), "oci")
    assert "H32 limited disk" in caplog.text


@pytest.mark.parametrize("name", ["H59", "h32", "H36", "everything"])
def test_only_controls_that_are_required_can_be_accepted(name: str) -> None:
    with pytest.raises(InvalidSetting):
        accepted_controls([name])


def test_each_control_is_a_finding_and_what_is_missing_says_what_accepts_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, accept_weaker_sandbox=("H9",))
    good, weak, accepted = control_findings([*WEAK, Held("H9", False, '"0"')], settings)
    assert (good.status, good.fix) == ("ok", None)
    assert (weak.status, weak.control, weak.chapter) == ("missing", "H32", "files and devices")
    assert "HEADRACE_ACCEPT_WEAKER_SANDBOX=H9,H32" in (weak.fix or "")
    assert accepted.status == "warning"
