"""What the one who runs the probe tells it: what this sandbox is said to be, and what was planted outside for it to find."""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, kw_only=True)
class Limited:
    """Limits of the command that the probe is."""

    memory_bytes: int
    disk_bytes: int
    pids: int
    cpus: float
    descriptors: int
    #: Bytes a second from and to disks; None where nothing is promised.
    io_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Things that nobody in a sandbox may reach: the machine's, or those of a sandbox that runs at the same time."""

    #: Namespaces, as `readlink` says them, by kind.
    namespaces: dict[str, str] = field(default_factory=dict)
    #: Abstract unix sockets, and ports on every address.
    abstract: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    #: Name of a file that lies in each of the other sandbox's writable places, and these places' device and inode numbers.
    mark: str | None = None
    places: list[str] = field(default_factory=list)
    #: First id on the machine of the other sandbox, and how many it has.
    ids: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Given:
    hostname: str
    #: Names of variables that the command was given.
    environment: list[str]
    #: Mount points with the options that each must have. One that ends with `/` stands for everything below.
    mounts: dict[str, list[str]]
    limits: Limited
    planted: Planted
    #: `host:port` of a server that the proxy must lead to. None in a sandbox without network.
    allowed: str | None = None


def as_text(given: Given) -> str:
    return json.dumps(asdict(given))


def from_text(text: str) -> Given:
    said = json.loads(text)
    said["limits"] = Limited(**said["limits"])
    said["planted"] = Planted(**said["planted"])
    return Given(**said)
