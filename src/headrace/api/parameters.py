"""The address of a request, read strictly: a parameter that does nothing is a mistake that nobody notices."""

from functools import cache

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

from headrace.errors import InvalidInput


async def check_address(request: Request) -> None:
    """Refuse NUL characters, and parameters that the route does not have or that are given twice."""
    given = request.query_params.multi_items()
    if "\0" in request.url.path or any("\0" in part for pair in given for part in pair):
        raise InvalidInput("the address contains a NUL character", code="string.nul")
    known = query_parameters(request.scope["route"].dependant)
    names = [name for name, _ in given]
    for name in names:
        # A misspelt parameter must not become a default, nor a doubled one a choice of ours.
        if name not in known or names.count(name) > 1:
            said = "is given twice" if name in known else "is not a parameter of this request"
            raise InvalidInput(f"{name[:80]!r} {said}", code="query.unknown", field=f"?{name[:80]}")


def query_parameters(dependant: Dependant) -> frozenset[str]:
    """Names of the query parameters of a route and of what it depends on."""
    return _names(_Identity(dependant))


class _Identity:
    """Routes live as long as their app; their descriptions can't be hashed."""

    def __init__(self, dependant: Dependant) -> None:
        self.dependant = dependant

    def __hash__(self) -> int:
        return id(self.dependant)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.dependant is other.dependant


@cache
def _names(key: _Identity) -> frozenset[str]:
    own: set[str] = set()
    for field in key.dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            own |= {info.alias or name for name, info in kind.model_fields.items()}
        else:
            own.add(field.alias)
    return frozenset(own.union(*(query_parameters(part) for part in key.dependant.dependencies)))
