"""pnpm 8 to 12: ` ERR_PNPM_CODE  text` (to 11) and `Error: ERR_PNPM_CODE` with a tree of causes (12)."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.environment import REGISTRY_ACCESS
from headrace.diagnostics.manifest_lines import lock_file, manifest, project_file
from headrace.diagnostics.network import network_failure
from headrace.diagnostics.node_version import node_hint
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

#: Up to version 11: the code between thin spaces, the text behind it.
_OLD = re.compile(
    r"^[\s\u2009]*\[?(?P<code>ERR_PNPM_\w+|ECONN\w+|ENOTFOUND|ETIMEDOUT|EAI_AGAIN)\]?[\s\u2009]+(?P<text>\S.*)"
)
#: pnpm goes on without the whole file, and asks the wrong registry.
_UNSET = re.compile(r'Issue while reading "[^"]*\.npmrc"\. Failed to replace env in config: \$\{(?P<name>\w+)\}')
#: Errors that it makes of that.
_FROM_UNSET = frozenset({"ERR_PNPM_FETCH_401", "ERR_PNPM_FETCH_403", "ERR_PNPM_FETCH_404"})
#: Git has no code of pnpm's.
_GIT = re.compile(r"^[\s\u2009]*ERROR[\s\u2009]+Command failed with exit code \d+: (?P<command>git .*)")
#: From version 12: the code, and below it a tree of causes.
_NEW = re.compile(r"^Error: (?:(?P<code>ERR_PNPM_\w+)|\s*\N{MULTIPLICATION SIGN} (?P<text>.*))$")
_BRANCH = re.compile(r"^\s*(?:\N{MULTIPLICATION SIGN}|├─▶|╰─▶)\s?")
_TRUNK = re.compile(r"^\s*│?\s*")

#: What the codes mean, and what to do.
_MEANING: dict[str, tuple[FailureReason, str]] = {
    "ERR_PNPM_OUTDATED_LOCKFILE": (
        FailureReason.LOCKFILE_OUT_OF_DATE,
        "run `pnpm install` and commit pnpm-lock.yaml; or set frozen = false below [build] in headrace.toml",
    ),
    "ERR_PNPM_LOCKFILE_CONFIG_MISMATCH": (
        FailureReason.LOCKFILE_OUT_OF_DATE,
        "run `pnpm install` with the settings of the project and commit pnpm-lock.yaml",
    ),
    "ERR_PNPM_NO_LOCKFILE": (FailureReason.LOCKFILE_OUT_OF_DATE, "run `pnpm install` and commit pnpm-lock.yaml"),
    "ERR_PNPM_BROKEN_LOCKFILE": (
        FailureReason.CONFIG_ERROR,
        "run `pnpm install` and commit the pnpm-lock.yaml that it writes",
    ),
    "ERR_PNPM_NO_MATCHING_VERSION": (FailureReason.VERSION_NOT_FOUND, "ask for a version that was published"),
    "ERR_PNPM_NO_MATCHING_VERSION_INSIDE_WORKSPACE": (
        FailureReason.VERSION_NOT_FOUND,
        "correct the workspace: version, or add the member that it names",
    ),
    "ERR_PNPM_FETCH_404": (
        FailureReason.MISSING_DEPENDENCY,
        "check the name in package.json; a private package needs its registry and a token in .npmrc",
    ),
    "ERR_PNPM_WORKSPACE_PKG_NOT_FOUND": (
        FailureReason.MISSING_DEPENDENCY,
        "add the member of the workspace, or correct its name",
    ),
    "ERR_PNPM_PEER_DEP_ISSUES": (
        FailureReason.PEER_CONFLICT,
        "take versions that go together, or set strictPeerDependencies: false in pnpm-workspace.yaml",
    ),
    "ERR_PNPM_UNSUPPORTED_ENGINE": (
        FailureReason.WRONG_NODE_VERSION,
        'choose the version with "engines" in package.json or node below [build] in headrace.toml',
    ),
    "ERR_PNPM_IGNORED_BUILDS": (
        FailureReason.CONFIG_ERROR,
        "list the packages whose install scripts may run: `pnpm approve-builds`, and commit pnpm-workspace.yaml",
    ),
    "ERR_PNPM_NO_SCRIPT": (FailureReason.MISSING_SCRIPT, "add the script to package.json"),
    "ERR_PNPM_JSON_PARSE": (FailureReason.CONFIG_ERROR, "correct the JSON"),
    "ERR_PNPM_BAD_PM_VERSION": (
        FailureReason.CONFIG_ERROR,
        "name the version of pnpm in packageManager that the project uses",
    ),
    "ERR_PNPM_TARBALL_INTEGRITY": (FailureReason.LOCKFILE_OUT_OF_DATE, "run `pnpm install` and commit pnpm-lock.yaml"),
    "ERR_PNPM_FETCH_401": (
        FailureReason.REGISTRY_AUTH_FAILED,
        REGISTRY_ACCESS,
    ),
    "ERR_PNPM_FETCH_403": (
        FailureReason.REGISTRY_AUTH_FAILED,
        REGISTRY_ACCESS,
    ),
    "ERR_PNPM_SPEC_NOT_SUPPORTED_BY_ANY_RESOLVER": (FailureReason.CONFIG_ERROR, "correct the entry in package.json"),
    "ERR_PNPM_CATALOG_ENTRY_NOT_FOUND_FOR_SPEC": (
        FailureReason.CONFIG_ERROR,
        "add the entry to the catalog in pnpm-workspace.yaml, or name a version",
    ),
    "ERR_PNPM_NO_PKG_MANIFEST": (FailureReason.CONFIG_ERROR, "add package.json, or correct the root directory"),
    "ERR_PNPM_INVALID_WORKSPACE_CONFIGURATION": (FailureReason.CONFIG_ERROR, "correct pnpm-workspace.yaml"),
    "ERR_PNPM_PREPARE_PKG_FAILURE": (
        FailureReason.GIT_DEPENDENCY_FAILED,
        "the dependency is built when it is fetched, which failed: take a release from the registry",
    ),
    "ERR_PNPM_LOCKFILE_BREAKING_CHANGE": (
        FailureReason.LOCKFILE_OUT_OF_DATE,
        "the lock file is of another major of pnpm: name that in packageManager, or run `pnpm install` and commit it",
    ),
    "ERR_PNPM_ENOSPC": (FailureReason.DISK_FULL, "the sandbox's disk is full: raise its limit"),
}
_IN_LOCK = frozenset(
    {
        "ERR_PNPM_OUTDATED_LOCKFILE",
        "ERR_PNPM_BROKEN_LOCKFILE",
        "ERR_PNPM_LOCKFILE_CONFIG_MISMATCH",
        "ERR_PNPM_TARBALL_INTEGRITY",
    }
)
_ENDS = re.compile(r"^(help:|hint:|Note that|This error happened|The latest release of|Progress:|\s*at .*:\d+:\d+)")


class Pnpm:
    tool: ClassVar[str] = "pnpm"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        for at, line in enumerate(lines):
            below = [after.text for after in lines[at + 1 : at + 24]]
            if old := _OLD.match(line.text):
                found = _found(old["code"], _until_help([old["text"], *below]), places, line.seq)
                if old["code"] in _FROM_UNSET and (unset := _unset(lines, places)):
                    return [unset]
                return [_with_differences(found, below)]
            if git := _GIT.match(line.text):
                return [_git(git["command"], below, places, line.seq)]
            if new := _NEW.match(line.text):
                found = _found(new["code"], _causes([new["text"] or "", *below]), places, line.seq)
                return [_with_differences(found, below)]
        return ()


def _unset(lines: Sequence[LogLine], places: Places) -> Found | None:
    for line in lines:
        if match := _UNSET.search(line.text):
            name = match["name"]
            return Found(
                reason=FailureReason.MISSING_ENV,
                needle=name,
                diagnostic=Diagnostic(
                    tool="pnpm",
                    severity="error",
                    message=f"the variable {name} is not set: pnpm went on without this file",
                    file=project_file(places, ".npmrc"),
                    hint=REGISTRY_ACCESS.replace("NPM_TOKEN", name),
                    log_seq=line.seq,
                ),
            )
    return None


def _git(command: str, below: list[str], places: Places, seq: int) -> Found:
    cause = next((text.strip() for text in below if text.startswith(("fatal:", "error:", "ERROR:"))), command)
    return Found(
        reason=FailureReason.GIT_DEPENDENCY_FAILED,
        diagnostic=Diagnostic(
            tool="pnpm",
            severity="error",
            message=f"a git dependency can't be fetched: {cause}",
            file=manifest(places),
            excerpt=command,
            hint="take a release from the registry, or a repository that can be reached without a key",
            log_seq=seq,
        ),
    )


def _with_differences(found: Found, below: list[str]) -> Found:
    """What the lock file lacks stands behind pnpm's advice."""
    if found.reason is not FailureReason.LOCKFILE_OUT_OF_DATE:
        return found
    apart = [match[1].strip() for text in below if (match := re.match(r"^\s*\* (\d+ dependenc.*)", text))]
    diagnostic = found.diagnostic
    message = f"{diagnostic.message.rstrip('.')}: {'; '.join(apart[:3])}" if apart else diagnostic.message
    return found.but(diagnostic=diagnostic.but(message=message))


