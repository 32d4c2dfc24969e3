"""npm 8 to 12: `npm error code …` and the lines that belong to the code."""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.environment import REGISTRY_ACCESS
from headrace.diagnostics.manifest_lines import lock_file, manifest, project_file
from headrace.diagnostics.network import network_failure
from headrace.diagnostics.node_version import node_hint
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason
from headrace.model.sandbox import WORKING_DIRECTORY

_LINE = re.compile(r"^npm (?:error|ERR!) ?(?P<text>.*)")
_CODE = re.compile(r"^code (?P<code>\w+)$")
_MISSING_SCRIPT = re.compile(r'^Missing script: "(?P<name>[^"]*)"')
_NOISE = re.compile(r"^(A complete log of this run|Clean install a project|Usage:|Options:|Run \"npm help|\s*$)")

_HERE = f"{WORKING_DIRECTORY}/"

#: What it runs of the project itself prints for itself; of packages npm prints what they said.
_OWN_SCRIPT = "the install script of the project failed"
_SILENT_HINT = "it does so when downloads break off: build again; a lock file makes an install ask for much less"
#: A script that a runner of tasks, or a workspace, has npm run.
_RUN = re.compile(r"^Lifecycle script `(?P<name>[^`]{1,100})` failed", re.MULTILINE)

_Said = tuple[FailureReason, str, str | None, str | None]
_Reader = Callable[[list[str], Places], _Said]


class Npm:
    tool: ClassVar[str] = "npm"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        said = [(line.seq, match["text"]) for line in lines if (match := _LINE.match(line.text))]
        if not said:
            return ()
        script = next(((seq, match["name"]) for seq, text in said if (match := _MISSING_SCRIPT.match(text))), None)
        if script:
            seq, name = script
            what, add = f'package.json has no script "{name}"', f'add "{name}" to the scripts in package.json'
            return [_found(FailureReason.MISSING_SCRIPT, what, None, add, manifest(places), [], seq)]
        coded = next(((seq, match["code"]) for seq, text in said if (match := _CODE.match(text))), None)
        seq = coded[0] if coded else said[0][0]
        code = coded[1] if coded else None
        texts = [text for _, text in said if not _CODE.match(text)]
        reader = _READERS.get(code or "", _other)
        reason, message, hint, file = reader(texts, places)
        return [_found(reason, message, code, hint, file, texts, seq)]


def _found(
    reason: FailureReason,
    message: str,
    code: str | None,
    hint: str | None,
    file: str | None,
    texts: list[str],
    seq: int,
) -> Found:
    line, column = _position(message)
    if file and reason is FailureReason.INSTALL_SCRIPT_FAILED:
        line, column = _frame_of(file, texts)
    return Found(
        reason=reason,
        consequence=message.startswith(_OWN_SCRIPT) or any(map(_RUN.match, texts)),
        needle='"scripts"' if reason is FailureReason.MISSING_SCRIPT else _needle(code, message),
        diagnostic=Diagnostic(
            tool="npm",
            line=line,
            column=column,
            severity="error",
            message=message,
            code=code,
            file=file,
            hint=hint,
            excerpt=_excerpt(texts),
            log_seq=seq,
        ),
    )


def _excerpt(texts: list[str]) -> str | None:
    """What npm said, without its usage page and the place of its own log."""
    kept: list[str] = []
    for text in texts:
        if text.startswith(("Clean install a project", "Usage:")):
            break
        if not _NOISE.match(text):
            kept.append(text.rstrip())
    return "\n".join(kept[:14]) or None


def _usage(texts: list[str], places: Places) -> _Said:
    joined = " ".join(texts)
    if "in sync" in joined or "Missing:" in joined:
        apart = list(dict.fromkeys(text for text in texts if text.startswith(("Missing: ", "Invalid: "))))
        shown = "; ".join(apart[:3]) + (f" and {len(apart) - 3} more" if len(apart) > 3 else "")
        lock = lock_file(places) or "package-lock.json"
        hint = f"run `npm install` and commit {lock}; or set frozen = false below [build] in headrace.toml"
        return (
            FailureReason.LOCKFILE_OUT_OF_DATE,
            f"{lock} and package.json are out of step: {shown}",
            hint,
            lock_file(places),
        )
    if "can only install with an existing package-lock.json" in joined:
        hint = "run `npm install` and commit the package-lock.json that it writes"
        return FailureReason.CONFIG_ERROR, "package-lock.json can't be read", hint, lock_file(places)
    return FailureReason.COMMAND_FAILED, texts[0] if texts else "npm was used wrongly", None, None


