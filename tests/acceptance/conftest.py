"""Headrace as a user has it: processes of its own, real sandboxes, HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server import Server, environment_of, new_data_dir

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def data_dir(tmp_path: Path, provisions: Path) -> Path:
    """An empty data directory that needs not fetch what every test needs."""
    return new_data_dir(tmp_path / "data", provisions)


@pytest.fixture
def environment(data_dir: Path) -> dict[str, str]:
    return environment_of(data_dir)


@pytest.fixture
def server(environment: dict[str, str], data_dir: Path) -> Iterator[Server]:
    server = Server(environment, data_dir)
    server.start()
    yield server
    server.stop()
