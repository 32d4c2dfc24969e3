"""The contract of executors, over every implementation: files, log, limits, ends, and attaching from another process."""

import asyncio
import base64
import hashlib
import os
import time
from base64 import b64decode
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.contract.conftest import on

from headrace.errors import ExecutorUnavailable
from headrace.executor.fake import Act
from headrace.model.sandbox import KillReason, SandboxSpec

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

pytestmark = [
    pytest.mark.sandbox,
    on("runc", "crun", "docker", "process", "fake"),
]


async def test_what_a_command_prints_is_in_the_log_and_its_exit_code_in_the_result(lab: "Lab") -> None:
    sandbox = await lab.open()
    result = await lab.run(sandbox, Act(stdout=b"one\ntwo\n", stderr=b"oh\n", exit_code=3))
    assert (result.exit_code, result.killed_by, result.background_killed) == (3, None, 0)
    assert (lab.text("stdout"), lab.text("stderr")) == ("one\ntwo", "oh")
    assert (result.output.lines, result.output.bytes, result.output.truncated_bytes) == (3, 11, 0)
    assert {line["build_id"] for line in lab.lines()} == {"build_1"}


async def test_preparing_changes_nothing_and_may_be_repeated(lab: "Lab") -> None:
    await asyncio.gather(lab.executor.prepare(), lab.executor.prepare())
    assert await lab.executor.existing() == []
    assert (await lab.run(await lab.open())).exit_code == 0


async def test_a_command_that_is_not_there_ends_with_127_and_says_so(lab: "Lab") -> None:
    sandbox = await lab.open()
    result = await sandbox.run(lab.command(("no-such-program",)), lab.log)
    assert result.exit_code == 127
    assert "no-such-program" in lab.text("stderr")


async def test_declared_variables_arrive_whatever_their_names_are(lab: "Lab") -> None:
    sandbox = await lab.open()
    env = {"GREETING": "hello  world", "npm_config_//registry.example/:_auth": "x=y", "EMPTY": ""}
    wanted = sorted(env)
    command = lab.python(
        f"import os\nfor name in {wanted}: print(name, repr(os.environ.get(name)))",
        lambda given, _: Act(stdout="".join(f"{name} {given.env.get(name)!r}\n" for name in wanted).encode()),
        env=env,
    )
    await sandbox.run(command, lab.log)
    assert lab.text() == "\n".join(f"{name} {env[name]!r}" for name in wanted)


