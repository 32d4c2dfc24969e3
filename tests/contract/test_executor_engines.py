"""Container engines that die, are not there, or have no image: what the executor `docker` makes of it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.conftest import on

from headrace.errors import EngineLost, ExecutorUnavailable, NotFetched
from headrace.executor._daemon_api import DaemonApi
from headrace.executor.docker import DockerExecutor
from headrace.model.sandbox import KillReason, SandboxSpec
from headrace.settings import Settings

if TYPE_CHECKING:
    from tests.contract.conftest import Engines, Lab

pytestmark = pytest.mark.sandbox
over_docker = on("docker")


@over_docker
async def test_a_command_goes_on_when_its_engine_is_killed_and_nothing_is_lost_or_left(
    lab: "Lab", engines: "Engines"
) -> None:
    # F48
    engine = engines.engine("docker")
    sandbox = await lab.open()
    running = asyncio.create_task(sandbox.run(lab.shell("echo begun; sleep 2; seq 100000; exit 5"), lab.log))
    await lab.until_printed("begun")
    engine.kill()
    try:
        result = await running
        assert (result.exit_code, result.killed_by, result.output.lines) == (5, None, 100_001)
        waiting = lab.shell("echo again")
        with pytest.raises(EngineLost, match="no answer"):
            await sandbox.run(waiting, lab.log)
    finally:
        engine.start()
    assert (await sandbox.run(waiting, lab.log)).exit_code == 0
    assert lab.text().endswith("again")
    # The container that could not be removed then is known by its label now.
    await sandbox.close()
    assert await lab.executor.existing() == []
    assert (await lab.run(await lab.open(name="sbx_2"))).exit_code == 0


@over_docker
async def test_a_container_that_its_engine_ends_is_a_lost_command(lab: "Lab") -> None:
    sandbox = await lab.open()
    running = asyncio.create_task(sandbox.run(lab.shell("echo begun; sleep 1000"), lab.log))
    await lab.until_printed("begun")
    (container,) = DaemonApi(lab.settings.docker_host or "").labelled("headrace.sandbox=sbx_1")
    DaemonApi(lab.settings.docker_host or "").remove(container["Id"])
    assert (await running).killed_by is KillReason.LOST


@over_docker
async def test_nothing_of_a_command_is_told_to_the_engine(lab: "Lab") -> None:
    sandbox = await lab.open()
    command = lab.shell("echo begun; sleep 1000", env={"TOKEN": "canary-6b1e"})
    running = asyncio.create_task(sandbox.run(command, lab.log))
    await lab.until_printed("begun")
    api = DaemonApi(lab.settings.docker_host or "")
    (container,) = api.labelled("headrace.sandbox=sbx_1")
    assert "canary-6b1e" not in str(api._call("GET", f"/containers/{container['Id']}/json"))
    await sandbox.kill(KillReason.CANCELLED)
    await running


@over_docker
async def test_containers_of_a_data_directory_that_is_gone_are_found_by_their_label(lab: "Lab") -> None:
    sandbox = await lab.open()
    running = asyncio.create_task(sandbox.run(lab.shell("echo begun; sleep 1000"), lab.log))
    await lab.until_printed("begun")
    lab.sandboxes.rename(lab.sandboxes.with_name("moved"))
    assert await lab.executor.existing() == ["sbx_1"]
    await lab.executor.discard("sbx_1")
    assert await lab.executor.existing() == []
    lab.sandboxes.with_name("moved").rename(lab.sandboxes)
    assert (await running).killed_by


@over_docker
async def test_an_image_that_is_not_there_and_can_not_be_pulled_says_what_to_do(lab: "Lab") -> None:
    # F49
    settings = lab.settings.model_copy(update={"docker_image": "127.0.0.1:1/nothing:1"})
    executor = DockerExecutor(settings)
    spec = SandboxSpec(id="sbx_1", build_id="build_1", layers=())
    with pytest.raises(ExecutorUnavailable) as refused:
        await executor.open(spec)
    assert "127.0.0.1:1/nothing:1" in refused.value.message
    assert "HEADRACE_DOCKER_IMAGE" in (refused.value.hint or "")
    with pytest.raises(NotFetched):
        await executor.open(spec.but(offline=True))
    assert await executor.existing() == []


@over_docker
async def test_what_cache_keys_say_names_the_image_by_its_digest(lab: "Lab") -> None:
    said = lab.executor.base_system
    assert said.startswith("image headrace-test sha256:")
    assert lab.another_executor().base_system == said
    unknown = DockerExecutor(lab.settings.model_copy(update={"docker_image": "headrace-unknown"}))
    assert unknown.base_system != unknown.base_system, "nothing equals what isn't known"


async def test_an_engine_that_does_not_answer_says_how_to_start_one(tmp_path: Path) -> None:
    executor = DockerExecutor(Settings(data_dir=tmp_path, docker_host=str(tmp_path / "none.sock")))
    with pytest.raises(ExecutorUnavailable) as refused:
        await executor.prepare()
    assert "systemctl start docker" in (refused.value.hint or "")
    (finding,) = await executor.examine()
    assert (finding.status, finding.fix) == ("missing", refused.value.hint)
    assert await executor.existing() == []


async def test_an_engine_of_another_machine_is_refused(tmp_path: Path) -> None:
    executor = DockerExecutor(Settings(data_dir=tmp_path, docker_host="tcp://192.0.2.1:2375"))
    with pytest.raises(ExecutorUnavailable, match="an engine of this machine"):
        await executor.prepare()
