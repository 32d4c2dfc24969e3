"""Version ranges as npm writes them. Only releases are compared: the planner never picks a pre-release."""

import re
from collections.abc import Callable

Version = tuple[int, int, int]

_PART = r"(?:0|[1-9]\d{0,8}|[xX*])"
_PARTIAL = re.compile(rf"^[v=\s]*({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$")
_COMPARATOR = re.compile(r"^(\^|~>|~|>=|<=|>|<|=|)\s*(\S+)$")
_EXACT = re.compile(r"^v?(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$")

Test = Callable[[Version], bool]


class BadRange(ValueError):
    """The text is not a version range."""


def parse_version(text: str) -> Version | None:
    """A whole release version, such as `24.21.0`; None for anything else."""
    match = _EXACT.match(text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def satisfies(version: Version, wish: str) -> bool:
    """Whether a release is in a range. Raises BadRange."""
    return parse_range(wish)(version)


def parse_range(wish: str) -> Test:
    """The question a range asks of a release. Raises BadRange."""
    alternatives = [_tests(part) for part in _alternatives(wish)]
    return lambda version: any(all(test(version) for test in tests) for tests in alternatives)


def majors(wish: str) -> tuple[int, ...]:
    """The major versions that a range names, in its order: `^18.2 || 20` names 18 and 20."""
    found = []
    for word in re.findall(r"(?:^|[\s|^~>=<v-])(\d{1,4})(?=\.|\s|$|\||-)", wish):
        if int(word) not in found:
            found.append(int(word))
    return tuple(found)


def _alternatives(wish: str) -> list[str]:
    if len(wish) > 256:
        raise BadRange("a version range of more than 256 characters")
    return [part.strip() for part in wish.split("||")]


def _tests(part: str) -> list[Test]:
    if hyphen := re.fullmatch(r"(\S+)\s+-\s+(\S+)", part):
        return [*_comparator(f">={hyphen[1]}"), *_comparator(f"<={hyphen[2]}")]
    joined = re.sub(r"(\^|~>|~|>=|<=|>|<|=)\s+", r"\1", part)
    return [test for word in joined.split() for test in _comparator(word)]


def _comparator(word: str) -> list[Test]:
    match = _COMPARATOR.match(word)
    given = _PARTIAL.match(match[2]) if match else None
    if match is None or given is None:
        raise BadRange(f"{word!r} is not a version range")
    numbers = [int(n) for n in _leading(given)]
    low, high = _bounds(numbers)
    if not numbers:
        return [_never] if match[1] in ("<", ">") else []
    return _TESTS[match[1]](low, high, numbers)


def _leading(given: re.Match[str]) -> list[str]:
    """The numbers before the first `x`."""
    numbers: list[str] = []
    for part in given.groups():
        if part is None or part in "xX*":
            break
        numbers.append(part)
    return numbers


def _bounds(numbers: list[int]) -> tuple[Version, Version]:
    """The first version that `numbers` cover, and the first behind them."""
    padded = (*numbers, 0, 0, 0)
    low = (padded[0], padded[1], padded[2])
    return low, _raised(low, max(0, len(numbers) - 1))


def _raised(version: Version, place: int) -> Version:
    raised = [n if at < place else n + 1 if at == place else 0 for at, n in enumerate(version)]
    return (raised[0], raised[1], raised[2])


def _between(low: Version, high: Version) -> list[Test]:
    return [lambda v: low <= v < high]


def _caret(low: Version, _high: Version, numbers: list[int]) -> list[Test]:
    # The left-most number that is not zero stays; zeros that were not written are free.
    place = next((at for at, n in enumerate(numbers) if n), len(numbers) - 1)
    return _between(low, _raised(low, place))


def _tilde(low: Version, _high: Version, numbers: list[int]) -> list[Test]:
    return _between(low, _raised(low, min(len(numbers) - 1, 1)))


def _never(_version: Version) -> bool:
    return False


_TESTS: dict[str, Callable[[Version, Version, list[int]], list[Test]]] = {
    "": lambda low, high, _n: _between(low, high),
    "=": lambda low, high, _n: _between(low, high),
    "^": _caret,
    "~": _tilde,
    "~>": _tilde,
    ">=": lambda low, _high, _n: [lambda v: v >= low],
    ">": lambda _low, high, _n: [lambda v: v >= high],
    "<": lambda low, _high, _n: [lambda v: v < low],
    "<=": lambda _low, high, _n: [lambda v: v < high],
}
