"""The JSON Schema of `headrace.toml`, for editors: made from the classes that read the file."""

from typing import Any

from headrace.plan.project_file import ProjectFile

#: Fields of the class that are not keys of the file.
_NOT_KEYS = ("path", "sources", "places")


def project_schema() -> dict[str, Any]:
    """What the parser takes, key by key. The parser checks more: paths, patterns and versions."""
    made = ProjectFile.model_json_schema(by_alias=True)
    for name in _NOT_KEYS:
        del made["properties"][name]
    made["description"] = (
        "What a project says about itself to Headrace. It goes before everything that is found by looking."
    )
    plain: dict[str, Any] = _plain(made)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "headrace.schema.json",
        **plain,
        "title": "headrace.toml",
    }


def _plain(value: Any) -> Any:
    """Without what TOML has no word for, and without names that only the classes have."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _plain(entry) for key, entry in value.items() if not (key == "default" and entry is None)}
    if isinstance(plain.get("title"), str):
        del plain["title"]
    options = plain.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        left = [option for option in options if option != {"type": "null"}]
        del plain["anyOf"]
        plain = {**plain, **(left[0] if len(left) == 1 else {"anyOf": left})}
    return plain
