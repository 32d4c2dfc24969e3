"""How an artifact answers requests: what the plan says, and what the output itself says in its rule files."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from headrace.checks.base import OutputFile
from headrace.model.plan import Routing
from headrace.pipeline.output_files import read_all
from headrace.site.headers_file import parse_headers
from headrace.site.redirects_file import parse_redirects

_LARGEST_RULE_FILE = 256 * 1024

OpenFile = Callable[[str], AbstractContextManager[int]]


def routing_of(
    open_file: OpenFile, files: Sequence[OutputFile], planned: Routing, warn: Callable[[str], None]
) -> Routing:
    """`planned`, with the rules of `_redirects` and `_headers` before its own."""
    sizes = {file.path: file.size for file in files}

    def text_of(name: str) -> str:
        if name not in sizes:
            return ""
        if sizes[name] > _LARGEST_RULE_FILE:
            warn(f"{name} is ignored: it has more than {_LARGEST_RULE_FILE // 1024} KiB")
            return ""
        with open_file(name) as descriptor:
            return read_all(descriptor).decode("utf-8", "replace")

    redirects, redirect_problems = parse_redirects(text_of("_redirects"))
    headers, header_problems = parse_headers(text_of("_headers"))
    for problem in (*redirect_problems, *header_problems):
        warn(problem)
    own_page = "404.html" if "404.html" in sizes else None
    return planned.but(
        # A site with a page of its own for unknown paths is no single-page app, whatever its framework suggests.
        spa=planned.spa and "index.html" in sizes and (planned.not_found is not None or own_page is None),
        not_found=planned.not_found if planned.not_found in sizes else own_page,
        redirects=(*redirects, *planned.redirects),
        # Later ones win, and the site's own file is nearer to its author than the framework's settings.
        headers=(*planned.headers, *headers),
    )
