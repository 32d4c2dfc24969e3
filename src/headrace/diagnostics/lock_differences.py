"""What differs between package.json and a lock file, for managers that only say that something does."""

import json
import re
from collections.abc import Callable

from headrace.diagnostics.base import Found
from headrace.model.diagnostic import FailureReason

Read = Callable[[str], bytes | None]

_LOCKS = ("yarn.lock", "bun.lock")
_SECTIONS = ("dependencies", "devDependencies", "optionalDependencies")
_IS_SAID = re.compile(r"out of step: ")
_LARGEST = 16 * 1024 * 1024


def with_differences(found: Found, read: Read) -> Found:
    """The same finding, naming the dependencies of package.json that the lock file does not have."""
    diagnostic = found.diagnostic
    lock = diagnostic.file
    if (
        found.reason is not FailureReason.LOCKFILE_OUT_OF_DATE
        or not lock
        or not lock.endswith(_LOCKS)
        or _IS_SAID.search(diagnostic.message)
    ):
        return found
    manifest = f"{lock.rpartition('/')[0]}/package.json".lstrip("/")
    missing = _missing(read(manifest), read(lock))
    if not missing:
        return found
    shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    return found.but(diagnostic=diagnostic.but(message=f"{diagnostic.message}: the lock file does not have {shown}"))


def _missing(manifest: bytes | None, lock: bytes | None) -> list[str]:
    if manifest is None or lock is None or len(manifest) + len(lock) > _LARGEST:
        return []
    try:
        data = json.loads(manifest)
    except (ValueError, RecursionError):
        return []
    text = lock.decode("utf-8", "replace")
    wishes = [
        (name, wish)
        for section in _SECTIONS
        if isinstance(data, dict) and isinstance(data.get(section), dict)
        for name, wish in list(data[section].items())[:2000]
        if isinstance(wish, str)
    ]
    return [f"{name}@{wish}" for name, wish in wishes if not _has(text, name, wish)]


def _has(lock: str, name: str, wish: str) -> bool:
    """As yarn 1, later yarns and bun write a wish."""
    return any(form in lock for form in (f"{name}@{wish}", f"{name}@npm:{wish}", f'"{name}": "{wish}"'))
