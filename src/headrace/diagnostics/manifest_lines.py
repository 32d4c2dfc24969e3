"""Which file of a project a package manager complains about, when it does not say."""

from headrace.diagnostics.places import Places


def project_file(places: Places, *names: str) -> str | None:
    """The first of `names` that the version has: in the command's directory, else at its root."""
    for name in names:
        if found := places.find(name):
            return found
    return None


def manifest(places: Places) -> str | None:
    return project_file(places, "package.json")


def lock_file(places: Places) -> str | None:
    return project_file(
        places, "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"
    )
