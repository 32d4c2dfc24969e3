"""What to do about an import that leads nowhere."""

import re

from headrace.diagnostics.places import Places

_PACKAGE = re.compile(r"(@[\w.-]+/[\w.-]+|[\w-][\w.-]*)(/.*)?")


def unresolved(module: str, importer: str | None, places: Places) -> str:
    """A hint: a file of nearly that name for a path, a dependency to add for a package."""
    if module.startswith((".", "/")):
        target = module if module.startswith(".") else f"./{module.lstrip('/')}"
        near = places.near(target, importer if module.startswith(".") else None)
        if near and _same_but_for_case(near, module):
            return f"there is {near}: names of files are case-sensitive here"
        return f"did you mean {near}?" if near else f"add the file {module}, or correct the path"
    if module.startswith(("@/", "~/", "#")):
        return f"{module} is an alias: check the alias in the build's configuration, and that the file exists"
    package = _PACKAGE.fullmatch(module)
    name = package[1] if package else module
    return f"add {name[:100]} to the dependencies in package.json, and commit the lock file that comes with it"


def _same_but_for_case(path: str, module: str) -> bool:
    wanted = module.rsplit("/", maxsplit=1)[-1].lower()
    name = path.rsplit("/", maxsplit=1)[-1].lower()
    return name == wanted or name.split(".")[0] == wanted
