"""webpack 4 and 5: `ERROR in …` reports, with what loaders say in them, and its command's own errors."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import FailureReason

_HEAD = re.compile(r"^(?:\[(?!tsl)[\w:]+\] )?ERROR in (?P<where>.*)")
_CLI = re.compile(r"^\[webpack-cli\] (?P<text>(?!Compilation (?:starting|finished)|Watch).*)")
_END = re.compile(
    r"^(?:(?:\[(?!tsl)[\w:]+\] )?(?:ERROR|WARNING) in |webpack \d|webpack compiled|Child |\d+ errors? ha(?:s|ve) detailed|@ )"
)
_WHERE = re.compile(r"^(?P<file>[^\s:!(]+)(?:[: (](?P<line>\d+)[:,](?P<column>\d+)(?:-[\d:]+)?\)?)?")
_IN_TEXT = re.compile(
    r"(?P<file>(?:/|\./)?[\w@./\[\]-]{1,300}\.\w{1,8})(?:: .{1,400}|)[:( ]+(?P<line>\d{1,6})[:,](?P<column>\d{1,5})\)"
    r"|(?:[Ll]ine )(?P<line2>\d{1,6})(?: column |:)(?P<column2>\d{1,5})"
    r"|\((?P<line3>\d{1,6}):(?P<column3>\d{1,5})\)"
    r"|╭─\[(?P<line4>\d{1,6}):(?P<column4>\d{1,5})\]"
)
_FAILED_BY = re.compile(
    r"^Module build failed \(from (?P<loader>[^)]+)\):?$|^HookWebpackError: |^Module Error \(from [^)]+\):"
)
_TYPESCRIPT = re.compile(r"^\s*(?:\[tsl\] ERROR.*|(?P<code>TS\d+): (?P<text>.*))")
_CLASS = re.compile(r"^(?:(?:\w*Error|ModuleNotFoundError|ModuleBuildError|ModuleParseError)(?: in .{0,300}?)?: )+")
#: What Rspack draws in front of a message.
_MARKS = re.compile("^\\s*(?:╰─▶\\s*)?\N{MULTIPLICATION SIGN}\\s+")
_RSPACK_CLI = re.compile(r"^\[rspack\] CLI failed:")
_RSPACK_PLACE = re.compile(r"^\s*(?P<file>/\S+):(?P<line>\d+):(?P<column>\d+)\]?$")
_STACK = re.compile(r"^\s+at .*(?:\)|:\d+:\d+)$")
_OPENSSL = re.compile(r"digital envelope routines|ERR_OSSL_EVP_UNSUPPORTED")
_MOST = 40


class Webpack:
    tool: ClassVar[str] = "webpack"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        all_found: list[Found] = []
        for at, line in enumerate(lines):
            if len(all_found) >= _MOST:
                break
            if match := _HEAD.match(line.text):
                all_found.append(_found(match["where"], _block(lines, at), places))
            elif match := _CLI.match(line.text):
                all_found.append(_of_the_command(match["text"], _block(lines, at), places))
            elif _RSPACK_CLI.match(line.text):
                all_found.append(_of_rspack(lines[at + 1 : at + 8], places, line.seq))
        return all_found


def _block(lines: Sequence[LogLine], at: int) -> Sequence[LogLine]:
    """The report that begins at `at`: up to the next one, or to the way by which the module was reached."""
    end = next((n for n in range(at + 1, min(len(lines), at + 60)) if _END.match(lines[n].text.lstrip())), None)
    return lines[at : end if end is not None else min(len(lines), at + 60)]


def _found(where: str, block: Sequence[LogLine], places: Places) -> Found:
    below = [line for line in block[1:] if line.text.strip() and not _STACK.match(line.text)]
    texts = [line.text for line in below]
    placed = _WHERE.match(where)
    file = places.find(placed["file"]) if placed else None
    line = int(placed["line"]) if placed and placed["line"] else None
    # webpack counts columns from 0; the checker of types counts from 1.
    column = int(placed["column"]) if placed and placed["column"] else None
    code, message = _message(texts, where if not file else "")
    if line is not None and code is None and column is not None:
        column += 1
    if line is None:
        file, line, column = _inside("\n".join(texts[:14]), file, places)
    excerpt = codeframe.frame(below, 0, 30)
    line = line or codeframe.marked(excerpt)
    return found(
        "webpack",
        message,
        places,
        block[0].seq,
        file=file,
        line=line,
        column=column,
        code=code,
        excerpt=excerpt,
        context="\n".join([where, *texts[:8]]),
        otherwise=FailureReason.TYPE_ERROR if code else FailureReason.COMMAND_FAILED,
    )


def _message(texts: list[str], where: str) -> tuple[str | None, str]:
    """Code and message: the first line that says something, after those that say which loader was at work."""
    for text in (_MARKS.sub("", text) for text in texts):
        if match := _TYPESCRIPT.match(text):
            if match["code"]:
                return match["code"], match["text"]
            continue
        if re.match(r"^(?:\./\S+ \d+:\d+(?:-[\d:]+)?|\w*Error)$", text):
            continue
        if _FAILED_BY.match(text) and not text.startswith("HookWebpackError: "):
            continue
        if not codeframe.is_code(text):
            said = re.sub(r"^Module not found: Error: ", "Module not found: ", text.strip())
            said = re.sub(r"^\((\d+:\d+)\) \S+ ", "", said)
            return None, said if said.startswith("Module not") else _CLASS.sub("", said)
    return None, where or "the build failed"


def _inside(text: str, file: str | None, places: Places) -> tuple[str | None, int | None, int | None]:
    for match in _IN_TEXT.finditer(text):
        named = places.find(match["file"]) if match["file"] else None
        if match["line4"] and file:
            # Rspack counts columns from 0.
            return file, int(match["line4"]), int(match["column4"]) + 1
        number = match["line"] or match["line2"] or match["line3"]
        if named or file:
            column = match["column"] or match["column2"] or match["column3"]
            return named or file, int(number), int(column)
    return file, None, None


def _of_rspack(below: Sequence[LogLine], places: Places, seq: int) -> Found:
    """Its command's own errors: nearly always of the configuration."""
    text = below[0].text.strip(" []") if below else "Rspack could not start"
    message = re.sub(r"^Error: (?=\w*Error: )", "", text)
    place = next((match for line in below if (match := _RSPACK_PLACE.match(line.text))), None)
    names = (f"rspack.config.{ending}" for ending in ("ts", "js", "mjs", "cjs"))
    file = places.find(place["file"]) if place else None
    one = found(
        "webpack",
        message,
        places,
        seq,
        file=file or next((path for name in names if (path := places.find(name))), None),
        line=int(place["line"]) if place and file else None,
        column=int(place["column"]) if place and file else None,
        otherwise=FailureReason.CONFIG_ERROR,
        hint="correct Rspack's configuration",
    )
    syntax = one.reason is FailureReason.SYNTAX_ERROR
    return one.but(reason=FailureReason.CONFIG_ERROR) if syntax else one


