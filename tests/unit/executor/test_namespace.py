"""What an ordinary user may give to sandboxes, and what is said where there is nothing."""

import os
from pathlib import Path

import pytest

from headrace.executor import _namespace
from headrace.executor._cgroup import Delegated
from headrace.executor._namespace import GivenIds, given_ids
from headrace.executor._ordinary_user import as_weaker, give_ids, user_findings, user_name, weaker_controls
from headrace.executor._prove import Held


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Stand for /etc/subuid and /etc/subgid, on a machine that has the programs."""
    monkeypatch.setattr(_namespace, "missing_programs", list)
    return tmp_path / "subuid", tmp_path / "subgid"


def test_the_largest_range_of_ones_own_counts_by_name_or_number(files: tuple[Path, Path]) -> None:
    files[0].write_text(f"other:1:9\n{user_name()}:100000:5\n{os.getuid()}:200000:4096\nbroken\n")
    files[1].write_text(f"{user_name()}:300000:65536\n")
    assert given_ids(files) == GivenIds(200_000, 300_000, 4096)


def test_without_a_line_in_both_files_there_are_no_ids(files: tuple[Path, Path]) -> None:
    files[0].write_text(f"{user_name()}:100000:65536\n")
    files[1].write_text("other:100000:65536\n")
    assert given_ids(files) == GivenIds()
    assert given_ids((files[0], files[0].with_name("none"))) == GivenIds()


def test_without_the_programs_that_hand_them_out_there_are_no_ids(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in files:
        file.write_text(f"{user_name()}:100000:65536\n")
    assert given_ids(files).length
    monkeypatch.setattr(_namespace, "missing_programs", lambda: ["newuidmap"])
    assert given_ids(files) == GivenIds()


def test_the_range_that_is_proposed_is_nobodys(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    assert "--add-subuids 100000-165535 --add-subgids 100000-165535 ann" in give_ids("ann", file)
    file.write_text("bob:100000:65536\neve:400000:100\n")
    assert "--add-subuids 400100-465635" in give_ids("ann", file)


def test_what_is_weaker_is_what_no_group_keeps() -> None:
    everything = Delegated(controllers=frozenset({"memory", "pids", "cpu"}))
    assert set(weaker_controls(everything, (6, 1))) == {"H7"}
    assert set(weaker_controls(Delegated(), (6, 1))) == {"H7", "H49", "H51"}
    assert set(weaker_controls(Delegated(), (5, 13))) == {"H7", "H49", "H50", "H51"}


def test_a_control_that_is_known_to_be_weaker_does_not_hold_even_if_it_passed() -> None:
    held = as_weaker([Held("H49", True, "ended"), Held("H8", True, "nobody")], {"H49": "a watch"})
    assert held == [Held("H49", False, "a watch"), Held("H8", True, "nobody")]


def test_every_finding_about_the_user_that_is_not_well_says_what_to_do() -> None:
    for given, delegated in ((GivenIds(), Delegated()), (GivenIds(1, 1, 9), Delegated(controllers=frozenset({"cpu"})))):
        findings = list(user_findings(given, delegated))
        assert {"user", "ids to give", "control groups"} <= {finding.subject for finding in findings}
        assert all(finding.fix for finding in findings if finding.status != "ok")
