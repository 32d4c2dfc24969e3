"""The real registry's tools run."""

import subprocess
from pathlib import Path

import pytest

from headrace.errors import InvalidInput
from headrace.layers.layers import Layers
from headrace.layers.toolchain import provide
from headrace.model.plan import Tool

pytestmark = pytest.mark.network

REGISTRY = "https://registry.npmjs.org"


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Layers:
    return Layers(tmp_path_factory.mktemp("tools"))


async def directory_of(tools: Layers, name: str, version: str) -> Path:
    layer = await provide(tools, Tool.model_validate({"name": name, "version": version}), REGISTRY)
    return layer.path / "bin"


def version_of(program: str, *directories: Path, home: Path) -> str:
    path = ":".join([*map(str, directories), "/usr/bin", "/bin"])
    done = subprocess.run(
        [program, "--version"], env={"PATH": path, "HOME": str(home)}, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize("version", ["20.20.2", "22.23.3", "24.21.0"])
async def test_node_runs(tools: Layers, tmp_path: Path, version: str) -> None:
    assert version_of("node", await directory_of(tools, "node", version), home=tmp_path) == f"v{version}"


@pytest.mark.parametrize(
    ("name", "version"),
    [("npm", "10.9.9"), ("npm", "11.21.2"), ("pnpm", "9.15.9"), ("pnpm", "10.34.9"), ("pnpm", "12.21.0")],
)
async def test_package_managers_run(tools: Layers, tmp_path: Path, name: str, version: str) -> None:
    node = await directory_of(tools, "node", "24.21.0")
    assert version_of(name, await directory_of(tools, name, version), node, home=tmp_path) == version


async def test_a_version_that_was_never_published_is_refused_with_choices(tools: Layers) -> None:
    with pytest.raises(InvalidInput) as caught:
        await directory_of(tools, "node", "22.99.0")
    assert "22.23.3" in (caught.value.hint or "")
