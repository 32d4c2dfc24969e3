"""Scripts of a project that run by themselves during an install, and what they need."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from headrace.plan.manifest import Manifest

#: Commands whose files are known: a pattern of the command -> prefixes of the files it reads.
_KNOWN: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"husky( install)?( \S+)?", ()),
    (r"(is-ci|true|:|exit 0)", ()),
    (r"(npx (-y )?)?only-allow \w+", ()),
    (r"(npx )?simple-git-hooks", ()),
    (r"lefthook install( -f)?", ()),
    (r"patch-package( --error-on-fail)?", ("patches/",)),
    (r"prisma generate", ("prisma/",)),
)


@dataclass(frozen=True)
class LifecycleNeeds:
    """What the scripts of some manifests need of the project's files."""

    #: Prefixes of files that known commands read.
    prefixes: tuple[str, ...] = ()
    #: Scripts that may read and write anything, as `package.json postinstall`.
    unknown: tuple[str, ...] = ()


def lifecycle_needs(manifests: Iterable[Manifest]) -> LifecycleNeeds:
    prefixes: list[str] = []
    unknown: list[str] = []
    for manifest in manifests:
        base = manifest.path.removesuffix("package.json")
        for name in manifest.lifecycle:
            found = _prefixes(manifest.scripts[name])
            if found is None:
                unknown.append(f"{manifest.path} {name}")
            else:
                prefixes += [base + prefix for prefix in found]
    return LifecycleNeeds(tuple(dict.fromkeys(prefixes)), tuple(unknown))


def _prefixes(script: str) -> list[str] | None:
    """What the script reads; None when one of its commands is not known."""
    prefixes: list[str] = []
    for part in re.split(r"&&|\|\||;", script):
        command = part.strip()
        known = next((files for pattern, files in _KNOWN if re.fullmatch(pattern, command)), None)
        if known is None:
            return None
        prefixes += known
    return prefixes
