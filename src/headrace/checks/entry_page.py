"""The page that a visitor opens first is there, and so are the scripts and style sheets that it names."""

import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import ClassVar
from urllib.parse import unquote, urljoin, urlsplit

from headrace.checks.base import Output, OutputReader
from headrace.checks.refusal import named, refusal
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import BuildPlan, RedirectRule

PAGE = "index.html"
_LARGEST_PAGE = 4 * 1024 * 1024
_ORIGIN = "http://site.invalid"


class EntryPage:
    name: ClassVar[str] = "entry_page"

    def run(self, plan: BuildPlan, output: Output, reader: OutputReader) -> Failure | Sequence[str]:
        paths = frozenset(file.path for file in output.files)
        if PAGE not in paths:
            return _no_page(plan, output, paths, reader)
        missing = [
            asset
            for asset in assets(reader.read(PAGE, _LARGEST_PAGE).decode("utf-8", "replace"))
            if not _answers(asset, paths, plan.routing.redirects)
        ]
        if not missing:
            return ()
        return refusal(
            FailureReason.OUTPUT_INVALID,
            f"{PAGE} names files that the build did not make: {named(missing)}",
            hint=_way_out(missing, paths),
        )


def assets(page: str) -> list[str]:
    """Paths (with a leading slash) of the scripts and style sheets of a page at `/`. Those of other hosts are left out."""
    base, addresses = "", []
    for tag, given in _tags(page):
        if tag == "base" and not base:
            base = given.get("href", "")
        elif tag == "script":
            addresses.append(given.get("src", ""))
        elif "stylesheet" in given.get("rel", "").lower().split():
            addresses.append(given.get("href", ""))
    paths = (_local_path(base, address.strip()) for address in addresses if address.strip())
    return list(dict.fromkeys(path for path in paths if path))


def _local_path(base: str, address: str) -> str | None:
    try:
        url = urlsplit(urljoin(urljoin(f"{_ORIGIN}/", base), address))
    except ValueError:
        return None
    path = unquote(url.path)
    return path if f"{url.scheme}://{url.netloc}" == _ORIGIN and path not in ("", "/") else None


#: No `<` inside a tag: each character is looked at once, whatever a page holds. (html.parser is quadratic on such pages.)
_TAG = re.compile(r"<!--|<(script|link|base|style|template)\b([^<>]{0,4096})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""")
_ENDS = {"script": "</script", "style": "</style", "template": "</template"}


def _tags(page: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Tags that name other files, outside comments and inline scripts."""
    at, lower = 0, page.lower()
    while match := _TAG.search(page, at):
        at = match.end()
        tag = (match[1] or "").lower()
        if tag in ("script", "link", "base"):
            given = {name.lower(): unescape(value.strip("\"'")) for name, value in _ATTRIBUTE.findall(match[2])}
            yield tag, given
        end = "-->" if not tag else _ENDS.get(tag)
        if end is not None:
            at = lower.find(end, at)
            if at < 0:
                return


def _answers(path: str, paths: frozenset[str], rules: Sequence[RedirectRule]) -> bool:
    """Whether something answers `path`: a file, or a rule that leads elsewhere."""
    name = path.lstrip("/")
    if name in paths or f"{name.rstrip('/')}/{PAGE}" in paths:
        return True
    for rule in rules:
        prefix = rule.path.removesuffix("*")
        if rule.path.endswith("/*") and path.startswith(prefix) and rule.path != "/*":
            return rule.status != 200 or rule.to.replace(":splat", path.removeprefix(prefix)).lstrip("/") in paths
        if rule.path == path:
            return True
    return False


def _no_page(plan: BuildPlan, output: Output, paths: frozenset[str], reader: OutputReader) -> Failure | Sequence[str]:
    own_rules = reader.read("_redirects", 65536).decode("utf-8", "replace") if "_redirects" in paths else ""
    sources = {rule.path for rule in plan.routing.redirects} | {
        line.split()[0] for line in own_rules.splitlines() if line.split()
    }
    if sources & {"/", "/*"} or plan.kind != "static":
        return ()
    pages = sorted((path for path in paths if path.endswith(".html")), key=lambda path: (path.count("/"), path))
    nested = next((path.removesuffix(f"/{PAGE}") for path in pages if path.endswith(f"/{PAGE}")), None)
    where = f"{output.directory}/{nested}" if output.directory else nested
    hint = "have the build write an index.html, or redirect / to another page"
    if nested:
        hint = f'if the site is in {where}, set output = "{where}" below [build] in headrace.toml; else redirect / to a page'
    found = f"pages that are there: {named(pages)}" if pages else f"files that are there: {named(sorted(paths))}"
    return refusal(
        FailureReason.OUTPUT_INVALID, f"the output {output.directory or '.'!r} has no {PAGE}; {found}", hint=hint
    )


def _way_out(missing: list[str], paths: frozenset[str]) -> str:
    """The base that the pages were built for, when that explains all; else the general advice."""
    parts = missing[0].strip("/").split("/")
    for cut in range(1, len(parts)):
        base = "/" + "/".join(parts[:cut]) + "/"
        if all(path.startswith(base) and path.removeprefix(base) in paths for path in missing):
            return (
                f"the pages were built to be served below {base}: set base to / in the build's configuration, or add "
                f'[[routing.redirects]] from = "{base}*" to = "/:splat" status = 200 to headrace.toml'
            )
    return f"correct the addresses in {PAGE}, or put the files where it looks for them (with Vite: in public/)"
