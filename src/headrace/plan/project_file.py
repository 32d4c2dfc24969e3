"""
`headrace.toml`: what a project says about itself. It overrides everything that is found by looking.

The classes are the reference of the file; `docs/planning.md` is checked against them.
"""

import difflib
import re
from typing import Any, Literal

from pydantic import Field, ValidationError

from headrace.model.limits import NetworkPhase
from headrace.model.project import ProxyRule
from headrace.model.secret import MOST, is_name
from headrace.model.value import Value
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import joined, parse_toml
from headrace.plan.refusal import config_error, line_at

NAME = "headrace.toml"

_KEY_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_KEY = re.compile(rf"\s*((?:{_KEY_PART.pattern})(?:\s*\.\s*(?:{_KEY_PART.pattern}))*)\s*=")

#: A variable's name as every shell takes it.
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENV_BYTES = 128 * 1024
#: As many as a project's settings take.
_PROXY_RULES = 20

#: It becomes a part of an address.
_APP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_APPS = 100


class BuildTable(Value):
    """`[build]`"""

    framework: str | None = Field(default=None, description="The framework, when looking finds another one.")
    command: str | tuple[str, ...] | None = Field(
        default=None, description="The build command: a line for `sh`, or a list of words that no shell sees."
    )
    install: str | tuple[str, ...] | None = Field(
        default=None, description="The install command, in the same forms. It may see every file of the project."
    )
    output: str | None = Field(default=None, description="The directory with the result, relative to the project.")
    node: str | None = Field(default=None, description='Version of Node: a major (`"24"`) or a range (`">=22"`).')
    package_manager: str | None = Field(
        default=None, description='`"npm"`, `"pnpm"`, `"yarn"` or `"bun"`, also with a version: `"pnpm@10.34.9"`.'
    )
    frozen: bool = Field(
        default=True, description="False lets the install change a lock file that is out of step with `package.json`."
    )
    members: Literal["needed", "all"] | None = Field(
        default=None,
        description="Of a workspace: install for `all` members, or for those that are `needed`: the app and what it uses.",
    )
    network: NetworkPhase | None = Field(
        default=None, description="What the build command may reach: `none`, `registries` or `internet`."
    )

    secrets: tuple[str, ...] = Field(
        default=(), description="Secrets of the project (`headrace secrets`) that the build command gets as variables."
    )
    install_secrets: tuple[str, ...] = Field(
        default=(), description="The same for the install, such as the token of a registry that `.npmrc` names."
    )


class RedirectEntry(Value):
    """One `[[routing.redirects]]`"""

    source: str = Field(alias="from", description="The path; `*` at its end stands for the rest, `:name` for one part.")
    to: str = Field(description="The target; `:splat` and `:name` are filled in.")
    status: int = Field(default=301, description="301, 302, 303, 307 or 308, or 200 to answer with the target's file.")


class HeaderEntry(Value):
    """One `[[routing.headers]]`"""

    path: str = Field(description="The path; `*` at its end stands for the rest.")
    headers: dict[str, str] = Field(description="Header names and values.")


class RoutingTable(Value):
    """`[routing]`"""

    spa: bool | None = Field(default=None, description="Unknown paths answer `index.html`.")
    clean_urls: bool | None = Field(default=None, description="`/about` answers `about.html`.")
    trailing_slash: bool | None = Field(default=None, description="Whether addresses of pages end in a slash.")
    not_found: str | None = Field(default=None, description="The file that answers unknown paths with 404.")
    redirects: tuple[RedirectEntry, ...] = Field(default=(), description="Redirects, the first that fits wins.")
    headers: tuple[HeaderEntry, ...] = Field(default=(), description="Headers that are added to answers.")


class LimitsTable(Value):
    """`[limits]`: lower than the operator's; never higher."""

    install_seconds: float | None = Field(default=None, gt=0, description="Time limit of the install.")
    build_seconds: float | None = Field(default=None, gt=0, description="Time limit of the build command.")
    memory_bytes: int | None = Field(default=None, ge=16 * 2**20, description="Memory of a command.")
    cpus: float | None = Field(default=None, gt=0, description="Processors of a command.")


class DevTable(Value):
    """`[dev]`: for the machine of whoever writes the project. Nothing of it is part of a build."""

    proxy: dict[str, str] = Field(
        default={},
        description="Paths of the project's page that another server of this machine answers. `headrace up` and "
        "`headrace preview` take them over into the project's settings.",
    )


