"""Brings code to a server and follows its build."""

from pathlib import Path
from typing import Any

from headrace.cli.client import Client
from headrace.cli.output import note
from headrace.cli.progress import event_of, progress
from headrace.cli.projects_of import project_for
from headrace.errors import Conflict
from headrace.model.version import DirectorySource, GitSource
from headrace.settings import Settings
from headrace.source.archive import pack_directory


def send(client: Client, settings: Settings, source: DirectorySource | GitSource, *, force: bool = False) -> Any:
    """Ask for a build of the source as it is now; the build, which may have ended before."""
    project = project_for(client, settings, source)
    version = _upload(client, project["id"], source) if isinstance(source, DirectorySource) else None
    return client.post(f"/projects/{project['id']}/builds", {"version": version, "options": {"force": force}})


def follow(client: Client, build: Any) -> Any:
    """
    Show the build until it has ended; the ended build. Ctrl-C asks for its cancellation and goes on following; a second
    one leaves it alone.
    """
    identifier: str = build["id"]
    interrupted = False
    after = 0
    with progress() as shown:
        while True:
            try:
                for line in client.events(identifier, after=after):
                    if event := event_of(line):
                        shown.show(event)
                        after = event.seq
                break
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                note("cancelling; Ctrl-C again leaves the build to itself")
                _cancel(client, identifier)
    return client.get(f"/builds/{identifier}")


def _upload(client: Client, project: str, source: DirectorySource) -> str:
    version = client.upload(f"/projects/{project}/versions", pack_directory(Path(source.path)))
    identifier: str = version["id"]
    return identifier


def _cancel(client: Client, build: str) -> None:
    try:
        client.post(f"/builds/{build}/cancel")
    except Conflict:
        note("it has ended already")
