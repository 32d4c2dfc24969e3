"""What a worker leaves that dies at the wrong moment is found and removed."""

from pathlib import Path

from headrace.bootstrap import open_services
from headrace.model.event import BuildCompleted, BuildCreated
from headrace.model.plan import StepId
from headrace.model.project import Project
from headrace.model.sandbox import SandboxSpec
from headrace.pipeline.context import sandbox_name
from headrace.pipeline.recover import recover, sweep
from headrace.pipeline.services import Services
from headrace.records import projects
from headrace.settings import Settings

BUILD, PROJECT, VERSION = (f"{kind}_01m7xpeyhy9gptce7gk34taj0d" for kind in ("build", "prj", "ver"))
ENDED = {
    "build_id": BUILD,
    "status": "failed",
    "seconds": 1,
    "failure": {"reason": "internal", "step": "build", "message": "broke"},
}


async def _a_build_with_a_sandbox(services: Services) -> None:
    project = Project(id=PROJECT, workspace="default", name="Shop", slug="shop", created_at="2026-11-20T00:00:00.000Z")
    async with services.db.write() as c:
        await projects.insert(c, project)
    await services.journal.record(BuildCreated(build_id=BUILD, project_id=PROJECT, version_id=VERSION))
    (services.settings.data_dir / "builds" / BUILD).mkdir(parents=True)
    name = sandbox_name(BUILD, StepId.BUILD)
    await services.executor("fake").open(SandboxSpec(id=name, build_id=BUILD, layers=()))


async def _left(services: Services) -> list[str]:
    scratch = [path.name for path in (services.settings.data_dir / "builds").iterdir()]
    return [*scratch, *await services.executor("fake").existing()]


async def test_a_build_that_ended_in_its_log_alone_keeps_nothing(tmp_path: Path) -> None:
    async with open_services(Settings(data_dir=tmp_path, executor="fake")) as services:
        await _a_build_with_a_sandbox(services)
        # A worker that died here wrote the log and not the row.
        await services.events.append(BUILD, [BuildCompleted.model_validate(ENDED)], close=True)
        await sweep(services)
        assert await _left(services) == []


async def test_a_build_that_goes_on_keeps_its_sandbox(tmp_path: Path) -> None:
    async with open_services(Settings(data_dir=tmp_path, executor="fake")) as services:
        await _a_build_with_a_sandbox(services)
        await sweep(services)
        assert await _left(services) == [BUILD, sandbox_name(BUILD, StepId.BUILD)]


async def test_what_a_dead_worker_left_goes_without_a_restart(tmp_path: Path) -> None:
    async with open_services(Settings(data_dir=tmp_path, executor="fake")) as services:
        await _a_build_with_a_sandbox(services)
        await services.journal.record(BuildCompleted.model_validate(ENDED), close=True)
        # It recorded the end, and died before it closed the sandbox: its lock file is there, and nobody holds it.
        (tmp_path / "workers" / "w-1-dead.lock").touch()
        await recover(services)
        assert await _left(services) == []
        assert not (tmp_path / "workers" / "w-1-dead.lock").exists()
