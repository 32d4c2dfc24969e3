"""
A bare repository per address, kept between fetches, so that only what is new crosses the network.

Commits are kept shallow, each under its own name: `refs/headrace/<commit>` means that it was fetched and that it is part of a
branch or a tag of the repository. One writer at a time holds the lock; readers hold it shared.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.disk import locked, remove_tree
from headrace.source._remote import Credential, Remote
from headrace.source._stop import Stop

_KEPT = "refs/headrace"
#: After this many packs a mirror is begun anew: a repository is never repacked in place while others read it.
_PACKS = 200


def mirror_path(root: Path, remote: Remote, credential: Credential | None) -> Path:
    """
    Where a repository's mirror is. Who comes with another credential, or with none, gets another one: a private repository is
    never read by someone that its host would turn away.
    """
    identity = [remote.url, credential.user if credential else "", credential.token if credential else ""]
    return root / hashlib.sha256("\0".join(identity).encode(errors="surrogateescape")).hexdigest()[:40]


class Mirror:
    def __init__(self, path: Path) -> None:
        self.path = path

    def has(self, commit: str) -> bool:
        return (self.path / _KEPT / commit).exists()

    def keep(self, commit: str) -> None:
        """Remember that the commit is here and part of the repository."""
        kept = self.path / _KEPT / commit
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path / f"keep-{os.getpid()}-{commit}"
        aside.write_text(f"{commit}\n")
        aside.rename(kept)

    @contextmanager
    def held(self, stop: Stop, *, shared: bool = False) -> Iterator[None]:
        """The mirror's lock, which also a removal takes. Waits until it is free or the work is asked to end."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            stop.check()
            with locked(self.path.with_suffix(".lock"), shared=shared) as mine:
                if mine:
                    yield
                    return
            time.sleep(0.02)

    def tidy(self) -> None:
        """
        Make the mirror fit for a fetch: what a killed one left behind goes. Only under the lock. A mirror of too many pieces, or
        one that was never finished, goes as a whole.
        """
        packs = self.path / "objects" / "pack"
        if not (self.path / "HEAD").exists() or sum(1 for _ in packs.glob("*.pack")) > _PACKS:
            remove_tree(self.path)
            return
        self.drop_leftovers()
        os.utime(self.path)

    def drop_leftovers(self) -> int:
        """Remove what a fetch that failed or was killed left behind; the size of the largest of these files."""
        left = [*self.path.rglob("tmp_*"), *self.path.rglob("*.lock"), *self.path.glob("keep-*")]
        largest = max((path.stat().st_size for path in left), default=0)
        for path in left:
            path.unlink(missing_ok=True)
        return largest


def prune_mirrors(root: Path, *, unused_seconds: float) -> list[str]:
    """Remove mirrors that nobody fetched with for this long and that nobody holds now; their names."""
    removed = []
    for path in sorted(root.glob("*")) if root.is_dir() else []:
        if path.suffix == ".lock" or time.time() - path.stat().st_mtime < unused_seconds:
            continue
        with locked(path.with_suffix(".lock")) as mine:
            if mine:
                remove_tree(path)
                removed.append(path.name)
    return removed
