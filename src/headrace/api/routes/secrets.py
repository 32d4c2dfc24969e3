"""Secrets of a project: set, named and taken away, never shown."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from headrace.api.answers import answer, resource
from headrace.api.body import json_body, json_request
from headrace.api.context import Wired, find_project
from headrace.api.requests import NewSecret
from headrace.api.router import router_of
from headrace.api.views import SecretsView
from headrace.errors import InvalidInput, NotFound
from headrace.model.secret import MOST, NAME, Secret, is_name
from headrace.pipeline.secrets import keep
from headrace.records import secrets

router = router_of("secrets")


@router.get("/projects/{project_id}/secrets", response_model=SecretsView)
async def list_secrets(request: Request, services: Wired, project_id: str) -> Response:
    """The project's secrets by name. Values are never shown."""
    project = await find_project(services, project_id)
    async with services.db.read() as c:
        known = await secrets.named(c, project.id)
    return resource(request, SecretsView(items=list(known)))


@router.put("/projects/{project_id}/secrets/{name}", response_model=Secret, openapi_extra=json_request(NewSecret))
async def set_secret(
    services: Wired, project_id: str, name: str, body: Annotated[NewSecret, Depends(json_body(NewSecret))]
) -> Response:
    """
    Set a secret, or set it anew. A step of a build gets it as a variable when `headrace.toml` names it there.

    `masked` is false for a value of under eight bytes: it can't be looked for in logs and outputs.
    """
    project = await find_project(services, project_id)
    if not is_name(name):
        said = "a secret's name is a letter or _, then letters, digits and _, 128 at most, and not PATH"
        raise InvalidInput(said, code="secret.name_invalid", hint=f"it becomes a variable: {NAME.pattern}")
    async with services.db.read() as c:
        known = {secret.name for secret in await secrets.named(c, project.id)}
    if name not in known and len(known) >= MOST:
        raise InvalidInput(f"a project has at most {MOST} secrets", code="secret.too_many", hint="remove one")
    return answer(await keep(services, project, name, body.value))


@router.delete("/projects/{project_id}/secrets/{name}", status_code=204)
async def delete_secret(services: Wired, project_id: str, name: str) -> Response:
    """Take a secret away. Builds that run keep what they were given."""
    project = await find_project(services, project_id)
    async with services.db.write() as c:
        gone = await secrets.delete(c, project.id, name)
    if not gone:
        raise NotFound(f"the project has no secret {name[:80]}", hint="`headrace secrets ls` names them")
    return Response(status_code=204)
