"""Gets everything ready that `headrace preview DIRECTORY` needs, and hands over to the loop."""

import getpass
from pathlib import Path
from typing import Any, NoReturn

import click

from headrace.cli.client import Client
from headrace.cli.dev_proxy import take_over_proxy
from headrace.cli.keeping import Keeper
from headrace.cli.local_files import LocalFiles
from headrace.cli.output import note
from headrace.cli.preview_words import Words
from headrace.cli.projects_of import agreement_file, project_for
from headrace.cli.sender import Sender
from headrace.cli.servers import Server, known, serving
from headrace.cli.sources import source_of
from headrace.cli.watcher import Watcher
from headrace.errors import Conflict, InvalidInput
from headrace.model.version import DirectorySource
from headrace.plan.project_file import NAME
from headrace.settings import Settings, read_settings
from headrace.sync.entries import SyncLimits


def watch_directory(
    directory: str, *, mode: str | None, app: str | None, opens: bool, as_json: bool, port: int | None
) -> NoReturn:
    """Watch until Ctrl-C."""
    settings = read_settings()
    source = source_of(directory)
    if not isinstance(source, DirectorySource):
        raise InvalidInput("a preview watches a directory", hint="`headrace up` builds a repository")
    with serving(settings, port=port, stays=False) as server:
        client = server.client
        project = take_over_proxy(client, project_for(client, settings, source, app), Path(source.path))
        if mode and project["settings"].get("preview", {}).get("mode") != mode:
            project = client.patch(f"/projects/{project['id']}", {"settings": {"preview": {"mode": mode}}})
        words = Words(as_json=as_json, project=project["slug"])
        url = client.get(f"/projects/{project['id']}/preview")["url"]
        if url is None:
            raise Conflict("this server serves no previews", hint="start it with `headrace serve`")
        words.url(url, project)
        note("Ctrl-C stops the server." if server.process else "Ctrl-C stops watching.")
        try:
            _keep(settings, server, project, source, words, url if opens else None)
        except KeyboardInterrupt:
            note("stopping")
            raise


def _keep(
    settings: Settings, server: Server, project: Any, source: DirectorySource, words: Words, opens: str | None
) -> NoReturn:
    local = LocalFiles(Path(source.path), file_bytes=SyncLimits.of(settings).file_bytes)
    kept = agreement_file(settings, source, project["id"])
    sender = Sender(server.client, project["id"], local, kept, words, user())
    with Watcher(local.root) as watcher:
        keeper = Keeper(
            local=local,
            watcher=watcher,
            sender=sender,
            words=words,
            find_server=lambda: _find(settings, server),
            project=project["id"],
        )

        read: list[Any] = []

        def saved() -> None:
            # It was read before the watch began, and is again only when it is another one.
            now = [file for path, file in local.files.items() if path.rpartition("/")[2] == NAME]
            if read and read[-1] != now:
                take_over_proxy(sender.client, sender.client.get(f"/projects/{project['id']}"), local.root)
            read[:] = [now]

        try:
            keeper.run(on_saved=saved, on_first=lambda: _open(opens))
        finally:
            # Ctrl-C may have come between a sync and its being remembered.
            sender.keep()


def _find(settings: Settings, server: Server) -> Client | None:
    server.check(settings)
    return known(settings)


def _open(url: str | None) -> None:
    if url:
        click.launch(url)


def user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
