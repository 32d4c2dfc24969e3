"""`headrace cancel`."""

import click

from headrace.cli.output import data, note


@click.command()
@click.argument("build")
@click.option("--json", "as_json", is_flag=True, help="Print the build as JSON.")
def command(build: str, as_json: bool) -> None:
    """End BUILD. Everything that it runs is gone within two seconds."""
    from headrace.cli.servers import connect
    from headrace.settings import read_settings

    answered = connect(read_settings()).post(f"/builds/{build}/cancel")
    if as_json:
        data(answered)
    else:
        note(f"{build} is being cancelled" if answered["status"] != "cancelled" else f"{build} is cancelled")
