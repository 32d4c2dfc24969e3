import time

import pytest

from headrace.edge.conditions import Unsatisfiable, byte_range, names_etag, names_etag_strongly


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (b"bytes=0-0", (0, 1)),
        (b"bytes=0-99", (0, 100)),
        (b"bytes=0-100000", (0, 100)),
        (b"bytes=90-", (90, 100)),
        (b"bytes=-10", (90, 100)),
        (b"bytes=-1000", (0, 100)),
        (b"Bytes = 5 - 6", (5, 7)),
        (b"bytes=0-9223372036854775808", (0, 100)),
        (b"bytes=0-" + b"9" * 5000, (0, 100)),
    ],
)
def test_a_range_is_cut_to_the_file(header: bytes, span: tuple[int, int]) -> None:
    assert byte_range(header, 100) == span


@pytest.mark.parametrize("header", [b"items=0-1", b"bytes=0-1,5-6", b"", b"nonsense"])
def test_another_unit_and_a_few_parts_get_the_whole_file(header: bytes) -> None:
    assert byte_range(header, 100) is None


@pytest.mark.parametrize(
    "header",
    [
        b"bytes=100-",
        b"bytes=9223372036854775808-",
        b"bytes=5-2",
        b"bytes=-0",
        b"bytes=-",
        b"bytes=a-b",
        b"bytes=" + b",".join(b"%d-%d" % (i, i) for i in range(10_000)),
    ],
)
def test_no_byte_of_the_file_is_in_these_ranges(header: bytes) -> None:
    began = time.process_time()
    with pytest.raises(Unsatisfiable):
        byte_range(header, 100)
    assert time.process_time() - began < 0.5


def test_an_empty_file_has_no_range() -> None:
    with pytest.raises(Unsatisfiable):
        byte_range(b"bytes=0-", 0)


@pytest.mark.parametrize(
    ("header", "weak", "strong"),
    [
        (b'"a"', True, True),
        (b'W/"a"', True, False),
        (b'"x", "a"', True, True),
        (b'"x" ,W/"a"', True, False),
        (b"*", True, True),
        (b'"b"', False, False),
        (b"a", False, False),
    ],
)
def test_a_list_of_tags_is_compared_weakly_or_strongly(header: bytes, weak: bool, strong: bool) -> None:
    assert (names_etag(header, b'"a"'), names_etag_strongly(header, b'"a"')) == (weak, strong)
