"""Starting a runtime: beforehand, at once, and when the one that waited has gone. The runtime is a script that behaves like one."""

import os
import signal
import time
from pathlib import Path

import pytest

from headrace.executor._launch import Launch
from headrace.executor._runtime import ContainerFailed, Runtime

#: Reads its configuration twice, as crun does, and notes each start and what it read.
_RUNTIME = """#!/bin/sh
for option; do case $option in --bundle=*) place=${option#*=};; --log=*) log=${option#*=};; esac; done
echo "$$" >>"$place/../starts"
first=$(cat "$place/config.json")
second=$(cat "$place/config.json")
[ "$first" = "$second" ] || exit 3
case $first in bad*) echo '{"msg": "that is bad"}' >"$log"; exit 1;; esac
printf '%s' "$first" >"$place/../read"
echo "to the log"
echo ended >&3
echo 77 >"$place/pid"
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    script = tmp_path / "runtime"
    script.write_text(_RUNTIME)
    script.chmod(0o755)
    return Runtime("crun", str(script))


@pytest.fixture
def launch(tmp_path: Path, runtime: Runtime) -> Launch:
    return Launch(runtime, tmp_path / "launch")


def starts(tmp_path: Path) -> list[int]:
    return [int(pid) for pid in (tmp_path / "starts").read_text().split()]


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.json"
    path.write_text(text)
    return path


def run(launch: Launch, path: Path) -> int:
    return launch.run(path, lambda: None)


@pytest.mark.parametrize("held", [True, False])
def test_a_runtime_reads_its_whole_configuration_and_is_started_once(
    tmp_path: Path, launch: Launch, held: bool
) -> None:
    text = "x" * 200_000  # more than a pipe holds
    if held:
        launch.hold()
        assert len(starts(tmp_path)) == 1
    assert run(launch, config(tmp_path, text)) == 77
    assert (tmp_path / "read").read_text() == text
    assert len(starts(tmp_path)) == 1


def test_what_a_container_prints_and_says_comes_out_where_the_launch_says(tmp_path: Path, launch: Launch) -> None:
    launch.hold()
    run(launch, config(tmp_path, "{}"))
    assert os.read(launch.stdout[0], 100) == b"to the log\n"
    assert os.read(launch.control, 100) == b"ended\n"


def test_a_runtime_that_was_killed_while_it_waited_is_started_again(tmp_path: Path, launch: Launch) -> None:
    launch.hold()
    os.kill(starts(tmp_path)[0], signal.SIGKILL)
    time.sleep(0.1)
    assert run(launch, config(tmp_path, "{}")) == 77
    assert len(starts(tmp_path)) == 2


@pytest.mark.parametrize("held", [True, False])
def test_a_runtime_that_refuses_is_quoted(tmp_path: Path, launch: Launch, held: bool) -> None:
    if held:
        launch.hold()
    with pytest.raises(ContainerFailed, match=r"^crun: that is bad$"):
        run(launch, config(tmp_path, "bad"))


def test_a_runtime_that_ends_before_it_waits_is_not_waited_for(tmp_path: Path) -> None:
    launch = Launch(Runtime("crun", "/bin/false"), tmp_path / "launch")
    began = time.monotonic()
    launch.hold()
    assert time.monotonic() - began < 4
    with pytest.raises(ContainerFailed, match="ended with 1"):
        run(launch, config(tmp_path, "{}"))
