"""What is built, and who owns it."""

import re
import unicodedata
from typing import Literal

from pydantic import Field

from headrace.model.limits import NetworkPhase
from headrace.model.preview import Protection
from headrace.model.value import Value
from headrace.model.version import Source

#: A slug is a DNS label, so that it can be a host name.
SLUG_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"

#: Labels that would shadow the dashboard or are confusing in a host name.
RESERVED_SLUGS = frozenset({"api", "www", "app", "admin", "dashboard", "localhost", "preview", "static", "assets"})


class LimitOverrides(Value):
    """Limits of a project. Unset ones are the operator's; none may pass the operator's maximum."""

    clone_seconds: float | None = Field(default=None, gt=0)
    install_seconds: float | None = Field(default=None, gt=0)
    build_seconds: float | None = Field(default=None, gt=0)
    memory_bytes: int | None = Field(default=None, gt=0)
    cpus: float | None = Field(default=None, gt=0)
    disk_bytes: int | None = Field(default=None, gt=0)
    log_bytes: int | None = Field(default=None, gt=0)


class PreviewSettings(Value):
    #: `auto`: a warm build where the framework has one, else its development server.
    mode: Literal["auto", "build", "dev"] = "auto"
    protection: Protection = Protection.PUBLIC
    #: How the password is kept (argon2id); None without one.
    password_hash: str | None = None


class ProxyRule(Value):
    """Requests below `path` go to another server of this machine: `/api/` to `http://127.0.0.1:8000`."""

    path: str = Field(pattern=r"^/[A-Za-z0-9._~/-]*$", max_length=200)
    to: str = Field(pattern=r"^http://[A-Za-z0-9.\[\]:-]+$", max_length=200)


class ProjectSettings(Value):
    #: The directory inside the version that holds the project; `""` is the root.
    root: str = ""
    #: Which of the repository's apps it is; None where there is one, or the repository says which is meant.
    app: str | None = Field(default=None, min_length=1, max_length=214)
    limits: LimitOverrides = LimitOverrides()
    build_network: NetworkPhase = NetworkPhase.NONE
    #: Variables of the build. Part of the result's key by name and digest.
    env: dict[str, str] = Field(default_factory=dict)
    preview: PreviewSettings = PreviewSettings()
    #: For development on one machine, where the page and its API shall have one origin.
    proxy: tuple[ProxyRule, ...] = Field(default=(), max_length=20)


class Project(Value):
    id: str
    workspace: str
    name: str
    slug: str
    source: Source | None = None
    settings: ProjectSettings = ProjectSettings()
    created_at: str


def slug_from(name: str) -> str:
    """A slug for a name that people chose: ASCII letters, digits and single dashes; `project` if nothing is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:40].strip("-")
    return slug if slug and slug not in RESERVED_SLUGS else f"{slug or 'project'}-1"
