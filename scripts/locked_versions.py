"""Print the versions of uv.lock as constraints for pip, for machines that have no uv."""

import tomllib
from pathlib import Path


def constraints(lock: Path) -> list[str]:
    packages = tomllib.loads(lock.read_text())["package"]
    return [f"{package['name']}=={package['version']}" for package in packages if "registry" in package["source"]]


if __name__ == "__main__":
    print("\n".join(constraints(Path(__file__).parents[1] / "uv.lock")))
