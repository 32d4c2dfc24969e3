"""
No word of a stranger's decides what is run outside of a sandbox: strace records every program that the server and the command
line start, and all that those start, while hostile strings go through every field there is.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from tests.hostile.audited import AuditedServer
from tests.hostile.execaudit import Exec, read_execs, strace, violations, wait_until_traced
from tests.hostile.hostile_strings import MARK, hostile_strings, in_turn

from headrace.cli.catalogue import NAMES
from headrace.cli.group import headrace

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.sandbox


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def audited(environment: dict[str, str], data_dir: Path, git_host: Any) -> Iterator[AuditedServer]:
    more = {
        "HEADRACE_GIT_HOSTS": "localhost",
        "HEADRACE_CA_FILE": str(git_host.certificate),
        # What a build would fetch: nobody is there.
        "HEADRACE_NPM_REGISTRY": "http://127.0.0.1:1",
    }
    server = AuditedServer(environment | more, data_dir)
    server.start()
    yield server
    server.stop()


def test_no_field_of_the_api_reaches_a_program(audited: AuditedServer, canary: Path) -> None:
    done = list(audited.attack(in_turn(hostile_strings(canary), each=4)))
    where, statuses = {request.where for request, _ in done}, {status for _, status in done}
    assert len(where) > 150
    assert 200 in statuses
    assert 422 in statuses
    assert violations(audited.ran(), MARK) == []
    assert not canary.exists()


def test_no_word_of_a_repository_or_a_project_reaches_a_program_before_its_sandbox(
    audited: AuditedServer, git_host: Any, canary: Path
) -> None:
    strings = hostile_strings(canary)
    names = {f"{text.replace('/', '_')[:200]}.txt": b"x" for text in strings if "\n" not in text}
    words = [json.dumps(text) for text in strings]
    package = json.dumps(
        {"name": strings[0], "version": strings[1], "scripts": {"build": "exit 0", strings[2]: strings[3]}}
    )
    wishes = f'[build]\nframework = "static"\ncommand = [{", ".join(["echo", *words]).replace("echo", json.dumps("echo"), 1)}]\n'
    wishes += f'output = "."\n[env]\nH5TL = {words[0]}\nLD_PRELOAD = {words[4]}\nGIT_SSH_COMMAND = {words[5]}\n'
    branch = f"{MARK};touch${{IFS}}{canary.name}"
    repository = git_host.repository(f"{MARK}--upload-pack=x")
    commit = repository.commit(
        {**names, "index.html": b"<h1>x</h1>", "headrace.toml": wishes.encode()}, message=strings[1]
    )
    repository.git("update-ref", f"refs/heads/{branch}", commit)
    for ref in (branch, None):
        source = {"kind": "git", "url": git_host.url(f"{MARK}--upload-pack=x"), "ref": ref}
        made = audited.http.post("/workspaces/default/projects", json={"name": strings[2], "source": source})
        assert made.status_code == 201, made.text
        ended = audited.until_ended(audited.build(made.json()["id"], force=True)["id"])
        assert ended["status"] == "succeeded", ended
    project = audited.project(strings[3])["id"]
    files = {
        "package.json": package,
        "package-lock.json": "{}",
        ".npmrc": f"registry={strings[4]}\n",
        ".nvmrc": strings[5],
    }
    audited.upload(project, {**files, **dict.fromkeys(names, "x")})
    audited.until_ended(audited.build(project)["id"])
    ran = audited.ran()
    assert violations(ran, MARK) == []
    # The words did arrive where they may: at git, and in the sandbox.
    assert any(MARK in word for one in ran if not one.inside for word in one.argv)
    assert any(MARK in word for one in ran if one.inside for word in one.argv)
    assert not canary.exists()


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from _commands(command, (*path, name))
            elif command is not None:
                yield (*path, name), command


def _slots(command: click.Command, text: str) -> Iterator[list[str]]:
    """The arguments with `text` in one place each, and something harmless in the others."""
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    for argument in arguments:
        yield ["--", *(text if other is argument else "x" for other in arguments)]
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_flag and not option.count:
            yield [f"{option.opts[0]}={text}", "--", *("x" for _ in arguments)]


def test_no_argument_of_the_command_line_reaches_a_program(
    audited: AuditedServer, environment: dict[str, str], tmp_path: Path, canary: Path
) -> None:
    turns = in_turn(hostile_strings(canary), each=1)
    calls = [[*path, *slot] for path, command in _commands(headrace) for slot in _slots(command, next(turns)[0])]
    assert {call[0] for call in calls} >= set(NAMES) - {"doctor", "version"}
    place = tmp_path / "empty"
    place.mkdir()
    script = "import sys; from headrace.cli.group import run\nfor line in open(sys.argv[1]).read().split('\\x00'):\n    run(line.split('\\x01'))\n"
    listed = tmp_path / "calls"
    listed.write_text("\0".join("\1".join(call) for call in calls if "\0" not in "".join(call)))
    log = tmp_path / "cli-programs"
    done = subprocess.run(
        [*strace(log), sys.executable, "-c", script, str(listed)],
        env=environment | {"HEADRACE_URL": audited.url},
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    before, ours, _ = done.stderr.decode(errors="replace").partition("this is a mistake in Headrace")
    assert not ours, before[-2000:]
    wait_until_traced(log)
    assert violations([*read_execs(log), *audited.ran()], MARK) == []
    assert not canary.exists()


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("os.system(words)", "S605"),
        ("os.popen(words)", "S605"),
        ("subprocess.run(words, shell=True)", "S602"),
        ("subprocess.getoutput(words)", "S605"),
        ("asyncio.create_subprocess_shell(words)", "TID251"),
        ("eval(words)", "S307"),
        ("exec(words)", "S102"),
        ("pickle.loads(words)", "S301"),
    ],
)
def test_the_linter_lets_no_shell_and_no_eval_into_the_product(line: str, rule: str) -> None:
    module = f"import asyncio, os, pickle, subprocess\n\n\ndef run(words: str) -> None:\n    {line}\n"
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--output-format=concise",
        "--stdin-filename=src/headrace/sync/x.py",
        "-",
    ]
    said = subprocess.run(command, input=module, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert f" {rule} " in said, said


def test_the_audit_sees_what_it_is_for(tmp_path: Path) -> None:
    bad = [
        ["sh", "-c", f"git clone {MARK}"],
        ["git", "clone", f"--upload-pack={MARK}"],
        ["git", "fetch", f"{MARK}", "--end-of-options"],
        ["rm", "-rf", MARK],
        ["touch", "x"],
    ]
    good = [
        ["git", "fetch", "--end-of-options", MARK],
        ["sh", "-c", 'exec "$@"', "sh", "git", "fetch", "--end-of-options", MARK],
    ]
    for argv in (*bad, *good):
        ran = Exec(argv=argv, env=[], inside=False)
        assert bool(violations([ran], MARK)) is (argv in bad), argv
        assert violations([Exec(argv=argv, env=[MARK], inside=True)], MARK) == []
    log = tmp_path / "log"
    subprocess.run([*strace(log), sys.executable, "-c", f"import os; os.system('echo {MARK} | cat')"], check=True)
    wait_until_traced(log)
    assert violations(read_execs(log), MARK)
    assert os.environ.get(MARK) is None
