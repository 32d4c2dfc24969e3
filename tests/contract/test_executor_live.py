"""The contract of executors for commands that run for long: reaching into a sandbox while one runs."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.contract.conftest import on

from headrace.errors import ExecutorUnavailable, InvalidInput, SandboxBlocked
from headrace.executor.base import Sandbox
from headrace.executor.fake import Act, FakeSandbox
from headrace.model.preview import PREVIEW_EVENT, PreviewLog
from headrace.model.sandbox import CommandResult, KillReason, SandboxCommand, SandboxFile

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

pytestmark = [
    pytest.mark.sandbox,
    on("crun", "docker", "process", "fake"),
]

#: Longer than anybody will wait, and than any clock of 32 bits counts in milliseconds.
FOR_YEARS = 10 * 365 * 86400.0
PATIENCE = 30

#: Answers each connection on PORT with the file that its first line names.
SERVE = """
import socket
listener = socket.create_server(("127.0.0.1", {port}))
print("listens", flush=True)
while True:
    with listener.accept()[0] as asked, asked.makefile("rwb") as stream:
        try:
            stream.write(open(stream.readline().decode().strip(), "rb").read())
        except FileNotFoundError:
            stream.write(b"(none)")
"""


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sandbox: FakeSandbox) -> None:
    found = sandbox.read((await reader.readline()).decode().strip())
    writer.write(b"(none)" if found is None else found)


def server(lab: "Lab", port: int) -> SandboxCommand:
    act = Act(stdout=b"listens\n", seconds=FOR_YEARS, serves={port: answer}, memory_bytes=2**20)
    return lab.python(SERVE.format(port=port), lambda *_: act, limits={"seconds": FOR_YEARS})


@asynccontextmanager
async def serving(lab: "Lab", sandbox: Sandbox) -> AsyncIterator[tuple[int, "asyncio.Task[CommandResult]"]]:
    """The port of a server in the sandbox, and its task."""
    port = sandbox.free_port()
    task = asyncio.create_task(sandbox.run(server(lab, port), lab.log))
    await asyncio.wait_for(sandbox.running(), PATIENCE)
    await asyncio.wait_for(lab.until_printed("listens"), PATIENCE)
    yield port, task
    await sandbox.kill(KillReason.CANCELLED)
    await task


async def ask(sandbox: Sandbox, port: int, name: str) -> bytes:
    connection = sandbox.socket()
    loop = asyncio.get_running_loop()
    with connection:
        assert connection.getblocking() is False
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, f"{name}\n".encode())
        said = b""
        while piece := await loop.sock_recv(connection, 65536):
            said += piece
        return said


async def test_a_server_inside_is_reached_and_serves_what_is_written_while_it_runs(lab: "Lab") -> None:
    sandbox = await lab.open_preview(lab.layer("source", src__page="old"))
    async with serving(lab, sandbox) as (port, _):
        assert await ask(sandbox, port, "src/page") == b"old"
        for text in (b"a longer text than before", b"short", b""):
            await sandbox.write([SandboxFile("src/page", text), SandboxFile("deep/down/new", text)], [])
            assert await ask(sandbox, port, "src/page") == text
            assert await ask(sandbox, port, "deep/down/new") == text
        await sandbox.write([], ["deep/down/new", "src/page", "never/there"])
        assert await ask(sandbox, port, "src/page") == b"(none)"
    # The layer below is as it was.
    assert (lab.place / "layers/source/src/page").read_text() == "old"


async def test_what_a_preview_prints_are_records_of_its_project(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    async with serving(lab, sandbox):
        pass
    facts = [PREVIEW_EVENT.validate_python(event) for event in lab.events()]
    assert [(type(fact), fact.project_id) for fact in facts] == [(PreviewLog, "prj_1")]
    assert set(lab.events()[0]) == {"seq", "ts", "type", "project_id", "stream", "line"}


async def test_files_written_before_a_command_runs_are_there_when_it_does(lab: "Lab") -> None:
    sandbox = await lab.open_preview(lab.layer("source", old="1", gone="2"))
    await sandbox.write([SandboxFile("old", b"changed"), SandboxFile("made/new", b"new")], ["gone"])
    async with serving(lab, sandbox) as (port, _):
        said = [await ask(sandbox, port, name) for name in ("old", "made/new", "gone")]
    assert said == [b"changed", b"new", b"(none)"]
    assert sorted(os.listdir(lab.place / "layers/source")) == ["gone", "old"]


async def test_a_directory_takes_the_place_of_a_file_and_the_other_way_round(lab: "Lab") -> None:
    sandbox = await lab.open_preview(lab.layer("source", a="file", b__in__deep="file"))
    async with serving(lab, sandbox) as (port, _):
        await sandbox.write([SandboxFile("a/in", b"1"), SandboxFile("b", b"2")], ["a", "b/in/deep"])
        assert [await ask(sandbox, port, name) for name in ("a/in", "b")] == [b"1", b"2"]


async def test_directories_go_with_their_last_file_and_stay_with_a_new_one(lab: "Lab") -> None:
    sandbox = await lab.open_preview(lab.layer("source", a__b__c="1", keep__old="1"))
    async with serving(lab, sandbox):
        await sandbox.write([SandboxFile("keep/new", b"2")], ["a/b/c", "keep/old"])
        live = sandbox.open_live()
        try:
            assert sorted(os.listdir(live)) == ["keep"]
            with os.fdopen(os.open("keep/new", os.O_RDONLY, dir_fd=live)) as file:
                assert file.read() == "2"
        finally:
            os.close(live)


@pytest.mark.parametrize("path", ["", "/etc/x", "../x", "a/../../x", "./x", "a//b", "a/", "a\0b"])
async def test_a_path_that_is_none_or_leads_out_is_refused(lab: "Lab", path: str) -> None:
    sandbox = await lab.open_preview(lab.layer("source", a="1"))
    for files, removed in (([SandboxFile(path, b"x")], []), ([], [path])):
        with pytest.raises(InvalidInput):
            await sandbox.write(files, removed)


async def test_a_link_or_a_directory_in_the_way_is_refused_and_nothing_outside_is_touched(lab: "Lab") -> None:
    outside = lab.layer("outside", secret="mine")
    layer = lab.layer("source", dir__file="1", plain="1")
    (layer / "link").symlink_to(outside / "secret")
    (layer / "links").symlink_to(outside)
    sandbox = await lab.open_preview(layer)
    async with serving(lab, sandbox):
        for path in ("link", "links/secret", "links/new", "dir", "plain/x"):
            with pytest.raises(SandboxBlocked) as refused:
                await sandbox.write([SandboxFile(path, b"x")], [])
            assert refused.value.exact_code == "sandbox.blocked"
        with pytest.raises(SandboxBlocked):
            await sandbox.write([], ["links/secret"])
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"secret": "mine"}


async def test_reaching_into_a_sandbox_in_which_nothing_runs_says_so(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    with pytest.raises(ExecutorUnavailable):
        await sandbox.running()
    with pytest.raises(ExecutorUnavailable):
        sandbox.socket()
    task = asyncio.create_task(lab.run(sandbox, Act(exit_code=7)))
    result = await task
    assert result.exit_code == 7
    with pytest.raises(ExecutorUnavailable):
        await sandbox.running()


async def test_a_command_that_ends_at_once_never_seems_to_run_for_ever(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    task = asyncio.create_task(sandbox.run(lab.command(("no-such-program",)), lab.log))
    try:
        while True:
            await asyncio.wait_for(sandbox.running(), PATIENCE)
            await asyncio.sleep(0.01)
    except ExecutorUnavailable:
        assert (await task).exit_code == 127


async def test_ports_for_commands_differ_and_are_not_the_proxys(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    ports = [sandbox.free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert all(1024 < port < 65536 and port != 3128 for port in ports)


async def test_memory_is_what_is_in_use(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    async with serving(lab, sandbox):
        used = await sandbox.memory()
        assert used is None or 2**19 < used < 2**28


async def test_another_process_can_ask_what_a_sandbox_uses(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    async with serving(lab, sandbox):
        other = lab.another_executor()
        used, same = await sandbox.memory(), await other.memory_of(sandbox.spec.id)
        assert (used is None) == (same is None)
        assert same is None or 2**19 < same < 2**28
        assert await other.memory_of("sbx_unknown") is None


async def test_a_warning_that_time_is_nearly_over_is_for_builds_alone(lab: "Lab") -> None:
    sandbox = await lab.open_preview()
    result = await lab.run(sandbox, Act(seconds=5), limits={"seconds": 1.5, "soft_fraction": 0.1})
    assert result.killed_by is KillReason.TIMEOUT
    assert lab.events() == []


async def test_a_successor_reaches_into_a_command_that_it_did_not_start(lab: "Lab") -> None:
    sandbox = await lab.open_preview(lab.layer("source", page="old"))
    port = sandbox.free_port()
    command = server(lab, port)
    first = asyncio.create_task(sandbox.run(command, lab.log))
    await asyncio.wait_for(lab.until_printed("listens"), PATIENCE)
    first.cancel()
    successor = await lab.another_executor().open(sandbox.spec)
    second = asyncio.create_task(successor.run(command, lab.log))
    await asyncio.wait_for(successor.running(), PATIENCE)
    await successor.write([SandboxFile("page", b"new")], [])
    assert await ask(successor, port, "page") == b"new"
    await successor.close()
    assert (await second).killed_by is KillReason.CANCELLED
