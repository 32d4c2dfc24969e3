import os

import pytest

from headrace.site.codings import CODINGS, coded
from headrace.site.media_types import is_compressible

TEXT = b"the same words again and again\n" * 100


@pytest.mark.parametrize("coding", CODINGS)
def test_equal_bytes_become_equal_bytes(coding: str) -> None:
    assert coded(TEXT, coding) == coded(TEXT, coding)


@pytest.mark.parametrize("coding", CODINGS)
def test_what_does_not_shrink_is_not_kept(coding: str) -> None:
    assert coded(os.urandom(5000), coding) is None


@pytest.mark.parametrize(
    ("kind", "worth"),
    [
        ("text/html; charset=utf-8", True),
        ("application/json", True),
        ("image/svg+xml", True),
        ("application/wasm", True),
        ("image/png", False),
        ("font/woff2", False),
        ("application/octet-stream", False),
    ],
)
def test_types_that_shrink_are_known(kind: str, worth: bool) -> None:
    assert is_compressible(kind) is worth
