"""`headrace builds`."""

import click

from headrace.cli.output import answer, data, note, table

_STATUSES = ["queued", "building", "succeeded", "failed", "cancelled"]


@click.command()
@click.option("--project", help="Only builds of this project: its slug or id.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only builds in this state.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Most builds to list.")
def command(project: str | None, status: str | None, as_json: bool, limit: int) -> None:
    """List builds, the newest first."""
    from headrace.cli.projects_of import project_id
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    with reading(read_settings()) as client:
        path = f"/projects/{project_id(client, project)}/builds" if project else "/builds"
        builds = client.pages(path, most=limit, status=status)
    if as_json:
        data(builds)
    elif builds:
        answer(table(["build", "status", "trust", "took", "created", "why"], [_row(build) for build in builds]))
    else:
        note("there is no such build")


def _row(build: dict[str, object]) -> list[object]:
    failure, waiting, options = build.get("failure"), build.get("waiting"), build.get("options")
    why = failure.get("reason") if isinstance(failure, dict) else ""
    if isinstance(waiting, dict):
        why = waiting.get("message")
    trust = options.get("trust") if isinstance(options, dict) else None
    return [build["id"], build["status"], trust, _took(build), build["created_at"], why]


def _took(build: dict[str, object]) -> str | None:
    from datetime import datetime

    from headrace.model.text import seconds_text

    begin, end = build.get("started_at"), build.get("finished_at")
    if not isinstance(begin, str) or not isinstance(end, str):
        return None
    return seconds_text((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())
