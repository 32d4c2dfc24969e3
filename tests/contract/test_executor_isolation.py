"""What a sandbox keeps from a hostile command, tried from inside. The numbers are those of the sandbox's list of controls."""

import asyncio
import json
import os
import platform
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from headrace.model.sandbox import KillReason

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

pytestmark = [pytest.mark.sandbox, pytest.mark.parametrize("lab", ["runc", "crun"], indirect=True)]

PROBES = Path(__file__).parent / "probes"
REFUSED = {"EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT"}
DEVICES = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
#: Mount points of a sandbox, and options that each must have. Everything else is a masked part of /proc.
MOUNTS = {
    "/": {"ro", "nosuid", "nodev"},
    "/app": {"rw", "nosuid", "nodev"},
    "/home/builder": {"rw", "nosuid", "nodev"},
    "/tmp": {"rw", "nosuid", "nodev"},
    "/etc/ssl/certs/ca-certificates.crt": {"ro", "nosuid", "nodev"},
    "/proc": {"nosuid", "noexec", "nodev"},
    "/dev": {"nosuid", "noexec"},
    "/dev/pts": {"nosuid", "noexec"},
    "/dev/shm": {"nosuid", "nodev", "noexec"},
}


async def probe(lab: "Lab") -> dict[str, Any]:
    sandbox = await lab.open(PROBES)
    result = await sandbox.run(lab.command(("python3", "sandbox_probe.py"), env={"DECLARED": "1"}), lab.log)
    assert result.exit_code == 0, lab.text("stderr")
    found: dict[str, Any] = json.loads(lab.text())
    return found


