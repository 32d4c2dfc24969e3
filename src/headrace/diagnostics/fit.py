"""A failure of a bounded size: it travels in events, answers and prompts."""

from headrace.model.diagnostic import Diagnostic, Failure

LARGEST = 8 * 1024
_MOST_DIAGNOSTICS = 10

#: Longest text of a message, an excerpt and a hint, tried one after the other.
_STEPS = ((1000, 1200, 600), (600, 600, 400), (300, 300, 200), (160, 120, 120), (80, 0, 80))


def fitted(failure: Failure) -> Failure:
    """The same failure, shortened until its JSON has at most 8 KiB. The first diagnostics are kept: the cause is there."""
    number = min(len(failure.diagnostics), _MOST_DIAGNOSTICS)
    for message, excerpt, hint in _STEPS:
        for count in sorted({number, (number + 1) // 2, min(number, 1)}, reverse=True):
            short = _shortened(failure, count, message, excerpt, hint)
            if len(short.model_dump_json().encode()) <= LARGEST:
                return short
    return _shortened(failure, 0, 80, 0, 80)


def _shortened(failure: Failure, count: int, message: int, excerpt: int, hint: int) -> Failure:
    command = failure.command
    if command is not None:
        command = tuple(cut(word, message) for word in command[:20])
    return failure.but(
        message=cut(failure.message, message),
        hint=cut(failure.hint, hint) if failure.hint else None,
        command=command,
        diagnostics=tuple(_short(diagnostic, message, excerpt, hint) for diagnostic in failure.diagnostics[:count]),
    )


def _short(diagnostic: Diagnostic, message: int, excerpt: int, hint: int) -> Diagnostic:
    return diagnostic.but(
        message=cut(diagnostic.message, message),
        code=cut(diagnostic.code, 80) if diagnostic.code else None,
        file=diagnostic.file if diagnostic.file and len(diagnostic.file) <= 512 else None,
        excerpt=cut(diagnostic.excerpt, excerpt) if diagnostic.excerpt and excerpt else None,
        hint=cut(diagnostic.hint, hint) if diagnostic.hint else None,
    )


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
