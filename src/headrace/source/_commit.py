"""Who made a commit, and what they said about it."""

import re

_AUTHOR = re.compile(r"(.*?) ?<[^>]*>")
_MESSAGE_CHARACTERS = 4000


def author_and_message(raw: bytes) -> tuple[str, str]:
    """From a commit object, in whatever encoding it says that it has."""
    headers, _, body = raw.partition(b"\n\n")
    fields = dict(line.partition(b" ")[::2] for line in headers.split(b"\n") if not line.startswith(b" "))
    encoding = fields.get(b"encoding", b"utf-8").decode("ascii", errors="replace")
    found = _AUTHOR.match(_decoded(fields.get(b"author", b""), encoding))
    name = found[1].strip() if found else ""
    return name[:200] or "unknown", _decoded(body, encoding).strip()[:_MESSAGE_CHARACTERS]


def _decoded(text: bytes, encoding: str) -> str:
    try:
        decoded = text.decode(encoding, errors="replace")
    except LookupError:
        decoded = text.decode(errors="replace")
    # NUL can't be stored by every database, and a lone surrogate by none.
    return decoded.replace("\0", "�").encode(errors="replace").decode()
