"""Why a build failed: one reason code, and the errors with file and line behind it."""

from enum import StrEnum
from typing import Literal

from headrace.model.plan import StepId
from headrace.model.value import Value


class FailureReason(StrEnum):
    """The closed list of reasons. Each says what happened to the user's build, never to Headrace."""

    # source
    SOURCE_NOT_FOUND = "source_not_found"
    SOURCE_UNREACHABLE = "source_unreachable"
    SOURCE_AUTH_FAILED = "source_auth_failed"
    SOURCE_EMPTY = "source_empty"
    SOURCE_TOO_LARGE = "source_too_large"
    SOURCE_TIMEOUT = "source_timeout"
    SOURCE_FORBIDDEN = "source_forbidden"
    # plan
    CONFIG_ERROR = "config_error"
    NOTHING_TO_BUILD = "nothing_to_build"
    UNSUPPORTED = "unsupported"
    MISSING_SCRIPT = "missing_script"
    WRONG_NODE_VERSION = "wrong_node_version"
    MISSING_ENV = "missing_env"
    # dependencies
    MISSING_DEPENDENCY = "missing_dependency"
    VERSION_NOT_FOUND = "version_not_found"
    LOCKFILE_OUT_OF_DATE = "lockfile_out_of_date"
    PEER_CONFLICT = "peer_conflict"
    INSTALL_SCRIPT_FAILED = "install_script_failed"
    GIT_DEPENDENCY_FAILED = "git_dependency_failed"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    REGISTRY_AUTH_FAILED = "registry_auth_failed"
    NETWORK_DENIED = "network_denied"
    NETWORK_LIMIT = "network_limit"
    OFFLINE_MISS = "offline_miss"
    # build
    CASE_MISMATCH = "case_mismatch"
    TYPE_ERROR = "type_error"
    SYNTAX_ERROR = "syntax_error"
    LINT_ERROR = "lint_error"
    PRERENDER_FAILED = "prerender_failed"
    COMMAND_FAILED = "command_failed"
    # limits
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    DISK_FULL = "disk_full"
    PIDS_LIMIT = "pids_limit"
    # output
    OUTPUT_MISSING = "output_missing"
    OUTPUT_EMPTY = "output_empty"
    OUTPUT_INVALID = "output_invalid"
    OUTPUT_TOO_LARGE = "output_too_large"
    # the sandbox or its worker went away
    SANDBOX_DIED = "sandbox_died"
    RUNNER_LOST = "runner_lost"
    EXECUTOR_UNAVAILABLE = "executor_unavailable"
    ENGINE_LOST = "engine_lost"
    STORAGE_ERROR = "storage_error"
    INTERNAL = "internal"


class LogLine(Value):
    """A line that a command printed, as parsers read it."""

    #: `seq` of the log event that ended it.
    seq: int
    #: Without ANSI sequences.
    text: str


class Diagnostic(Value):
    """One error or warning of a tool, as the tool printed it."""

    tool: str
    severity: Literal["error", "warning"]
    message: str
    #: The tool's own code: `TS2304`, `ERESOLVE`.
    code: str | None = None
    #: Relative to the root of the version, and a file of it.
    file: str | None = None
    #: 1-based.
    line: int | None = None
    column: int | None = None
    excerpt: str | None = None
    hint: str | None = None
    #: `seq` of the log event in which it was found.
    log_seq: int | None = None


class Failure(Value):
    """Why a build ended without an artifact. At most 8 KiB as JSON."""

    reason: FailureReason
    step: StepId
    message: str
    hint: str | None = None
    command: tuple[str, ...] | None = None
    exit_code: int | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
