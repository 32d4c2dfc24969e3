"""SvelteKit beside its bundler: pages that throw or links that lead nowhere while it prerenders, its own options, its adapters."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.manifest_lines import project_file
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import meaning
from headrace.model.diagnostic import Diagnostic, FailureReason

_STATUS = re.compile(r"^\[(?P<status>[45]\d\d)\] [A-Z]+ (?P<path>\S+)$")
_LINKED = re.compile(r"^Error: 404 (?P<path>\S+) \(linked from (?P<page>\S+)\)")
_ERROR = re.compile(r"^(?P<class>\w*Error): (?P<text>.*)")
_ENTRY = re.compile(r"\.svelte-kit/output/server/entries/(?:pages|endpoints)/(?P<entry>[\w./@-]+)\.js:\d+:\d+")
_OPTION = re.compile(r"^(?:Error: )?Error loading (?P<file>svelte\.config\.\w+): (?P<text>.*)")
_EXPORT = re.compile(r"^Error: (?P<text>Invalid export '(?P<name>[\w$]+)' in (?P<file>\S+) .*)")
_DYNAMIC = re.compile(r"all routes must be fully prerenderable")
_ROUTE = re.compile(r"^\s+- (?P<route>src/\S*)$")
#: What of an error's message stands in the source: the property that was read, or the name that is not there.
_READ = re.compile(r"reading '(?P<property>[\w$]+)'|^(?P<name>[\w$]+) is not defined")
_SOURCES = (".svelte", ".js", ".ts", ".md", ".svx")
_STACK = 12


class SvelteKit:
    tool: ClassVar[str] = "sveltekit"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        for at, line in enumerate(lines):
            if match := _OPTION.match(line.text):
                return [_option(match, line, places)]
            if match := _EXPORT.match(line.text):
                return [_export(match, line, places)]
            if _DYNAMIC.search(line.text) and "adapter-static" in line.text:
                return [_dynamic(lines[at : at + _STACK], places)]
            status, below = _STATUS.match(line.text), lines[at + 1 : at + 1 + _STACK]
            if status and below and (thrown := _ERROR.match(below[0].text)) and status["status"] != "404":
                return [_thrown(status["path"], thrown, below, places)]
            if linked := _LINKED.match(line.text):
                return [_linked(linked, line)]
        return ()


def _thrown(page: str, error: re.Match[str], block: Sequence[LogLine], places: Places) -> Found:
    entries = [match["entry"] for line in block if (match := _ENTRY.search(line.text))]
    file = next((path for entry in entries if (path := _source(entry, places))), None)
    text = error["text"] if error["class"] == "Error" else f"{error['class']}: {error['text']}"
    reason, hint, needle, _ = meaning(error["text"], file, places, FailureReason.PRERENDER_FAILED)
    read = _READ.search(error["text"])
    if read:
        needle = f".{read['property']}" if read["property"] else read["name"]
    return Found(
        reason=reason,
        needle=needle or error["text"],
        diagnostic=Diagnostic(
            tool="sveltekit",
            severity="error",
            message=f"{text} (while the page {page} was made)",
            file=file,
            excerpt="\n".join(line.text for line in block[:3]) if file is None else None,
            hint=hint,
            log_seq=block[0].seq,
        ),
    )


def _source(entry: str, places: Places) -> str | None:
    """The file of the routes that a compiled entry is made of: the build writes an underscore for `+` and brackets."""
    for path in places.below("src/routes/"):
        plain = re.sub(r"[^\w./@-]", "_", path.rpartition("src/routes/")[2])
        if entry in (plain, plain.rpartition(".")[0]):
            return path
    return None


def _linked(match: re.Match[str], line: LogLine) -> Found:
    return Found(
        reason=FailureReason.PRERENDER_FAILED,
        needle=match["path"],
        endings=_SOURCES,
        diagnostic=Diagnostic(
            tool="sveltekit",
            severity="error",
            message=f"the page {match['page']} links to {match['path']}, which is not there (404)",
            code="404",
            hint="correct the link, or add the page; `handleHttpError` below kit.prerender lets such links be",
            log_seq=line.seq,
        ),
    )


def _option(match: re.Match[str], line: LogLine, places: Places) -> Found:
    name = re.search(r"config\.(?:\w+\.)*(\w+)", match["text"])
    return Found(
        reason=FailureReason.CONFIG_ERROR,
        needle=name[1] if name else None,
        diagnostic=Diagnostic(
            tool="sveltekit",
            severity="error",
            message=match["text"],
            file=places.find(match["file"]),
            log_seq=line.seq,
        ),
    )


def _export(match: re.Match[str], line: LogLine, places: Places) -> Found:
    return Found(
        reason=FailureReason.CONFIG_ERROR,
        needle=match["name"],
        diagnostic=Diagnostic(
            tool="sveltekit",
            severity="error",
            message=match["text"],
            file=places.find(match["file"]),
            hint="files of routes export only what SvelteKit knows: move it to another module, or begin its name with _",
            log_seq=line.seq,
        ),
    )


def _dynamic(block: Sequence[LogLine], places: Places) -> Found:
    routes = [match["route"].rstrip("/") for line in block if (match := _ROUTE.match(line.text))]
    return Found(
        reason=FailureReason.CONFIG_ERROR,
        needle="prerender",
        diagnostic=Diagnostic(
            tool="sveltekit",
            severity="error",
            message=f"adapter-static takes only pages that are prerendered, and these are not: {', '.join(routes)[:400]}",
            file=project_file(places, *(f"src/routes/+layout.{end}" for end in ("js", "ts", "server.js", "server.ts")))
            or project_file(places, "svelte.config.js", "svelte.config.ts"),
            hint="write `export const prerender = true` in src/routes/+layout.js, or give adapter-static a fallback page",
            log_seq=block[0].seq,
        ),
    )
