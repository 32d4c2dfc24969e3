"""Astro: `astro check`'s lines, and its build's errors with a `Location:` or a stack below them."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import FailureReason

_CHECK = re.compile(
    r"^(?P<file>\S[^:]*):(?P<line>\d+):(?P<column>\d+) - error (?P<code>ts\(\d+\)|astro\(\d+\)|\S+): ?(?P<text>.*)"
)
_ASTRO = re.compile(r"\[(?:build|vite|content|types|config|astro[\w-]*)\]|\bastro (?:build|v?\d)|astro:build")
_HEAD = re.compile(
    r"^(?:\d\d:\d\d:\d\d )?(?:\[(?:ERROR|error)\] )?(?:\[(?P<code>[A-Z]\w+|vite|vite:[\w-]+|config|build|content|@\w[\w/-]*|[\w-]+)\] ?)(?P<text>\S.*)"
)
_LABEL = re.compile(r"^\s*(?P<label>Location|Stack trace|Hint|Error reference|Caused by|File|file):\s*(?P<rest>.*)$")
_PLACE = re.compile(
    r"(?P<file>(?:file://)?[\w@./\[\]$-]{1,400}\.\w{1,8})(?:\?[^:\s]*)?(?::(?P<line>\d+)(?::(?P<column>\d+))?)?"
)
#: Errors of Astro that nothing in their words tells apart.
_OF_CONTENT = ("InvalidContentEntryDataError", "InvalidContentEntryFrontmatterError")
_REASONS = dict.fromkeys(_OF_CONTENT, FailureReason.TYPE_ERROR) | dict.fromkeys(
    ("GetStaticPathsRequired", "NoAdapterInstalled", "InvalidGetStaticPathsReturn", "GetStaticPathsInvalidRouteParam"),
    FailureReason.CONFIG_ERROR,
)
_PAGES = (".md", ".mdx", ".astro")
_UNKNOWN = FailureReason.COMMAND_FAILED
_FIELD = re.compile(r"^\s+(?P<name>[\w.]{1,100}): (?P<said>\S.{0,300})")
_GENERAL = re.compile(r"^(?:\u2717 Build failed in|Unable to load your Astro config)")
_RENDERED = re.compile(r"Caught error rendering (?P<page>/\S*): ")
#: Up to Astro 4: the page that was being made, below it what it threw.
_PAGE = re.compile(r"^(?:\d\d:\d\d:\d\d )?▶ (?P<file>\S+)$")
_ABOUT = re.compile(r"^(?P<name>\w+) is not (?:defined|a function)|\(reading '(?P<property>\w+)'\)")
_NAMED = re.compile(r"(?P<name>\w+) is not defined|\(reading '(?P<property>\w+)'\)")
_ISSUE = re.compile(r"^!? *(?P<text>(?P<name>[\w.]+): \S.*)")


class Astro:
    tool: ClassVar[str] = "astro"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        checked = [
            found(
                "astro",
                match["text"],
                places,
                line.seq,
                file=places.find(match["file"]),
                line=int(match["line"]),
                column=int(match["column"]),
                code=match["code"],
                excerpt=codeframe.frame(lines, at + 1, 4),
                otherwise=FailureReason.TYPE_ERROR,
            )
            for at, line in enumerate(lines)
            if (match := _CHECK.match(line.text))
        ]
        return _in_order(checked[:40]) if checked else _built(lines, places)


def _in_order(checked: Sequence[Found]) -> Sequence[Found]:
    """By line in each file: the check tells of what a declaration breaks before it tells of the declaration."""
    files = list(dict.fromkeys(one.diagnostic.file for one in checked))
    return sorted(checked, key=lambda one: (files.index(one.diagnostic.file), one.diagnostic.line or 0))


def _built(lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
    """The last error that has labels below it: what comes before it is progress."""
    if not any(_ASTRO.search(line.text) for line in lines):
        return ()
    if config := _configuration(lines, places):
        return [config]
    label = next(
        (
            at
            for at, line in enumerate(lines)
            if (match := _LABEL.match(line.text)) and match["label"] in ("Location", "Stack trace", "Hint")
        ),
        None,
    )
    if label is None:
        return ()
    if page := next((n for n in range(label - 1, max(-1, label - 8), -1) if _PAGE.match(lines[n].text)), None):
        return [_thrown(lines, page, places)]
    at = next((n for n in range(label - 1, max(-1, label - 16), -1) if _HEAD.match(lines[n].text)), None)
    head = _HEAD.match(lines[at].text) if at is not None else None
    if at is None or head is None:
        return ()
    block = lines[at + 1 : at + 40]
    end = next((n for n, line in enumerate(block) if line.text.startswith("Caused by")), len(block))
    hint = next(
        (
            block[n + 1].text.strip()
            for n, line in enumerate(block[:end])
            if line.text.strip() == "Hint:" and n + 1 < len(block)
        ),
        None,
    )
    file, line, column = _place(block, places)
    code = head["code"]
    message = head["text"].lstrip(": ")
    if _GENERAL.match(message):
        below = [row.text.strip() for row in block[:4] if row.text.strip() and not _LABEL.match(row.text)]
        message = below[0] if below else message
    otherwise = FailureReason.SYNTAX_ERROR if code and "Compiler" in code else _REASONS.get(code or "", _UNKNOWN)
    field = _field(block[:4]) if code in _OF_CONTENT else None
    if field:
        message = f"{message.rstrip('.')}: {field[0]}"
    if rendered := _RENDERED.search(message):
        file, otherwise = file or _page_file(rendered["page"], places), FailureReason.PRERENDER_FAILED
    one = found(
        "astro",
        message,
        places,
        lines[at].seq,
        file=file,
        line=line,
        column=column,
        code=code,
        excerpt=codeframe.frame(block, 0, 30),
        context="\n".join([code or "", *(row.text for row in block[:6])]),
        otherwise=otherwise,
        hint=hint,
    )
    if rendered and (about := _NAMED.search(message)):
        one = one.but(needle=about["name"] or f".{about['property']}")
    if "requested image" in message and file is None:
        one = one.but(endings=_PAGES)
    return [one.but(reason=otherwise, needle=f"{field[1]}:") if field else one]


def _field(block: Sequence[LogLine]) -> tuple[str, str] | None:
    """What the schema says of the first field, `title: Required`, and the field's name. Astro forgets to make it bold."""
    match = next((match for line in block if (match := _FIELD.match(line.text.replace("**", "")))), None)
    if match is None:
        return None
    said = match["said"].removeprefix(f"{match['name']}: ")
    return f"{match['name']}: {said}", match["name"].rpartition(".")[2]


