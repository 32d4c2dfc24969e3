"""The page that a visitor opens first is there, and so are the scripts and style sheets that it names."""

from collections.abc import Sequence
from html.parser import HTMLParser
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
    found = _Assets()
    found.feed(page)
    found.close()
    base = urljoin(f"{_ORIGIN}/", found.base)
    urls = (urlsplit(urljoin(base, address.strip())) for address in found.addresses)
    local = [unquote(url.path) for url in urls if f"{url.scheme}://{url.netloc}" == _ORIGIN]
    return list(dict.fromkeys(path for path in local if path not in ("", "/")))


class _Assets(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.addresses: list[str] = []
        self.base = "/"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "base" and given.get("href") and self.base == "/":
            self.base = given["href"]
        elif tag == "script" and given.get("src"):
            self.addresses.append(given["src"])
        elif tag == "link" and given.get("href") and "stylesheet" in given.get("rel", "").lower().split():
            self.addresses.append(given["href"])


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