async def test_it_is_somebody_without_rights_in_namespaces_of_its_own(lab: "Lab") -> None:
    found = await probe(lab)
    # H7-H10, H13
    assert found["Uid"].split() == ["1000"] * 4
    assert {found[kind] for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    inside, outside, size = map(int, found["uid_map"])
    assert (inside, size) == (0, 65536)
    assert outside >= 100_000
    assert found["setuid"] == "EPERM"
    assert found["setuid files"] == []
    # H2, H4, H6
    assert found["processes"][0] == 1
    assert len(found["processes"]) == 2
    assert (found["hostname"], found["sethostname"]) == ("sandbox", "EPERM")
    assert found["cgroup"]
    # H11, H12: a shell on the way sets PWD, Python sets LC_CTYPE
    assert found["descriptors"] == [0, 1, 2]
    own = {"HOME", "PATH", "TMPDIR", "USER", "LOGNAME", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"}
    assert set(found["environment"]) - own == {"DECLARED", "PWD", "LC_CTYPE"}
    assert found["home"] == "/home/builder"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the probe knows the system calls of x86_64")
async def test_system_calls_that_reach_beyond_a_process_are_refused(lab: "Lab") -> None:
    found = await probe(lab)
    # H14-H16, H18-H22, H24, H25
    names = (
        "mount umount2 pivot_root fsopen open_tree move_mount mount_setattr setns bpf perf_event_open io_uring_setup userfaultfd "
        "ptrace process_vm_readv pidfd_getfd kcmp add_key request_key keyctl reboot kexec_load init_module swapon syslog "
        "clock_settime open_by_handle_at personality chroot mknod"
    ).split()
    names += ["unshare user", "unshare mount", "unshare network", "clone with a new user namespace"]
    assert {name: found[name] for name in names} == dict.fromkeys(names, "EPERM")
    assert (found["clone3"], found["unknown"]) == ("ENOSYS", "ENOSYS")
    # H17
    kinds = "packet alg vsock raw key netfilter".split()
    assert {found[f"socket {kind}"] for kind in kinds} <= REFUSED
    for door in ("mount by int 0x80", "socketcall by int 0x80", "mount by x32"):
        assert found[door] == "SIGSYS", door
    assert (found["socket unix"], found["socket inet"]) == ("done", "done")


async def test_only_its_own_places_can_be_written_and_the_kernels_are_hidden(lab: "Lab") -> None:
    found = await probe(lab)
    # H26-H30
    for path in ("/x", "/usr/bin/x", "/etc/x", "/lib/x", "/opt/headrace/x", "/opt/x", "/var/x"):
        assert found[f"write {path}"] == "EROFS", path
    for path in ("/app/x", "/tmp/x", "/home/builder/x", "/dev/shm/x"):
        assert found[f"write {path}"] == 1, path
    assert found["write /proc/sys/kernel/core_pattern"] in ("EROFS", "EACCES")
    assert found["write /proc/sysrq-trigger"] in ("EROFS", "EACCES", "ENOENT")
    for name in ("kcore", "keys", "timer_list", "kallsyms"):
        assert found[f"read /proc/{name}"] in (0, "ENOENT", "EACCES"), name
    assert (found["read /proc/1/mem"], found["read /proc/1/environ"]) == ("EACCES", "EACCES")
    assert found["sys"] == []
    assert [name for name in found["dev"] if name != "core"] == DEVICES


async def test_it_has_exactly_the_mounts_that_it_needs(lab: "Lab") -> None:
    found = await probe(lab)
    # H3, H31
    at = {mount[4]: set(mount[5].split(",")) for mount in found["mounts"]}
    assert not [mount for mount in found["mounts"] if any(option.startswith("shared:") for option in mount)]
    for point, options in MOUNTS.items():
        assert options <= at[point], point
    others = set(at) - set(MOUNTS)
    assert not [point for point in others if not point.startswith(("/proc/", "/dev/"))]
    assert {point.removeprefix("/dev/") for point in others if point.startswith("/dev/")} <= {*DEVICES, "console"}


async def test_two_sandboxes_have_different_ids_and_nothing_in_common_to_write(lab: "Lab") -> None:
    layer = lab.layer("source", given="1")
    one, two = await lab.open(layer, name="sbx_a"), await lab.open(layer, name="sbx_b")
    leave = (
        "for d in /app /tmp /home/builder /dev/shm; do touch $d/left; stat -c '%d:%i' $d; done; cat /proc/self/uid_map"
    )
    look = leave.replace("touch $d/left", "ls -A $d")
    running = asyncio.create_task(one.run(lab.shell(f"{leave}; echo ready; sleep 1000"), lab.log))
    await lab.until_printed("ready")
    first = lab.text().removesuffix("\nready").split()
    second = (await lab.says(two, look)).split()
    await one.kill(KillReason.CANCELLED)
    await running
    # H7, H33, H34
    assert "left" not in second
    assert not {word for word in first if ":" in word} & {word for word in second if ":" in word}
    assert first[-2] != second[-2], "the ids on the machine"


async def test_a_planted_message_on_the_host_cannot_be_reached(lab: "Lab") -> None:
    # H37-H39: abstract sockets, loopback, and a service on all addresses of the machine
    with socket.socket(socket.AF_UNIX) as abstract, socket.create_server(("0.0.0.0", 0)) as service:  # noqa: S104
        name = f"headrace-planted-{os.getpid()}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        port = service.getsockname()[1]
        sandbox = await lab.open()
        source = (
            "import socket\n"
            "def reach(f, a):\n"
            "    s = socket.socket(f); s.settimeout(5)\n"
            "    try: s.connect(a); print('reached')\n"
            "    except OSError as e: print(type(e).__name__, e.errno)\n"
            f"reach(socket.AF_UNIX, '\\0{name}')\n"
            f"for host in ('127.0.0.1', '10.0.2.2', '{_own_address()}'): reach(socket.AF_INET, (host, {port}))\n"
        )
        await sandbox.run(lab.command(("python3", "-c", source)), lab.log)
    assert len(lab.text().splitlines()) == 4
    assert "reached" not in lab.text()


async def test_memory_ends_at_its_limit_even_if_the_command_says_it_went_well(lab: "Lab") -> None:
    # H49, F26
    sandbox = await lab.open()
    eat = "python3 -c 'x = bytearray(400 << 20)'; echo went on; exit 0"
    result = await sandbox.run(lab.shell(eat, limits={"memory_bytes": 100 * 2**20}), lab.log)
    assert (result.exit_code, result.killed_by) == (None, KillReason.MEMORY)
    assert result.peak_memory_bytes
    assert 80 * 2**20 < result.peak_memory_bytes <= 100 * 2**20


async def test_files_in_memory_count_as_memory(lab: "Lab") -> None:
    sandbox = await lab.open()
    fill = "head -c 60M /dev/zero > /tmp/a; head -c 60M /dev/zero > /dev/shm/b; python3 -c 'x = bytearray(60 << 20)'"
    result = await sandbox.run(lab.shell(fill, limits={"memory_bytes": 100 * 2**20}), lab.log)
    assert result.killed_by == KillReason.MEMORY


async def test_a_fork_bomb_ends_at_the_limit_of_processes(lab: "Lab") -> None:
    # H50, F28
    sandbox = await lab.open()
    bomb = "f() { f | f & }; f; sleep 1; echo survived"
    result = await sandbox.run(lab.shell(bomb, limits={"pids": 50, "seconds": 20}), lab.log)
    assert result.pids_limit_hit
    assert result.seconds < 20


async def test_processors_are_limited(lab: "Lab") -> None:
    # H51
    sandbox = await lab.open()
    burn = "timeout 2 sh -c 'while :; do :; done & while :; do :; done'"
    result = await sandbox.run(lab.shell(burn, limits={"cpus": 0.5}), lab.log)
    assert result.cpu_seconds
    assert result.cpu_seconds / result.seconds < 0.6


async def test_programs_count_as_many_processors_as_they_get(lab: "Lab") -> None:
    sandbox = await lab.open()
    assert (await lab.says(sandbox, "nproc", limits={"cpus": 1})).strip() == "1"
    everything = len(os.sched_getaffinity(0))
    assert (await lab.says(sandbox, "nproc", limits={"cpus": everything})).strip() == str(everything)


async def test_one_huge_sparse_file_is_refused(lab: "Lab") -> None:
    # H53
    sandbox = await lab.open()
    said = await lab.says(sandbox, "truncate -s 100G big 2>&1; echo $?", limits={"disk_bytes": 2**24})
    assert said.split()[-1] == "153", said


async def test_a_first_process_that_is_killed_from_outside_is_no_success(lab: "Lab") -> None:
    sandbox = await lab.open()
    running = asyncio.create_task(sandbox.run(lab.shell("echo begun; sleep 1000"), lab.log))
    await lab.until_printed("begun")
    (init,) = lab.settings.data_dir.glob("sandboxes/sbx_1/commands/0/pid")
    os.kill(int(init.read_text()), signal.SIGKILL)
    result = await running
    assert (result.exit_code, result.killed_by, result.output.lines) == (None, KillReason.LOST, 1)


async def test_nothing_of_a_closed_sandbox_is_left_on_the_machine(lab: "Lab") -> None:
    # I5
    sandbox = await lab.open(lab.layer("source", given="1"), name=f"sbx_{os.getpid()}")
    running = asyncio.create_task(sandbox.run(lab.shell("echo begun; setsid sleep 1000 & sleep 1000"), lab.log))
    await lab.until_printed("begun")
    groups = subprocess.run(
        ["find", "/sys/fs/cgroup", "-name", f"*-{sandbox.spec.id}"], capture_output=True, text=True, check=False
    )
    assert sandbox.spec.id in groups.stdout
    await sandbox.close()
    await running
    groups = subprocess.run(
        ["find", "/sys/fs/cgroup", "-name", f"*-{sandbox.spec.id}"], capture_output=True, text=True, check=False
    )
    assert groups.stdout == ""
    assert "headrace" not in Path("/proc/self/mountinfo").read_text()
    assert not list(lab.settings.data_dir.glob("sandboxes/*"))


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            any_socket.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(any_socket.getsockname()[0])