def _thrown(lines: Sequence[LogLine], at: int, places: Places) -> Found:
    match = _PAGE.match(lines[at].text)
    message = lines[at + 1].text.strip()
    file = places.find(match["file"]) if match else None
    one = found("astro", message, places, lines[at + 1].seq, file=file, otherwise=FailureReason.PRERENDER_FAILED)
    about = _ABOUT.search(message)
    return one.but(needle=one.needle or (about and (about["name"] or f".{about['property']}")) or None)


def _configuration(lines: Sequence[LogLine], places: Places) -> Found | None:
    at = next((n for n, line in enumerate(lines) if "Astro found issue(s) with your configuration" in line.text), None)
    if at is None:
        return None
    issue = next((match for line in lines[at + 1 : at + 8] if (match := _ISSUE.match(line.text.strip()))), None)
    names = ("astro.config.mjs", "astro.config.ts", "astro.config.js", "astro.config.mts")
    file = next((path for name in names if (path := places.find(name))), None)
    text = issue["text"] if issue else lines[at].text
    one = found("astro", text, places, lines[at].seq, file=file, otherwise=FailureReason.CONFIG_ERROR)
    name = next((part for part in reversed(issue["name"].split(".")) if not part.isdigit()), None) if issue else None
    return one.but(reason=FailureReason.CONFIG_ERROR, needle=f"{name}:" if name else None)


def _page_file(page: str, places: Places) -> str | None:
    route = page.strip("/").removesuffix(".html") or "index"
    names = [f"src/pages/{route}{middle}.{ending}" for middle in ("", "/index") for ending in ("astro", "md", "mdx")]
    return next((path for name in names if (path := places.find(name))), None)


def _place(block: Sequence[LogLine], places: Places) -> tuple[str | None, int | None, int | None]:
    for row in block:
        for match in _PLACE.finditer(row.text):
            if file := places.find(match["file"]):
                line, column = match["line"], match["column"]
                return file, (int(line) or None) if line else None, (int(column) or None) if line and column else None
    return None, None, None
