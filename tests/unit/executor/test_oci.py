"""What the trial of a runtime leaves."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.errors import StoreFull
from headrace.executor.oci import OciExecutor
from headrace.model.sandbox import SandboxSpec
from headrace.settings import Settings


async def test_a_trial_whose_sandbox_can_not_be_opened_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, made = OciExecutor(Settings(data_dir=tmp_path)), list[str]()

    async def opened_in_part(spec: SandboxSpec, _machine: object) -> None:
        place = tmp_path / "sandboxes" / spec.id
        place.mkdir(parents=True)
        made.extend(await executor.existing())
        raise StoreFull("no space left")

    monkeypatch.setattr(executor, "_open", opened_in_part)
    machine: Any = SimpleNamespace(runtime=SimpleNamespace(kind="crun"))
    with pytest.raises(StoreFull):
        await executor._try(machine)
    assert len(made) == 1
    assert await executor.existing() == []
