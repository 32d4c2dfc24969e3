"""System calls that Python has no function for; those that need root are tried as root."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.mounts import mounts_with

from headrace import linux

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
SOURCE = str(Path(linux.__file__).parents[1])


def in_a_process(program: str, *arguments: str) -> str:
    """What `program` prints in a process of its own, where it can do no harm to this one's namespaces."""
    prelude = f"import os, sys; sys.path.insert(0, {SOURCE!r}); from headrace import linux\n"
    argv = [sys.executable, "-I", "-S", "-c", prelude + program, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_the_kernel_has_a_version() -> None:
    assert linux.kernel_version() >= (5, 0)


def test_a_path_that_leaves_its_directory_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "up").symlink_to("..")
    directory = os.open(tmp_path / "in", os.O_PATH)
    try:
        for path in ("..", "up", "/etc"):
            with pytest.raises(OSError, match=path):
                linux.open_beneath(directory, path, os.O_PATH)
        os.close(linux.open_beneath(directory, ".", os.O_PATH))
    finally:
        os.close(directory)


def test_an_error_names_the_path_and_the_reason() -> None:
    with pytest.raises(FileNotFoundError) as failed:
        linux.clone_mount("/no/such/place")
    assert failed.value.filename == "/no/such/place" or "/no/such/place" in str(failed.value)


@needs_root
def test_an_idmapped_mount_shows_and_writes_other_owners(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "view").mkdir()
    (tmp_path / "disk" / "file").touch()
    printed = in_a_process(
        """
disk, view = sys.argv[1:]
linux.unshare(linux.CLONE_NEWNS)
linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
ids = [linux.IdRange(0, 700_000, 1)]
mount = linux.clone_mount(disk)
linux.change_mount(mount, set_flags=linux.MOUNT_ATTR_NODEV, user_namespace=linux.user_namespace_with(ids, ids))
linux.attach_mount(mount, view)
print(os.stat(view + "/file").st_uid)
os.chdir(view)
os.setegid(700_000); os.seteuid(700_000)
os.close(os.open("made", os.O_CREAT | os.O_WRONLY))
""",
        str(tmp_path / "disk"),
        str(tmp_path / "view"),
    )
    assert printed == "700000\n"
    assert (tmp_path / "disk" / "made").stat().st_uid == 0
    assert list((tmp_path / "view").iterdir()) == [], "the mount was private to the process"


@needs_root
def test_a_mount_without_a_place_is_gone_with_its_descriptor(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"from-{name}").touch()
    lower = f"{tmp_path / 'a'}:{tmp_path / 'b'}"
    merged = linux.new_mount("overlay", [("lowerdir", lower)], linux.MOUNT_ATTR_RDONLY)
    tree = os.open(".", os.O_RDONLY, dir_fd=merged)
    assert sorted(os.listdir(tree)) == ["from-a", "from-b"]
    assert mounts_with(tmp_path) == []
    os.close(tree)
    os.close(merged)


@needs_root
def test_loopback_of_a_new_network_can_be_switched_on() -> None:
    printed = in_a_process(
        """
import socket
linux.unshare(linux.CLONE_NEWNET)
def reach():
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        try: socket.create_connection(("127.0.0.1", server.getsockname()[1])).close()
        except OSError as exc: return exc.strerror
        return "reached"
print(reach())
linux.loopback_up()
print(reach())
"""
    )
    assert printed.splitlines()[-1] == "reached"
    assert printed.splitlines()[0] != "reached"


def test_a_child_can_die_with_its_parent() -> None:
    printed = in_a_process(
        """
import signal, time
read, write = os.pipe()
parent = os.fork()
if parent == 0:
    if os.fork() == 0:
        linux.die_with_parent(signal.SIGKILL)
        os.write(write, b"+")
        time.sleep(60)
    os.read(read, 1)
    os._exit(0)
os.close(write)
os.waitpid(parent, 0)
print(os.read(read, 1))
"""
    )
    assert printed == "b''\n"
