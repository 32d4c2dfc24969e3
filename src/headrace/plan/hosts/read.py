"""What a project's files for other hosts say together: below headrace.toml, above what is found by looking."""

from collections.abc import Callable

from headrace.model.plan import HeaderRule, Ignored, RedirectRule
from headrace.model.value import Value
from headrace.plan.hosts.base import HostSettings
from headrace.plan.hosts.netlify import read_netlify
from headrace.plan.hosts.others import read_firebase, read_railway, read_render, read_starters, read_wrangler
from headrace.plan.hosts.vercel import read_vercel
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView

_READERS: tuple[Callable[[ProjectView], HostSettings | None], ...] = (
    read_vercel, read_netlify, read_wrangler, read_firebase, read_render, read_railway,
)  # fmt: skip

#: Keys of headrace.toml, and what hosts say in their place.
_KEYS = {
    "build.framework": "framework", "build.command": "command", "build.install": "install", "build.output": "output",
    "build.node": "node", "routing.spa": "spa", "routing.clean_urls": "clean_urls", "routing.trailing_slash": "trailing_slash",
}  # fmt: skip


class Hosts(Value):
    """All of them. Rules stay in the order of the files."""

    settings: tuple[HostSettings, ...] = ()

    @property
    def root(self) -> tuple[str, str] | None:
        """The directory of the project that one of them names, and which."""
        return next(((one.root, one.source) for one in self.settings if one.root), None)

    @property
    def script(self) -> tuple[str, str] | None:
        """The script that builds, when the first of them that names a build names one."""
        first = next((one for one in self.settings if one.script or one.command), None)
        return (first.script, first.source) if first is not None and first.script else None

    @property
    def redirects(self) -> tuple[RedirectRule, ...]:
        return tuple(rule for one in self.settings for rule in one.redirects)

    @property
    def headers(self) -> tuple[HeaderRule, ...]:
        return tuple(rule for one in self.settings for rule in one.headers)

    @property
    def ignored(self) -> tuple[Ignored, ...]:
        return tuple(ignored for one in self.settings for ignored in one.ignored)


def read_hosts(view: ProjectView) -> Hosts:
    """The files at the project's root, and at the version's root those that aren't there. Raises StepFailed for a broken one."""
    above = ProjectView(view.files, "", view.manifest) if view.root else None
    found = []
    for reader in _READERS:
        said = reader(view) or (reader(above) if above is not None else None)
        if said is not None:
            found.append(said)
    return Hosts(settings=(*found, *read_starters(view)))


def filled(own: ProjectFile, hosts: Hosts) -> tuple[ProjectFile, tuple[Ignored, ...]]:
    """The project's file with what only the hosts' files say, and what of theirs it goes before."""
    build: dict[str, object] = {}
    routing: dict[str, object] = {}
    sources: dict[str, str] = {}
    ignored: list[Ignored] = []
    for one in hosts.settings:
        for key, name in _KEYS.items():
            value = getattr(one, name)
            table, _, field = key.partition(".")
            there = getattr(getattr(own, table), field)
            taken = build if table == "build" else routing
            if value is None or (name == "command" and hosts.script is not None):
                continue
            if there is not None or (field in taken and taken[field] != value):
                if there != value:
                    why = f"{sources.get(key, own.where(key))} goes before it"
                    ignored.append(Ignored(source=one.source, setting=name, why=why))
            elif field not in taken:
                taken[field] = value
                sources[key] = f"{one.source} {name}"
        for name in one.env.keys() - own.env.keys():
            sources.setdefault(f"env.{name}", one.source)
    env = {name: value for one in reversed(hosts.settings) for name, value in one.env.items()}
    return own.but(
        build=own.build.but(**build), routing=own.routing.but(**routing), env={**env, **own.env}, sources=sources
    ), tuple(ignored)
