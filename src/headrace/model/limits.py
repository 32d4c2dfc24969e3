"""What one command may use, and which part of the network it may reach."""

from enum import StrEnum

from pydantic import Field

from headrace.model.value import Value

MIB = 1024 * 1024
GIB = 1024 * MIB


class Limits(Value):
    """Hard limits of one command in a sandbox. Memory has no swap behind it."""

    cpus: float = Field(default=2.0, gt=0, le=1024)
    memory_bytes: int = Field(default=4 * GIB, ge=16 * MIB)
    pids: int = Field(default=2048, ge=8)
    #: Bytes that may be written below the working directory and the home directory together.
    disk_bytes: int = Field(default=8 * GIB, ge=MIB)
    #: Files and directories that may be made there.
    disk_files: int = Field(default=2_000_000, ge=100)
    #: Wall time. A warning event is recorded at `soft_fraction` of it.
    seconds: float = Field(default=3600, gt=0)
    soft_fraction: float = Field(default=0.8, gt=0, le=1)
    #: Bytes of output kept in the event log, of its beginning and of its end. What is between is counted: `log.truncated`.
    log_bytes: int = Field(default=256 * MIB, ge=1024)


class NetworkPhase(StrEnum):
    """Which part of the network a command may reach. Loopback inside the sandbox always works."""

    NONE = "none"
    REGISTRIES = "registries"
    GIT = "git"
    INTERNET = "internet"