def _until_help(told: list[str]) -> list[str]:
    end = next((at for at, text in enumerate(told) if at and _ENDS.match(text)), len(told))
    return [text.strip() for text in told[:end] if text.strip()]


def _causes(told: list[str]) -> list[str]:
    """The causes, each on one line, the innermost first; the outer ones say only what pnpm was doing."""
    causes: list[str] = []
    for text in told:
        if text.strip().startswith("help:"):
            break
        if branch := _BRANCH.match(text):
            causes.append(text[branch.end() :].strip())
        elif not causes:
            causes.append(text.strip())
        elif rest := _TRUNK.sub("", text).strip():
            # A long word is broken behind a slash; elsewhere a break was a space.
            causes[-1] += rest if causes[-1].endswith("/") else f" {rest}"
    return [cause for cause in reversed(causes) if cause]


def _found(code: str | None, own: list[str], places: Places, seq: int) -> Found:
    text = " ".join(own)
    message = _message(own)
    reason, hint = _MEANING.get(code or "", (FailureReason.COMMAND_FAILED, None))
    network = network_failure(f"{code} {text}") if code not in _MEANING else None
    line = column = None
    file = lock_file(places) if code in _IN_LOCK else None
    if network:
        reason, message, hint = network
    elif place := re.search(r"at line (\d+) column (\d+)|\((\d+):(\d+)\)", text):
        line, column = int(place[1] or place[3]), int(place[2] or place[4])
        if file is None:
            reason, hint, file = FailureReason.CONFIG_ERROR, "correct the JSON", manifest(places)
    elif reason is FailureReason.WRONG_NODE_VERSION:
        hint, file = node_hint(text), manifest(places)
    elif reason not in (FailureReason.COMMAND_FAILED, FailureReason.DISK_FULL):
        file = file or manifest(places)
    return Found(
        reason=reason,
        needle=_needle(code, text),
        diagnostic=Diagnostic(
            tool="pnpm",
            severity="error",
            message=message,
            code=code,
            file=file,
            line=line,
            column=column,
            excerpt="\n".join(own[:14]) or None,
            hint=hint,
            log_seq=seq,
        ),
    )


def _needle(code: str | None, text: str) -> str | None:
    """The name in package.json that the error is about."""
    if code == "ERR_PNPM_NO_SCRIPT":
        return '"scripts"'
    if code == "ERR_PNPM_UNSUPPORTED_ENGINE":
        return '"engines"'
    match = re.search(r"(?:version found for |/)((?:@[\w.-]+(?:/|%2[fF]))?[\w.-]+)(?:@\S| *: Not Found)", text)
    return f'"{match[1].replace("%2F", "/").replace("%2f", "/")}"' if match else None


def _message(own: list[str]) -> str:
    if not own:
        return "pnpm failed"
    first = own[0] if not own[0].startswith("Unmet peer") else " ".join(own[:8])
    return re.sub(r"\s+", " ", first.split(" Failure reason:")[0]).strip()
