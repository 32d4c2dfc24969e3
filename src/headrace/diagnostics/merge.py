"""Many tools' findings as one list: each mistake once, the cause first."""

from collections.abc import Sequence

from headrace.diagnostics.base import Found
from headrace.model.diagnostic import FailureReason

#: What they say when a command of theirs failed is a consequence.
_MANAGERS = frozenset({"npm", "pnpm", "yarn", "bun"})

#: How many messages about one place a further one is compared with.
_COMPARED = 40


def merged(found: Sequence[Found]) -> list[Found]:
    """
    `found` in the order of the registry of parsers: an earlier parser knows its tool better than a later one. A reason
    goes before none, a place before none, and the order of the log decides among equals of one parser.
    """
    unique: list[Found] = []
    lines: set[int | None] = set()
    #: Which tool was the first to tell of a place: two tools' words for one mistake.
    tools: dict[tuple[str | None, int | None, int | None, FailureReason], str] = {}
    said: dict[tuple[str | None, int | None], list[str]] = {}
    for one in found:
        diagnostic = one.diagnostic
        before = said.setdefault((diagnostic.file, diagnostic.line), [])
        text = _normal(diagnostic.message)
        if any(text == other or (diagnostic.line is not None and _same(text, other)) for other in before[:_COMPARED]):
            continue
        at = (diagnostic.file, diagnostic.line, diagnostic.column, one.reason)
        if diagnostic.column is not None and tools.setdefault(at, diagnostic.tool) != diagnostic.tool:
            continue
        if diagnostic.log_seq in lines and unique[-1].diagnostic.tool != diagnostic.tool:
            continue
        before.append(text)
        lines.add(diagnostic.log_seq)
        unique.append(one)
    unique = [one for one in unique if not _said_better(one, unique)]
    causes = [one for one in unique if not _is_consequence(one)]
    explained = any(one.reason is not FailureReason.COMMAND_FAILED for one in causes)
    if causes and not explained:
        # A stack trace without a known reason explains less than the step that failed.
        causes = [one for one in unique if not _is_consequence(one) or one.consequence]
    return sorted(causes or unique, key=_rank)


def _said_better(one: Found, others: Sequence[Found]) -> bool:
    """Whether another tool says the same of the same file, and in which line."""
    diagnostic = one.diagnostic
    if diagnostic.file is None or diagnostic.line is not None:
        return False
    text = _normal(diagnostic.message)
    return any(
        other.diagnostic.file == diagnostic.file
        and other.diagnostic.line is not None
        and other.diagnostic.tool != diagnostic.tool
        and _same(text, _normal(other.diagnostic.message))
        for other in others[:_COMPARED]
    )


def _rank(one: Found) -> tuple[bool, bool, bool]:
    return (
        one.reason is FailureReason.COMMAND_FAILED,
        one.diagnostic.severity == "warning",
        one.diagnostic.file is None,
    )


def _is_consequence(one: Found) -> bool:
    return one.consequence or (one.reason is FailureReason.COMMAND_FAILED and one.diagnostic.tool in _MANAGERS)


def _normal(message: str) -> str:
    return " ".join(message.lower().split())[:400]


def _same(one: str, other: str) -> bool:
    """Two tools' words for one thing: one of them quotes the other."""
    return len(one) > 12 and len(other) > 12 and (one in other or other in one)
