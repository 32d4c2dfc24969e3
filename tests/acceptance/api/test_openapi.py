"""
The OpenAPI document is true to what is served: a fuzzer that believes it finds nothing.

The server is wired as always; only its executor starts no process.
"""

from copy import deepcopy
from typing import Any

import httpx2
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from headrace.api.app import openapi_document
from headrace.api.uploads import MEDIA_TYPES

#: What the server of `conftest.py` has from the start.
IDS = {
    "project_id": "prj_01m7xpeyhy9gptce7gk34taj0d",
    "version_id": "ver_01m7xpeyhy9gptce7gk34taj0d",
    "build_id": "build_01m7xpeyhy9gptce7gk34taj0d",
}

#: Rules beyond JSON Schema decide about their bodies: reserved names, the operator's limits, what an archive holds.
SEMANTIC = (
    "create_project",
    "change_project",
    "set_secret",
    "upload",
    "ask_for_build",
    "ask_for_config_build",
    "build_events",
    "preview_events",
    "sync",
    "sync_project",
)

ACCEPTANCE: list[Any] = [positive_data_acceptance]

_BOUNDED = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer(*MEDIA_TYPES)
def _archive(_context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _document() -> schemathesis.BaseSchema:
    """The document, with ids that exist and ids that don't in the place of every id."""
    document = deepcopy(openapi_document())
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "follow" and operation["operationId"] == "preview_events":
                # The log of a preview has no end, so neither does a stream that follows it.
                parameter["schema"] = {"type": "boolean", "enum": [False]}
            if parameter["name"] in IDS:
                parameter["schema"] = {"type": "string", "enum": [IDS[parameter["name"]], "build_x", "\u00fc\n"]}
    made = schemathesis.openapi.from_dict(document)
    # A NUL is refused wherever it stands, which JSON Schema has no word for.
    made.config.generation.update(allow_x00=False)
    return made


schema = _document()


@schema.exclude(operation_id="delete_project").parametrize()
@settings(_BOUNDED, max_examples=20)
def test_every_answer_is_one_that_the_document_names(
    case: "schemathesis.Case[Any]", api_url: str, api_token: str
) -> None:
    semantic = case.operation.definition.raw.get("operationId") in SEMANTIC
    headers = {"Authorization": f"Bearer {api_token}"}
    case.call_and_validate(api_url, headers=headers, excluded_checks=ACCEPTANCE if semantic else [], timeout=10)


def test_the_document_has_every_event_and_both_forms_of_a_stream(api_url: str) -> None:
    document = httpx2.get(f"{api_url}/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert document["openapi"].startswith("3.1")
    kinds = set(schemas["Event"]["discriminator"]["mapping"])
    assert {"build.created", "build.log", "build.diagnostic", "cache.decision", "build.completed"} <= kinds
    stream = document["paths"]["/api/v1/builds/{build_id}/events"]["get"]["responses"]["200"]["content"]
    assert set(stream) == {"application/x-ndjson", "text/event-stream"}


def test_every_reference_of_the_document_leads_somewhere(api_url: str) -> None:
    document = httpx2.get(f"{api_url}/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert _references(document) <= known


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(item) for item in value.values()))
    return set().union(*(_references(item) for item in value)) if isinstance(value, list) else set()
