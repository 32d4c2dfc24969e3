"""
A git command as data: its argument list and its whole environment. Nothing of the server's own environment reaches git, and
no configuration but this.

What else git may do is decided by where it runs: see `_confine`.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import ToolUnavailable
from headrace.source._remote import Credential

#: In the order in which git reads it; a later line wins over an earlier one.
_CONFIG = (
    "safe.bareRepository=explicit",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "protocol.version=2",
    "protocol.ext.allow=never",
    "http.followRedirects=false",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=30",
    "transfer.bundleURI=false",
    "transfer.credentialsInUrl=die",
    "transfer.fsckObjects=true",
    # Always a pack, so that the limit on a file's size is the limit on what a server can make us store.
    "transfer.unpackLimit=1",
    "core.bigFileThreshold=8m",
    # Slips of old tools in names and dates of commits, which do no harm. What touches paths stays an error.
    *(
        f"fetch.fsck.{slip}=warn"
        for slip in (
            *(
                "badDate",
                "badDateOverflow",
                "badEmail",
                "badName",
                "badTimezone",
                "missingEmail",
                "missingNameBeforeEmail",
            ),
            *(
                "missingSpaceBeforeDate",
                "missingSpaceBeforeEmail",
                "zeroPaddedDate",
                "zeroPaddedFilemode",
                "multipleAuthors",
            ),
        )
    ),
)

#: Answers git's questions from its environment, so that a secret is in no argument list and in no file.
_HELPER = (
    '!f() { test "$1" = get && printf \'username=%s\\npassword=%s\\n\' "$HEADRACE_GIT_USER" "$HEADRACE_GIT_TOKEN"; }; f'
)


@dataclass(frozen=True)
class Bounds:
    """What one git process and each of its children may take."""

    memory_bytes: int
    file_bytes: int


@dataclass(frozen=True)
class GitCommand:
    argv: Sequence[str]
    env: Mapping[str, str]


def git_command(
    arguments: Sequence[str],
    *,
    bounds: Bounds,
    repository: Path | None = None,
    protocol: str | None = None,
    config: Sequence[str] = (),
    credential: Credential | None = None,
    ca_file: Path | None = None,
    within: Sequence[str] = (),
) -> GitCommand:
    """
    `arguments` begins with git's own subcommand and options; what a tenant wrote comes behind `--end-of-options`.
    Without a `protocol` nothing can be reached. `within` is a command that becomes this one, somewhere else.
    """
    settings = [*_CONFIG, *config]
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": protocol or "none",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
    }
    if credential:
        settings.append(f"credential.helper={_HELPER}")
        env |= {"HEADRACE_GIT_USER": credential.user, "HEADRACE_GIT_TOKEN": credential.token}
    if ca_file:
        env["GIT_SSL_CAINFO"] = str(ca_file)
    argv = [*within, *_bounded(bounds), _path_of("git"), *(f"--git-dir={repository}",) * (repository is not None)]
    for setting in settings:
        argv += ["-c", setting]
    return GitCommand(argv=(*argv, *arguments), env=env)


def _bounded(bounds: Bounds) -> list[str]:
    """
    Limits set by a small program of util-linux that becomes git itself. Where it is missing, the time limit and the size of what
    is written out still hold.
    """
    prlimit = shutil.which("prlimit")
    return [prlimit, "--core=0", f"--as={bounds.memory_bytes}", f"--fsize={bounds.file_bytes}"] if prlimit else []


def _path_of(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise ToolUnavailable(f"{program} is not installed on this machine", hint=f"install the package {program}")
    return found
