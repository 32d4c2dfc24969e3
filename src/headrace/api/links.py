"""Which requests an answer leads to, for the OpenAPI document: readers see the flow, and fuzzers follow it."""

from typing import Any


def links(source: str, parameter: str, *operations: str) -> dict[str, Any]:
    """Links that give the answer's `source` field to `parameter` of each operation."""
    return {
        operation: {"operationId": operation, "parameters": {parameter: f"$response.body#/{source}"}}
        for operation in operations
    }


OF_PROJECT = links(
    "id",
    "project_id",
    "get_project",
    "change_project",
    "delete_project",
    "upload",
    "sync_project",
    "list_files",
    "list_versions",
    "list_secrets",
    "ask_for_build",
    "ask_for_config_build",
    "list_project_builds",
)
OF_VERSION = links("id", "version_id", "get_version", "get_changes")
OF_BUILD = links(
    "id",
    "build_id",
    "get_build",
    "get_plan",
    "get_artifact",
    "get_cache_decisions",
    "build_events",
    "build_logs",
    "cancel",
)
