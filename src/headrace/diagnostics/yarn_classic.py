"""Yarn 1: `error …` lines. It has no codes; its sentences are fixed."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.manifest_lines import lock_file, manifest
from headrace.diagnostics.network import network_failure
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_ERROR = re.compile(r"^error (?P<text>\S.*)")
#: Other tools begin lines with `error` too: this is how a run of Yarn 1 begins.
_YARN = re.compile(r"^yarn (?:install|run|workspaces?|build|add|ci)? ?v1\.\d|^yarn (?:install|run|workspace)\b.* v1\.")
_UNKNOWN = re.compile(
    r"Couldn't find package \"(?P<a>[^\"]+)\"|/(?P<b>(?:@[\w.-]+(?:%2[fF]|/))?[\w.-]+): (?:Not found|Request failed \\?\"404)"
)
_VERSION = re.compile(r"Couldn't find any versions for \"(?P<name>[^\"]+)\" that matches \"(?P<range>[^\"]+)\"")
_ENGINE = re.compile(
    r"^(?P<package>\S+): The engine \"(?P<engine>\w+)\" is incompatible with this module\. Expected version \"(?P<wanted>[^\"]+)\"\. Got \"(?P<actual>[^\"]+)\""
)
_SCRIPT = re.compile(r"^Command \"(?P<name>[^\"]+)\" not found")
_FAILED = re.compile(r"^(?P<path>\S*node_modules/\S+|\S+): Command failed\.?")
_GIT = re.compile(r"Command failed.*|Couldn't (?:find|match).*git|git ls-remote|Temporary failure")
_NOISE = re.compile(
    r"^(?:Command failed with exit code|Found incompatible module|An unexpected error occurred, please open)"
)
_FROZEN = "Your lockfile needs to be updated"


class YarnClassic:
    tool: ClassVar[str] = "yarn"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        if not any(_YARN.match(line.text) for line in lines):
            return ()
        for at, line in enumerate(lines):
            match = _ERROR.match(line.text)
            if match and not _NOISE.match(match["text"]):
                below = [after.text for after in lines[at + 1 : at + 30] if not after.text.startswith("info ")]
                return [_found(match["text"], below, places, line.seq)]
        return ()


def _found(text: str, below: list[str], places: Places, seq: int) -> Found:
    reason, message, hint, file, needle = _said(text, "\n".join([text, *below]), places)
    excerpt = "\n".join([text, *(row for row in below[:10] if row.strip())])
    place = re.search(r"package\.json\".*\((\d+):(\d+)\)|line (\d+) column (\d+)", text)
    numbers = [int(number) for number in place.groups() if number] if place else [None, None]
    return Found(
        reason=reason,
        needle=needle,
        diagnostic=Diagnostic(
            tool="yarn",
            severity="error",
            message=message,
            file=file,
            line=numbers[0] if file else None,
            column=numbers[1] if file else None,
            excerpt=excerpt[:1200],
            hint=hint,
            log_seq=seq,
        ),
    )


_Said = tuple[FailureReason, str, str | None, str | None, str | None]


def _said(text: str, whole: str, places: Places) -> _Said:
    if _FROZEN in text:
        hint = "run `yarn install` and commit yarn.lock; or set frozen = false below [build] in headrace.toml"
        message = "yarn.lock and package.json are out of step"
        return FailureReason.LOCKFILE_OUT_OF_DATE, message, hint, lock_file(places), None
    if match := _VERSION.search(text):
        hint = f"ask for a version that was published: `yarn info {match['name']} versions`"
        message = f"no version of {match['name']} matches {match['range']}"
        return FailureReason.VERSION_NOT_FOUND, message, hint, manifest(places), f'"{match["name"]}"'
    if match := _ENGINE.search(text):
        message = f"{match['package']} asks for {match['engine']} {match['wanted']}; {match['actual']} is used"
        hint = f'set "engines": {{"{match["engine"]}": "{match["wanted"]}"}} in package.json, or node below [build] in headrace.toml'
        return FailureReason.WRONG_NODE_VERSION, message, hint, manifest(places), '"engines"'
    if match := _SCRIPT.search(text):
        name = match["name"]
        hint = f'add "{name}" to the scripts in package.json'
        return FailureReason.MISSING_SCRIPT, f'package.json has no script "{name}"', hint, manifest(places), '"scripts"'
    if match := _UNKNOWN.search(text):
        name = (match["a"] or match["b"]).replace("%2f", "/").replace("%2F", "/")
        hint = "check the name in package.json; a private package needs its registry and a token in .npmrc"
        return FailureReason.MISSING_DEPENDENCY, f"{name} is not in the registry", hint, manifest(places), f'"{name}"'
    if "ncorrect integrity" in text or "Integrity check failed" in text:
        hint = "if the lock file was edited by hand or merged, remove it, run `yarn install` and commit the new one"
        return FailureReason.LOCKFILE_OUT_OF_DATE, text, hint, lock_file(places), None
    if "Invalid value type" in text or "nknown token" in text or "merge conflict" in text:
        return (
            FailureReason.CONFIG_ERROR,
            text,
            "remove yarn.lock, run `yarn install` and commit it",
            lock_file(places),
            None,
        )
    if "package.json" in text and ("JSON" in text or "Unexpected token" in text):
        return FailureReason.CONFIG_ERROR, text, "correct the JSON", manifest(places), None
    return _failed(text, whole, places)


def _failed(text: str, whole: str, places: Places) -> _Said:
    if re.search(r"\bgit\b", whole) and re.search(r"Command failed|ls-remote|git clone", whole):
        hint = "take a release from the registry, or a repository that can be reached"
        cause = re.search(r"^(?:fatal|ERROR|error): .*", whole, re.MULTILINE)
        message = f"a git dependency can't be fetched: {cause[0] if cause else text}"
        return FailureReason.GIT_DEPENDENCY_FAILED, message, hint, manifest(places), None
    if (match := _FAILED.search(text)) and "node_modules" in text:
        package = match["path"].rpartition("node_modules/")[2]
        cause = re.search(r"^(?:\w*Error): .*", whole, re.MULTILINE)
        message = f"the install script of {package} failed" + (f": {cause[0]}" if cause else "")
        hint = "the script's own output is in the log; native packages need a release that fits the version of Node"
        return FailureReason.INSTALL_SCRIPT_FAILED, message, hint, None, None
    if network := network_failure(whole):
        return *network, None, None
    return FailureReason.COMMAND_FAILED, text, None, None, None
