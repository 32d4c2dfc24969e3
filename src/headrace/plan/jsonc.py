"""JSON as people write it for tools that allow comments and commas at the end."""

import json
import re
from typing import Any

#: Larger files with comments are no configuration that people wrote.
_LARGEST = 65_536

# A string that is not closed ends with its line: looking for its end from each quote would take long.
_PARTS = re.compile(r'"(?:[^"\\\n]|\\.)*"?|//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)')
_LAST_COMMAS = re.compile(r'("(?:[^"\\\n]|\\.)*"?)|,(?=\s{0,400}[}\]])')


def read_json(text: str, *, comments: bool = True) -> dict[str, Any]:
    """The object of a file, empty when it holds something else. Raises json.JSONDecodeError, with the place in `text`."""
    try:
        raw = json.loads(text)
    except json.JSONDecodeError:
        if not comments or len(text) > _LARGEST:
            raise
        raw = json.loads(_without_comments(text))
    return raw if isinstance(raw, dict) else {}


def _without_comments(text: str) -> str:
    """Comments and last commas as blanks, so that lines and columns stay."""
    plain = _PARTS.sub(lambda part: part[0] if part[0][0] == '"' else re.sub(r"[^\n]", " ", part[0]), text)
    return _LAST_COMMAS.sub(lambda part: part[1] or " ", plain)
