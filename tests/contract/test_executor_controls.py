"""Every control of the sandbox, for every executor that isolates: the same proof that `headrace doctor` makes."""

import ast
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from tests.contract.conftest import ENGINES, on

import headrace
from headrace.errors import ExecutorUnavailable
from headrace.executor import _spec
from headrace.executor._controls import CONTROLS, Control, Shown
from headrace.executor._probe.given import Given, Limited, Planted, as_text
from headrace.executor._prove import NAMESPACES, Held, mounted_python
from headrace.executor.docker import DockerExecutor
from headrace.executor.oci import OciExecutor
from headrace.settings import Settings

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

TESTS = Path(__file__).parents[1]
IN_A_SANDBOX = [control for control in CONTROLS if control.required]
#: What was found with each runtime: a proof takes seconds and answers for all controls.
found: dict[str, Mapping[str, Held]] = {}


async def proof(lab: "Lab") -> Mapping[str, Held]:
    if lab.kind not in found:
        if isinstance(lab.executor, DockerExecutor):
            held = await lab.executor.prove()
        else:
            assert isinstance(lab.executor, OciExecutor)
            held = await lab.executor.prove(await lab.executor.unproven())
        found[lab.kind] = {entry.control: entry for entry in held}
    return found[lab.kind]


@pytest.mark.sandbox
@on("runc", "crun", *ENGINES)
@pytest.mark.parametrize("control", IN_A_SANDBOX, ids=lambda control: control.number)
async def test_the_control_holds(lab: "Lab", control: Control) -> None:
    entry = (await proof(lab))[control.number]
    assert entry.holds == (control.number not in lab.weaker), entry.seen


def test_the_list_has_all_58_in_their_order() -> None:
    assert [control.number for control in CONTROLS] == [f"H{number}" for number in range(1, 59)]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.number)
def test_a_control_is_shown_or_says_why_not(control: Control) -> None:
    assert control.shown
    if Shown.NOT in control.shown:
        assert control.shown == (Shown.NOT,)
        assert control.where
    if Shown.TEST in control.shown:
        file, _, name = control.where.partition("::")
        (path,) = TESTS.rglob(file)
        assert name in {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, FUNCTIONS)}


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.mark.sandbox
@on("crun")
async def test_an_executor_that_lacks_a_control_is_refused_until_that_is_accepted_by_name(
    lab: "Lab", monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember_here(lab)
    monkeypatch.setattr(_spec, "MASKED", ())
    with pytest.raises(ExecutorUnavailable) as refused:
        await lab.executor.prepare()
    assert refused.value.exact_code == "executor.controls_missing"
    assert "H27 hidden parts of /proc" in refused.value.message
    assert "HEADRACE_ACCEPT_WEAKER_SANDBOX=H27" in (refused.value.hint or "")
    lab.settings = lab.settings.model_copy(update={"accept_weaker_sandbox": ("H27",)})
    lab.executor = lab.another_executor()
    assert (await lab.run(await lab.open())).exit_code == 0


@pytest.mark.sandbox
async def test_the_probes_python_runs_where_there_is_neither_python_nor_a_libc(
    base_system: Path, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    (settings.data_dir / "base").symlink_to(base_system)
    argv, (mount,) = mounted_python((await OciExecutor(settings).unproven()).base)
    root = tmp_path / "root"
    inside = root / mount.target.lstrip("/")
    inside.mkdir(parents=True)
    # As in a sandbox: Python would leave its bytecode in the base system of all.
    script = 'mount --bind -o ro "$1" "$2"; root=$3; shift 3; exec chroot "$root" "$@"'
    code = "import ctypes, json, mmap, resource, socket; print(ctypes.CDLL(None).getpid() > 0)"
    mounting = ["unshare", "--mount", "sh", "-c", script, "sh", str(mount.source), str(inside), str(root)]
    command = [*mounting, *argv, "-I", "-S", "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.stdout == "True\n", said.stderr


#: What is open to an ordinary user of a machine that keeps nothing from its users. Controls that are missing here are kept by
#: every kernel from everybody but root, need the network, or take long to fail.
OPEN_TO_USERS = (
    "H2 H3 H4 H6 H7 H9 H10 H12 H13 H14 H15 H16 H17 H18 H19 H20 H21 H24 H25 H26 H27 H30 H31 H34 H35 H37 H39 H45 H53"
).split()
#: Runs the probe without any sandbox, as nobody.
PLAINLY = """
import fcntl, mmap, os, sys
sys.path.insert(0, sys.argv.pop(1))
from headrace.executor._probe.__main__ import main
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
main(sys.argv[1:])
"""


@pytest.mark.sandbox
def test_the_probe_sees_what_is_open_where_there_is_no_sandbox(tmp_path: Path) -> None:
    with TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as abstract:
        Path(place).chmod(0o777)
        abstract.bind(f"\0{tmp_path}")
        abstract.listen()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            given = Given(
                hostname="sandbox",
                environment=[],
                mounts={"/": ["ro"]},
                limits=Limited(memory_bytes=2**20, disk_bytes=2**20, pids=4, cpus=0.01, descriptors=8),
                planted=Planted(
                    namespaces={kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in NAMESPACES},
                    abstract=[str(tmp_path)],
                    ports=[listener.getsockname()[1]],
                ),
            )
            source = str(Path(headrace.__file__).parents[1])
            command = [sys.executable, "-I", "-S", "-c", PLAINLY, source, "look", as_text(given), *OPEN_TO_USERS]
            said = subprocess.run(command, capture_output=True, text=True, cwd=place, check=True, env={"SECRET": "x"})
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert [line["control"] for line in lines] == OPEN_TO_USERS
    assert [line["control"] for line in lines if line["holds"]] == []
    assert [line["control"] for line in lines if "the probe failed" in str(line["seen"])] == []


async def remember_here(lab: "Lab") -> None:
    """What is proven of this lab's sandboxes is no business of other tests."""
    assert isinstance(lab.executor, OciExecutor)
    base = (await lab.executor.unproven()).base.resolve()
    own = lab.settings.data_dir / "base"
    own.unlink()
    own.mkdir()
    (own / base.name).symlink_to(base)
    lab.executor = lab.another_executor()
