"""Passwords of previews: kept as argon2id hashes, which take a moment and 64 MiB to check, so that guessing is dear."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: Longer ones are no passwords.
LONGEST = 1024
_hasher = PasswordHasher()
#: Two at a time in this process: each takes a processor and memory.
_threads = ThreadPoolExecutor(2, thread_name_prefix="passwords")


async def hash_password(password: str) -> str:
    """The text to keep. Raises ValueError for one that is empty or longer than LONGEST bytes."""
    if not 0 < len(password.encode()) <= LONGEST:
        raise ValueError(f"a password has 1 to {LONGEST} bytes")
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def matches(kept: str, password: str) -> bool:
    """Whether `kept` is the hash of this password."""
    if len(password.encode(errors="replace")) > LONGEST:
        return False
    return await asyncio.get_running_loop().run_in_executor(_threads, _verify, kept, password)


def _verify(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
