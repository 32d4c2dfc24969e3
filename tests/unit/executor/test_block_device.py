import os
from pathlib import Path

import pytest

from headrace.executor._block_device import BlockDevice, block_device_of


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A disk 8:0 with a partition 8:1, in /proc and /sys of a machine."""
    disk = tmp_path / "sys/devices/sda"
    (disk / "sda1").mkdir(parents=True)
    (disk / "dev").write_text("8:0\n")
    (disk / "sda1" / "dev").write_text("8:1\n")
    (disk / "sda1" / "partition").write_text("1\n")
    (tmp_path / "sys/class/block").mkdir(parents=True)
    (tmp_path / "sys/class/block/sda1").symlink_to(disk / "sda1")
    (tmp_path / "sys/dev/block").mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("")
    return tmp_path


def number_of(directory: Path) -> str:
    about = directory.stat().st_dev
    return f"{os.major(about)}:{os.minor(about)}"


def test_the_disk_of_a_partition_is_limited(machine: Path) -> None:
    (machine / "sys/dev/block" / number_of(machine)).symlink_to(machine / "sys/devices/sda/sda1")
    assert block_device_of(machine, machine) == BlockDevice(8, 0)


def test_a_whole_disk_is_itself(machine: Path) -> None:
    (machine / "sys/dev/block" / number_of(machine)).symlink_to(machine / "sys/devices/sda")
    assert block_device_of(machine, machine) == BlockDevice(8, 0)


def test_a_file_system_with_numbers_of_its_own_is_found_by_its_mount(machine: Path) -> None:
    line = f"40 1 {number_of(machine)} / /data rw - btrfs /dev/sda1 rw\n"
    (machine / "proc/self/mountinfo").write_text(line)
    assert block_device_of(machine, machine) == BlockDevice(8, 0)


def test_what_is_on_no_disk_has_none(machine: Path) -> None:
    (machine / "proc/self/mountinfo").write_text(f"40 1 {number_of(machine)} / /data rw - tmpfs tmpfs rw\n")
    assert block_device_of(machine, machine) is None
