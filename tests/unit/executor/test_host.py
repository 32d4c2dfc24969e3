"""Settings of a machine that `headrace doctor` warns of."""

from pathlib import Path

import pytest

from headrace.executor._host import host_findings

TIDY = {
    "proc/sys/fs/protected_symlinks": "1",
    "proc/sys/kernel/unprivileged_bpf_disabled": "2",
    "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 1",
    "sys/kernel/mm/ksm/run": "0",
    "sys/devices/system/cpu/smt/active": "0",
    "sys/devices/system/cpu/vulnerabilities/meltdown": "Mitigation: PTI",
    "sys/kernel/security/lsm": "capability,yama,apparmor",
}


def machine(root: Path, **changed: str) -> Path:
    for name, text in {**TIDY, **changed}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def test_a_tidy_machine_is_not_mentioned(tmp_path: Path) -> None:
    assert list(host_findings(machine(tmp_path))) == []


def test_what_a_machine_does_not_say_is_not_held_against_it(tmp_path: Path) -> None:
    assert list(host_findings(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "text", "control"),
    [
        ("proc/sys/fs/protected_symlinks", "0", "H36"),
        ("proc/sys/kernel/unprivileged_bpf_disabled", "0", "H58"),
        ("proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 1", "H58"),
        ("sys/kernel/mm/ksm/run", "1", "H58"),
        ("sys/devices/system/cpu/smt/active", "1", "H58"),
        ("sys/devices/system/cpu/vulnerabilities/meltdown", "Vulnerable", "H58"),
        ("sys/kernel/security/lsm", "capability,yama", "H58"),
    ],
)
def test_what_is_not_as_it_should_be_is_a_warning_with_its_fix(
    tmp_path: Path, name: str, text: str, control: str
) -> None:
    (finding,) = host_findings(machine(tmp_path, **{name: text}))
    assert (finding.status, finding.control) == ("warning", control)
    assert finding.fix