def _not_found(texts: list[str], places: Places) -> _Said:
    joined = "\n".join(texts)
    match = re.search(r"'(?P<wish>[^']+)'(?: is not in this registry| could not be found)", joined)
    wish = match["wish"] if match else None
    url = re.search(r"GET (\S+)", joined)
    what = wish or (url[1] if url else "a package")
    hint = "check the name in package.json; a private package needs its registry and a token in .npmrc"
    return FailureReason.MISSING_DEPENDENCY, f"{what} is not in the registry", hint, manifest(places)


def _no_version(texts: list[str], places: Places) -> _Said:
    match = re.search(r"No matching version found for (\S+?)\.?$", "\n".join(texts), re.MULTILINE)
    wish = match[1] if match else "a package"
    hint = "ask for a version that was published; `npm view NAME versions` lists them"
    return FailureReason.VERSION_NOT_FOUND, f"no version of the registry matches {wish}", hint, manifest(places)


def _peers(texts: list[str], places: Places) -> _Said:
    found = next((text.removeprefix("Found: ") for text in texts if text.startswith("Found: ")), None)
    peer = next((text for text in texts if text.startswith("peer ")), None)
    message = (
        f"{peer}, but {found} is there" if peer and found else "packages ask for different versions of one package"
    )
    hint = "take versions that go together, or write legacy-peer-deps=true to .npmrc to install them all the same"
    return FailureReason.PEER_CONFLICT, message, hint, manifest(places)


def _engine(texts: list[str], places: Places) -> _Said:
    joined = "\n".join(texts)
    wanted, actual = re.search(r"Required: (.*)", joined), re.search(r"Actual:\s+(.*)", joined)
    package = re.search(r"version of node/npm: (\S+)", joined)
    message = f"{package[1] if package else 'a package'} asks for {wanted[1] if wanted else 'another Node'}; {actual[1] if actual else ''} is used"
    hint = node_hint(wanted[1] if wanted else "")
    return FailureReason.WRONG_NODE_VERSION, message, hint, manifest(places)


def _json(texts: list[str], places: Places) -> _Said:
    text = next((t.removeprefix("JSON.parse ") for t in texts if "package.json" in t), "package.json is not valid JSON")
    return FailureReason.CONFIG_ERROR, text.split(" while parsing")[0], "correct the JSON", manifest(places)


def _position(message: str) -> tuple[int | None, int | None]:
    place = re.search(r"\(line (\d+) column (\d+)\)", message)
    return (int(place[1]), int(place[2])) if place else (None, None)


def _frame_of(file: str, texts: list[str]) -> tuple[int | None, int | None]:
    name = re.escape(file)
    place = next((match for text in texts if (match := re.search(rf"{name}:(\d+):(\d+)", text))), None)
    return (int(place[1]), int(place[2])) if place else (None, None)


def _needle(code: str | None, message: str) -> str | None:
    """The name in package.json that the error is about."""
    if code == "EBADENGINE":
        return '"engines"'
    match = re.search(
        r"((?:@[\w.-]+/)?[\w.-]+)@[^\s]* is not in the registry|matches ((?:@[\w.-]+/)?[\w.-]+)@|Missing: ((?:@[\w.-]+/)?[\w.-]+)@|from ((?:@[\w.-]+/)?[\w.-]+)@",
        message,
    )
    name = next((name for name in match.groups() if name), None) if match else None
    return f'"{name}"' if name else None


def _integrity(texts: list[str], places: Places) -> _Said:
    message = "a package does not have the checksum that the lock file names"
    hint = "if the lock file was edited by hand or merged, remove it, run `npm install` and commit the new one"
    del texts
    return FailureReason.LOCKFILE_OUT_OF_DATE, message, hint, lock_file(places)


def _disk(texts: list[str], places: Places) -> _Said:
    del places
    return (
        FailureReason.DISK_FULL,
        next(iter(texts), "no space left"),
        "the sandbox's disk is full: raise its limit",
        None,
    )


