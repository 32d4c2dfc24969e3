"""Every field of every request of an OpenAPI document, with something else written into it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

Schema = Mapping[str, Any]

_DEEPEST = 12


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    #: JSON, or None.
    body: Any = None
    #: What was changed, such as `POST /api/v1/sync /files/path`.
    where: str = ""


class Fields:
    """The fields of a document. `known` are values of path parameters that exist."""

    def __init__(self, document: Mapping[str, Any], known: Mapping[str, str]) -> None:
        self._document = document
        self._known = known

    def requests(self, values: Iterator[list[str]]) -> Iterator[Request]:
        """A request for each field and each of the `values` that its turn brings, the rest of it as good as it can be."""
        for path, operations in self._document["paths"].items():
            for method, operation in operations.items():
                yield from self._of(method.upper(), path, operation, values)

    def _of(
        self, method: str, path: str, operation: Mapping[str, Any], values: Iterator[list[str]]
    ) -> Iterator[Request]:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        body = self._example(content["schema"]) if content else None
        good = self._address(path, {})
        for parameter in operation.get("parameters", []):
            name = parameter["name"]
            for value in next(values):
                where = f"{method} {path} {parameter['in']}:{name}"
                if parameter["in"] == "path":
                    yield Request(method, self._address(path, {name: value}), body=body, where=where)
                elif parameter["in"] == "query":
                    yield Request(method, good, query={name: value}, body=body, where=where)
                else:
                    printable = "".join(char for char in value if " " <= char <= "~").strip()
                    yield Request(method, good, headers={name: printable}, body=body, where=where)
        if content:
            for pointer, changed in self._changed(content["schema"], values):
                yield Request(method, good, body=changed, where=f"{method} {path} {pointer}")

    def _address(self, path: str, given: Mapping[str, str]) -> str:
        for name, value in {**self._known, **given}.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return path.replace("{digest}", "sha256:" + "0" * 64)

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _choices(self, schema: Schema) -> list[Schema]:
        schema = self._resolved(schema)
        offered = schema.get("anyOf") or schema.get("oneOf")
        if not offered:
            return [schema]
        return [choice for one in offered for choice in self._choices(one) if choice.get("type") != "null"]

    def _example(self, schema: Schema) -> Any:
        """Something that fits, or nearly."""
        schema = self._choices(schema)[0]
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        match schema.get("type"):
            case "object":
                required = schema.get("required", [])
                return {name: self._value(name, schema["properties"][name]) for name in required}
            case "integer" | "number":
                return schema.get("minimum", 1)
            case "boolean":
                return False
            case "array":
                return []
            case _:
                return "x"

    def _value(self, name: str, schema: Schema) -> Any:
        return self._known.get(name) or self._example(schema)

    def _changed(self, schema: Schema, values: Iterator[list[str]], depth: int = 0) -> Iterator[tuple[str, Any]]:
        """Where, and the document with something else there: also in the place of numbers, lists and objects."""
        if depth > _DEEPEST:
            return
        for choice in self._choices(schema):
            for name, part in choice.get("properties", {}).items():
                for where, value in self._changed(part, values, depth + 1):
                    yield f"/{name}{where}", {**self._example(choice), name: value}
            extra = choice.get("additionalProperties")
            if isinstance(extra, Mapping):
                for value in next(values):
                    yield "/(name)", {value: self._example(extra)}
                for where, value in self._changed(extra, values, depth + 1):
                    yield f"/A{where}", {"A": value}
            if choice.get("type") == "array":
                for where, value in self._changed(choice["items"], values, depth + 1):
                    yield f"/0{where}", [value]
        for text in next(values):
            yield "", text