class AppTable(Value):
    """One `[apps.NAME]`: what is different for it. Everything else is as the file says it for all of them."""

    root: str = Field(description='The directory of the app, relative to this file; `"."` is that of the file.')
    build: BuildTable = Field(default=BuildTable(), description="Its own `[build]`, key by key.")
    env: dict[str, str] = Field(default={}, description="Its own `[env]`, variable by variable.")
    routing: RoutingTable = Field(default=RoutingTable(), description="Its own `[routing]`, key by key.")
    limits: LimitsTable = Field(default=LimitsTable(), description="Its own `[limits]`, key by key.")
    dev: DevTable = Field(default=DevTable(), description="Its own `[dev]`, path by path.")


class ProjectFile(Value):
    """The whole file."""

    root: str | None = Field(default=None, description="The directory that holds the project, relative to this file.")
    app: str | None = Field(
        default=None, description="Which of the `apps` is built when neither the project nor a build chooses one."
    )
    apps: dict[str, AppTable] = Field(
        default={},
        description="The apps of a repository that has several, by name: a letter, then letters, digits, `-` and `_`.",
    )
    build: BuildTable = Field(default=BuildTable(), description="How the project is built.")
    env: dict[str, str] = Field(default={}, description="Variables of the build command.")
    routing: RoutingTable = Field(default=RoutingTable(), description="How the result answers requests.")
    limits: LimitsTable = Field(default=LimitsTable(), description="Lower limits than the operator's.")
    dev: DevTable = Field(
        default=DevTable(), description="What `headrace up` and `headrace preview` read on your machine."
    )

    #: Where it was read; the name it would have, when there is none.
    path: str = Field(default=NAME, exclude=True)
    #: Keys that another file filled in, with that file and its own word.
    sources: dict[str, str] = Field(default={}, exclude=True)
    #: Keys that a table of the chosen app says, under the names that they have there.
    places: dict[str, str] = Field(default={}, exclude=True)

    @property
    def directory(self) -> str:
        """Where the file is; `""` is the root of the version."""
        return self.path.rpartition("/")[0]

    def where(self, key: str) -> str:
        """What says `key`: this file, or the one that it was taken from."""
        return self.sources.get(key, f"{self.path} {self.places.get(key, key)}")

    def is_own(self, key: str) -> bool:
        """Whether this file itself says `key`."""
        return key not in self.sources


def read_project_file(files: ProjectFiles, root: str) -> ProjectFile:
    """The file of the project at `root`, else the one at the root of the version. Raises StepFailed with the line."""
    for path in dict.fromkeys((joined(root, NAME), NAME)):
        data = files.read(path)
        if data is not None:
            return _parse(path, data.decode("utf-8-sig", "replace"))
    return ProjectFile()


def _parse(path: str, text: str) -> ProjectFile:
    raw = parse_toml(path, text)
    if hidden := next((key for key in ("path", "sources", "places") if key in raw), None):
        raise _mistake(path, text, (hidden,), "unknown key")
    try:
        parsed = ProjectFile.model_validate(raw)
    except ValidationError as exc:
        errors = exc.errors()
        # A key with a typing mistake is often missing under its right name too; the mistake is the cause.
        first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
        where = tuple(str(part) for part in first["loc"])
        raise _mistake(path, text, where, _words_of(first)) from exc
    _check_apps(path, text, parsed)
    places: dict[tuple[str, ...], ProjectFile | AppTable] = {("apps", name): app for name, app in parsed.apps.items()}
    for place, said in {(): parsed, **places}.items():
        _check_env(path, text, place, said.env)
        _check_secrets(path, text, place, said.build)
        _check_proxy(path, text, place, said.dev.proxy)
    return parsed.but(path=path)


def proxy_rules(file: ProjectFile) -> tuple[ProxyRule, ...]:
    """`[dev.proxy]` as a project's settings have it."""
    return tuple(ProxyRule(path=path, to=to) for path, to in file.dev.proxy.items())


def _words_of(error: Any) -> str:
    return "unknown key" if error["type"] == "extra_forbidden" else str(error["msg"]).lower()


