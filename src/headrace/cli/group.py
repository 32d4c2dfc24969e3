"""The click group: loads a command's module when it is asked for, and maps errors to exit statuses."""

import difflib
import importlib
import sys
import traceback
from typing import Any, NoReturn

import click

from headrace import __version__
from headrace.cli.catalogue import NAMES, overview
from headrace.errors import HeadraceError


class LazyGroup(click.Group):
    """A group whose commands are modules of this package. The arguments are those of click."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NAMES:
            return None
        command: click.Command = importlib.import_module(f"headrace.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in NAMES and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], NAMES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; `headrace --help` lists them"
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        return overview().rstrip("\n")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="headrace", message="%(prog)s %(version)s")
def headrace() -> None:
    """Headrace: a change in, a live URL out."""


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit status."""
    return run_command(headrace, arguments)


def run_command(command: click.Command, arguments: list[str]) -> int:
    """Run one command and return its exit status. Nothing is raised: this is the border where errors become words."""
    try:
        return _ended(command, arguments)
    except BrokenPipeError:
        _leave_quietly()


def _ended(command: click.Command, arguments: list[str]) -> int:
    try:
        with command.make_context("headrace", arguments) as context:
            status: Any = command.invoke(context)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    except HeadraceError as exc:
        _tell(exc)
        return exc.exit_status
    except BrokenPipeError:
        raise
    except Exception:
        traceback.print_exc()
        click.echo("headrace: this is a mistake in Headrace, not in your project", err=True)
        return 70


def _tell(error: HeadraceError) -> None:
    click.echo(f"{click.style('error:', fg='red', bold=True)} {error.message} [{error.exact_code}]", err=True)
    if error.hint:
        click.echo(f"{click.style('hint:', fg='cyan')} {error.hint}", err=True)


def _leave_quietly() -> NoReturn:
    """The reader of our output left, as `headrace logs … | head` does. Python would complain at exit."""
    import os

    from headrace.cli.exit_status import UNREAD

    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nothing, stream.fileno())
    sys.exit(UNREAD)
