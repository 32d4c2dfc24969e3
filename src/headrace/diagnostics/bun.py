"""Bun's package manager: `error: …` lines, after a line with its version."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.manifest_lines import lock_file, manifest
from headrace.diagnostics.network import network_failure
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_BUN = re.compile(r"^bun (?:install|add|run|ci|test|build|i|pm)\b.* v\d|^\[[\d.]+m?s\] |^\$ |^bun ")
_ERROR = re.compile(r"^error: (?P<text>\S.*)")
#: Sentences that nobody else says.
_OWN = re.compile(r"^error: Script not found \"|^error: lockfile had changes")
_VERSION = re.compile(r"No version matching \"(?P<range>[^\"]+)\" found for specifier \"(?P<name>[^\"]+)\"")
_404 = re.compile(r"GET (?P<url>\S+) - (?P<status>\d{3})")
_RESOLVE = re.compile(r"^(?P<name>(?:@[\w.-]+/)?[\w.-]+)@(?P<range>\S+) failed to resolve")
_SCRIPT = re.compile(r"Script not found \"(?P<name>[^\"]+)\"|Missing script: \"?(?P<other>[^\"]+)\"?")
_INSTALL = re.compile(r"(?P<script>\w+) script from \"(?P<name>[^\"]+)\" exited with (?P<status>\d+)")
_AT = re.compile(r"^\s+at (?P<file>[^\s()]+):(?P<line>\d+):(?P<column>\d+)")
_CONSEQUENCE = re.compile(
    r"^script \"[^\"]+\" (?:exited with code|was terminated)|failed to resolve$|^InstallFailed|^Failed to install"
)

_Said = tuple[FailureReason, str, str | None, str | None, str | None]


class Bun:
    tool: ClassVar[str] = "bun"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        if not any(_BUN.match(line.text) or _OWN.match(line.text) for line in lines):
            return ()
        errors = [(at, match) for at, line in enumerate(lines) if (match := _ERROR.match(line.text))]
        causes = [(at, match) for at, match in errors if not _CONSEQUENCE.search(match["text"])]
        chosen = causes or [(at, match) for at, match in errors if not match["text"].startswith("script ")]
        return [_found(match["text"], lines, at, places) for at, match in chosen[:1]]


def _found(text: str, lines: Sequence[LogLine], at: int, places: Places) -> Found:
    reason, message, hint, file, needle = _said(text, places)
    placed = next((match for line in lines[at + 1 : at + 4] if (match := _AT.match(line.text))), None)
    where = places.find(placed["file"]) if placed else None
    if where and placed:
        file = where
        if reason is FailureReason.COMMAND_FAILED:
            json = where.endswith((".json", ".lock"))
            reason, hint = (
                (FailureReason.CONFIG_ERROR, "correct the JSON") if json else (FailureReason.SYNTAX_ERROR, hint)
            )
    above = max(0, at - 4)
    return Found(
        reason=reason,
        needle=needle,
        diagnostic=Diagnostic(
            tool="bun",
            severity="error",
            message=message,
            file=file,
            line=int(placed["line"]) if where and placed else None,
            column=int(placed["column"]) if where and placed else None,
            excerpt=codeframe.frame(lines, above, at - above) or text,
            hint=hint,
            log_seq=lines[at].seq,
        ),
    )


def _said(text: str, places: Places) -> _Said:
    if "lockfile had changes" in text or "lockfile is frozen" in text:
        lock = lock_file(places) or "bun.lock"
        hint = f"run `bun install` and commit {lock}; or set frozen = false below [build] in headrace.toml"
        return (
            FailureReason.LOCKFILE_OUT_OF_DATE,
            f"{lock} and package.json are out of step",
            hint,
            lock_file(places),
            None,
        )
    if match := _VERSION.search(text) or _RESOLVE.match(text):
        name = match["name"]
        message, hint = (
            f"no version of {name} matches {match['range']}",
            f"ask for a version that was published: `bun info {name} versions`",
        )
        return FailureReason.VERSION_NOT_FOUND, message, hint, manifest(places), f'"{name}"'
    if match := _404.search(text):
        return _answered(match["url"], match["status"], places)
    if match := _SCRIPT.search(text):
        name = match["name"] or match["other"]
        hint = f'add "{name}" to the scripts in package.json'
        return FailureReason.MISSING_SCRIPT, f'package.json has no script "{name}"', hint, manifest(places), '"scripts"'
    if match := _INSTALL.search(text):
        hint = "its output is in the log; native packages need a release that fits the version of Node"
        return (
            FailureReason.INSTALL_SCRIPT_FAILED,
            f"the {match['script']} script of {match['name']} failed",
            hint,
            None,
            None,
        )
    if "IntegrityCheckFailed" in text or "Integrity check failed" in text:
        return (
            FailureReason.LOCKFILE_OUT_OF_DATE,
            text,
            "run `bun install` and commit the lock file",
            lock_file(places),
            None,
        )
    if re.search(r"\bgit\b|GitHub|@github:|\"git clone\"|InstallFailed cloning", text):
        hint = "take a release from the registry, or a repository that can be reached"
        return FailureReason.GIT_DEPENDENCY_FAILED, text, hint, manifest(places), None
    if "lockfile" in text.lower() and ("parse" in text.lower() or "Unknown" in text or "version" in text):
        return (
            FailureReason.CONFIG_ERROR,
            text,
            "run `bun install` and commit the lock file that it writes",
            lock_file(places),
            None,
        )
    if "ConnectionRefused" in text or "ConnectionClosed" in text or "FailedToOpenSocket" in text or "Timeout" in text:
        return (
            FailureReason.REGISTRY_UNAVAILABLE,
            text,
            "try again; if it stays, check the registry's address in .npmrc",
            None,
            None,
        )
    if network := network_failure(text):
        return *network, None, None
    return FailureReason.COMMAND_FAILED, text, None, None, None


def _answered(url: str, status: str, places: Places) -> _Said:
    name = re.sub(r"^https?://[^/]+/", "", url).replace("%2f", "/").replace("%2F", "/")
    if status in ("401", "403"):
        return (
            FailureReason.REGISTRY_AUTH_FAILED,
            f"the registry refuses {name} ({status})",
            "give a token in .npmrc",
            None,
            None,
        )
    if status != "404":
        hint = "try again; if it stays, check the registry's address in .npmrc"
        return FailureReason.REGISTRY_UNAVAILABLE, f"the registry answers {status} for {name}", hint, None, None
    hint = "check the name in package.json; a private package needs its registry and a token in .npmrc"
    return FailureReason.MISSING_DEPENDENCY, f"{name} is not in the registry", hint, manifest(places), f'"{name}"'
