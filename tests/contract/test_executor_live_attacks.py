"""What a hostile preview can do against those who reach into its sandbox, and against the machine: tried from inside."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.conftest import on
from tests.mounts import mounts_with

from headrace.errors import HeadraceError, SandboxBlocked
from headrace.executor._cgroup import cgroup_mounts
from headrace.executor._sandbox_directory import cgroup_of
from headrace.executor.base import Sandbox
from headrace.model.limits import NetworkPhase
from headrace.model.preview import PREVIEW_EVENT, PreviewEgressDenied
from headrace.model.sandbox import CommandResult, Egress, KillReason, SandboxFile

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

pytestmark = [pytest.mark.sandbox, on("crun", "docker")]

PATIENCE = 60
FOR_YEARS = 10 * 365 * 86400.0

#: Plants everything that could be in a file's way, and tells what watchers see until it is killed.
PLANT = """
import os, socket
os.symlink("/etc/passwd", "absolute")
os.symlink("../../../../etc/passwd", "upwards")
os.symlink("/tmp", "elsewhere")
os.symlink("/proc/self/root/tmp", "magic")
os.symlink("nowhere", "dangling")
os.makedirs("directory/full")
for name in ("fifo", "device"):
    try:
        os.mknod(name, 0o666 | (0o010000 if name == "fifo" else 0o020000), os.makedev(1, 1))
    except OSError as refused:
        print(name, "refused", refused.errno)
socket.socket(socket.AF_UNIX).bind("unix")
os.mkdir("locked"); os.chmod("locked", 0)
open("shut", "w").write("old"); os.chmod("shut", 0o444)
open("strange", "w").write("old"); os.chmod("strange", 0)
print("planted", flush=True)
import time; time.sleep(1000)
"""

#: Says what inotify tells of the working directory and of one file, by names and in order.
WATCH = """
import ctypes, os, struct
libc = ctypes.CDLL(None)
watcher = libc.inotify_init()
names = {2: "modify", 8: "close_write", 64: "moved_from", 128: "moved_to", 256: "create", 512: "delete"}
where = {libc.inotify_add_watch(watcher, path, sum(names)): path.decode() for path in (b".", b"file")}
print("watches", os.stat("file").st_ino, flush=True)
while True:
    data = os.read(watcher, 65536)
    while data:
        number, mask, _, length = struct.unpack_from("iIII", data)
        name = data[16 : 16 + length].rstrip(b"\\0").decode()
        for bit, what in names.items():
            if mask & bit:
                path = name or where[number]
                size = os.path.getsize(path) if os.path.exists(path) else -1
                print(where[number], name, what, size, flush=True)
        data = data[16 + length :]
    print("inode", os.stat("file").st_ino, os.stat("file").st_uid == os.getuid(), flush=True)
"""


async def start(lab: "Lab", sandbox: Sandbox, script: str, said: str = "") -> "asyncio.Task[CommandResult]":
    limits = {"seconds": FOR_YEARS, "memory_bytes": 256 * 2**20, "pids": 64, "log_bytes": 2**20}
    command = lab.command(("python3", "-c", script), limits=limits)
    task = asyncio.create_task(sandbox.run(command, lab.log))
    await asyncio.wait_for(sandbox.running(), PATIENCE)
    if said:
        await asyncio.wait_for(lab.until_printed(said), PATIENCE)
    return task


async def end(lab: "Lab", sandbox: Sandbox, task: "asyncio.Task[CommandResult]") -> CommandResult:
    """Close the sandbox; nothing of it may be left on the machine."""
    await sandbox.close()
    result = await task
    assert [
        mount.path for mount in cgroup_mounts() if Path(mount.path + cgroup_of_sandbox(lab, sandbox)).exists()
    ] == []
    assert mounts_with(lab.settings.data_dir) == []
    assert processes_of(lab, sandbox.spec.id) == []
    assert await lab.executor.existing() == []
    return result


def cgroup_of_sandbox(lab: "Lab", sandbox: Sandbox) -> str:
    return cgroup_of(lab.sandboxes, sandbox.spec.id)


def processes_of(lab: "Lab", name: str) -> list[int]:
    """Processes that name the sandbox, or have its directory open: supervisors and what they started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            opened = [str(link.readlink()) for link in (process / "fd").iterdir()]
            if any(link.startswith(str(lab.sandboxes / name)) for link in opened):
                found.append(int(process.name))
    return [pid for pid in found if pid != os.getpid()]