async def test_nothing_of_the_services_environment_arrives(lab: "Lab", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_TOKEN", "canary-8d1f")
    sandbox = await lab.open()
    command = lab.python(
        "import os\nprint(dict(os.environ))", lambda given, _: Act(stdout=f"{given.env}\n".encode()), env={"A": "1"}
    )
    await sandbox.run(command, lab.log)
    assert "'A': '1'" in lab.text()
    assert "canary-8d1f" not in lab.text()


async def test_no_directory_above_those_of_a_command_is_a_strangers(lab: "Lab") -> None:
    """Tools that keep programs in a cache refuse one that a third user could exchange, and root in another id is one."""
    sandbox = await lab.open()
    command = lab.python(
        "import os\nfor path in ('/', '/tmp', '.', os.environ['HOME'], os.environ['HOME'] + '/..'):\n"
        "    print(os.stat(path).st_uid in (0, os.getuid()))",
        lambda _, __: Act(stdout=b"True\n" * 5),
    )
    await sandbox.run(command, lab.log)
    assert lab.text() == "\n".join(["True"] * 5)


async def test_a_command_runs_in_its_directory_over_all_layers_the_topmost_first(lab: "Lab") -> None:
    bottom = lab.layer("bottom", web__both="bottom", web__low="low")
    top = lab.layer("top", web__both="top", web__high="high")
    sandbox = await lab.open(top, bottom)
    names = ("both", "low", "high")
    command = lab.python(
        f"for name in {names}: print(open(name).read())",
        lambda _, tree: Act(stdout="".join((tree / name).read_text() + "\n" for name in names).encode()),
        directory="/app/web",
    )
    await sandbox.run(command, lab.log)
    assert lab.text() == "top\nlow\nhigh"


async def test_writing_and_removing_changes_no_layer(lab: "Lab") -> None:
    layer = lab.layer("source", keep="old", gone="here")
    sandbox = await lab.open(layer)
    await lab.run(sandbox, Act(writes={"keep": b"new", "made/deep": b"x"}, removes=["gone"]))
    assert (layer / "keep").read_text() == "old"
    assert sorted(os.listdir(layer)) == ["gone", "keep"]
    tree = sandbox.open_tree()
    assert sorted(os.listdir(tree)) == ["keep", "made"]
    os.close(tree)


async def test_a_later_command_finds_what_an_earlier_one_wrote(lab: "Lab") -> None:
    sandbox = await lab.open(lab.layer("source", given="1"))
    await lab.run(sandbox, Act(writes={"made": b"2"}))
    command = lab.python(
        "print(open('given').read() + open('made').read())",
        lambda _, tree: Act(stdout=((tree / "given").read_text() + (tree / "made").read_text()).encode() + b"\n"),
    )
    await sandbox.run(command, lab.log)
    assert lab.text() == "12"


async def test_an_open_tree_stays_readable_after_close(lab: "Lab") -> None:
    sandbox = await lab.open(lab.layer("source", given="1"))
    await lab.run(sandbox, Act(writes={"dist/index.html": b"<p>"}))
    tree = sandbox.open_tree()
    await sandbox.close()
    try:
        with os.fdopen(os.open("dist/index.html", os.O_RDONLY, dir_fd=tree)) as page:
            assert page.read() == "<p>"
        assert sorted(os.listdir(tree)) == ["dist", "given"]
    finally:
        os.close(tree)
    # What was kept for the reader goes with the next sandbox.
    await (await lab.open(name="sbx_2")).close()
    assert [path.name for path in lab.settings.data_dir.glob("*/.removed-*")] == []


async def test_what_was_written_can_be_taken_and_be_a_layer_of_the_next_sandbox(lab: "Lab") -> None:
    sandbox = await lab.open(lab.layer("source", package="{}"))
    await lab.run(sandbox, Act(writes={"node_modules/a/index.js": b"1", "web/out/x": b"2"}))
    taken = lab.place / "taken"
    taken.mkdir()
    assert sandbox.take("node_modules", taken / "node_modules")
    assert sandbox.take("web/out", taken / "out")
    assert not sandbox.take("node_modules", taken / "again")
    assert not sandbox.take("nothing/here", taken / "nothing")
    about = (taken / "node_modules/a/index.js").stat()
    assert (about.st_uid, about.st_gid) == (os.geteuid(), os.getegid())

    following = await lab.open(taken, name="sbx_2")
    command = lab.python(
        "p = 'node_modules/a/index.js'; print(open(p).read()); open(p, 'w').write('changed')",
        lambda _, tree: Act(stdout=(tree / "node_modules/a/index.js").read_bytes() + b"\n"),
    )
    assert (await following.run(command, lab.log)).exit_code == 0
    assert lab.text() == "1"
    assert (taken / "node_modules/a/index.js").read_text() == "1"


async def test_a_directory_that_nobody_may_write_to_can_be_taken_and_removed(lab: "Lab") -> None:
    sandbox = await lab.open()
    command = lab.python(
        "import os\nfor name in ('shut', 'left'):\n os.mkdir(name); open(name + '/file', 'w').write('1'); os.chmod(name, 0o555)",
        lambda *_: Act(writes={"shut/file": b"1", "left/file": b"1"}),
    )
    await sandbox.run(command, lab.log)
    assert sandbox.take("shut", lab.place / "taken")
    assert (lab.place / "taken/file").read_text() == "1"
    if lab.real:
        assert (lab.place / "taken").stat().st_mode & 0o777 == 0o555
    await sandbox.close()
    assert await lab.executor.existing() == []


async def test_killing_ends_the_command_with_the_reason(lab: "Lab") -> None:
    sandbox = await lab.open()
    running = asyncio.create_task(lab.run(sandbox, Act(stdout=b"begun\n", seconds=1000)))
    await lab.until_printed("begun")
    await sandbox.kill(KillReason.CANCELLED)
    result = await asyncio.wait_for(running, 30)
    assert (result.exit_code, result.killed_by) == (None, KillReason.CANCELLED)
    assert lab.text() == "begun"


async def test_killing_when_nothing_runs_does_nothing(lab: "Lab") -> None:
    sandbox = await lab.open()
    await sandbox.kill(KillReason.CANCELLED)
    assert (await lab.run(sandbox)).exit_code == 0
    await sandbox.kill(KillReason.CANCELLED)
    assert (await lab.run(sandbox)).exit_code == 0


async def test_closing_ends_the_command_and_may_be_repeated(lab: "Lab") -> None:
    sandbox = await lab.open()
    running = asyncio.create_task(lab.run(sandbox, Act(stdout=b"begun\n", seconds=1000)))
    await lab.until_printed("begun")
    await asyncio.gather(sandbox.close(), sandbox.close())
    assert (await running).killed_by == KillReason.CANCELLED
    await sandbox.close()
    assert await lab.executor.existing() == []
    with pytest.raises(ExecutorUnavailable):
        await lab.run(sandbox)


async def test_cancelling_run_leaves_the_command_and_another_executor_follows_it(lab: "Lab") -> None:
    sandbox = await lab.open(lab.layer("source", given="1"))
    command = lab.acting(Act(stdout=b"begun\n", seconds=1, exit_code=5, writes={"made": b"2"}))
    first = asyncio.create_task(sandbox.run(command, lab.log))
    await lab.until_printed("begun")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first

    successor = await lab.another_executor().open(sandbox.spec)
    result = await successor.run(command, lab.log)
    assert (result.exit_code, result.killed_by, result.output.lines) == (5, None, 1)
    assert result.seconds >= 1
    assert lab.text() == "begun"
    assert await sandbox.run(command, lab.log) == result, "a command that has ended is not run again"
    tree = successor.open_tree()
    assert sorted(os.listdir(tree)) == ["given", "made"]
    os.close(tree)


async def test_a_successor_can_kill_what_it_did_not_start(lab: "Lab") -> None:
    sandbox = await lab.open()
    command = lab.acting(Act(stdout=b"begun\n", seconds=1000))
    first = asyncio.create_task(sandbox.run(command, lab.log))
    await lab.until_printed("begun")
    successor = await lab.another_executor().open(sandbox.spec)
    await successor.kill(KillReason.CANCELLED)
    assert (await first).killed_by == KillReason.CANCELLED


async def test_a_sandbox_can_be_found_and_discarded_by_its_name(lab: "Lab") -> None:
    sandbox = await lab.open(name="sbx_a")
    await lab.open(name="sbx_b")
    running = asyncio.create_task(lab.run(sandbox, Act(stdout=b"begun\n", seconds=1000)))
    await lab.until_printed("begun")
    other = lab.another_executor()
    assert sorted(await other.existing()) == ["sbx_a", "sbx_b"]
    await other.discard("sbx_a")
    await other.discard("sbx_a")
    assert (await running).killed_by == KillReason.CANCELLED
    assert await other.existing() == ["sbx_b"]


async def test_a_command_over_its_time_is_killed_after_a_warning(lab: "Lab") -> None:
    sandbox = await lab.open()
    result = await lab.run(sandbox, Act(seconds=1000), limits={"seconds": 1.5, "soft_fraction": 0.4})
    assert (result.exit_code, result.killed_by) == (None, KillReason.TIMEOUT)
    assert 1.5 <= result.seconds < 30
    assert [(event["type"], event["code"]) for event in lab.events()] == [("build.warning", "limit.time_soon")]


async def test_a_command_that_writes_too_much_is_killed(lab: "Lab") -> None:
    sandbox = await lab.open()
    many = {f"part-{number}": b"x" * 700_000 for number in range(4)} if not lab.real else {}
    command = lab.python(
        "import time\nfor n in range(4): open(f'part-{n}', 'w').write('x' * 700_000)\ntime.sleep(60)",
        lambda *_: Act(writes=many),
        limits={"disk_bytes": 2**21},
    )
    result = await sandbox.run(command, lab.log)
    assert (result.exit_code, result.killed_by) == (None, KillReason.DISK)
    assert result.seconds < 20


async def test_the_log_keeps_the_beginning_and_the_end_and_counts_the_rest_exactly(lab: "Lab") -> None:
    sandbox = await lab.open()
    printed = b"".join(b"line %06d\n" % number for number in range(10_000))
    result = await lab.run(sandbox, Act(stdout=printed), limits={"log_bytes": 5000})
    kept = [(line["line"] + "\n" * line.get("eol", True)).encode() for line in lab.lines()]
    # The end begins with a line.
    expected = printed[:2500] + printed[-2496:]
    assert b"".join(kept) == expected
    assert (result.output.bytes, result.output.truncated_bytes) == (4996, len(printed) - 4996)
    assert result.output.sha256 == hashlib.sha256(expected).hexdigest()
    told = [event for event in lab.events() if event["type"] == "log.truncated"]
    assert [event["bytes"] for event in told] == [len(printed) - 4996]
    before = [line for line in lab.lines() if line["seq"] < told[0]["seq"]]
    assert (before[-1]["line"], lab.lines()[len(before)]["line"]) == ("line", "line 009792")


async def test_binary_output_comes_back_byte_by_byte(lab: "Lab") -> None:
    sandbox = await lab.open()
    printed = bytes(range(256)) * 40 + b"\nplain\n" + "ä😀\r\n".encode() + b"\xff no end"
    result = await lab.run(sandbox, Act(stdout=printed))
    back = b"".join(
        (b64decode(line["raw"]) if "raw" in line else line["line"].encode()) + (b"\n" if line.get("eol", True) else b"")
        for line in lab.lines()
    )
    assert back == printed
    assert result.output.sha256 == hashlib.sha256(printed).hexdigest()


async def test_secrets_of_a_command_do_not_stand_in_its_log_in_whatever_pieces_they_are_printed(lab: "Lab") -> None:
    secret = "s3cr3t/t0ken+0123456789"
    sandbox = await lab.open()
    forms = [
        secret,
        base64.b64encode(f"user:{secret}".encode()).decode(),
        secret.encode().hex(),
        quote(secret, safe=""),
    ]
    said = "".join(f"<{form}>\n" for form in forms) + f"no newline {secret}"
    command = lab.python(
        "import os, sys, time\nfor piece in os.environ['SAID']: sys.stdout.write(piece); sys.stdout.flush()",
        lambda given, _: Act(stdout=given.env["SAID"].encode()),
        env={"SAID": said, "TOKEN": secret, "OTHER": "harmless"},
        secrets=("TOKEN",),
    )
    result = await sandbox.run(command, lab.log)
    lines = lab.text().splitlines()
    assert [line.count("[secret]") for line in lines] == [1, 1, 1, 1, 1]
    assert lines[0] == "<[secret]>"
    assert "s3cr3t" not in lab.text()
    # The receipt is of what is in the log: that can be recomputed.
    assert result.output.bytes == len(lab.text().encode())
    assert result.output.sha256 == hashlib.sha256(lab.text().encode()).hexdigest()


async def test_background_processes_end_with_their_command_and_are_counted(lab: "Lab") -> None:
    sandbox = await lab.open()
    began = time.monotonic()
    result = await lab.run(sandbox, Act(stdout=b"done\n", background=3))
    assert (result.exit_code, result.background_killed) == (0, 3)
    assert time.monotonic() - began < 30
    assert lab.text() == "done"


async def test_two_sandboxes_run_at_the_same_time_and_see_nothing_of_each_other(lab: "Lab") -> None:
    layer = lab.layer("source", given="1")
    one, two = await lab.open(layer, name="sbx_a"), await lab.open(layer, name="sbx_b")
    acts = [Act(writes={"one": b"1"}, seconds=0.5), Act(writes={"two": b"2"}, seconds=0.5)]
    results = await asyncio.gather(lab.run(one, acts[0]), lab.run(two, acts[1]))
    assert [result.exit_code for result in results] == [0, 0]
    for sandbox, names in ((one, ["given", "one"]), (two, ["given", "two"])):
        tree = sandbox.open_tree()
        assert sorted(os.listdir(tree)) == names
        os.close(tree)


async def test_names_that_would_lead_elsewhere_are_refused(lab: "Lab") -> None:
    for name in ("../evil", ".hidden", "a/b"):
        with pytest.raises(ExecutorUnavailable):
            await lab.executor.open(SandboxSpec(id=name, build_id="build_1", layers=()))


async def test_the_machine_is_examined(lab: "Lab") -> None:
    findings = await lab.executor.examine()
    assert findings
    assert all(finding.fix for finding in findings if finding.status != "ok")
