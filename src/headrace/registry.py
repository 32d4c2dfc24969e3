"""
Finds implementations by name. The modules of a family folder are its implementations; `base` is its contract and
modules with a leading underscore are shared by them. Other packages add to a family with the entry point group
`headrace.<family>`.
"""

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Any

from headrace.errors import InvalidSetting

#: Families that may be opened by name, and how their classes are called behind the module's name.
FAMILIES = {
    "executor": "Executor",
    "source": "Fetcher",
    "queue": "Queue",
    "store": "Store",
    "events": "EventLog",
    "preview.drivers": "Driver",
}


def names(family: str) -> list[str]:
    """The names that `find` knows in `family`, sorted."""
    package = importlib.import_module(f"headrace.{family}")
    own = {module.name for module in pkgutil.iter_modules(package.__path__) if _is_implementation(module.name)}
    return sorted(own | {point.name for point in entry_points(group=f"headrace.{family}")})


def find(family: str, name: str) -> Any:
    """
    The class that implements `name` in `family`: `executor.oci` holds `OciExecutor`.
    Raises InvalidSetting, with the names there are, for a name that isn't one.
    """
    if family not in FAMILIES or name not in names(family):
        known = ", ".join(names(family)) if family in FAMILIES else ", ".join(FAMILIES)
        raise InvalidSetting(f"there is no {family} named {name!r}", hint=f"choose one of: {known}")
    for point in entry_points(group=f"headrace.{family}"):
        if point.name == name:
            return point.load()
    module = importlib.import_module(f"headrace.{family}.{name}")
    return getattr(module, f"{name.capitalize()}{FAMILIES[family]}")


def _is_implementation(module: str) -> bool:
    return module != "base" and not module.startswith("_")
