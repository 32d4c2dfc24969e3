"""A directory that is filled aside and appears whole, or not at all."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.disk import remove_tree, storage_errors


@contextmanager
def filled(into: Path) -> Iterator[Path]:
    """
    A new directory beside `into`, on the same file system. It becomes `into`, which must be empty or missing, when the block ends
    without an exception; else it is removed.
    """
    aside = into.with_name(f".{into.name}.{secrets.token_hex(4)}")
    with storage_errors():
        aside.mkdir(parents=True, mode=0o755)
        try:
            yield aside
            aside.rename(into)
        except BaseException:
            remove_tree(aside)
            raise
