"""What the API shows of things: the model's values, and where they are reached."""

from dataclasses import asdict
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from headrace.model.artifact import Manifest
from headrace.model.build import Build, NetworkUse, WaitReason
from headrace.model.change import FileDelta
from headrace.model.diagnostic import Diagnostic
from headrace.model.digest import Digest
from headrace.model.event import CacheDecision
from headrace.model.preview import PreviewState
from headrace.model.project import Project
from headrace.model.secret import Secret
from headrace.model.version import Version
from headrace.pipeline.admission import Standing, standings
from headrace.pipeline.deploy import build_label
from headrace.pipeline.services import Services
from headrace.source.base import SourceFile
from headrace.treediff import ChangeKind, Hunk

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list, newest first."""

    items: list[Item]
    next_cursor: str | None = Field(description="Give it as `cursor` to get the next page; null on the last one.")


class ProjectView(Project):
    #: Where the project's active deployment is reached; null when this server serves no sites.
    url: str | None = Field(default=None, description="Address of the project's active deployment.")


class WaitingView(BaseModel):
    """How a build stands that waits, as things are now."""

    ahead: int | None = Field(
        description="How many builds are started before it; null when they are too many to count."
    )
    reason: WaitReason | None = Field(
        description="What the first of the line waits for; null when it starts in a moment."
    )
    message: str


class BuildView(Build):
    url: str | None = Field(default=None, description="Address of this build's own artifact.")
    waiting: WaitingView | None = Field(default=None, description="Of a queued build: why it does not run yet.")


class BucketView(BaseModel):
    url: str = Field(description="The project's source; its files are below `{url}/{id of the project}/`.")
    files: list[SourceFile]


class VersionView(Version):
    #: The difference to the parent, or to the version that was asked for with `against`.
    unified_diff_text: str | None = None
    #: Version that the difference starts from; null for an empty tree.
    against: str | None = None


class SyncView(BaseModel):
    """What came of a sync. `error`: the version is there, and its preview can't be made; `diagnostics` say why."""

    status: Literal["no_changes", "building", "ready", "error"]
    version: str | None = Field(description="The project's newest version; null when it has none.")
    changes: list[FileDelta] = Field(default=[], description="How it differs from the version before, by path.")
    merged: bool = Field(default=False, description="It also holds what others changed since the base version.")
    url: str | None = Field(default=None, description="Address of the project's preview.")
    preview: PreviewState | None = None
    seconds: float | None = Field(default=None, description="From the request to `ready` or `error`.")
    served_version: str | None = None
    diagnostics: list[Diagnostic] = []


class FileView(BaseModel):
    path: str
    digest: Digest | None = Field(description="SHA-256 of the file; null for a symbolic link.")
    size: int
    executable: bool = False
    link: str | None = Field(default=None, description="Target of a symbolic link.")


class FilesView(BaseModel):
    """The files of a project's newest version, by path."""

    version: str | None
    files: list[FileView]


class FileDiffView(BaseModel):
    change: ChangeKind
    before: Digest | None = None
    after: Digest | None = None
    renamed_from: str | None = None
    executable: bool | None = Field(default=None, description="As it is now, when that changed.")
    omitted: Literal["binary", "too_large", "cut"] | None = Field(default=None, description="Why there are no hunks.")
    hunks: list[Hunk] = []


class ChangesView(BaseModel):
    version: str
    against: str | None = Field(description="Version that the difference starts from; null for an empty tree.")
    code_diff: dict[str, FileDiffView] = Field(description="By path.")


class ManifestView(Manifest):
    digest: Digest


class CacheDecisions(BaseModel):
    items: list[CacheDecision]


class NetworkView(BaseModel):
    items: list[NetworkUse]


class LayerView(BaseModel):
    """One entry of the layer cache."""

    digest: Digest
    kind: str = Field(description="`dependencies`, `tool`, or `packages`: all that installs of one trust scope share")
    bytes: int
    files: int
    scope: str = Field(description="Whose builds may use it.")
    made_by: str | None = Field(default=None, description="The build that made it; null for packages.")
    seconds: float | None = Field(default=None, description="What making it took.")
    created_at: str
    used_at: str


class CacheView(BaseModel):
    items: list[LayerView]
    bytes: int
    budget_bytes: int


class SecretsView(BaseModel):
    items: list[Secret]


class PruneResult(BaseModel):
    removed: list[Digest]
    packages: int = Field(default=0, description="Packages that installs shared.")
    freed_bytes: int


def project_view(services: Services, project: Project) -> ProjectView:
    settings = project.settings
    if settings.preview.password_hash is not None:
        hidden = settings.preview.but(password_hash="set")  # noqa: S106 - says that there is one
        project = project.but(settings=settings.but(preview=hidden))
    return ProjectView(**_fields(project), url=services.public.site(project.slug))


async def build_view(services: Services, build: Build) -> BuildView:
    return (await build_views(services, [build]))[0]


async def build_views(services: Services, shown: list[Build]) -> list[BuildView]:
    waiting = await standings(services, shown)
    return [_build_view(services, build, waiting.get(build.id)) for build in shown]


def _build_view(services: Services, build: Build, stands: Standing | None) -> BuildView:
    deployed = build.artifact is not None and build.deployment_id is not None
    return BuildView(
        **_fields(build),
        url=services.public.site(build_label(build.id)) if deployed else None,
        waiting=WaitingView(**asdict(stands)) if stands else None,
    )


def _fields(value: BaseModel) -> dict[str, object]:
    return {name: getattr(value, name) for name in type(value).model_fields}
