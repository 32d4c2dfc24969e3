"""Identifiers: a word for the kind, an underscore, a ULID in lower case. They sort by the time they were made."""

import re
from datetime import UTC, datetime
from typing import Literal

from ulid import ULID

Kind = Literal["ws", "prj", "ver", "build", "dpl", "job", "sbx", "req"]

#: Any kind of id.
ID_PATTERN = r"^[a-z]{2,8}_[0-9a-hjkmnp-tv-z]{26}$"

#: Of a ULID's text.
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS = 10

_FORM = re.compile(ID_PATTERN)


def new_id(kind: Kind) -> str:
    return f"{kind}_{str(ULID()).lower()}"


def id_after(kind: Kind, previous: str | None) -> str:
    """
    A new id that sorts behind `previous`. Of two ULIDs from one millisecond, or from before and after a clock was put back, the
    later one can be the smaller one; where "newest" means the greatest id, that would hide it.
    """
    made = new_id(kind)
    if previous is None or made > previous:
        return made
    return f"{kind}_{str(ULID.from_int(int(ULID.from_str(previous.partition('_')[2].upper())) + 1)).lower()}"


def made_at(identifier: str) -> str:
    """When an id was made, in the form of the model's times: it is part of the id."""
    milliseconds = 0
    # By hand: many rows are read for a page, and the library takes a whole id apart.
    for digit in identifier.partition("_")[2][:_TIME_DIGITS]:
        milliseconds = 32 * milliseconds + _DIGITS.index(digit)
    seconds, rest = divmod(milliseconds, 1000)
    made = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
    return made.isoformat(timespec="milliseconds")


def is_id(text: str) -> bool:
    return _FORM.fullmatch(text) is not None