async def test_nothing_that_is_planted_in_the_way_is_followed_filled_or_waited_for(lab: "Lab") -> None:
    sandbox = await lab.open_preview(lab.layer("source", file="1"))
    task = await start(lab, sandbox, PLANT, "planted")
    in_the_way = [
        "absolute",
        "upwards",
        "dangling",
        "elsewhere/x",
        "magic/x",
        "directory",
        "directory/full",
        "unix",
        "locked/x",
    ]
    planted = [name for name in ("fifo", "device") if f"{name} refused" not in lab.text()]
    for path in [*in_the_way, *planted]:
        with pytest.raises(SandboxBlocked):
            await asyncio.wait_for(sandbox.write([SandboxFile(path, b"hostile")], []), PATIENCE)
    assert "hostile" not in Path("/etc/passwd").read_text()
    assert not Path("/tmp/x").exists() or "hostile" not in Path("/tmp/x").read_text()
    await sandbox.write([], ["absolute", "fifo", "unix"])
    for path in ("absolute", "shut", "strange"):
        await sandbox.write([SandboxFile(path, b"ours")], [])
    live = sandbox.open_live()
    for name in ("absolute", "shut", "strange"):
        written = Path(f"/proc/self/fd/{live}/{name}")
        written.chmod(0o600)  # only root may read what its owner may not
        assert written.read_text() == "ours", name
    os.close(live)
    assert (await end(lab, sandbox, task)).killed_by is KillReason.CANCELLED


async def test_watchers_inside_see_whole_files_of_their_own_user_at_the_same_inode(lab: "Lab") -> None:
    sandbox = await lab.open_preview(lab.layer("source", file="before", gone="1"))
    task = await start(lab, sandbox, WATCH, "watches")
    inode = lab.text().split()[1]
    await sandbox.write([SandboxFile("file", b"ten bytes."), SandboxFile("new", b"complete")], [])
    await asyncio.wait_for(lab.until_printed("new create"), PATIENCE)
    await sandbox.write([SandboxFile("file", b"six...")], ["gone"])
    await asyncio.wait_for(lab.until_printed("gone delete"), PATIENCE)
    seen = lab.text().splitlines()[1:]
    assert "file  modify 10" in seen
    assert ". new create 8" in seen
    assert {line for line in seen if line.startswith("inode")} == {f"inode {inode} True"}
    assert not any(line.startswith("file") and line.endswith(" 0") for line in seen), "it was empty for a moment"
    # A file without a name is shown as a number by the kernel while it is filled; it can't be opened or listed.
    names = {line.split()[1] for line in seen if line.startswith(". ")}
    assert {name for name in names if not name.startswith("#")} == {"file", "new", "gone"}
    await end(lab, sandbox, task)


async def test_a_tenant_who_swaps_directories_for_links_leads_nobody_out(lab: "Lab") -> None:
    race = """
import os, shutil
os.makedirs("a/b"); os.makedirs("/tmp/out/b")
print("races", flush=True)
while True:
    try:
        os.rename("a", "aside")
        os.symlink("/tmp/out", "a")
        os.unlink("a")
        os.rename("aside", "a")
    except OSError:
        # Somebody has made it again meanwhile.
        shutil.rmtree("aside", ignore_errors=True)
"""
    sandbox = await lab.open_preview(lab.layer("source", file="1"))
    task = await start(lab, sandbox, race, "races")
    for number in range(300):
        with suppress(SandboxBlocked):
            await sandbox.write([SandboxFile(f"a/b/{number}", b"x")], [f"a/b/{number - 1}"])
    root = Path(f"/proc/{first_process(lab)}/root/tmp/out/b")
    assert list(root.iterdir()) == []
    with suppress(HeadraceError):
        await sandbox.write([], ["a"])
    await end(lab, sandbox, task)


