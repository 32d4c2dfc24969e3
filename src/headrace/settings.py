"""The only reader of the environment and of `headrace-server.toml`. Read once, checked, frozen."""

import os
import secrets
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from headrace.errors import InvalidSetting
from headrace.model.bucket import BucketAccess
from headrace.model.limits import GIB, MIB

PREFIX = "HEADRACE_"


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "headrace"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


#: Several names; in a variable with commas between them.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Settings of a server or of a build without one. Each is `HEADRACE_<NAME>` or a key of `headrace-server.toml`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", toml_file="headrace-server.toml", env_nested_delimiter="__"
    )

    data_dir: Path = Field(default_factory=_default_data_dir, description="Where Headrace keeps everything it stores.")
    host: str = Field(default="127.0.0.1", description="Address that `headrace serve` listens on.")
    port: int = Field(
        default=7700, ge=0, le=65535, description="Port that `headrace serve` listens on; 0 takes a free one."
    )
    sites_domain: str = Field(default="localhost", description="Sites answer at `{slug}.{sites_domain}`.")
    hosts: Names = Field(
        default=(), description="More host names that the API answers to, beside `localhost` and addresses."
    )
    token: str | None = Field(
        default=None, min_length=32, description="API token. Without it one is made and kept in the data directory."
    )
    executor: str = Field(
        default="oci", description="Executor of builds: `oci`, `docker`, or `process` (no isolation)."
    )
    accept_weaker_sandbox: Names = Field(
        default=(),
        description="Controls that a sandbox may lack on this machine, such as `H32,H52`: see [security.md](security.md). Without it, an executor that lacks one is refused.",
    )
    oci_runtime: str | None = Field(default=None, description="`runc` or `crun`. Without it the first that works.")
    docker_host: str | None = Field(
        default=None,
        description="Socket of the engine of the executor `docker`. Without it Docker's, `/run/docker.sock`, then Podman's.",
    )
    docker_image: str = Field(
        default="node:{version}-alpine",
        description="Image of the executor `docker`. `{version}` is the version of Node; then Node is the image's own.",
    )
    safe_mode: bool = Field(default=False, description="Refuse to run any project's code.")
    builds_at_once: int = Field(
        default=2,
        ge=1,
        le=256,
        description="Builds that run at the same time, of all processes with this data directory.",
    )
    builds_memory_bytes: int = Field(
        default_factory=lambda: os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4,
        ge=64 * MIB,
        description="Memory of running builds, together with what warm previews hold; a build that would not fit waits.",
    )
    npm_registry: str = Field(
        default="https://registry.npmjs.org", description="Where npm packages and Node come from."
    )
    registry_hosts: Names = Field(
        default=("registry.npmjs.org", "registry.npmjs.com", "registry.yarnpkg.com", "npm.jsr.io"),
        description="Hosts that an install step may reach, at whatever address they resolve to.",
    )
    debian_mirror: str = Field(
        default="http://deb.debian.org/debian", description="Where the sandbox's base system comes from."
    )
    git_hosts: Names = Field(
        default=(), description="Git hosts that may be at a private address. Every other one must be on the internet."
    )
    ca_file: Path | None = Field(
        default_factory=lambda: Path(os.environ["SSL_CERT_FILE"]) if os.environ.get("SSL_CERT_FILE") else None,
        description="Certificates that outgoing connections trust; `SSL_CERT_FILE` without it, then the system's.",
    )
    buckets: dict[str, BucketAccess] = Field(
        default={},
        description="Object storage that projects may have their source in: `HEADRACE_BUCKETS__{NAME}__URL` and more, see [buckets.md](buckets.md).",
    )
    allow_file_urls: bool = Field(default=False, description="Allow `file://` git sources. For tests on one machine.")
    clone_seconds: float = Field(default=300, gt=0, description="Time limit of fetching a source.")
    install_seconds: float = Field(default=1800, gt=0, description="Time limit of installing dependencies.")
    build_seconds: float = Field(default=3600, gt=0, description="Time limit of a build command.")
    memory_bytes: int = Field(default=4 * GIB, ge=64 * MIB, description="Memory of a sandbox; there is no swap.")
    cpus: float = Field(
        default_factory=lambda: float(os.cpu_count() or 1), gt=0, description="Processors of a sandbox."
    )
    disk_bytes: int = Field(default=8 * GIB, ge=MIB, description="Bytes that a sandbox may write.")
    network_bytes: int = Field(
        default=20 * GIB, ge=MIB, description="Bytes that one command may move over the network, in both directions."
    )
    network_upload_bytes: int = Field(
        default=64 * MIB,
        ge=1024,
        description="Bytes of those that an install may send: it asks, and has nothing to tell.",
    )
    network_connections: int = Field(
        default=20_000, ge=1, description="Connections of one command, those that are refused included."
    )
    disk_files: int = Field(default=2_000_000, ge=100, description="Files that a sandbox may make.")
    disk_io_bytes: int | None = Field(
        default=None,
        ge=MIB,
        description="Bytes a second that a sandbox may read from disks, and write to them. Version 1 of control groups limits only direct writes.",
    )
    log_bytes: int = Field(
        default=256 * MIB,
        ge=1024,
        description="Bytes of output that a command's log keeps; the last MiB of them is of its end.",
    )
    upload_bytes: int = Field(default=512 * MIB, ge=1024, description="Largest upload, packed and unpacked.")
    upload_files: int = Field(default=100_000, ge=1, description="Most files of a version.")
    output_bytes: int = Field(default=2 * GIB, ge=1024, description="Largest output of a build.")
    output_files: int = Field(default=200_000, ge=1, description="Most files of a build's output.")
    cache_bytes: int = Field(
        default=20 * GIB,
        ge=MIB,
        description="Budget of layers, shared packages and results; the least recently used go first.",
    )
    preview_memory_bytes: int = Field(
        default_factory=lambda: os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2,
        ge=256 * MIB,
        description="Memory of all warm previews together; the one that was used least recently goes to sleep first.",
    )
    preview_sandbox_bytes: int = Field(default=2 * GIB, ge=64 * MIB, description="Memory of one warm preview.")
    preview_output_bytes: int = Field(
        default=256 * MIB, ge=1024, description="Largest page of a preview in mode build."
    )
    preview_log_bytes: int = Field(
        default=16 * MIB, ge=1024, description="Bytes of output that a warm preview's log keeps."
    )
    preview_idle_seconds: float = Field(
        default=900, gt=0, description="A preview that nobody visits or changes this long goes to sleep."
    )
    proxy_hosts: Names = Field(
        default=("127.0.0.1", "localhost", "[::1]"),
        description="Hosts that a project's proxy rules may lead visitors to.",
    )
    lease_seconds: float = Field(default=20, gt=1, description="A worker that is silent this long loses its builds.")
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="Least severe log line.")

    secret_names: ClassVar[tuple[str, ...]] = ("token",)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - given by keyword
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def read_settings(**given: object) -> Settings:
    """
    Settings from `given`, the environment and the file, in this order. Raises InvalidSetting, which names the variable.

    A variable with our prefix that is no setting is an error: a typing mistake must not become a default.
    """
    client_only = {"URL", "PROJECT"}
    known = {name.upper() for name in Settings.model_fields} | client_only
    unknown = sorted(
        n for n in os.environ if n.startswith(PREFIX) and n.removeprefix(PREFIX).split("__")[0] not in known
    )
    if unknown:
        raise InvalidSetting(f"unknown setting: {', '.join(unknown)}", hint="see docs/configuration.md for the names")
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except tomllib.TOMLDecodeError as exc:
        raise InvalidSetting(f"headrace-server.toml: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        name = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
        raise InvalidSetting(f"{name}: {first['msg']}", hint="see docs/configuration.md") from exc


def server_url() -> str | None:
    """`HEADRACE_URL`: the server that the command line talks to, if not the one of this data directory."""
    return os.environ.get(PREFIX + "URL") or None


def server_secret(settings: Settings) -> bytes:
    """
    What this server signs and seals with, kept in the data directory, made on first use. With another one all signed links are
    worthless, and no sealed value can be opened.
    """
    return _kept(settings.data_dir / "secret", secrets.token_bytes(32))


def api_token(settings: Settings) -> str:
    """The API token: the configured one, or the one kept in the data directory, made on first use with mode 0600."""
    return (
        settings.token
        or _kept(settings.data_dir / "token", f"hr_api_{secrets.token_urlsafe(32)}".encode()).decode().strip()
    )


def _kept(path: Path, new: bytes) -> bytes:
    """
    What the file holds, which is `new` when there was none. It gets its name when its bytes are on the disk: an empty one after
    a power cut would be a secret that everybody knows.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        if kept := path.read_bytes():
            return kept
        path.unlink()
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was faster
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)
    return path.read_bytes()
