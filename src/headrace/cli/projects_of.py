"""Finds a project by what people call it, or by where its code is; makes it when it is new."""

import hashlib
import json
from pathlib import Path
from typing import Any

from headrace.cli.client import Client
from headrace.cli.sources import name_of
from headrace.errors import NotFound
from headrace.model.ids import is_id
from headrace.model.project import slug_from
from headrace.model.version import DirectorySource, GitSource
from headrace.settings import Settings

_PROJECTS = "/workspaces/default/projects"


def project_id(client: Client, text: str) -> str:
    """The id of the project with this slug or id. Raises NotFound."""
    if is_id(text):
        return text
    found = client.get(_PROJECTS, slug=text)["items"]
    if not found:
        raise NotFound(f"there is no project {text!r}", hint="`headrace projects` lists them")
    identifier: str = found[0]["id"]
    return identifier


def project_for(client: Client, settings: Settings, source: DirectorySource | GitSource) -> Any:
    """
    The project of a source, as the API shows it.

    Which one it is, is kept beside the other data of this machine, not in the user's directory, which stays as it is.
    """
    link = _link(settings, client, source)
    if project := _linked(client, link):
        if project.get("source") != _plain(source) and isinstance(source, GitSource):
            project = client.patch(f"/projects/{project['id']}", {"source": _plain(source)})
        return project
    name = name_of(source)
    body = {"name": name}
    project = _same_source(client, slug_from(name), source) or client.post(
        _PROJECTS, {**body, "source": _plain(source)}
    )
    link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    link.write_text(json.dumps({"project_id": project["id"], "source": _plain(source), "server": client.url}))
    return project


def _linked(client: Client, link: Path) -> Any:
    try:
        return client.get(f"/projects/{json.loads(link.read_bytes())['project_id']}")
    except (OSError, ValueError, KeyError, NotFound):
        return None


def _same_source(client: Client, slug: str, source: DirectorySource | GitSource) -> Any:
    """The project that `headrace build` may have made for this source."""
    found = client.get(_PROJECTS, slug=slug)["items"]
    return found[0] if found and found[0].get("source") == _plain(source) else None


def _link(settings: Settings, client: Client, source: DirectorySource | GitSource) -> Path:
    place = source.path if isinstance(source, DirectorySource) else source.url
    # A local server may listen on another port next time; it is the same one as long as it has this data directory.
    server = "" if (settings.data_dir / "token").exists() else client.url
    return settings.data_dir / "links" / hashlib.sha256(f"{server}\n{place}".encode()).hexdigest()[:32]


def _plain(source: DirectorySource | GitSource) -> dict[str, Any]:
    return source.model_dump(mode="json")
