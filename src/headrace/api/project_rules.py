"""What a project may ask for on this server, checked when it is asked and not when it is built."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import PurePosixPath

from headrace.api.problems import InvalidRequest, ProblemDetail
from headrace.errors import InvalidInput
from headrace.model.preview import Protection
from headrace.model.project import Project, ProjectSettings
from headrace.model.version import BucketSource, DirectorySource, GitSource, Source
from headrace.settings import Settings
from headrace.source.bucket import check_bucket_source
from headrace.source.git import check_git_source, split_credential

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_ENV_VALUE_BYTES = 32 * 1024
_ENV_BYTES = 128 * 1024


def check_source(source: Source, server: Settings) -> None:
    """Raises InvalidInput. Asks nobody and reads no file."""
    if isinstance(source, DirectorySource):
        _check_directory(source, server)
    elif isinstance(source, BucketSource):
        check_bucket_source(source, server)
    elif isinstance(source, GitSource):
        if split_credential(source.url)[1] is not None:
            raise InvalidInput(
                "the URL holds a credential, which would be stored and shown",
                code="source.credential_in_url",
                field="/source/url",
                hint="use a repository that needs none, or upload the code",
            )
        check_git_source(source, server)


def check_origin(origin: GitSource, source: Source | None, server: Settings) -> BucketSource:
    """The bucket that a new project's repository is copied to. Raises InvalidInput."""
    try:
        check_source(origin, server)
    except InvalidInput as exc:
        exc.field = "/from_git/url"
        raise
    if not isinstance(source, BucketSource):
        raise InvalidInput(
            "only a project whose source is a bucket can be begun as a copy of a repository",
            code="from_git.needs_bucket",
            field="/from_git",
            hint='for every other one: "source": {"kind": "git", "url": …}',
        )
    return source


def with_root(project: Project) -> Project:
    """Beside its two parts a bucket has nothing: without a word about it a project is its `frontend/`."""
    if not isinstance(project.source, BucketSource) or project.settings.root:
        return project
    return project.but(settings=project.settings.but(root="frontend"))


def check_settings(wanted: ProjectSettings, server: Settings) -> None:
    """Raises InvalidRequest with everything that is wrong."""
    if wrong := [*_limits(wanted, server), *_environment(wanted), *_root(wanted)]:
        raise InvalidRequest(wrong)


def check_protection(wanted: ProjectSettings) -> None:
    """Raises InvalidInput for a preview that nobody could enter."""
    preview = wanted.preview
    if preview.protection is Protection.PASSWORD and preview.password_hash is None:
        raise InvalidInput(
            "a preview that asks for a password needs one",
            code="preview.password_missing",
            field="/settings/preview/password",
            hint="send protection and password in one PATCH",
        )


def _check_directory(source: DirectorySource, server: Settings) -> None:
    # A directory of this machine is the operator's to show. Whoever can reach a loopback server with its token is here.
    if not _is_loopback(server.host):
        raise InvalidInput(
            "directories of the server are no sources of a server that others can reach",
            code="source.directory_forbidden",
            field="/source/path",
            hint="upload the code: POST /projects/{id}/versions",
        )
    path = PurePosixPath(source.path)
    if not path.is_absolute() or ".." in path.parts:
        raise InvalidInput("the directory's path is not absolute", code="source.path_invalid", field="/source/path")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _limits(wanted: ProjectSettings, server: Settings) -> Iterator[ProblemDetail]:
    for name in type(wanted.limits).model_fields:
        value, most = getattr(wanted.limits, name), getattr(server, name)
        if value is not None and value > most:
            said = f"{value:g} is more than this server's maximum, {most:g}"
            yield ProblemDetail(pointer=f"/settings/limits/{name}", code="limit.too_high", message=said)


def _environment(wanted: ProjectSettings) -> Iterator[ProblemDetail]:
    total = 0
    for name, value in wanted.env.items():
        size = len(value.encode())
        total += len(name) + size
        pointer = f"/settings/env/{name[:130]}"
        if not _ENV_NAME.fullmatch(name):
            said = "a variable's name is a letter or _, then letters, digits and _, 128 at most"
            yield ProblemDetail(pointer=pointer, code="env.invalid", message=said)
        if size > _ENV_VALUE_BYTES:
            said = f"a variable's value has at most {_ENV_VALUE_BYTES} bytes"
            yield ProblemDetail(pointer=pointer, code="env.too_large", message=said)
    if total > _ENV_BYTES:
        said = f"all variables together have at most {_ENV_BYTES} bytes"
        yield ProblemDetail(pointer="/settings/env", code="env.too_large", message=said)


def _root(wanted: ProjectSettings) -> Iterator[ProblemDetail]:
    path = PurePosixPath(wanted.root)
    odd = any(ord(character) < 32 or character == "\\" for character in wanted.root)
    if path.is_absolute() or ".." in path.parts or odd or len(wanted.root) > 1024:
        said = "the root directory is relative to the version's root and stays inside it"
        yield ProblemDetail(pointer="/settings/root", code="config.workdir_invalid", message=said)
