"""
JSON bodies, read strictly: what two programs could understand in two ways is refused, before anything is done with it.

The validator gets what this module has understood, as JSON again: its strict mode knows JSON from Python.
"""

import json
import math
import re
from collections.abc import Awaitable, Callable
from email.message import Message
from typing import Any, NoReturn, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from headrace.api.problems import InvalidRequest, ProblemDetail
from headrace.errors import BadRequest, InvalidInput, TooLarge, UnsupportedMediaType

#: No JSON request is larger; code comes as archives.
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000
#: Beyond it, numbers change on their way through JavaScript.
MAX_INTEGER = 2**53

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)

M = TypeVar("M", bound=BaseModel)


def json_body(model: type[M], *, optional: bool = False) -> Callable[[Request], Awaitable[M]]:
    """A dependency that reads the request's body as `model`. An `optional` body may be missing: the defaults then."""

    async def read(request: Request) -> M:
        raw = await read_bytes(request, MAX_BYTES)
        if not raw and optional:
            return model()
        refuse_other_types(request, "application/json")
        return validate(model, raw)

    return read


def json_request(model: type[BaseModel], *, optional: bool = False) -> dict[str, Any]:
    """What the OpenAPI document says of such a body."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": not optional, "content": {"application/json": {"schema": schema}}}}


async def read_bytes(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be larger, whatever its header says."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            parts.append(chunk)
    except ClientDisconnect as exc:
        raise BadRequest("the request ended before its body did") from exc
    return b"".join(parts)


def refuse_other_types(request: Request, *allowed: str) -> str:
    """The media type of the body, which must be one of `allowed` and, where that matters, UTF-8."""
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    kind = message.get_content_type() if request.headers.get("content-type") else "nothing"
    charset = (message.get_content_charset() or "utf-8").lower()
    if kind not in allowed or charset not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(
            f"the body's Content-Type is {request.headers.get('content-type') or 'missing'}",
            hint=f"send {' or '.join(allowed)}",
        )
    return kind


def validate(model: type[M], raw: bytes) -> M:
    return validate_document(model, parse(raw))


def validate_document(model: type[M], document: Any) -> M:
    try:
        return model.model_validate_json(orjson.dumps(document), strict=True)
    except ValidationError as exc:
        raise InvalidRequest(details_of(exc)) from exc


def details_of(exc: ValidationError, prefix: str = "") -> list[ProblemDetail]:
    """Pydantic's errors, as pointers and codes of ours."""
    return [
        ProblemDetail(
            pointer=prefix + "".join(f"/{_escaped(part)}" for part in error["loc"]),
            code=_code(error["type"]),
            message=error["msg"],
        )
        for error in exc.errors(include_url=False, include_input=False, include_context=False)
    ]


def _code(kind: str) -> str:
    if "." in kind:  # raised by a validator of ours
        return kind
    known = {"extra_forbidden": "field.unknown", "missing": "field.missing", "string_too_long": "field.too_long"}
    if kind in known:
        return known[kind]
    return "field.type" if kind.endswith(("_type", "_parsing", "_from_float")) else "field.invalid"


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def parse(raw: bytes, *, nodes: int = MAX_NODES, nul: bool = False) -> Any:
    """
    The parsed document. Raises for duplicate keys, NUL (unless `nul`), half characters, NaN, odd numbers and sheer complexity:
    more than `nodes` values.
    """
    if len(raw) > MAX_BYTES:
        _count(raw, nodes)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidInput("the body is not UTF-8", code="body.encoding") from exc
    try:
        document = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except RecursionError as exc:
        raise _too_complex(nodes) from exc
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise BadRequest(f"the body is not JSON: {exc.msg} ({where})", code="body.syntax") from exc
    _walk(document, nodes, nul=nul)
    return document


def _count(raw: bytes, most: int) -> None:
    """Refuse what would become millions of objects before it becomes them: two bytes can be a list of fifty."""
    without_strings = _STRING.sub(b"", raw)
    if sum(without_strings.count(mark) for mark in (b",", b"[", b"{")) > most:
        raise _too_complex(most)


def _walk(document: Any, most: int, *, nul: bool) -> None:
    pending, nodes = [(document, 0)], 0
    while pending:
        value, depth = pending.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > most:
            raise _too_complex(most)
        if isinstance(value, str):
            _refuse_odd_characters(value, nul=nul)
        elif isinstance(value, list):
            pending += ((item, depth + 1) for item in value)
        elif isinstance(value, dict):
            for key, item in value.items():
                _refuse_odd_characters(key)
                pending.append((item, depth + 1))


def _refuse_odd_characters(text: str, *, nul: bool = False) -> None:
    if "\0" in text and not nul:
        raise InvalidInput("a string contains a NUL character", code="string.nul")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput("a string contains half of a surrogate pair", code="body.encoding") from exc


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"the key {twice[:80]!r} occurs twice", code="body.duplicate_key")
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise InvalidInput(f"the number {text[:20]}… is too large", code="field.type")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or abs(number) > MAX_INTEGER:
        raise InvalidInput(f"the number {text[:20]} is too large", code="field.type")
    # For JSON Schema, and for JavaScript, 5.0 is the integer 5.
    return int(number) if number.is_integer() else number


def _constant(text: str) -> NoReturn:
    raise InvalidInput(f"{text} is not a JSON number", code="field.type")


def _too_complex(nodes: int) -> InvalidInput:
    return InvalidInput(
        f"the body is nested deeper than {MAX_DEPTH} levels or has more than {nodes} values",
        code="body.too_complex",
    )


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")


def canonical(document: Any) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
