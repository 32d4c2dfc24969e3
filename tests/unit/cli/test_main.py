import importlib
import os
import subprocess
import sys

import click
import pytest

from headrace.cli.catalogue import CATALOGUE, NAMES, overview
from headrace.cli.group import headrace, run

#: Nobody who asks for help should wait for these.
HEAVY = {"click", "pydantic", "rich", "sqlalchemy", "fastapi", "asyncio", "headrace.settings", "headrace.model"}


def run_headrace(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-I", "-m", "headrace", *arguments], capture_output=True, text=True, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; sys.argv = ['headrace', '--help']; from headrace.cli.main import main\n"
    program += "try: main()\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
    asked = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert asked.stdout == overview()
    assert not HEAVY & set(asked.stderr.split())


def test_help_of_a_command_does_not_import_its_machinery() -> None:
    program = (
        "import sys; from headrace.cli.group import run; run(['up', '--help']); print(*sys.modules, file=sys.stderr)"
    )
    asked = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert "--detach" in asked.stdout
    assert not {"sqlalchemy", "fastapi", "rich", "uvicorn"} & set(asked.stderr.split())


def test_no_arguments_print_the_overview_and_are_a_usage_error() -> None:
    asked = run_headrace()
    assert asked.returncode == 2
    assert asked.stdout == overview()


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_the_overview_exists_and_explains_itself(name: str) -> None:
    command = importlib.import_module(f"headrace.cli.{name}").command
    assert isinstance(command, click.Command)
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


def test_the_overview_names_every_command_once() -> None:
    assert len(set(NAMES)) == len(NAMES) == sum(len(group) for group in CATALOGUE.values())


def test_a_mistyped_command_is_usage_and_names_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["biuld"]) == 2
    assert "did you mean 'build'" in capsys.readouterr().err


def test_the_version_is_printed_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == run(["--version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_the_group_is_what_the_documentation_is_made_from() -> None:
    assert sorted(headrace.list_commands(click.Context(headrace))) == sorted(NAMES)


@pytest.mark.parametrize(("stream", "arguments"), [("stdout", ["up", "--help"]), ("stderr", ["nothing-of-that-name"])])
def test_a_reader_that_leaves_is_told_by_the_exit_status_alone(stream: str, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
    argv = [sys.executable, "-I", "-m", "headrace", *arguments]
    done = subprocess.run(argv, check=False, **streams)  # type: ignore[call-overload]
    os.close(writing)
    assert done.returncode == 141
    assert not done.stdout
    assert not done.stderr
