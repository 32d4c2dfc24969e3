"""Content addresses. SHA-256 everywhere, because outsiders see digests and compare them with their own tools."""

import hashlib
import re
from typing import Annotated

from pydantic import StringConstraints

#: `sha256:` and 64 lower-case hexadecimal digits.
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

_FORM = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(data: bytes) -> Digest:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def is_digest(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def hex_of(digest: Digest) -> str:
    return digest.removeprefix("sha256:")
