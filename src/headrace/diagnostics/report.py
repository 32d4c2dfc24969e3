"""From a tool's sentence to its meaning: what bundlers, compilers and frameworks say in much the same words."""

import posixpath
import re

from headrace.diagnostics.base import Found
from headrace.diagnostics.environment import missing_variables, variable_hint
from headrace.diagnostics.imports import unresolved
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason
from headrace.model.sandbox import WORKING_DIRECTORY

_UNRESOLVED = re.compile(
    r"(?:Can't resolve|Could not resolve|Cannot resolve|Could not load|Can't find stylesheet to import|Could not find (?:template|stylesheet|style) file|Could not find requested image|Can't walk dependency graph: Cannot find module"
    r"|(?:[Ff]ailed to|Could not|[Uu]nable to) (?:resolve|load|find)(?: import| module)?|[Cc]annot find (?:module|package|the file))"
    r" ['\"`](?P<module>[^'\"`\n]{1,300})['\"`]"
    r"(?:,? (?:imported )?(?:in|from) ['\"`]?(?P<importer>[^'\"`\s]{1,400}))?"
)
_TYPES = re.compile(r"Could not find a declaration file for module ['\"`](?P<module>[^'\"`]+)")
_EXPORT = re.compile(
    r"is not exported (?:by|from)|does not export ['\"`]|does not provide an export|No matching export|Attempted import error"
    r"|export ['\"`].{1,100}['\"`](?: \(.{1,200}\))? was not found|Export .{1,100} doesn't exist in target|does not contain a default export"
)
_NAME = re.compile(
    r"['\"`](\w+)['\"`] (?:\([^)]{1,100}\) )?(?:is not exported|was not found)|export named ['\"](\w+)|Export (\w+) doesn't|import ['\"](\w+)"
)
_SYNTAX = re.compile(
    r"SyntaxError|Syntax Error|[Ee]xpression expected|[Pp]arse (?:failed|error)|Parsing (?:error|.{1,80} failed)|[Pp]arser[Ee]rror|Unexpected (?:token|end|character|identifier|closing|\")"
    r"|Expected (?:['\"`,;}\])]|identifier|corresponding|a |\w+ but)|[Ee]xpected ['\"`(\w]|[Uu]nterminated|Unclosed|Unknown word|Unexpected \}|is not closed|Missing semicolon|closing tag|Adjacent JSX|end of file",
)
_LOADER = re.compile(r"No loader is configured|need an appropriate loader|No transformer|No parser (?:found|could)")
_TYPE = re.compile(r"\bTS(?!5\d{3}\b)\d{4,5}\b|^Type error: |\bts\(\d{4,5}\)|Type '.{1,200}' is not assignable")
_UTILITY = re.compile(
    r"Cannot apply unknown utility class:? `?(?P<name>[^\s`]+)|The `(?P<old>[^`]+)` class does not exist"
)
_NO_NETWORK = re.compile(
    r"Failed to fetch (?:font )?[`'\"]?(?P<font>[\w +-]{1,60}?)[`'\"]? from Google Fonts|fonts\.(?:googleapis|gstatic)\.com"
    r"|getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (?P<host>[\w.-]+)|\bfetch failed\b|ENETUNREACH|ECONNREFUSED (?P<address>[\w.:]+)"
)
_NETWORK_HINT = (
    'a build has no network by default; set network = "internet" below [build] in headrace.toml if it needs one'
)
_HEAP = re.compile(r"JavaScript heap out of memory|Allocation failed - ")


#: Where an import is looked for that a tool gives no file for.
_SOURCES = (".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".vue", ".svelte", ".astro", ".css", ".scss")


def found(
    tool: str,
    message: str,
    places: Places,
    seq: int,
    *,
    file: str | None = None,
    line: int | None = None,
    column: int | None = None,
    code: str | None = None,
    excerpt: str | None = None,
    context: str = "",
    otherwise: FailureReason = FailureReason.COMMAND_FAILED,
    hint: str | None = None,
) -> Found:
    """
    An error with what it means: what its message says, or the lines of `context` around it, else `otherwise`. `file` is a
    path of the version.
    """
    reason, advice, needle, importer = meaning(f"{message}\n{context}", file, places, otherwise)
    if file is None and importer:
        file, line, column = importer, None, None
    return Found(
        reason=reason,
        needle=needle,
        endings=_SOURCES if needle and file is None else (),
        diagnostic=Diagnostic(
            tool=tool,
            severity="error",
            message=message.strip()[:1000] or f"{tool} failed",
            code=code,
            file=file,
            line=line if file else None,
            column=column if file and line else None,
            excerpt=excerpt,
            hint=advice or hint,
            log_seq=seq,
        ),
    )


def _beside(directory: str | None) -> str | None:
    """webpack says in which directory it looked, and not always for whom: a name in it, to look from."""
    if not directory or not directory.startswith(WORKING_DIRECTORY):
        return None
    return posixpath.normpath(f"{directory.removeprefix(WORKING_DIRECTORY)}/_").lstrip("/")


def meaning(
    text: str, file: str | None, places: Places, otherwise: FailureReason = FailureReason.COMMAND_FAILED
) -> tuple[FailureReason, str | None, str | None, str | None]:
    """Reason, hint, the text to look for in the file, and the file with the import when `text` names one."""
    if match := _TYPES.search(text):
        hint = f"declare the module, or add its types if there are some: @types/{match['module']}"
        return FailureReason.TYPE_ERROR, hint, match["module"], None
    if match := _UNRESOLVED.search(text):
        importer = file or (places.find(match["importer"]) if match["importer"] else None)
        reason, hint = unresolved(match["module"], importer or _beside(match["importer"]), places)
        return reason, hint, match["module"], importer
    if names := missing_variables(text):
        return FailureReason.MISSING_ENV, variable_hint(names), names[0], None
    if _NO_NETWORK.search(text):
        return FailureReason.NETWORK_DENIED, _NETWORK_HINT, None, None
    if _HEAP.search(text):
        return FailureReason.OUT_OF_MEMORY, None, None, None
    if match := _UTILITY.search(text):
        name = match["name"] or match["old"]
        hint = f"there is no class {name}: correct it, or define it in the theme; @reference is needed in style sheets of their own"
        return FailureReason.CONFIG_ERROR, hint, name, None
    if _EXPORT.search(text):
        name = _NAME.search(text)
        hint = "import a name that the module exports"
        return FailureReason.SYNTAX_ERROR, hint, next(filter(None, name.groups()), None) if name else None, None
    if _LOADER.search(text) and (file or "").endswith((".js", ".mjs", ".cjs", ".json", ".css")):
        return FailureReason.SYNTAX_ERROR, None, None, None
    if _LOADER.search(text):
        return FailureReason.CONFIG_ERROR, "the build's configuration has nothing that reads such files", None, None
    if _TYPE.search(text):
        return FailureReason.TYPE_ERROR, None, None, None
    if _SYNTAX.search(text):
        return FailureReason.SYNTAX_ERROR, None, None, None
    return otherwise, None, None, None
