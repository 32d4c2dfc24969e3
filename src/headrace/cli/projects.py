"""`headrace projects`."""

import click

from headrace.cli.output import answer, data, note, table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Most projects to list.")
def command(as_json: bool, limit: int) -> None:
    """List projects with their addresses."""
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    with reading(read_settings()) as client:
        projects = client.pages("/workspaces/default/projects", most=limit)
    if as_json:
        data(projects)
    elif projects:
        answer(
            table(
                ["project", "id", "url", "created"],
                [[p["slug"], p["id"], p.get("url"), p["created_at"]] for p in projects],
            )
        )
    else:
        note("there is no project yet; `headrace up DIRECTORY` makes one")
