"""`headrace preview`: a directory that is watched, and the previews there are."""

from typing import Any, NoReturn

import click

from headrace.cli.output import answer, data, note, size, table

_FORMER = ("-h", "--help")


class _WatchOrCommand(click.Group):
    """`headrace preview DIR` watches DIR; a word that is a command is that command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, *_FORMER):
            args = ["watch", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[DIRECTORY] [OPTIONS]")
        formatter.write_usage(ctx.command_path, "COMMAND [ARGUMENTS]", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        watching.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group("preview", cls=_WatchOrCommand)
def command() -> None:
    """Watch DIRECTORY (by default this one) and bring each save to its page at once.

    Prints the page's address, then one line for each change: ready, or the errors with file and line. Uses the server of
    this data directory, or starts one that lives as long as this command. Ctrl-C ends it; a server that was there before
    puts the preview to sleep by itself. A directory with the name of a command is `./ls`.
    """


@command.command("watch")
@click.argument("directory", default=".")
@click.option(
    "--mode", type=click.Choice(["auto", "build", "dev"]), help="Show what production would serve, or the dev server."
)
@click.option("--app", metavar="NAME", help="Which app of a repository with several; each is a project of its own.")
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port for a server that is started now; 0 takes a free one."
)
def watching(
    directory: str, mode: str | None, app: str | None, opens: bool, as_json: bool, port: int | None
) -> NoReturn:
    """Watch DIRECTORY; the same as without `watch`."""
    from headrace.cli.preview_start import watch_directory

    watch_directory(directory, mode=mode, app=app, opens=opens, as_json=as_json, port=port)


@command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_previews(as_json: bool) -> None:
    """List the previews that were used since the server began, the last used first."""
    from headrace.cli.servers import connect
    from headrace.settings import read_settings

    client = connect(read_settings())
    states = client.get("/previews")["items"]
    if as_json:
        data(states)
    elif states:
        names = {project["id"]: project["slug"] for project in client.pages("/workspaces/default/projects", most=1000)}
        head = ["project", "status", "mode", "driver", "memory", "url"]
        answer(table(head, [_row(state, names) for state in states]))
    else:
        note("no preview was used since the server began; `headrace preview DIRECTORY` starts one")


def _row(state: Any, names: dict[str, str]) -> list[Any]:
    memory = None if state["memory_bytes"] is None else size(state["memory_bytes"])
    name = names.get(state["project_id"], state["project_id"])
    return [name, state["status"], state["mode"], state["driver"], memory, state["url"]]


@command.command("stop")
@click.argument("project", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stop(project: str | None, as_json: bool) -> None:
    """Put the preview of PROJECT (slug, id or directory; by default this one) to sleep."""
    _tell(_post(project, "stop"), as_json=as_json)


@command.command("wake")
@click.argument("project", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def wake(project: str | None, as_json: bool) -> None:
    """Wake the preview of PROJECT, so that the next visit need not."""
    _tell(_post(project, "wake"), as_json=as_json)


@command.command("open")
@click.argument("project", required=False)
@click.option("--view", is_flag=True, help="Print the page that shows it with its status, console and errors.")
@click.option("--browser", is_flag=True, help="Open it too.")
def open_preview(project: str | None, view: bool, browser: bool) -> None:
    """Print an address of PROJECT's preview that opens whatever its protection is, for an hour."""
    link = _link(project, 3600)
    url = link["view_url"] if view else link["url"]
    answer(url)
    if browser:
        click.launch(url)


@command.command("link")
@click.argument("project", required=False)
@click.option("--seconds", type=click.IntRange(min=1), default=3600, show_default=True, help="How long it opens.")
@click.option("--json", "as_json", is_flag=True, help="Print url, view_url and expires_at as JSON.")
def make_link(project: str | None, seconds: int, as_json: bool) -> None:
    """Print a signed link to PROJECT's preview for somebody else, until it expires."""
    link = _link(project, seconds)
    if as_json:
        data(link)
    else:
        answer(link["url"])
        note(f"until {link['expires_at']}")


def _link(project: str | None, seconds: int) -> Any:
    return _post(project, "links", {"seconds": seconds})


def _post(project: str | None, what: str, body: object = None) -> Any:
    from headrace.cli.projects_of import project_named
    from headrace.cli.servers import connect
    from headrace.settings import read_settings

    settings = read_settings()
    client = connect(settings)
    return client.post(f"/projects/{project_named(client, settings, project)}/preview/{what}", body)


def _tell(state: Any, *, as_json: bool) -> None:
    if as_json:
        data(state)
    else:
        note(f"{state['status']}: {state['url']}" if state["url"] else state["status"])
