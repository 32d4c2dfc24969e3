"""What every build needs is made once for all tests, those of faults included."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _provided(provisions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PROVISIONS", str(provisions))
