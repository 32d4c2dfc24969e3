"""Next's build: Turbopack's and webpack's reports, its type check and lint, and pages that throw while they are made."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import Diagnostic, FailureReason

_NEXT = re.compile(r"▲ Next\.js|\bnext build\b|Turbopack build failed|nextjs\.org")
_FAILED = re.compile(
    r"^\s*(?:> )?(?:Failed to (?:compile|type check)\.?|Build failed because of webpack errors|(?:Error: )?Turbopack build failed with \d+ errors?:)\s*$"
)
_PLACE = re.compile(
    r"^(?:\[?\./|/app/|\.\./)?(?P<file>[\w@()\[\]./+$-]{1,400}\.\w{1,6})\]?(?::(?P<line>\d+):(?P<column>\d+))?\s*$"
)
_LINT = re.compile(
    r"^(?P<line>\d+):(?P<column>\d+)\s+(?P<severity>Error|Warning): (?P<text>.*?)(?:\s\s?(?P<rule>[@\w-]+(?:/[\w-]+)+|[a-z]+(?:-[a-z]+)+))?$"
)
_PRERENDER = re.compile(
    r"^\s*(?:Error: )?Error occurred prerendering page \"(?P<page>[^\"]+)\"|^\s*(?:Error: )?Failed to collect page data for (?P<other>\S+)|Failed to build (?P<third>/\S*): "
)
_THROWN = re.compile(
    r"^\s*(?:\u2a2f )?(?:Uncaught )?\[?(?P<class>[A-Z]\w*Error|Error)(?: \[\w+\])?: (?P<text>.*?)(?:\] \{)?$"
)
_SUSPENSE = re.compile(
    r"^\s*(?:\u2a2f )?(?:Error: )?(?P<text>(?P<hook>use\w+)\(\) should be wrapped in a suspense boundary at page \"(?P<page>[^\"]{1,300})\")"
)
_USED = re.compile(r"because it used `(?P<name>\w+)\(")
_HOST = re.compile(r"getaddrinfo \w+ ([\w.-]+)")
_FRAME = re.compile(r"^\s+at .*?\(?(?P<file>[^\s()]+?):(?P<line>\d+):(?P<column>\d+)\)?(?: \{)?$")
_GENERAL = re.compile(
    r"^(?:Ecmascript file had an error|Parsing (?:ecmascript source code|css source code|\S+(?: \S+)*) failed|(?:Error|Caused by|Syntax Error):?\s*$|\s*\u00d7.*|Error:\s+[x\u00d7] .*|CSS Parsing Error|Module parse failed.*"
    r"|Import traces?.*|https?://\S+|> Build failed.*|Invalid .*import|.*Syntax Error$)"
)
_END = re.compile(
    r"^(?:Generated code of|Import traces?(?: for requested module)?:?|https://nextjs\.org|> Build failed|\s+at (?:<unknown>|new|\w)|Next\.js build worker exited|ELIFECYCLE|info\s+- Need)"
)
_CONFIG = re.compile(
    r"^\s*(?:\u2a2f|error -|> )?\s*(?:Failed to load next\.config|Invalid next\.config|Error: The configuration option|`?next\.config\.\w+`? )"
)

_RULE = re.compile(
    r"^\s*(?:\u2a2f )?Error: (?P<text>(?:Page|Route) \"(?P<page>/[^\"]*)\" (?:is missing|cannot|couldn't|with).*)"
)


class NextBuild:
    tool: ClassVar[str] = "next"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        if not any(_NEXT.search(line.text) for line in lines):
            return ()
        start = next((at for at, line in enumerate(lines) if _FAILED.match(line.text)), None)
        if start is not None and (reported := _reports(lines, start + 1, places)):
            return reported
        return _thrown(lines, places)


def _reports(lines: Sequence[LogLine], start: int, places: Places) -> list[Found]:
    """One error for each line that is a place; ESLint has one for each row below a place."""
    all_found: list[Found] = []
    stop = min(len(lines), start + 400)
    heads = [at for at in range(start, stop) if (match := _PLACE.match(lines[at].text)) and places.find(match["file"])]
    for at, after in zip(heads, [*heads[1:], stop], strict=False):
        match = _PLACE.match(lines[at].text)
        assert match is not None  # noqa: S101 - it is why `at` is a head
        if lines[at - 1].text.startswith("Import trace") or lines[at].text.startswith("  "):
            continue
        block = lines[at + 1 : min(after, at + 40)]
        rows = [_lint(row, line, match["file"], places) for line in block if (row := _LINT.match(line.text))]
        all_found += [one for one in rows if one.diagnostic.severity == "error"]
        if not rows and any(line.text.strip() and not codeframe.is_code(line.text) for line in block[:1]):
            all_found.append(_compiled(match, block, lines[at].seq, places))
    return all_found[:40] or _unplaced(lines[start : start + 24], places)


def _unplaced(block: Sequence[LogLine], places: Places) -> list[Found]:
    """An error about a module that Next made itself, a font for example: the trace has the file that asked for it."""
    said = [line for line in block if line.text.strip() and not _PLACE.match(line.text.strip())]
    said = [line for line in said if not line.text.startswith("[next]")]
    if not said:
        return []
    end = next((n for n, line in enumerate(said) if n and _END.match(line.text)), len(said))
    named = [match["file"] for line in block if (match := _PLACE.match(line.text.strip()))]
    sentence = " ".join(line.text.strip() for line in said[: min(end, 2)])
    file = next(filter(None, map(places.find, named)), None)
    context = "\n".join(line.text for line in block)
    one = found(
        "next", re.sub(r"^(?:> )?(?:\w*Error: )?", "", sentence), places, said[0].seq, file=file, context=context
    )
    font = re.search(r"Failed to fetch `?(?P<name>[\w ]+?)`? from Google Fonts", context)
    return [one.but(needle=font["name"]) if font else one]


def _lint(row: re.Match[str], line: LogLine, name: str, places: Places) -> Found:
    file = places.find(name)
    return Found(
        reason=FailureReason.LINT_ERROR,
        diagnostic=Diagnostic(
            tool="eslint",
            severity="error" if row["severity"] == "Error" else "warning",
            message=row["text"].strip(),
            code=row["rule"],
            file=file,
            line=int(row["line"]),
            column=int(row["column"]),
            hint="correct it, or set eslint: { ignoreDuringBuilds: true } in Next's configuration",
            log_seq=line.seq,
        ),
    )


def _compiled(match: re.Match[str], block: Sequence[LogLine], seq: int, places: Places) -> Found:
    end = next((n for n, line in enumerate(block) if _END.match(line.text)), len(block))
    block = block[:end]
    texts = [re.sub(r"^Error:\s+", "", line.text.strip()) for line in block if line.text.strip()]
    said = [text for text in texts if not codeframe.is_code(text) and not re.match(r"^[╭╰·,`-]", text)]
    specific = [text for text in said if not _GENERAL.match(text)]
    message = (specific or said or ["this file can't be compiled"])[0]
    message = re.sub(r"^(?:Error:\s+)?(?:[x\u00d7] )?", "", message)
    excerpt = codeframe.frame(block, 0, 30)
    line, column = _number(match["line"]), _number(match["column"])
    inside = re.search(r"\[[^\]]*:(\d+):(\d+)\]", "\n".join(texts))
    if line is None and inside:
        line, column = int(inside[1]), int(inside[2])
    types = message.startswith("Type error: ")
    return found(
        "next",
        message.removeprefix("Type error: "),
        places,
        seq,
        file=places.find(match["file"]),
        line=line or codeframe.marked(excerpt),
        column=column,
        excerpt=excerpt,
        context="" if types else "\n".join(texts[:12]),
        otherwise=FailureReason.TYPE_ERROR if types else FailureReason.SYNTAX_ERROR,
        hint='put "use client" at the top of the file' if "Client Component" in message else None,
    )


def _thrown(lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
    """A page that throws while its HTML is made, or the build's own configuration."""
    at = next((at for at, line in enumerate(lines) if _PRERENDER.search(line.text)), None)
    if at is None:
        for said in lines:
            if rule := _RULE.match(said.text):
                return [_rule(rule, said.seq, places)]
        at = next((at for at, line in enumerate(lines) if _CONFIG.match(line.text)), None)
        return () if at is None else [_config(lines, at, places)]
    page = next(name for name in _PRERENDER.search(lines[at].text).groups() if name)  # type: ignore[union-attr]
    hooked = next(((line, match) for line in lines if (match := _SUSPENSE.match(line.text))), None)
    if hooked:
        return [_suspended(*hooked, places)]
    # The error stands below the sentence about the page, or above it when it is about collecting data.
    around = [*range(at + 1, min(len(lines), at + 12)), *range(max(0, at - 30), at)]
    cause = next(
        (n for n in around if (match := _THROWN.match(lines[n].text)) and not _PRERENDER.search(match["text"])), None
    )
    if cause is None:
        file = _page_file(page, places)
        text = lines[at].text.strip()
        return [found("next", text, places, lines[at].seq, file=file, otherwise=FailureReason.PRERENDER_FAILED)]
    thrown = _THROWN.match(lines[cause].text)
    assert thrown is not None  # noqa: S101 - it is why `cause` was chosen
    file = line = column = None
    for below in lines[cause + 1 : cause + 20]:
        if (frame := _FRAME.match(below.text)) and (file := places.find(frame["file"])):
            line, column = int(frame["line"]), int(frame["column"])
            break
    file = file or _page_file(page, places)
    host = next((match[1] for row in lines[cause : cause + 12] if (match := _HOST.search(row.text))), None)
    kind = "" if thrown["class"] == "Error" else f"{thrown['class']}: "
    one = found(
        "next",
        f"{kind}{thrown['text']}{f': {host}' if host else ''} (while the page {page} was made)",
        places,
        lines[cause].seq,
        file=file,
        line=line,
        column=column,
        excerpt=codeframe.frame(lines, cause + 1),
        otherwise=FailureReason.PRERENDER_FAILED,
        hint=f"correct what {page} throws, or make it dynamic so that it is not prerendered",
    )
    used = _USED.search(thrown["text"])
    needle = host or (f"{used['name']}(" if used else one.needle)
    ruled = "not configured on route" in thrown["text"]
    if not ruled:
        return [one.but(needle=needle)]
    advice = 'write `export const dynamic = "force-static"` in it if its answer never changes; a site of files has no routes that compute'
    return [one.but(needle="export", reason=FailureReason.CONFIG_ERROR, diagnostic=one.diagnostic.but(hint=advice))]


