"""The OpenAPI document: what FastAPI sees of the routes, and what it can't: bodies we read ourselves, streams, problems."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from headrace.api.problems import MEDIA_TYPE, Problem, SyncProblem
from headrace.api.requests import every_body
from headrace.api.streams import NDJSON, SSE
from headrace.model.event import Event
from headrace.model.preview import PREVIEW_EVENT

_REFERENCES = "#/components/schemas/{model}"
_EVENT = {"$ref": _REFERENCES.format(model="Event")}
_LINES = "One `Event` on each line, the oldest first."

#: Events as both forms of a stream. OpenAPI 3.1 has no word for the items of a stream; `x-item-schema` names them.
STREAM_CONTENT = {
    NDJSON: {"schema": {"type": "string", "description": _LINES}, "x-item-schema": _EVENT},
    SSE: {
        "schema": {
            "type": "string",
            "description": "`id` is the event's `seq`, `data` the `Event`; `event: end` is last.",
        },
        "x-item-schema": _EVENT,
    },
}
#: The same for the log of a preview.
PREVIEW_STREAM_CONTENT = {
    form: {**content, "x-item-schema": {"$ref": _REFERENCES.format(model="PreviewEvent")}}
    for form, content in STREAM_CONTENT.items()
}
STREAM_RESPONSE: dict[str, Any] = {"content": STREAM_CONTENT}

#: Every route may answer with one.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Why the request was not done.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCES.format(model="Problem")}}},
    }
}

_DESCRIPTION = """
A change in, a live URL out. Ids are opaque; lists are pages, newest first; errors are problems with a stable `code`.
`If-None-Match` saves an answer that you have, `If-Match` keeps you from undoing somebody else's change, and
`Idempotency-Key` makes a POST safe to send again.
"""


def describe(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION.strip(), routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= _more_schemas()
    # FastAPI's own shape of errors, which nothing here answers with.
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation.get("responses", {}).pop("422", None)
            if path.startswith("/api/"):
                operation["security"] = [{"token": []}]
    return document


def _more_schemas() -> dict[str, Any]:
    bodies = [(model, "validation") for model in every_body()]
    answers = [(model, "serialization") for model in (Problem, SyncProblem)]
    _, made = models_json_schema([*bodies, *answers], ref_template=_REFERENCES)  # type: ignore[list-item]
    event = TypeAdapter[Event](Event).json_schema(ref_template=_REFERENCES, mode="serialization")
    preview = PREVIEW_EVENT.json_schema(ref_template=_REFERENCES, mode="serialization")
    defined: dict[str, Any] = {**made.get("$defs", {}), **event.pop("$defs", {}), **preview.pop("$defs", {})}
    for schema in defined.values():
        _require_tag(schema)
    return defined | {"Event": event, "PreviewEvent": preview}


def _require_tag(schema: dict[str, Any]) -> None:
    """What tells the members of a union apart has a default in Python, and is never missing in JSON."""
    tags = [name for name in ("kind", "type") if "const" in schema.get("properties", {}).get(name, {})]
    if tags:
        schema["required"] = [*tags, *(name for name in schema.get("required", []) if name not in tags)]
