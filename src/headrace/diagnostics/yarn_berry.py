"""Yarn 2 and later: `➤ YN0028: │ …` lines, and usage errors."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.manifest_lines import lock_file, manifest
from headrace.diagnostics.network import network_failure
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_LINE = re.compile(r"^(?:::error::)?➤ (?P<code>YN\d{4}): (?:[│┌└·] ?)?(?P<text>.*)")
_USAGE = re.compile(r"^(?:Usage|Internal|Unknown Syntax|Syntax) Error: (?P<text>.*)")
_SCRIPT = re.compile(
    r"Couldn't find a script named \"(?P<name>[^\"]+)\"|The command (?:failed|not found).*\"(?P<other>[^\"]+)\""
)
_DESCRIPTOR = re.compile(r"(?P<name>(?:@[\w.-]+/)?[\w.-]+)@(?:npm:|workspace:|patch:)?(?P<range>[^\s:]*)")
_ERRORS = frozenset(
    [
        "YN0001",
        "YN0009",
        "YN0016",
        "YN0018",
        "YN0022",
        "YN0027",
        "YN0028",
        "YN0030",
        "YN0035",
        "YN0041",
        "YN0045",
        "YN0046",
        "YN0055",
        "YN0056",
        "YN0078",
        "YN0080",
        "YN0081",
        "YN0082",
        "YN0083",
        "YN0090",
    ]
)
_PEERS = frozenset({"YN0002", "YN0060", "YN0086"})
#: A dependency of the project in the difference of the lock files that Yarn shows.
_DIFFERS = re.compile(r"│ (?P<sign>[-+])\s{4}\"?(?P<name>[@\w./-]+)\"?: \"npm:(?P<range>[^\"]+)\"")
_CHANGE = {"+": "added", "-": "taken out"}


class YarnBerry:
    tool: ClassVar[str] = "yarn"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        said = [(at, match) for at, line in enumerate(lines) if (match := _LINE.match(line.text))]
        for code_wanted in (_ERRORS, _PEERS):
            hits = [(at, match) for at, match in said if match["code"] in code_wanted and match["text"].strip()]
            failed = any(match["text"].startswith("Failed with errors") for _, match in said)
            if hits and failed:
                at, match = hits[0]
                return [_found(match["code"], match["text"], lines, at, places)]
        for at, line in enumerate(lines):
            if match := _USAGE.match(line.text):
                return [_found(None, match["text"], lines, at, places)]
        return ()


def _found(code: str | None, text: str, lines: Sequence[LogLine], at: int, places: Places) -> Found:
    around = [line.text for line in lines[at : at + 30]]
    reason, message, hint, file, needle = _said(code, text, around, places)
    place = (
        re.search(r"line (\d+) column (\d+)|:(\d+):(\d+)", text)
        if file and reason is FailureReason.CONFIG_ERROR
        else None
    )
    numbers = [int(number) for number in place.groups() if number] if place else [None, None]
    return Found(
        reason=reason,
        needle=needle,
        diagnostic=Diagnostic(
            tool="yarn",
            code=code,
            severity="error",
            message=message,
            file=file,
            line=numbers[0],
            column=numbers[1],
            excerpt="\n".join(around[:14])[:1200],
            hint=hint,
            log_seq=lines[at].seq,
        ),
    )


_Said = tuple[FailureReason, str, str | None, str | None, str | None]


def _said(code: str | None, text: str, around: list[str], places: Places) -> _Said:
    described = _DESCRIPTOR.search(text)
    name, wanted = (described["name"], described["range"]) if described else ("a package", "")
    if code == "YN0028":
        hint = "run `yarn install` and commit yarn.lock; or set frozen = false below [build] in headrace.toml"
        end = next((n for n, row in enumerate(around) if "languageName:" in row), len(around))
        differing = [match for row in around[:end] if (match := _DIFFERS.search(row))]
        apart = ", ".join(f"{match['name']}@{match['range']} was {_CHANGE[match['sign']]}" for match in differing[:3])
        message = "yarn.lock and package.json are out of step" + (f": {apart}" if apart else "")
        return FailureReason.LOCKFILE_OUT_OF_DATE, message, hint, lock_file(places), None
    if code == "YN0082" or "No candidates found" in text:
        message, hint = (
            f"no version of {name} matches {wanted}",
            f"ask for a version that was published: `yarn npm info {name} --fields versions`",
        )
        return FailureReason.VERSION_NOT_FOUND, message, hint, manifest(places), f'"{name}"'
    if code == "YN0035" or "Package not found" in text or "(404" in text:
        hint = "check the name in package.json; a private package needs its registry and a token in .yarnrc.yml"
        return FailureReason.MISSING_DEPENDENCY, f"{name} is not in the registry", hint, manifest(places), f'"{name}"'
    if code == "YN0041" or "(401" in text or "(403" in text:
        return FailureReason.REGISTRY_AUTH_FAILED, text, "set npmAuthToken in .yarnrc.yml from a variable", None, None
    if code == "YN0009":
        message, hint = (
            f"the install script of {name} failed",
            "its output is in the log, or in the file that the log names",
        )
        return FailureReason.INSTALL_SCRIPT_FAILED, message, hint, None, None
    if code == "YN0018":
        hint = "run `yarn install` and commit yarn.lock, or YARN_CHECKSUM_BEHAVIOR=update once"
        return FailureReason.LOCKFILE_OUT_OF_DATE, text, hint, lock_file(places), f'"{name}@'
    if code in _PEERS:
        return FailureReason.PEER_CONFLICT, text, "take versions that go together", manifest(places), None
    if match := _SCRIPT.search(text):
        script = match["name"] or match["other"]
        hint = f'add "{script}" to the scripts in package.json'
        return (
            FailureReason.MISSING_SCRIPT,
            f'package.json has no script "{script}"',
            hint,
            manifest(places),
            '"scripts"',
        )
    return _failed(text, around, places)


def _failed(text: str, around: list[str], places: Places) -> _Said:
    whole = "\n".join(around)
    if re.search(r"git (?:clone|ls-remote|fetch)|Failed (?:listing|cloning).*(?:refs|repository)", whole):
        hint = "take a release from the registry, or a repository that can be reached"
        return FailureReason.GIT_DEPENDENCY_FAILED, text, hint, manifest(places), None
    if "package.json" in text and re.search(r"JSON|parse", text):
        return FailureReason.CONFIG_ERROR, text, "correct the JSON", manifest(places), None
    if network := network_failure(whole):
        return *network, None, None
    if "lockfile" in text and "present" not in text:
        return (
            FailureReason.LOCKFILE_OUT_OF_DATE,
            text,
            "run `yarn install` and commit yarn.lock",
            lock_file(places),
            None,
        )
    if "packageManager" in whole or "This project is configured to use" in whole:
        return (
            FailureReason.CONFIG_ERROR,
            text,
            "correct packageManager in package.json",
            manifest(places),
            '"packageManager"',
        )
    return FailureReason.COMMAND_FAILED, text, None, None, None