def _of_the_command(text: str, block: Sequence[LogLine], places: Places) -> Found:
    texts = [line.text for line in block[1:12] if line.text.strip()]
    whole = "\n".join([text, *(line.text for line in block[1:])])
    if _OPENSSL.search(whole):
        return found("webpack", text, places, block[0].seq, otherwise=FailureReason.WRONG_NODE_VERSION)
    missing = re.search(r"Cannot find (?:module|package) '[^']+'.*", whole)
    unknown = re.search(r"unknown property '(\w+)'", whole)
    message = missing[0] if missing else _CLASS.sub("", text.lstrip("\u2716 "))
    if message.endswith(".") and texts and texts[0].startswith(" -"):
        message = f"{message} {texts[0].strip(' -')}"
    file, line, column = _inside(whole[:4000], None, places)
    config = next(
        (
            path
            for name in ("webpack.config.js", "webpack.config.ts", "webpack.config.cjs", "webpack.config.mjs")
            if (path := places.find(name))
        ),
        None,
    )
    if file is None:
        file, line, column = config, None, None
    one = found(
        "webpack",
        message,
        places,
        block[0].seq,
        file=file,
        line=line,
        column=column,
        excerpt=codeframe.frame(block, 0, 30),
        otherwise=FailureReason.CONFIG_ERROR,
        hint="correct webpack's configuration",
    )
    return one.but(needle=f"{unknown[1]}:") if unknown else one
