"""What clients may send. Unknown fields are refused, and numbers are numbers: nothing is guessed."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from headrace.model.build import BuildOptions
from headrace.model.digest import Digest
from headrace.model.ids import is_id
from headrace.model.limits import NetworkPhase
from headrace.model.preview import Protection
from headrace.model.project import RESERVED_SLUGS, SLUG_PATTERN, ProjectSettings, ProxyRule
from headrace.model.secret import MOST_BYTES
from headrace.model.version import BucketSource, DirectorySource, GitSource, VersionSource

#: A sync waits no longer for the preview: its `Idempotency-Key` would be taken for abandoned.
MOST_WAIT_SECONDS = 100.0
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
ProjectSource = Annotated[DirectorySource | GitSource | BucketSource | VersionSource, Field(discriminator="kind")]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def every_body() -> list[type[BaseModel]]:
    """Everything that routes read from bodies themselves, of which FastAPI sees nothing, and its parts."""
    found: list[type[_Request]] = [_Request]
    for model in found:
        found += model.__subclasses__()
    return list(found[1:])


class NewProject(_Request):
    name: Name
    slug: Slug | None = Field(default=None, description="Made from the name when it is missing.")
    source: ProjectSource | None = None
    from_git: GitSource | None = Field(
        default=None, description="Copied into the bucket that is the source, before this is answered."
    )
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
    app: str | None = None
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


class SyncAuthor(_Request):
    kind: Literal["user", "agent"] = "agent"
    name: str = Field(default="unknown", min_length=1, max_length=200)


class SyncFile(_Request):
    """One file: with `content`, or with the `digest` of bytes that the project has had, or with `delete`."""

    path: str = Field(description="Relative to the project's root, with slashes.")
    content: str | None = Field(default=None, description="The whole file. With a `digest`, that one must be its own.")
    encoding: Literal["utf-8", "base64"] = "utf-8"
    digest: Digest | None = None
    delete: bool = Field(default=False, description="Deleting what isn't there is no mistake.")
    executable: bool | None = Field(default=None, description="Null: as it is; a new file is not.")

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given = self.content is not None or self.digest is not None
        if given == self.delete or (self.delete and self.executable is not None):
            raise PydanticCustomError("file.ambiguous", "give either content or a digest, or delete the file")
        return self


class ChangedPath(_Request):
    """A file that changed in the project's bucket."""

    path: str
    type: Literal["frontend", "backend"] | None = Field(
        default=None, description="Part of the project that `path` belongs to; put in front of a path that lacks it."
    )


class ProjectSyncRequest(_Request):
    """Changed files, with their content (`files`), or only named (`changed_files`): the server fetches those from the bucket."""

    project_id: str | None = Field(default=None, max_length=40, description="The project of the address, if given.")
    base_version: str | None = Field(
        default=None,
        max_length=40,
        description="The version that the change was made on. What others changed since is merged. Null: no merge.",
    )
    message: str = Field(default="", max_length=4000)
    author: SyncAuthor = SyncAuthor()
    wait: bool = Field(default=False, description="Answer when the preview shows the change, or has failed at it.")
    timeout: float = Field(default=30.0, ge=0, le=MOST_WAIT_SECONDS, description="Seconds to wait.")
    files: tuple[SyncFile, ...] | None = None
    changed_files: tuple[ChangedPath, ...] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.files is None) == (self.changed_files is None):
            raise PydanticCustomError("sync.form", "give either files or changed_files")
        return self


class SyncRequest(ProjectSyncRequest):
    project_id: str = Field(max_length=40)


def _checked_value(value: str) -> str:
    if len(value.encode()) > MOST_BYTES:
        raise PydanticCustomError("secret.too_large", "a secret has at most {most} bytes", {"most": MOST_BYTES})
    return value


class NewSecret(_Request):
    value: Annotated[str, AfterValidator(_checked_value)] = Field(
        min_length=1, max_length=MOST_BYTES, description="Kept sealed, and never shown again."
    )


class RevokeRequest(_Request):
    build: str = Field(max_length=40, description="Whose layers and results are taken out.")


class PruneRequest(_Request):
    bytes: int | None = Field(
        default=None, ge=0, le=2**53, description="Budget to come down to; null is the configured one."
    )