def _suspended(line: LogLine, match: re.Match[str], places: Places) -> Found:
    file = _page_file(match["page"], places)
    hint = f"put the component that calls {match['hook']} into <Suspense>"
    one = found("next", match["text"], places, line.seq, file=file, otherwise=FailureReason.PRERENDER_FAILED, hint=hint)
    return one.but(needle=f"{match['hook']}(")


def _config(lines: Sequence[LogLine], at: int, places: Places) -> Found:
    thrown = next((match for line in lines[at : at + 8] if (match := _THROWN.match(line.text))), None)
    text = thrown["text"] if thrown else lines[at].text.strip(" \u2a2f>")
    names = ("next.config.js", "next.config.mjs", "next.config.ts", "next.config.cjs")
    file = next((path for name in names if (path := places.find(name))), None)
    one = found("next", text, places, lines[at].seq, file=file, otherwise=FailureReason.CONFIG_ERROR)
    return one.but(reason=FailureReason.CONFIG_ERROR) if one.reason is FailureReason.SYNTAX_ERROR else one


def _rule(match: re.Match[str], seq: int, places: Places) -> Found:
    """A page that does not go with Next's configuration."""
    hint = "export generateStaticParams from the page" if "generateStaticParams" in match["text"] else None
    text = re.sub(r" See more info here: \S+", "", match["text"])
    file = _page_file(match["page"], places)
    one = found("next", text, places, seq, file=file, otherwise=FailureReason.CONFIG_ERROR, hint=hint)
    return one.but(needle="export default")


def _page_file(page: str, places: Places) -> str | None:
    """The file of a route, as both of Next's routers name it."""
    route = page.split(":", 1)[0].strip("/")
    route = "" if route == "page" else route.removesuffix("/page")
    names = [
        f"{base}{directory}/{name}.{ending}"
        for base in ("", "src/")
        for directory, name in (
            ("app" + (f"/{route}" if route else ""), "page"),
            (f"app/{route}", "route"),
            ("pages", route or "index"),
            (f"pages/{route}", "index"),
        )
        for ending in ("tsx", "jsx", "js", "ts")
    ]
    return next((path for name in names if (path := places.find(name))), None)


def _number(text: str | None) -> int | None:
    return int(text) if text else None
