"""Packages that a lock file fetches from somewhere without saying which bytes must arrive."""

import re

from headrace.model.plan import Choice
from headrace.plan.package_manager import ManagerChoice
from headrace.plan.project_view import ProjectView, joined

#: By lock file: an address that no checksum follows. Yarn 1 once wrote the checksum behind the address, after a `#`.
_UNCHECKED = {
    "package-lock.json": re.compile(r'"resolved": "(https?://[^"]*)"(?!,\s*"integrity")'),
    "npm-shrinkwrap.json": re.compile(r'"resolved": "(https?://[^"]*)"(?!,\s*"integrity")'),
    "yarn.lock": re.compile(r'^  resolved "(https?://[^"#]*)"\n(?!  integrity )', re.MULTILINE),
    "pnpm-lock.yaml": re.compile(r"resolution: \{tarball: (https?://[^,}\s]*)\}"),
}
_NAMED = 3


def unchecked_packages(workspace: ProjectView, manager: ManagerChoice) -> Choice | None:
    """What to say of them: the install takes what arrives."""
    pattern = _UNCHECKED.get(manager.lock or "")
    text = workspace.text(manager.lock) if pattern and manager.lock else None
    found = list(dict.fromkeys(pattern.findall(text))) if pattern and text else []
    if not found:
        return None
    names = ", ".join(address.rpartition("/")[2][:60] for address in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    why = f"the lock file has no checksum for {names}{more}: whatever arrives is installed; install anew to write them"
    return Choice(
        subject="unchecked packages", value=str(len(found)), why=why, source=joined(workspace.root, manager.lock or "")
    )
