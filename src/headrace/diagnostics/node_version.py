"""Tools that refuse the version of Node they run on, or break because of it."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.manifest_lines import manifest
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

#: Who wants what. The version that is wanted is said in one sentence, or in the next line.
_WANTS = re.compile(
    r"(?:requires|For Next\.js,|needs|requires a minimum|require|requires at least) ?(?:a minimum )?Node(?:\.js)?(?: version)?(?: of)?:? [\"']?(?P<a>[v\d<>=^~|&. +or-]*\d[\d.]*[x+]?(?:,? (?:or|\|\||&&) [v\d.+<>=^~]+)*)"
    r"|upgrade Node(?:\.js)? to a supported version: \"(?P<b>[^\"]+)\""
    r"|(?:Node(?:\.js)?|node) (?:version )?[\"']?(?P<c>[\^>=~v]*\d[^\"']{0,60}?)[\"']? (?:is required|or (?:higher|later|newer) is required)"
)
_SUBJECT = re.compile(
    r"You are using Node|Node(?:\.js)? v\d+\S* (?:is not supported|detected)|Node(?:\.js)? version v?\d\S* (?:is not|detected)|requires (?:at least |a minimum )?Node(?:\.js)?\b|Unsupported (?:NodeJS|Node\.js|Node) version|Gatsby requires Node"
)
#: Old programs on new versions, and new programs on old ones.
_OPENSSL = re.compile(r"error:0308010C|ERR_OSSL_EVP_UNSUPPORTED")
_TOO_OLD = re.compile(
    r"crypto\$?\d?\.(?:hash|getRandomValues) is not a function|(?:ReferenceError|Error): (?:structuredClone|CustomEvent|ReadableStream|File|fetch|WebSocket|crypto|navigator) is not defined"
    r"|The requested module '(?:node:)?(?:util|fs|module|path|process|fs/promises)' does not provide an export named|\.(?:toSorted|toReversed|findLast|with|at) is not a function|No such built-in module: node:"
)
#: What Node prints below an uncaught error; this and later versions have all of the above, and the mistake is another one.
_USED = re.compile(r"^Node\.js v(\d{1,3})\.")
_NEW = 22
#: A cache of compiled scripts that old command lines load, such as that of webpack-cli 3; it compiles ES modules as scripts.
_CACHED = re.compile(r"node_modules/v8-compile-cache/")
_MODULE = re.compile(r"^SyntaxError: Cannot use import statement outside a module")
_CACHED_HINT = 'set DISABLE_V8_COMPILE_CACHE = "1" below [env] in headrace.toml; or Node 20'
_HINT = 'set "engines": {{"node": "{0}"}} in package.json, or node below [build] in headrace.toml'


def node_hint(wanted: str) -> str:
    """How to get a version of Node that `wanted` names: the `engines` of a package as JSON."""
    match = re.search(r'"node": ?"([^"]+)"', wanted)
    if match:
        return _HINT.format(match[1])
    return 'choose the version with "engines" in package.json or node below [build] in headrace.toml'


class NodeVersion:
    tool: ClassVar[str] = "node"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        new = any((used := _USED.match(line.text)) and int(used[1]) >= _NEW for line in lines)
        for at, line in enumerate(lines):
            if _SUBJECT.search(line.text):
                text = " ".join(near.text.strip() for near in lines[at : at + 3])
                if wanted := _WANTS.search(text):
                    version = next(part for part in wanted.groups() if part).strip(" .,")
                    return [_found(line.text.strip(), version, line, places)]
            if _OPENSSL.search(line.text):
                hint = "set NODE_OPTIONS=--openssl-legacy-provider below [env] in headrace.toml, or Node 16; a newer webpack needs neither"
                return [
                    _found("this webpack uses a digest that Node 17 and later do not have", "16", line, places, hint)
                ]
            if _MODULE.match(line.text) and any(_CACHED.search(near.text) for near in lines[at : at + 10]):
                return [_found("v8-compile-cache can't load ES modules on this Node", "20", line, places, _CACHED_HINT)]
            if not new and _TOO_OLD.search(line.text):
                return [_found(f"{line.text.strip()}: a newer Node has it", ">=22.12", line, places)]
        return ()


def _found(message: str, wanted: str, line: LogLine, places: Places, hint: str | None = None) -> Found:
    return Found(
        reason=FailureReason.WRONG_NODE_VERSION,
        needle='"engines"',
        diagnostic=Diagnostic(
            tool="node",
            severity="error",
            message=message[:600],
            file=manifest(places),
            hint=hint or _HINT.format(wanted),
            log_seq=line.seq,
        ),
    )
