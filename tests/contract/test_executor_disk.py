"""The limit of the disk, on each file system that a data directory may lie on, and where the machine itself runs out of space."""

import inspect
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.conftest import Lab

from headrace.executor._probe import deeds
from headrace.executor.oci import OciExecutor
from headrace.model.limits import GIB, MIB
from headrace.model.sandbox import KillReason, SandboxCommand

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount file systems"),
]


@pytest.fixture(params=["ext4", "xfs", "btrfs"])
def file_system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty one of 1 GiB."""
    image, place = tmp_path / "image", tmp_path / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(GIB)
    subprocess.run([f"mkfs.{request.param}", str(image)], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
async def lab(file_system: Path, base_system: Path) -> AsyncIterator[Lab]:
    made = Lab("crun", file_system, base_system)
    yield made
    await made.clean_up()


@pytest.mark.parametrize(
    ("deed", "limits", "limit"),
    [
        ("fill_disk", {"disk_bytes": 64 * MIB}, "bytes"),
        ("hide_on_disk", {"disk_bytes": 64 * MIB}, "bytes"),
        ("make_files", {"disk_files": 5000}, "files"),
    ],
)
async def test_who_writes_more_than_the_limit_is_ended(lab: Lab, deed: str, limits: dict[str, int], limit: str) -> None:
    sandbox = await lab.open()
    result = await sandbox.run(doing(lab, deed, **limits), lab.log)
    assert (result.killed_by, result.disk_limit) == (KillReason.DISK, limit)


async def test_who_fills_the_machine_is_ended_before_it_is_full(lab: Lab) -> None:
    sandbox = await lab.open()
    result = await sandbox.run(doing(lab, "fill_disk"), lab.log)
    assert (result.killed_by, result.disk_limit) == (KillReason.DISK, "machine")


def doing(lab: Lab, deed: str, **limits: int) -> SandboxCommand:
    return lab.command(("python3", "-c", f"{inspect.getsource(deeds)}\nDEEDS[{deed!r}]()"), limits=limits)


@pytest.mark.parametrize("file_system", ["ext4"], indirect=True)
async def test_traffic_of_the_disk_keeps_to_its_limit_where_one_is_set(lab: Lab) -> None:
    rate = 8 * MIB
    limited = lab.settings.model_copy(update={"disk_io_bytes": rate})
    executor = OciExecutor(limited)
    held = {entry.control: entry for entry in await executor.prove(await executor.unproven())}
    seen = json.loads(held["H52"].seen)
    assert held["H52"].holds
    assert (seen["limit"], seen["bytes a second"] > 0) == (rate, True)
