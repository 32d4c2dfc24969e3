"""`headrace sync`: a few files, sent in one request that says how it came out."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from headrace.cli.exit_status import BUILD_FAILED, OK, TIMED_OUT
from headrace.cli.output import answer, data, note


@click.command()
@click.argument("project")
@click.argument("files", nargs=-1)
@click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The project's directory here: paths are relative to it. By default this one.",
)
@click.option("--delete", "deleted", multiple=True, metavar="PATH", help="A file that goes; may be given again.")
@click.option("--base", metavar="VERSION", help="What the change starts from: what others changed since is merged.")
@click.option("--message", default="", help="What the change is for.")
@click.option("--agent", metavar="NAME", help="The coding agent that made the change; without it, you did.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Return once it is served or has failed.")
@click.option(
    "--timeout", type=click.FloatRange(min=1, max=3600), default=120, show_default=True, help="Seconds to wait at most."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer, or the conflict, as JSON.")
def command(
    project: str,
    files: tuple[str, ...],
    directory: Path,
    deleted: tuple[str, ...],
    base: str | None,
    message: str,
    agent: str | None,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> int:
    """Send FILES to PROJECT (slug, id, or a directory that was shown before) and wait until they are served.

    A single - reads the body of POST /projects/{id}/sync from stdin instead. Exits 0 when served (with --no-wait: stored),
    1 when it failed or conflicts, 5 for an unknown project, 124 when time was over first.
    """
    from headrace.cli.projects_of import project_named
    from headrace.cli.sender import MOST_WAIT_SECONDS, settled
    from headrace.cli.servers import connect
    from headrace.settings import read_settings

    settings = read_settings()
    client = connect(settings)
    identifier = project_named(client, settings, project)
    if files == ("-",):
        body = _from_stdin()
    else:
        body = {"files": _edits(directory, files, deleted), "message": message, "author": _author(agent)}
    if base is not None:
        body["base_version"] = base
    if files != ("-",):
        body |= {"wait": wait, "timeout": min(timeout, MOST_WAIT_SECONDS)}
    status, told = client.answered(
        f"/projects/{identifier}/sync", body, seconds=body.get("timeout", 60) if body.get("wait") else 0
    )
    if status < 400 and told["status"] == "building" and body.get("wait") and timeout > MOST_WAIT_SECONDS:
        state = settled(client, identifier, told["version"], timeout - MOST_WAIT_SECONDS)
        told |= {name: state[name] for name in ("status", "diagnostics", "served_version", "seconds")}
    return _tell(status, told, project, directory, waited=bool(body.get("wait")), as_json=as_json)


def _tell(status: int, told: Any, project: str, directory: Path, *, waited: bool, as_json: bool) -> int:
    from headrace.cli.client import error_of
    from headrace.cli.preview_words import Words

    conflicts = status == 409 and told.get("conflicts")
    if status >= 400 and not conflicts:
        raise error_of(status, json.dumps(told).encode())
    if as_json:
        data(told)
    words = Words(as_json=False, project=project)
    if conflicts:
        if not as_json:
            words.conflict(told["conflicts"], told["version"], directory)
        return BUILD_FAILED
    if not as_json:
        paths = {change["path"]: change["change"] == "deleted" for change in told["changes"]}
        if waited or not paths:
            words.sent(told, paths, told.get("seconds") or 0)
        else:
            note(f"stored {told['version']}")
        if told.get("url"):
            answer(told["url"])
    if told["status"] == "error" or (waited and _is_broken(told)):
        return BUILD_FAILED
    return TIMED_OUT if waited and told["status"] == "building" else OK


def _is_broken(told: Any) -> bool:
    """Whether the project holds these files already, and can't be shown with them."""
    return told["status"] == "no_changes" and (told.get("preview") or {}).get("status") == "error"


def _edits(directory: Path, files: tuple[str, ...], deleted: tuple[str, ...]) -> list[dict[str, Any]]:
    import base64

    edits: list[dict[str, Any]] = []
    for name in files:
        path = _below(directory, name)
        try:
            content = (directory / path).read_bytes()
            executable = bool((directory / path).stat().st_mode & 0o111)
        except OSError as exc:
            hint = (
                "name its files"
                if (directory / path).is_dir()
                else "paths are relative to --dir; --delete takes one away"
            )
            raise click.UsageError(f"{name} can't be read: {exc.strerror}; {hint}") from exc
        edit: dict[str, Any] = {"path": path, "executable": executable}
        try:
            edits.append(edit | {"content": content.decode(), "encoding": "utf-8"})
        except UnicodeDecodeError:
            edits.append(edit | {"content": base64.b64encode(content).decode(), "encoding": "base64"})
    edits += [{"path": _below(directory, name), "delete": True} for name in deleted]
    if not edits:
        raise click.UsageError("name files, or --delete PATH, or - for a body on stdin")
    return edits


def _below(directory: Path, name: str) -> str:
    """The path in the project: `name` as it is, or what is left of an absolute one below the directory."""
    path = Path(name)
    if path.is_absolute():
        try:
            return path.relative_to(directory.resolve()).as_posix()
        except ValueError:
            raise click.UsageError(f"{name} is not below {directory}") from None
    return path.as_posix()


def _author(agent: str | None) -> dict[str, str]:
    from headrace.cli.preview_start import user

    return {"kind": "agent", "name": agent} if agent else {"kind": "user", "name": user()}


def _from_stdin() -> dict[str, Any]:
    try:
        body = json.loads(sys.stdin.buffer.read())
    except ValueError as exc:
        raise click.UsageError(f"stdin is not JSON: {exc}") from None
    if not isinstance(body, dict):
        raise click.UsageError('stdin must be a JSON object: {"files": [...]}')
    return body
