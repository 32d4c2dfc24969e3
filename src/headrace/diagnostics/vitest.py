"""Vitest, where tests are a part of the build: each test that failed, with the place its error comes from."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found

_RUN = re.compile(r"^ RUN  v\d")
_FAIL = re.compile(r"^ FAIL  (?:\|\S+\| )?(?P<file>\S+)(?: > (?P<test>.{1,200}))?")
_FRAME = re.compile(r"^ ❯ (?:.{1,200} )?(?P<file>[^\s:]+):(?P<line>\d+):(?P<column>\d+)$")  # noqa: RUF001
_ERROR = re.compile(r"^(?P<class>\w*Error): (?P<text>.*)")
_CODE = re.compile(r"^\s+(?:\d+)?\| ")
_LONGEST, _MOST = 60, 50
_HINT = "correct the code or the test; the test fails in the same way on your side"


class Vitest:
    tool: ClassVar[str] = "vitest"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        if not any(_RUN.match(line.text) for line in lines):
            return ()
        starts = [at for at, line in enumerate(lines) if _FAIL.match(line.text)][:_MOST]
        return [one for at in starts if (one := _read(lines[at : at + _LONGEST], places))]


def _read(block: Sequence[LogLine], places: Places) -> Found | None:
    failed = _FAIL.match(block[0].text)
    assert failed is not None  # noqa: S101 - the caller found it
    # Tests with the same error stand together above it.
    at = next((at for at, line in enumerate(block) if not _FAIL.match(line.text)), None)
    error = _ERROR.match(block[at].text) if at is not None else None
    if at is None or error is None:
        return None
    below = [line.text for line in block[at + 1 :]]
    end = next((n for n, text in enumerate(below) if text.startswith(("⎯", " FAIL "))), len(below))
    file, line, column = _place(below[:end], places)
    message = error["text"] if error["class"] == "Error" else f"{error['class']}: {error['text']}"
    return found(
        "vitest",
        f"{message} (in the test {failed['test']})" if failed["test"] else message,
        places,
        block[at].seq,
        file=file or places.find(failed["file"]),
        line=line,
        column=column,
        excerpt="\n".join([text for text in below[:end] if _CODE.match(text)][:8]) or None,
        hint=_HINT,
    )


def _place(below: Sequence[str], places: Places) -> tuple[str | None, int | None, int | None]:
    for text in below:
        frame = _FRAME.match(text)
        if frame and (file := places.find(frame["file"])):
            return file, int(frame["line"]), int(frame["column"])
    return None, None, None
