"""Brings code to a server and follows its build."""

import time
from pathlib import Path
from typing import Any

from headrace.cli.client import Client
from headrace.cli.dev_proxy import take_over_proxy
from headrace.cli.output import note
from headrace.cli.progress import event_of, progress
from headrace.cli.projects_of import project_for
from headrace.errors import Conflict
from headrace.model.trust import Trust
from headrace.model.version import DirectorySource, GitSource
from headrace.settings import Settings
from headrace.source.archive import pack_directory

_SETTLE_SECONDS = 10


def send(
    client: Client,
    settings: Settings,
    source: DirectorySource | GitSource,
    options: dict[str, Any],
    app: str | None = None,
) -> Any:
    """
    Ask for a build of the source (or of one of its apps) as it is now, with these options; the build, which may have ended
    before.
    """
    trust = Trust(options["trust"])
    project = project_for(client, settings, source, app, trust)
    version = None
    if isinstance(source, DirectorySource):
        # Strangers say nothing about the project's settings.
        if trust is Trust.TRUSTED:
            take_over_proxy(client, project, Path(source.path))
        version = _upload(client, project["id"], source, trust)
    return client.post(f"/projects/{project['id']}/builds", {"version": version, "options": options})


def follow(client: Client, build: Any) -> Any:
    """
    Show the build until it has ended; the ended build. Ctrl-C asks for its cancellation and goes on following; a second
    one leaves it alone.
    """
    identifier: str = build["id"]
    if build["finished_at"]:
        note(f"✓ The same inputs were built before: {identifier}")
        return build
    interrupted = False
    seen = 0
    with progress() as shown:
        while True:
            try:
                for line in client.events(identifier, after=seen):
                    if event := event_of(line):
                        shown.show(event)
                        seen = event.seq
                return _settled(client, identifier, seen)
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                note("cancelling; Ctrl-C again leaves the build to itself")
                _cancel(client, identifier)


def _settled(client: Client, build: str, seen: int) -> Any:
    """The build once it is what its events say: the log ends a moment before the row knows it."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        found = client.get(f"/builds/{build}")
        if found["seen"] >= seen or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def _upload(client: Client, project: str, source: DirectorySource, trust: Trust) -> str:
    version = client.upload(f"/projects/{project}/versions", pack_directory(Path(source.path)), trust=trust.value)
    identifier: str = version["id"]
    return identifier


def _cancel(client: Client, build: str) -> None:
    try:
        client.post(f"/builds/{build}/cancel")
    except Conflict:
        note("it has ended already")
