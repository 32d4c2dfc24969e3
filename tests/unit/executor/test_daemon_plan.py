"""What Docker and Podman are asked for: pure, an allowlist, and nothing of the command in it."""

import shlex
import subprocess
from pathlib import Path

import pytest

from headrace.executor._container_plan import read_machine
from headrace.executor._daemon_api import with_tag
from headrace.executor._daemon_engine import IO
from headrace.executor._daemon_plan import (
    SCRIPT,
    Daemon,
    build_user,
    daemon_instructions,
    shell_line,
    skeleton,
    ulimits,
)
from headrace.executor._furnish import mount_points
from headrace.executor._instructions import read_instructions, write_instructions
from headrace.executor._mounts import STAGE
from headrace.executor._namespace import Ground
from headrace.executor._runtime import Runtime
from headrace.executor._sandbox_directory import Allotted
from headrace.model.plan import StepId
from headrace.model.sandbox import SandboxCommand, SandboxSpec
from headrace.settings import Settings

FIRST = 20 * 65536
DOCKER = Daemon(
    socket="/d.sock", api="1.41", kind="docker", version="20.10", own_ids=False, shared_ids=False, profile="/p.json"
)
PODMAN = DOCKER._replace(kind="podman", own_ids=True)


def planned(tmp_path: Path, daemon: Daemon) -> tuple[Path, SandboxCommand]:
    place = tmp_path / "sbx_1" / "commands" / "0"
    place.mkdir(parents=True)
    (tmp_path / "sbx_1" / "disk").mkdir()
    settings = Settings(data_dir=tmp_path)
    machine = read_machine(skeleton(tmp_path), Runtime(daemon.kind, daemon.socket), settings, Ground(STAGE, None))
    argv, env = ("run", "canary-argv"), {"TOKEN": "canary-env"}
    command = SandboxCommand(index=0, step=StepId.BUILD, argv=argv, env=env)
    spec = SandboxSpec(id="sbx_1", build_id="build_1", layers=())
    made = daemon_instructions(
        machine, daemon, "sha256:1", "owner", spec, command, place, tmp_path / "log", Allotted(FIRST, 1)
    )
    write_instructions(place, made)
    return place, command


def test_the_engine_is_asked_for_nothing_of_the_command(tmp_path: Path) -> None:
    place, _ = planned(tmp_path, DOCKER)
    daemon = read_instructions(place).daemon
    assert daemon
    assert "canary" not in str(daemon.config)
    assert "canary-argv" in daemon.line
    assert "TOKEN=canary-env" in daemon.line


def test_a_container_has_no_rights_no_network_and_limits_without_swap(tmp_path: Path) -> None:
    place, command = planned(tmp_path, DOCKER)
    daemon = read_instructions(place).daemon
    assert daemon
    host = daemon.config["HostConfig"]
    assert (host["CapDrop"], host["NetworkMode"], host["ReadonlyRootfs"]) == (["ALL"], "none", True)
    assert host["Memory"] == host["MemorySwap"] == command.limits.memory_bytes
    assert host["PidsLimit"] == command.limits.pids
    assert host["SecurityOpt"][0] == "no-new-privileges"
    assert host["SecurityOpt"][1].startswith('seccomp={"defaultAction":"SCMP_ACT_ERRNO"')
    assert host["Binds"] == [f"{place}/io:{IO}:ro"]
    assert "UsernsMode" not in host
    assert "Privileged" not in host


def test_podman_gives_ids_to_each_container_and_reads_the_filter_from_a_file(tmp_path: Path) -> None:
    place, _ = planned(tmp_path, PODMAN)
    daemon = read_instructions(place).daemon
    assert daemon
    assert daemon.config["HostConfig"]["UsernsMode"] == "auto:size=65536"
    assert daemon.config["HostConfig"]["SecurityOpt"][1] == "seccomp=/p.json"
    assert daemon.config["User"] == "1000:1000"


def test_where_ids_are_shared_every_sandbox_has_another_user() -> None:
    others = [20 * 65536, 21 * 65536, 31_999 * 65536]
    for daemon, least, most in ((DOCKER, 1_000_000, 2**31), (DOCKER._replace(shared_ids=True), 10_000, 60_000)):
        users = {build_user(daemon, first) for first in others}
        assert len(users) == len(others)
        assert all(least <= user < most for user in users)


@pytest.mark.parametrize(
    "word", ["plain", "two words", "line\nbreak\n", "quote's", '"$HOME" `id` $(id) \\', "ä\udcff", "", "*"]
)
def test_every_word_arrives_as_it_is(word: str, tmp_path: Path) -> None:
    command = SandboxCommand(index=0, step=StepId.BUILD, argv=("printf", "%s|", word, "end"), directory=str(tmp_path))
    line = shell_line(command, {"PATH": "/usr/bin:/bin", "odd.name": word})
    assert "\n" not in line
    script = "n='\n'; IFS= read -r line; eval \"$line\""
    given = line.encode("utf-8", "surrogateescape") + b"\n"
    said = subprocess.run(["/bin/sh", "-c", script], input=given, capture_output=True, check=True)
    assert said.stdout == word.encode("utf-8", "surrogateescape") + b"|end|"


def test_the_first_process_is_a_script_that_shells_take() -> None:
    assert subprocess.run(["/bin/sh", "-n", "-c", SCRIPT], check=False).returncode == 0
    assert shlex.quote(IO) == IO


def test_limits_of_processes_are_always_asked_for() -> None:
    names = [entry["Name"] for entry in ulimits({"CORE": 1})]
    assert names == ["core", "nproc"]


def test_an_image_without_a_tag_is_one_image() -> None:
    assert with_tag("node") == "node:latest"
    assert with_tag("localhost:5000/node") == "localhost:5000/node:latest"
    assert with_tag("node:22") == "node:22"
    assert with_tag("node@sha256:1") == "node@sha256:1"


def test_mount_points_are_read_with_their_blanks() -> None:
    assert mount_points("1 2 0:1 / /a\\040b rw - tmpfs x rw\n") == ["/a b"]
