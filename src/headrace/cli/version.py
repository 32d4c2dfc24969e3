"""`headrace version`."""

import click

from headrace import __version__


@click.command()
def command() -> None:
    """Print the version."""
    click.echo(f"headrace {__version__}")
