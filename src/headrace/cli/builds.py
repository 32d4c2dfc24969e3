"""`headrace builds`."""

import click

from headrace.cli.output import answer, data, note, seconds, table
from headrace.model.build import BuildStatus


@click.command()
@click.option("--project", help="Only builds of this project: its slug or id.")
@click.option(
    "--status", type=click.Choice([status.value for status in BuildStatus]), help="Only builds in this state."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Most builds to list.")
def command(project: str | None, status: str | None, as_json: bool, limit: int) -> None:
    """List builds, the newest first."""
    from headrace.cli.projects_of import project_id
    from headrace.cli.servers import connect
    from headrace.settings import read_settings

    client = connect(read_settings())
    path = f"/projects/{project_id(client, project)}/builds" if project else "/builds"
    builds = client.pages(path, most=limit, status=status)
    if as_json:
        data(builds)
    elif builds:
        answer(table(["build", "status", "took", "created", "why"], [_row(build) for build in builds]))
    else:
        note("there is no such build")


def _row(build: dict[str, object]) -> list[object]:
    failure = build.get("failure")
    why = failure.get("reason") if isinstance(failure, dict) else ""
    return [build["id"], build["status"], seconds(_took(build)), build["created_at"], why]


def _took(build: dict[str, object]) -> float | None:
    from datetime import datetime

    begin, end = build.get("started_at"), build.get("finished_at")
    if not isinstance(begin, str) or not isinstance(end, str):
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
