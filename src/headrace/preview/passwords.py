"""Passwords of previews: kept as argon2id hashes, which take a moment and 64 MiB to check, so that guessing is dear."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: Longer ones are no passwords.
LONGEST = 1024
#: Checks at a time in this process: each takes a processor and memory.
_AT_ONCE = asyncio.Semaphore(2)

_hasher = PasswordHasher()


async def hash_password(password: str) -> str:
    """The text to keep. Raises ValueError for one that is empty or longer than LONGEST bytes."""
    if not 0 < len(password.encode()) <= LONGEST:
        raise ValueError(f"a password has 1 to {LONGEST} bytes")
    async with _AT_ONCE:
        return await asyncio.to_thread(_hasher.hash, password)


async def matches(kept: str, password: str) -> bool:
    """Whether `kept` is the hash of this password."""
    if len(password.encode(errors="replace")) > LONGEST:
        return False
    async with _AT_ONCE:
        return await asyncio.to_thread(_verify, kept, password)


def _verify(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
