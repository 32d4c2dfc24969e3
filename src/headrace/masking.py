"""
Secret values, taken out of a stream of bytes in every form in which programs print them.

Found are the value as it is, in base64 (at each of the three places in which it can begin within other text, both
alphabets), in hexadecimal digits, and escaped for URLs, JSON and shells; of a value with several lines, each line. Not
found is what was changed otherwise: reversed, compressed, encrypted, one character on each line, base64 with line breaks
inside. Masking is a net below people who are careful, no wall against those who are not.

Standard library only: the supervisor of a command uses it.
"""

import base64
import json
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

#: A shorter value would be found in harmless text as well.
SHORTEST = 8
MASK = b"[secret]"
#: Characters at each end of base64 that also depend on what stands before or behind the value.
_BEFORE = (0, 2, 3)
_BEHIND = (0, 3, 2)


def forms(value: str) -> frozenset[bytes]:
    """Every form of a value that is looked for; none when it is too short."""
    parts = [value, *(line.strip() for line in value.splitlines())] if "\n" in value else [value]
    return frozenset(form for part in parts if len(part.encode()) >= SHORTEST for form in _forms(part))


def _forms(text: str) -> Iterator[bytes]:
    data = text.encode()
    yield data
    yield data.hex().encode()
    yield data.hex().upper().encode()
    yield from _base64(data)
    for escaped in (
        quote(text, safe=""),
        quote(text),
        quote_plus(text),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        json.dumps(text)[1:-1].replace("/", "\\/"),
        shlex.quote(text),
    ):
        yield escaped.encode()


def _base64(data: bytes) -> Iterator[bytes]:
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data)
        middle = encoded[_BEFORE[before] : len(encoded) - _BEHIND[(before + len(data)) % 3]]
        yield middle
        yield middle.translate(bytes.maketrans(b"+/", b"-_"))


class Masker:
    """
    Masks one stream. What could be the beginning of a secret is held back until more has come, so that a secret that was
    written in pieces is found too.
    """

    def __init__(self, values: Iterable[str]) -> None:
        #: The longest first: a form may hold another one.
        self._forms = sorted({form for value in values for form in forms(value)}, key=lambda f: (-len(f), f))
        self._longest = len(self._forms[0]) if self._forms else 0
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """`chunk` and what was held back, as far as it is known to be harmless, with secrets masked."""
        if not self._forms:
            return chunk
        data = self.mask(self._held + chunk)
        keep = self._beginning(data)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def flush(self) -> bytes:
        """What was held back: the stream has ended, or nothing has come for long."""
        held, self._held = self._held, b""
        return held

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def mask(self, data: bytes) -> bytes:
        """A whole text, masked."""
        for form in self._forms:
            if form in data:
                data = data.replace(form, MASK)
        return data

    def text(self, text: str) -> str:
        """A short text that is no stream."""
        return self.mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def _beginning(self, data: bytes) -> int:
        """How many bytes at the end of `data` could be the beginning of a secret."""
        tail = data[-(self._longest - 1) :] if self._longest > 1 else b""
        return max((_overlap(tail, form) for form in self._forms), default=0)


def _overlap(tail: bytes, form: bytes) -> int:
    """The length of the longest proper beginning of `form` that `tail` ends with."""
    end = len(tail)
    # Most tails end with no byte of the form's beginning: each place where its first byte stands is a candidate.
    at = tail.find(form[:1], max(0, end - len(form) + 1))
    while at >= 0:
        if form.startswith(tail[at:]):
            return end - at
        at = tail.find(form[:1], at + 1)
    return 0
