"""
The one JSON form of a value, for digests: UTF-8, keys sorted, no spaces, fields with their default value left out.

Leaving defaults out lets a value gain an optional field without a change to the digests of old ones. It has a price, which is
a rule for the model: the default of a field that exists never changes. Fields that tell the members of a union apart (a
`Literal` with one choice) are always written.
"""

from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Literal, get_args, get_origin

import orjson

from headrace.model.value import Value

#: Stands for "no default".
_NONE = object()


def canonical(value: Value) -> bytes:
    """`type(value).model_validate_json` reads it back."""
    return orjson.dumps(plain(value), option=orjson.OPT_SORT_KEYS)


def plain(value: Value) -> dict[str, object]:
    """The same as data, not yet as text."""
    return {
        name: _plain(getattr(value, name))
        for name, default in _fields(type(value))
        if default is _NONE or getattr(value, name) != default
    }


def _plain(thing: object) -> object:
    if isinstance(thing, Value):
        return plain(thing)
    if isinstance(thing, Enum):
        return thing.value
    if thing is None or isinstance(thing, str | int | float):
        return thing
    if isinstance(thing, list | tuple):
        return [_plain(item) for item in thing]
    if isinstance(thing, Mapping):
        return {str(key): _plain(item) for key, item in thing.items()}
    if isinstance(thing, PurePath):
        return str(thing)
    raise TypeError(f"{type(thing).__name__} has no canonical form")


@cache
def _fields(kind: type[Value]) -> tuple[tuple[str, object], ...]:
    return tuple(
        (
            name,
            _NONE if field.is_required() or _is_tag(field.annotation) else field.get_default(call_default_factory=True),
        )
        for name, field in kind.model_fields.items()
    )


def _is_tag(annotation: object) -> bool:
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1
