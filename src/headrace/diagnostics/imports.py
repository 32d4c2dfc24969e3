"""What to do about an import that leads nowhere."""

import re
from typing import NamedTuple

from headrace.diagnostics.installing import add_command, package_of
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import FailureReason

#: Modules of Node itself: a bundle for browsers does not have them.
_BUILT_IN = frozenset(
    [
        "assert",
        "buffer",
        "child_process",
        "cluster",
        "crypto",
        "dns",
        "events",
        "fs",
        "http",
        "http2",
        "https",
        "module",
        "net",
        "os",
        "path",
        "perf_hooks",
        "process",
        "querystring",
        "readline",
        "stream",
        "string_decoder",
        "timers",
        "tls",
        "tty",
        "url",
        "util",
        "v8",
        "vm",
        "worker_threads",
        "zlib",
    ]
)
_ALIAS = re.compile(r"(?:[@~#]|\$(?!lib\b)\w+)/(?P<rest>.+)|\$lib/(?P<lib>.+)|#(?P<hash>\w.*)")


def is_built_in(module: str) -> bool:
    return module.startswith("node:") or module in _BUILT_IN


class Unresolved(NamedTuple):
    reason: FailureReason
    hint: str


def unresolved(module: str, importer: str | None, places: Places) -> Unresolved:
    """What an import means that leads nowhere: a file of nearly that name, or the command that adds the package."""
    module = module.split("?", maxsplit=1)[0]
    if module.startswith((".", "/")):
        return _file(module, importer, places)
    if alias := _ALIAS.fullmatch(module):
        return _aliased(module, alias, places)
    if is_built_in(module):
        hint = f"{module} is a module of Node, which browsers don't have: import it only in code for the server"
        return Unresolved(FailureReason.MISSING_DEPENDENCY, hint)
    package = package_of(module)
    hint = f"add {package} to the dependencies and commit the lock file: `{add_command(package, places)}`"
    return Unresolved(FailureReason.MISSING_DEPENDENCY, hint)


def _file(module: str, importer: str | None, places: Places) -> Unresolved:
    # Tools name a file by its whole path, in some sandbox.
    inside = re.sub(r"^/app/", "/", module)
    relative = inside.startswith(".")
    target = inside if relative else f"./{inside.lstrip('/')}"
    near = places.near(target, importer if relative else None)
    if near is None:
        return Unresolved(FailureReason.MISSING_DEPENDENCY, f"add the file {module}, or correct the path")
    if places.differs_in_case(near, target, importer if relative else None):
        hint = f"there is {near}: names of files are case-sensitive here, write the import as the file is named"
        return Unresolved(FailureReason.CASE_MISMATCH, hint)
    return Unresolved(FailureReason.MISSING_DEPENDENCY, f"did you mean {near}?")


def _aliased(module: str, alias: re.Match[str], places: Places) -> Unresolved:
    rest = alias["rest"] or alias["hash"] or f"lib/{alias['lib']}"
    for base in ("src", "", "app"):
        target = f"./{base}/{rest}" if base else f"./{rest}"
        near = places.near(target, None)
        if near and places.differs_in_case(near, target, None):
            hint = f"there is {near}: names of files are case-sensitive here, write the import as the file is named"
            return Unresolved(FailureReason.CASE_MISMATCH, hint)
        if near:
            hint = f"did you mean {near}? {module} is an alias: check it in tsconfig.json and the build's configuration"
            return Unresolved(FailureReason.MISSING_DEPENDENCY, hint)
    hint = f"{module} is an alias: check the alias in the build's configuration, and that the file exists"
    return Unresolved(FailureReason.MISSING_DEPENDENCY, hint)
