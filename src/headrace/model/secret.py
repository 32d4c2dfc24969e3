"""A project's secrets, as far as anybody may know them: their names."""

import re

from headrace.model.value import Value

#: A variable's name as every shell takes it.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MOST_BYTES = 32 * 1024
#: As many as a project may have.
MOST = 100


#: Where programs are found is for whoever makes the sandbox to say.
_TAKEN = frozenset({"PATH"})


def is_name(name: str) -> bool:
    return NAME.fullmatch(name) is not None and name not in _TAKEN


class Secret(Value):
    """One variable of a project whose value nobody is shown."""

    name: str
    set_at: str
    #: False for a value that is too short to be looked for in logs and outputs.
    masked: bool
