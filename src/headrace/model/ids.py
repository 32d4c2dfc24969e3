"""Identifiers: a word for the kind, an underscore, a ULID in lower case. They sort by the time they were made."""

import re
from typing import Literal

from ulid import ULID

Kind = Literal["ws", "prj", "ver", "build", "dpl", "job", "sbx", "req"]

#: Any kind of id.
ID_PATTERN = r"^[a-z]{2,8}_[0-9a-hjkmnp-tv-z]{26}$"

_FORM = re.compile(ID_PATTERN)


def new_id(kind: Kind) -> str:
    return f"{kind}_{str(ULID()).lower()}"


def is_id(text: str) -> bool:
    return _FORM.fullmatch(text) is not None
