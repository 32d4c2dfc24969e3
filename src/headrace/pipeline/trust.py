"""Trust tiers: which entries of a cache a build may read, and where what it makes goes."""

from headrace.model.project import Project
from headrace.model.trust import Trust


def scope(project: Project, trust: Trust = Trust.TRUSTED) -> str:
    """
    Where a build's entries go. Those of trusted builds are shared inside a workspace, never across; those of untrusted
    builds inside their project, so that no project's strangers meet another's.
    """
    trusted = f"workspace:{project.workspace}"
    return trusted if trust is Trust.TRUSTED else f"{trusted} untrusted:{project.id}"


def readable(trust: Trust) -> tuple[Trust, ...]:
    """Whose entries a build is given, in the order in which they are asked: never those of builds that are trusted less."""
    return (Trust.TRUSTED,) if trust is Trust.TRUSTED else (Trust.TRUSTED, Trust.UNTRUSTED)
