"""A build as data: what will be run, with which tools, in which order, and why."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from headrace.model.digest import Digest
from headrace.model.limits import Limits, NetworkPhase
from headrace.model.value import Value


class StepId(StrEnum):
    SOURCE = "source"
    PLAN = "plan"
    DEPENDENCIES = "dependencies"
    BUILD = "build"
    VERIFY = "verify"
    ARTIFACT = "artifact"
    DEPLOY = "deploy"


class Tool(Value):
    """One tool chain that is mounted read-only into the sandbox, with its exact version."""

    name: Literal["node", "npm", "pnpm", "yarn", "bun"]
    version: str
    #: Integrity that the project pinned (`sha512.<hex>` of `packageManager`), checked when the tool is fetched.
    integrity: str | None = None


class Choice(Value):
    """One decision of the planner. `source` is the file or default that decided."""

    subject: str
    value: str
    why: str
    source: str = ""


class Ignored(Value):
    """A setting that was found and has no effect here."""

    source: str
    setting: str
    why: str


class PlannedCommand(Value):
    """What one step runs. `argv` is executed as it is, without a shell of Headrace's own."""

    argv: tuple[str, ...]
    #: Relative to the root of the version; `""` is the root.
    directory: str = ""
    #: Added to the environment of the sandbox.
    env: dict[str, str] = Field(default_factory=dict)
    #: Names of the project's secrets that this command, and no other, gets as variables.
    secrets: tuple[str, ...] = ()
    network: NetworkPhase = NetworkPhase.NONE
    limits: Limits = Limits()


class Install(Value):
    """How dependencies become a layer."""

    command: PlannedCommand
    #: Files of the version that the command may see; nothing else is there, so nothing else can change the result.
    inputs: tuple[str, ...]
    #: Digests of the parts of manifests that installs read. In a layer's key they stand for the whole files.
    manifests: tuple["KeyInput", ...] = ()
    #: Directories that make the layer, relative to the root of the version.
    outputs: tuple[str, ...] = ("node_modules",)


class HeaderRule(Value):
    """Headers of the answers to paths that match. Paths are those of `RedirectRule`."""

    path: str
    headers: tuple[tuple[str, str], ...]


class RedirectRule(Value):
    """
    What a path answers: `/old`, `/blog/:slug` (one segment), `/docs/*` (all that follows).

    `to` may use the names and `:splat`. A status of 3xx redirects, 200 and 404 answer with the file at `to`.
    """

    path: str
    to: str
    status: int = 301
    #: The rule counts even where a file has the path.
    force: bool = False
    #: Parameters that the query must have; a value `:name` takes any, for `to`.
    query: tuple[tuple[str, str], ...] = ()


class Routing(Value):
    """How a static artifact answers requests."""

    #: Unknown paths answer `index.html` with 200.
    spa: bool = False
    #: `/about` answers `about.html`, and `/about.html` redirects to it.
    clean_urls: bool = True
    #: Whether the address of a page ends in a slash. None: that of `about/index.html` does, that of `about.html` does not.
    trailing_slash: bool | None = None
    #: The file that answers unknown paths with 404.
    not_found: str | None = None
    redirects: tuple[RedirectRule, ...] = ()
    headers: tuple[HeaderRule, ...] = ()


class Refused(Value):
    """Why a planned project is not built: a reason of `FailureReason`, its words, and the place when there is one."""

    reason: str
    message: str
    hint: str
    file: str | None = None
    line: int | None = None


class BuildPlan(Value):
    """
    Everything that decides what a build does. Two equal plans over equal trees make the same artifact.

    A plan is made without running anything and can be stored, printed and replayed.
    """

    framework: str
    kind: Literal["static", "server"] = "static"
    #: The project's root directory inside the version; `""` is the root.
    root: str = ""
    #: Which of the apps that `headrace.toml` declares it is, and all of them with their directories.
    app: str | None = None
    apps: dict[str, str] = Field(default_factory=dict)
    package_manager: Literal["npm", "pnpm", "yarn", "bun"] | None = None
    tools: tuple[Tool, ...] = ()
    install: Install | None = None
    build: PlannedCommand | None = None
    #: The project's development server, for previews. It has no part in what a build makes.
    dev: PlannedCommand | None = None
    #: Set for projects that are understood, and can be previewed or explained, but not built here.
    refused: Refused | None = None
    #: Directories in which the project's tools keep what makes their next run faster, relative to the root of the version.
    caches: tuple[str, ...] = ()
    #: Where the build leaves its result, relative to the root of the version.
    output: str
    #: Other directories to look at when `output` isn't there.
    output_candidates: tuple[str, ...] = ()
    routing: Routing = Routing()
    choices: tuple[Choice, ...] = ()
    ignored: tuple[Ignored, ...] = ()


class KeyInput(Value):
    """One named input of a cache key. A variable is named, its value is only digested."""

    name: str
    digest: Digest


class CacheKey(Value):
    """A key and what went into it, in a fixed order."""

    digest: Digest
    inputs: tuple[KeyInput, ...]
