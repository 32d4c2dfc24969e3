"""`headrace secrets`: variables of a project whose values nobody is shown."""

import click

from headrace.cli.output import answer, data, note, table


@click.group("secrets")
def command() -> None:
    """
    Set, name and take away a project's secrets: slug, id or directory of the project comes first.

    A step gets a secret as a variable when headrace.toml names it: `secrets` (for the build command) or `install_secrets`
    below [build]. Values are kept sealed, never shown, and masked in logs.
    """


@command.command("ls")
@click.argument("project")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_secrets(project: str, as_json: bool) -> None:
    """Name the secrets of PROJECT."""
    from headrace.cli.projects_of import project_named
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    settings = read_settings()
    with reading(settings) as client:
        found = client.get(f"/projects/{project_named(client, settings, project)}/secrets")["items"]
    if as_json:
        data(found)
    elif found:
        rows = [[one["name"], one["set_at"], "yes" if one["masked"] else "no: too short"] for one in found]
        answer(table(["secret", "set", "masked in logs"], rows))
    else:
        note(f"it has none; `headrace secrets set {project} NAME` sets one")


@command.command("set")
@click.argument("project")
@click.argument("name")
def set_secret(project: str, name: str) -> None:
    """
    Set the secret NAME of PROJECT. Its value is asked for, or read from stdin, so that it is in no command line: a pipe's
    last newline is left out.
    """
    from urllib.parse import quote

    from headrace.cli.projects_of import project_named
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    settings, value = read_settings(), _value(name)
    with reading(settings) as client:
        path = f"/projects/{project_named(client, settings, project)}/secrets/{quote(name, safe='')}"
        stored = client.put(path, {"value": value})
    if stored["masked"]:
        note(f"{name} is set; headrace.toml says which step gets it")
    else:
        note(f"{name} is set. Its value is too short to be masked in logs (secret.too_short_to_mask)")


@command.command("rm")
@click.argument("project")
@click.argument("name")
def remove(project: str, name: str) -> None:
    """Take the secret NAME of PROJECT away."""
    from urllib.parse import quote

    from headrace.cli.projects_of import project_named
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    settings = read_settings()
    with reading(settings) as client:
        client.delete(f"/projects/{project_named(client, settings, project)}/secrets/{quote(name, safe='')}")
    note(f"{name} is gone")


def _value(name: str) -> str:
    import sys

    from headrace.errors import InvalidInput

    if sys.stdin.isatty():
        value: str = click.prompt(name, hide_input=True, err=True)
        return value
    given = sys.stdin.buffer.read()
    try:
        text = given.decode()
    except UnicodeDecodeError as exc:
        raise InvalidInput(f"the value of {name} is not UTF-8", hint="encode it, as base64 for example") from exc
    if not text:
        raise InvalidInput(f"no value for {name} came from stdin", hint="printf %s VALUE | headrace secrets set …")
    return text.removesuffix("\n").removesuffix("\r")
