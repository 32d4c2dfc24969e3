"""Gatsby: ` ERROR  #85923  GRAPHQL` with a text, a place and a piece of source below it."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.imports import unresolved
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import FailureReason

_HEAD = re.compile(r"^\s*ERROR\s+#?(?P<code>\d+|[A-Z_]+)(?:\s+(?P<area>[A-Z][\w.-]*))?\s*$")
#: Without a terminal: no number, and no place.
_PLAIN = re.compile(r"^error (?P<text>(?!Truncated page data)\S.*)")
_MISSING = re.compile(r"There was a problem loading plugin \"(?P<name>[^\"]+)\"")
_BUILT = re.compile(r"^\s*(?P<file>\S+\.\w+):(?P<line>\d+):(?P<column>\d+)$")
_FIELD = re.compile(r"Cannot query field \"(?P<name>\w+)\"|Unknown (?:argument|type|fragment) \"(?P<other>\w+)\"")
_GATSBY = re.compile(r"\bgatsby\b", re.IGNORECASE)
_PLACE = re.compile(
    r"^\s*(?:File(?: path)?|Error in|in)?:? ?\"?(?P<file>[\w@./-]{1,300}\.(?:[jt]sx?|mjs|cjs|mdx?|css|scss|graphql))(?::(?P<line>\d+):(?P<column>\d+))?\"?\s*$"
)
_GENERAL = re.compile(
    r"^(?:Generating .* (?:bundles?|stylesheets?) failed|There was an error in your GraphQL query:?|Building static HTML failed.*|See our docs page.*|Error in \".*\":?|We encountered an error while trying to (?:load|resolve).*|(?:File|Location|URL|Query name|Plugin):? ?.*)"
)
_STOP = re.compile(r"^\s*(?:not finished|info |success |failed |ERROR\s)|^\s+at ")


class Gatsby:
    tool: ClassVar[str] = "gatsby"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        heads = [(at, match) for at, line in enumerate(lines) if (match := _HEAD.match(line.text))]
        plain = [at for at, line in enumerate(lines) if _PLAIN.match(line.text)]
        if not (heads or plain) or not any(_GATSBY.search(line.text) for line in lines):
            return ()
        if heads:
            return [_found(match, lines, at, places) for at, match in heads[:20]]
        return [_plain(lines, at, places) for at in plain[:20]]


def _plain(lines: Sequence[LogLine], at: int, places: Places) -> Found:
    block: list[LogLine] = []
    for below in lines[at + 1 : at + 40]:
        if _STOP.match(below.text) or _PLAIN.match(below.text):
            break
        block.append(below)
    head = _PLAIN.match(lines[at].text)
    assert head is not None  # noqa: S101 - its caller looked for it
    texts = [head["text"], *(line.text.strip() for line in block if line.text.strip())]
    message = next((text for text in texts if not _GENERAL.match(text) and not codeframe.is_code(text)), texts[0])
    page = re.search(r"Building static HTML failed for path \"(?P<page>[^\"]+)\"", head["text"])
    field = _FIELD.search("\n".join(texts))
    otherwise = FailureReason.PRERENDER_FAILED if page else FailureReason.COMMAND_FAILED
    file = line = column = None
    for text in texts:
        if (built := _BUILT.match(text)) and (file := places.find(f"/{built['file'].lstrip('/')}")):
            line, column = int(built["line"]), int(built["column"])
            break
    if missing := _MISSING.search(head["text"]):
        return _of_plugin(missing["name"], lines[at], places)
    one = found(
        "gatsby",
        re.sub(r"^WebpackError: (?:Error: )?", "", message),
        places,
        lines[at].seq,
        file=file,
        line=line,
        column=column,
        excerpt=codeframe.frame(block, 0, 12),
        context="\n".join(texts[:14]),
        otherwise=FailureReason.TYPE_ERROR if field else otherwise,
    )
    if field:
        return one.but(needle=field["name"] or field["other"], endings=(".js", ".jsx", ".ts", ".tsx", ".mjs"))
    return one


def _of_plugin(name: str, line: LogLine, places: Places) -> Found:
    reason, hint = unresolved(name, None, places)
    configs = ("gatsby-config.js", "gatsby-config.ts", "gatsby-config.mjs")
    file = next((path for config in configs if (path := places.find(config))), None)
    message = f"the plugin {name} can't be loaded"
    one = found("gatsby", message, places, line.seq, file=file, otherwise=reason, hint=hint)
    return one.but(needle=name)


def _found(match: re.Match[str], lines: Sequence[LogLine], at: int, places: Places) -> Found:
    block: list[LogLine] = []
    for line in lines[at + 1 : at + 40]:
        if _STOP.match(line.text):
            break
        block.append(line)
    texts = [line.text.strip() for line in block if line.text.strip()]
    said = [text for text in texts if not codeframe.is_code(text) and not _PLACE.match(text)]
    specific = [text for text in said if not _GENERAL.match(text)]
    file = line_number = column = None
    for text in texts:
        if (placed := _PLACE.match(text)) and (file := places.find(placed["file"])):
            line_number = int(placed["line"]) if placed["line"] else None
            column = int(placed["column"]) if placed["column"] else None
            break
    excerpt = codeframe.frame(block, 0, 40)
    return found(
        "gatsby",
        (specific or said or ["the build failed"])[0],
        places,
        lines[at].seq,
        file=file,
        line=line_number or (codeframe.marked(excerpt) if file else None),
        column=column,
        code=match["code"],
        excerpt=excerpt,
        context="\n".join(texts[:14]),
        otherwise=FailureReason.PRERENDER_FAILED if match["area"] == "HTML" else FailureReason.COMMAND_FAILED,
    )
