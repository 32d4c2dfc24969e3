"""The scripted executor as a preview's builder: it serves, watches and prints like one, without a process."""

import asyncio
from pathlib import Path

from headrace.executor.fake import Act, FakeExecutor
from headrace.model.sandbox import KillReason, SandboxCommand, SandboxFile, SandboxSpec
from headrace.settings import Settings


async def test_a_scripted_watch_build_answers_each_write(tmp_path: Path) -> None:
    def rebuild(files: object, _: object) -> Act:
        return Act(stdout=b"rebuilt\n", writes={"dist/page": sandbox.read("page") or b""})

    executor = FakeExecutor(Settings(data_dir=tmp_path), {"watch": Act(seconds=1000, on_write=rebuild)})
    sandbox = await executor.open(SandboxSpec(id="prv_1", project_id="prj_1", layers=()))
    log = tmp_path / "log.ndjson"
    task = asyncio.create_task(sandbox.run(SandboxCommand(index=0, argv=("watch",)), log))
    await sandbox.running()
    await sandbox.write([SandboxFile("page", b"new")], [])
    assert sandbox.read("dist/page") == b"new"
    assert b'"type":"preview.log","project_id":"prj_1","stream":"stdout","line":"rebuilt"' in log.read_bytes()
    await sandbox.close()
    assert (await task).killed_by is KillReason.CANCELLED
