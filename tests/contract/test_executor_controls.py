"""Every control of the sandbox, for every executor that isolates: the same proof that `headrace doctor` makes."""

import ast
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.errors import ExecutorUnavailable
from headrace.executor import _spec
from headrace.executor._controls import CONTROLS, Control, Shown
from headrace.executor._prove import Held, mounted_python
from headrace.executor.oci import OciExecutor
from headrace.settings import Settings

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

TESTS = Path(__file__).parents[1]
IN_A_SANDBOX = [control for control in CONTROLS if control.required]
#: What was found with each runtime: a proof takes seconds and answers for all controls.
found: dict[str, Mapping[str, Held]] = {}


def runtimes() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("lab", ["runc", "crun"], indirect=True)


async def proof(lab: "Lab") -> Mapping[str, Held]:
    if lab.kind not in found:
        assert isinstance(lab.executor, OciExecutor)
        held = await lab.executor.prove(await lab.executor.unproven())
        found[lab.kind] = {entry.control: entry for entry in held}
    return found[lab.kind]


@pytest.mark.sandbox
@runtimes()
@pytest.mark.parametrize("control", IN_A_SANDBOX, ids=lambda control: control.number)
async def test_the_control_holds(lab: "Lab", control: Control) -> None:
    entry = (await proof(lab))[control.number]
    assert entry.holds, entry.seen


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
@pytest.mark.parametrize("lab", ["crun"], indirect=True)
async def test_an_executor_that_lacks_a_control_is_refused_until_that_is_accepted_by_name(
    lab: "Lab", monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember_here(lab)
    monkeypatch.setattr(_spec, "_MASKED", ())
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
    script = 'mount --bind "$1" "$2"; root=$3; shift 3; exec chroot "$root" "$@"'
    code = "import ctypes, json, mmap, resource, socket; print(ctypes.CDLL(None).getpid() > 0)"
    mounting = ["unshare", "--mount", "sh", "-c", script, "sh", str(mount.source), str(inside), str(root)]
    command = [*mounting, *argv, "-I", "-S", "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.stdout == "True\n", said.stderr


async def remember_here(lab: "Lab") -> None:
    """What is proven of this lab's sandboxes is no business of other tests."""
    assert isinstance(lab.executor, OciExecutor)
    base = (await lab.executor.unproven()).base.resolve()
    own = lab.settings.data_dir / "base"
    own.unlink()
    own.mkdir()
    (own / base.name).symlink_to(base)
    lab.executor = lab.another_executor()
