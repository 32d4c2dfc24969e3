"""Which files of an output are published. What starts with a dot is not: it is configuration or a secret, hardly ever a page."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

from headrace.checks.base import OutputFile

#: Read into the artifact's routing instead of being served.
RULE_FILES = ("_redirects", "_headers")

_NAMED_AT_MOST = 5


def published(files: Sequence[OutputFile]) -> list[OutputFile]:
    return [file for file in files if not _is_hidden(file.path) and file.path not in RULE_FILES]


def left_out(files: Sequence[OutputFile]) -> Iterator[str]:
    """At most one sentence: the files that are not published."""
    hidden = [file.path for file in files if _is_hidden(file.path)]
    if hidden:
        one = len(hidden) == 1
        what = "1 file is" if one else f"{len(hidden)} files are"
        yield f"{what} not published, because names with a dot in front are private except .well-known/: {_named(hidden)}"


def same_name_warnings(files: Sequence[OutputFile]) -> Iterator[str]:
    """A sentence for each group of paths that some machines can't tell apart."""
    alike: dict[str, list[str]] = defaultdict(list)
    for file in files:
        alike[unicodedata.normalize("NFC", file.path).casefold()].append(file.path)
    for paths in alike.values():
        if len(paths) > 1:
            yield f"these paths differ only in case or accents; each is served as it is written: {_named(paths)}"


def _is_hidden(path: str) -> bool:
    first, *rest = path.split("/")
    return (first.startswith(".") and (first != ".well-known" or not rest)) or any(
        part.startswith(".") for part in rest
    )


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED_AT_MOST} more" if len(paths) > _NAMED_AT_MOST else ""
    return ", ".join(paths[:_NAMED_AT_MOST]) + more