def first_process(lab: "Lab") -> int:
    (said,) = lab.sandboxes.glob("*/commands/*/running")
    return int(said.read_text())


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_fork_bomb_is_kept_to_its_share_and_ends_with_the_sandbox(lab: "Lab") -> None:
    bomb = """
import os, time
said = False
while True:
    try:
        os.fork()
    except OSError:
        said = said or print("refused", flush=True) is None
        time.sleep(0.01)
"""
    sandbox = await lab.open_preview()
    task = await start(lab, sandbox, bomb, "refused")
    await asyncio.sleep(0.5)
    await sandbox.write([SandboxFile("still", b"writable")], [])
    result = await end(lab, sandbox, task)
    assert (result.killed_by, result.pids_limit_hit) == (KillReason.CANCELLED, True)


async def test_one_that_eats_memory_ends_with_that_reason(lab: "Lab") -> None:
    eater = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "kept = []\\nwhile True: kept.append(bytearray(2**20))"])
time.sleep(1000)
"""
    sandbox = await lab.open_preview()
    task = await start(lab, sandbox, eater)
    result = await asyncio.wait_for(asyncio.shield(task), PATIENCE)
    assert (result.exit_code, result.killed_by) == (None, KillReason.MEMORY)
    await end(lab, sandbox, task)


async def test_an_endless_printer_fills_neither_the_log_nor_a_processor(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    task = await start(lab, sandbox, "import os\nwhile True: os.write(1, b'y' * 4095 + b'\\n')")
    await asyncio.wait_for(lab.until_printed("yyy"), PATIENCE)
    await asyncio.sleep(2)
    assert lab.log.stat().st_size < 4 * 2**20
    result = await end(lab, sandbox, task)
    assert result.killed_by is KillReason.CANCELLED
    assert result.output.truncated_bytes > 0
    truncated = [event for event in lab.events() if event["type"] == "log.truncated"]
    assert [event["project_id"] for event in truncated] == ["prj_1"]
    # 2 s of printing at most at the pace that is left to one who prints too much, with what pipes hold.
    assert result.output.truncated_bytes < 200 * 2**20


async def test_a_killed_supervisor_takes_the_preview_with_it(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    task = await start(lab, sandbox, "import time\nprint('begun', flush=True)\ntime.sleep(1000)", "begun")
    (lock,) = lab.sandboxes.glob("*/commands/*/lock")
    first = first_process(lab)
    os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)
    result = await asyncio.wait_for(asyncio.shield(task), PATIENCE)
    assert result.killed_by is KillReason.LOST
    assert not is_running(first)
    await end(lab, sandbox, task)


async def test_without_egress_there_is_no_proxy_and_little_beside_the_command(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    task = await start(lab, sandbox, "import time\nprint('begun', flush=True)\ntime.sleep(1000)", "begun")
    (lock,) = lab.sandboxes.glob("*/commands/*/lock")
    supervisor = lock.read_text().split()[0]
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    living = [pid for pid in children if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"]
    assert set(living) <= {str(first_process(lab))}
    await end(lab, sandbox, task)


async def test_what_a_preview_may_not_reach_is_a_fact_of_its_project(lab: "Lab") -> None:
    knock = """
import socket
with socket.create_connection(("127.0.0.1", 3128)) as proxy:
    proxy.sendall(b"CONNECT 10.0.0.1:22 HTTP/1.1\\r\\n\\r\\n")
    print(proxy.recv(1000).split()[1].decode(), flush=True)
"""
    sandbox = await lab.open_preview()
    egress = Egress(phase=NetworkPhase.REGISTRIES)
    await sandbox.run(lab.command(("python3", "-c", knock), egress=egress), lab.log)
    assert lab.text() == "403"
    (denied,) = (event for event in lab.events() if event["type"] == "egress.denied")
    fact = PREVIEW_EVENT.validate_python(denied)
    assert isinstance(fact, PreviewEgressDenied)
    assert (fact.project_id, fact.host, fact.port) == ("prj_1", "10.0.0.1", 22)
