"""Finds a project by what people call it, or by where its code is; makes it when it is new."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from headrace.cli.client import Client
from headrace.errors import InvalidInput, NotFound, StepFailed
from headrace.model.ids import is_id
from headrace.model.project import ProjectSettings, slug_from
from headrace.model.trust import Trust
from headrace.model.version import DirectorySource, GitSource, place_name
from headrace.plan.declared_apps import choose_declared
from headrace.plan.project_file import read_project_file
from headrace.plan.project_files import DirectoryFiles
from headrace.settings import Settings, server_url

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


def project_named(client: Client, settings: Settings, text: str | None) -> str:
    """
    The id of the project that is meant: by slug, id or directory; without any, that of the directory we are in. Makes none.
    """
    if text is not None and text not in (".", "..") and "/" not in text:
        return project_id(client, text)
    source = DirectorySource(path=str(Path(text or ".").resolve()))
    project = _linked(client, _link(settings, source)) or _same_source(client, source, None)
    if project is None:
        apps = [found for link in _links_of_apps(settings, source) if (found := _linked(client, link))]
        if len(apps) == 1:
            return str(apps[0]["id"])
        if apps:
            names = ", ".join(sorted(found["slug"] for found in apps))
            raise InvalidInput(f"{source.path} is the directory of several projects", hint=f"name one of them: {names}")
        raise NotFound(f"{source.path} is the directory of no project", hint="`headrace projects` lists them")
    identifier: str = project["id"]
    return identifier


def agreement_file(settings: Settings, source: DirectorySource, project: str) -> Path:
    """Where it is kept what the directory and the project had in common last."""
    link = _link(settings, source)
    return link.with_name(f"{link.name}-{project}.files")


def project_for(
    client: Client,
    settings: Settings,
    source: DirectorySource | GitSource,
    app: str | None = None,
    trust: Trust = Trust.TRUSTED,
) -> Any:
    """
    The project of a source, as the API shows it; with `app` that of this one of its apps. Raises InvalidInput when the directory
    declares apps and it can't be known which is meant.

    Another branch of its repository becomes its source, unless that is untrusted: raises InvalidInput then, because trusted builds
    take what the source holds.

    Which one it is, is kept beside the other data of this machine, not in the user's directory, which stays as it is.
    """
    link = _link(settings, source, app)
    project = _linked(client, link) or _same_source(client, source, app) or _make(client, source, app)
    elsewhere = isinstance(source, GitSource) and project["source"] != _plain(source)
    if elsewhere and trust is Trust.UNTRUSTED:
        raise InvalidInput(
            f"the project {project['slug']} builds another branch of this repository, and would build this one from now on",
            hint="check the branch out and give its directory, or use `headrace build`, which has a project for each branch",
        )
    link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    link.write_text(json.dumps({"project_id": project["id"], "source": _plain(source), "server": server_url()}))
    if elsewhere:
        return client.patch(f"/projects/{project['id']}", {"source": _plain(source)})
    return project


def _linked(client: Client, link: Path) -> Any:
    try:
        return client.get(f"/projects/{json.loads(link.read_bytes())['project_id']}")
    except (OSError, ValueError, KeyError, NotFound):
        return None


def _same_source(client: Client, source: DirectorySource | GitSource, app: str | None) -> Any:
    """The project that `headrace build` may have made for this source."""
    found = client.get(_PROJECTS, slug=slug_from(place_name(source, app)))["items"]
    same = bool(found) and (found[0]["source"], found[0]["settings"].get("app")) == (_plain(source), app)
    return found[0] if same else None


def _make(client: Client, source: DirectorySource | GitSource, app: str | None) -> Any:
    if isinstance(source, DirectorySource):
        _check_app(source, app)
    name: dict[str, Any] = {"name": place_name(source, app), **({"settings": {"app": app}} if app else {})}
    # A directory of this machine says nothing to a server elsewhere; its files are uploaded in any case.
    if isinstance(source, DirectorySource) and server_url():
        return client.post(_PROJECTS, name)
    try:
        return client.post(_PROJECTS, {**name, "source": _plain(source)})
    except InvalidInput as exc:
        if exc.exact_code != "source.directory_forbidden":
            raise
        return client.post(_PROJECTS, name)


def _check_app(source: DirectorySource, app: str | None) -> None:
    """Said at once, before a project is made that could never be built."""
    try:
        file = read_project_file(DirectoryFiles(Path(source.path), ()), "")
    except StepFailed:
        # The plan reads the same file, and says what is wrong with it.
        return
    try:
        choose_declared(file, ProjectSettings(app=app))
    except StepFailed as stopped:
        raise InvalidInput(stopped.failure.message, hint=stopped.failure.hint or "", code="config.app") from stopped


def _link(settings: Settings, source: DirectorySource | GitSource, app: str | None = None) -> Path:
    place = source.path if isinstance(source, DirectorySource) else source.url
    whole = "\n".join((server_url() or "", place, *((app,) if app else ())))
    return settings.data_dir / "links" / hashlib.sha256(whole.encode()).hexdigest()[:32]


def _links_of_apps(settings: Settings, source: DirectorySource) -> Iterator[Path]:
    """The links of the projects that are apps of the directory."""
    for link in sorted((settings.data_dir / "links").glob("*")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(link.read_bytes()) if not link.suffix else {}
            if (kept.get("source"), kept.get("server")) == (_plain(source), server_url()):
                yield link


def _plain(source: DirectorySource | GitSource) -> dict[str, Any]:
    return source.model_dump(mode="json")
