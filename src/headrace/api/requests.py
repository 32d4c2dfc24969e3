"""What clients may send. Unknown fields are refused, and numbers are numbers: nothing is guessed."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from headrace.model.build import BuildOptions
from headrace.model.ids import is_id
from headrace.model.limits import NetworkPhase
from headrace.model.preview import Protection
from headrace.model.project import RESERVED_SLUGS, SLUG_PATTERN, ProjectSettings, ProxyRule
from headrace.model.version import DirectorySource, GitSource, VersionSource

#: Longer than any name that somebody reads.
NAME_CHARACTERS = 200

_SLUG = re.compile(SLUG_PATTERN)


def _checked_name(name: str) -> str:
    if len(name) > NAME_CHARACTERS:
        raise PydanticCustomError("name.too_long", "a name has at most {most} characters", {"most": NAME_CHARACTERS})
    if not name.strip():
        raise PydanticCustomError("name.empty", "a name needs a character that can be seen")
    return name


def _checked_slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug) or slug.startswith("xn--"):
        said = "a slug is 1 to 63 of a-z, 0-9 and inner dashes, because it becomes a host name"
        raise PydanticCustomError("slug.invalid", said)
    # A build's own address is its id: a project must not be able to stand there first.
    if slug in RESERVED_SLUGS or is_id(f"build_{slug}"):
        raise PydanticCustomError("slug.reserved", "this slug is reserved")
    return slug


Name = Annotated[
    str,
    AfterValidator(_checked_name),
    Field(json_schema_extra={"minLength": 1, "maxLength": NAME_CHARACTERS, "pattern": r"\S"}),
]
Slug = Annotated[str, AfterValidator(_checked_slug), Field(json_schema_extra={"pattern": SLUG_PATTERN})]
#: An archive has no place among them: code that is not fetched is uploaded as a version.
ProjectSource = Annotated[DirectorySource | GitSource | VersionSource, Field(discriminator="kind")]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewProject(_Request):
    name: Name
    slug: Slug | None = Field(default=None, description="Made from the name when it is missing.")
    source: ProjectSource | None = None
    settings: ProjectSettings = ProjectSettings()


class LimitsChange(_Request):
    clone_seconds: float | None = None
    install_seconds: float | None = None
    build_seconds: float | None = None
    memory_bytes: int | None = None
    cpus: float | None = None
    disk_bytes: int | None = None
    log_bytes: int | None = None


class PreviewChange(_Request):
    mode: Literal["auto", "build", "dev"] | None = None
    protection: Protection | None = None
    password: str | None = Field(
        default=None, min_length=8, max_length=200, description="Kept as a hash, and never shown again."
    )


class SettingsChange(_Request):
    root: str | None = None
    limits: LimitsChange | None = None
    build_network: NetworkPhase | None = None
    env: dict[str, str | None] | None = None
    preview: PreviewChange | None = None
    proxy: tuple[ProxyRule, ...] | None = Field(default=None, max_length=20)


class ProjectChange(_Request):
    """A JSON merge patch (RFC 7396): what is not named stays, null takes away or goes back to the default."""

    name: Name = Field(default_factory=str)
    slug: Slug = Field(default_factory=str)
    source: ProjectSource | None = None
    settings: SettingsChange = SettingsChange()


class BuildRequestOptions(BuildOptions):
    executor: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]{0,39}$", description="One that isolates.")
    seconds: float | None = Field(default=None, gt=0, le=86_400, description="Time limit of the whole build.")
    wait: bool = Field(default=False, description="Answer when the build has ended.")


class BuildRequest(_Request):
    version: str | None = Field(
        default=None, max_length=40, description="Null: what the project's source holds now, or its newest version."
    )
    stream: bool = Field(default=False, description="Answer with the build's events until its end.")
    options: BuildRequestOptions = BuildRequestOptions()


class NewLink(_Request):
    seconds: int = Field(default=3600, ge=1, le=30 * 86400, description="How long the link counts.")
    path: str = Field(
        default="/", max_length=1000, pattern=r"^/([^/\s\\][^\s\\]*)?$", description="Page that it opens."
    )


class PruneRequest(_Request):
    bytes: int | None = Field(
        default=None, ge=0, le=2**53, description="Budget to come down to; null is the configured one."
    )