def _auth(texts: list[str], places: Places) -> _Said:
    joined = "\n".join(texts)
    url = re.search(r"(?:GET|PUT) (\S+)", joined)
    what = url[1] if url else "the registry"
    return FailureReason.REGISTRY_AUTH_FAILED, f"{what} wants a token", REGISTRY_ACCESS, project_file(places, ".npmrc")


def _wrong_wish(texts: list[str], places: Places) -> _Said:
    text = next((text for text in texts if text.strip()), "package.json asks for something that npm does not know")
    hint = "correct the entry in package.json"
    if "workspace:" in text:
        hint = "workspace: is a wish of pnpm, yarn and bun: build with one of them, or name a version"
    return FailureReason.CONFIG_ERROR, text, hint, manifest(places)


def _git(joined: str, places: Places) -> _Said | None:
    if not re.search(r"git error|spawn git\b|^command git ", joined, re.MULTILINE):
        return None
    cause = re.search(
        r"^(?:fatal|ERROR|error): .*|Permission denied \(publickey\).*|spawn git ENOENT", joined, re.MULTILINE
    )
    address = re.search(r"\b(?:https?|ssh|git)://[^\s']+|git@[^\s']+", joined)
    message = f"a git dependency can't be fetched: {cause[0] if cause else 'git failed'}"
    hint = "take a release from the registry, or a repository that can be reached without a key"
    if address and address[0] not in message:
        message = f"{message} ({address[0]})"
    return FailureReason.GIT_DEPENDENCY_FAILED, message, hint, manifest(places)


def _own(where: re.Match[str] | None) -> str:
    """A package that lies in the project, or the project itself."""
    return where[1].removeprefix(_HERE) if where and where[1].startswith(_HERE) else "the project"


def _other(texts: list[str], places: Places) -> _Said:
    """A command of a package failed, git failed, the network failed, or something that has no code."""
    joined = "\n".join(texts)
    if git := _git(joined, places):
        return git
    if run := _RUN.search(joined):
        return FailureReason.COMMAND_FAILED, f"the script {run['name']!r} failed", None, None
    network = network_failure(joined)
    script = re.search(r"^command sh -c (.*)", joined, re.MULTILINE)
    if script:
        where = re.search(r"^path (.*)", joined, re.MULTILINE)
        of = where[1].rpartition("node_modules/")[2] if where and "node_modules/" in where[1] else _own(where)
        cause = re.search(r"^(?:\w*Error): .*", joined, re.MULTILINE)
        message = f"the install script of {of} failed: {script[1]}" + (f": {cause[0]}" if cause else "")
        hint = "native packages need a release that fits the version of Node; the script's own output is in the excerpt"
        if network:
            hint = f"{network[1]}: an install script may reach only the hosts that the operator allows"
        frames = re.findall(r"\(?((?:file://)?/[^\s():]+):\d+", joined)
        return FailureReason.INSTALL_SCRIPT_FAILED, message, hint, next(filter(None, map(places.find, frames)), None)
    if network:
        return (*network, project_file(places, ".npmrc") if "registry" in network[1] else None)
    said = next((text for text in texts if not _NOISE.match(text)), None)
    if said is None:
        # Seen of npm 11 when many downloads at once are slow: it names its own log, and nothing else.
        return FailureReason.COMMAND_FAILED, "npm failed and did not say why", _SILENT_HINT, None
    return FailureReason.COMMAND_FAILED, said, None, None


_READERS: dict[str, _Reader] = {
    "EUSAGE": _usage,
    "E404": _not_found,
    "ENOVERSIONS": _not_found,
    "ETARGET": _no_version,
    "ERESOLVE": _peers,
    "EBADENGINE": _engine,
    "ENOTSUP": _engine,
    "EJSONPARSE": _json,
    "EINTEGRITY": _integrity,
    "E401": _auth,
    "E403": _auth,
    "ENEEDAUTH": _auth,
    "EUNSUPPORTEDPROTOCOL": _wrong_wish,
    "EINVALIDPACKAGENAME": _wrong_wish,
    "EINVALIDTAGNAME": _wrong_wish,
    "EOVERRIDE": _wrong_wish,
    "EBADPLATFORM": _wrong_wish,
    "EDUPLICATEWORKSPACE": _wrong_wish,
    "ENOSPC": _disk,
}