def _mistake(path: str, text: str, where: tuple[str, ...], what: str) -> Exception:
    # Alternatives of a union are named behind the key; people wrote the key.
    keys = tuple(part for part in where if not part.startswith(("tuple[", "str", "function-")) or part in text)
    name = ".".join(keys)
    line = line_of(text, keys) or line_of(text, keys[:-1])
    near = difflib.get_close_matches(keys[-1], known_keys(keys[:-1]), n=1) if what == "unknown key" else []
    known = ", ".join(known_keys(keys[:-1]))
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return config_error(
        f"{path}: {what} {name!r}{guess}" if what == "unknown key" else f"{path}: {name}: {what}",
        hint=f"the keys here are {known}" if what == "unknown key" else f"correct {name} in {path}",
        file=path,
        line=line,
        excerpt=line_at(text, line) if line else None,
    )


def known_keys(table: tuple[str, ...]) -> list[str]:
    """The keys of a table of the file, as they are written."""
    model: Any = ProjectFile
    if table[:1] == ("apps",):
        if len(table) == 1:
            return []
        model, table = AppTable, table[2:]
    for name in table:
        if name.isdigit():
            continue
        model = {
            "build": BuildTable,
            "routing": RoutingTable,
            "limits": LimitsTable,
            "redirects": RedirectEntry,
            "headers": HeaderEntry,
            "dev": DevTable,
        }.get(name, model)
    return [field.alias or name for name, field in model.model_fields.items() if not field.exclude]


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """The 1-based line on which a key stands. Good enough for files that people write; None when it is not found."""
    names = [key for key in keys if not key.isdigit()]
    wanted = int(next((key for key in keys if key.isdigit()), "0"))
    table: list[str] = []
    seen = -1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?", line):
            table = [part.strip().strip("\"'") for part in header[1].split(".")]
            seen += table == names[: len(table)] and line.lstrip().startswith("[[")
            if table == names and seen in (-1, wanted):
                return number
            continue
        found = _KEY.match(line)
        here = [*table, *(part.strip("\"'") for part in _KEY_PART.findall(found[1]))] if found else []
        if here and (names[: len(here)] == here or here[: len(names)] == names) and seen in (-1, wanted):
            return number
    return None


def _check_apps(path: str, text: str, file: ProjectFile) -> None:
    names = ", ".join(sorted(file.apps)[:_APPS])
    if len(file.apps) > _APPS:
        raise _mistake(path, text, ("apps",), f"declares more than {_APPS} apps")
    if odd := next((name for name in file.apps if not _APP_NAME.fullmatch(name)), None):
        raise _mistake(path, text, ("apps", odd), "is not a name: a letter, then letters, digits, - and _, 40 at most")
    if file.apps and file.root is not None:
        raise _mistake(path, text, ("root",), f"has no meaning beside [apps]: each of {names} has a root of its own")
    if file.app is not None and file.app not in file.apps:
        known = f"declared are {names}" if names else "none is declared: write [apps.NAME] with its root"
        raise _mistake(path, text, ("app",), f"{file.app[:60]!r} is no app of this file; {known}")


def _check_proxy(path: str, text: str, place: tuple[str, ...], proxy: dict[str, str]) -> None:
    if len(proxy) > _PROXY_RULES:
        raise _mistake(path, text, (*place, "dev", "proxy"), f"has more than {_PROXY_RULES} rules")
    for below, to in proxy.items():
        try:
            ProxyRule(path=below, to=to)
        except ValidationError as exc:
            what = (
                "is not a path such as /api/"
                if exc.errors()[0]["loc"] == ("path",)
                else f"{to!r} is not an address such as http://127.0.0.1:8000"
            )
            raise _mistake(path, text, (*place, "dev", "proxy", below), what) from exc


def _check_secrets(path: str, text: str, place: tuple[str, ...], build: BuildTable) -> None:
    for key, names in (("secrets", build.secrets), ("install_secrets", build.install_secrets)):
        if len(names) > MOST:
            raise _mistake(path, text, (*place, "build", key), f"names more than {MOST} secrets")
        if odd := next((name for name in names if not is_name(name)), None):
            raise _mistake(path, text, (*place, "build", key), f"{odd!r} can't be the name of a secret")


def _check_env(path: str, text: str, place: tuple[str, ...], env: dict[str, str]) -> None:
    for name, value in env.items():
        if not _ENV_NAME.fullmatch(name) or len(name) > 256:
            raise _mistake(path, text, (*place, "env", name), "is not a name for a variable")
        if "\0" in value:
            raise _mistake(path, text, (*place, "env", name), "must not hold a NUL byte")
    if sum(len(name) + len(value.encode()) for name, value in env.items()) > _ENV_BYTES:
        raise _mistake(path, text, (*place, "env"), f"holds more than {_ENV_BYTES // 1024} KiB")
