"""What a merge leaves in a file that nobody has resolved."""

import re

CONFLICT_HINT = "resolve the merge: keep one of the two sides, and take out the lines <<<<<<<, ======= and >>>>>>>"

_BEGIN = re.compile(r"^<<<<<<< ", re.MULTILINE)
_MIDDLE = re.compile(r"^=======\r?$", re.MULTILINE)
_END = re.compile(r"^>>>>>>> ", re.MULTILINE)


def conflict_line(text: str) -> int | None:
    """The line of the first conflict, counted from 1; None when `text` has none."""
    begin = _BEGIN.search(text)
    middle = _MIDDLE.search(text, begin.end()) if begin else None
    if begin is None or middle is None or not _END.search(text, middle.end()):
        return None
    return text.count("\n", 0, begin.start()) + 1
