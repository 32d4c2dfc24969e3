"""Where code that a browser ran was written: a script's address, line and column in, a file of the project out."""

import asyncio
import hashlib
import posixpath
import re
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from urllib.parse import unquote, urljoin, urlsplit

from headrace.model.preview import PagePosition
from headrace.model.sandbox import WORKING_DIRECTORY
from headrace.preview.sourcemap import MAX_BYTES, InvalidMap, SourceMap, decode
from headrace.preview.stacktrace import Frame

#: The source map of a script, by the script's path and query; None when there is none.
MapOf = Callable[[str], Awaitable[bytes | None]]
#: What a development server answers for a path; None when it doesn't.
Fetch = Callable[[str], Awaitable[bytes | None]]

#: Decoded maps that are kept, of all projects. A large one takes some megabytes.
_KEPT = 16
_MAP_URL = re.compile(rb"(?:^|\n)[ \t]*//[#@][ \t]*sourceMappingURL=([^ \t\r\n]+)[ \t]*\r?\n?[ \t\r\n]*$")
_INLINE = re.compile(rb"data:application/json;(?:charset=[^;,]+;)?base64,")
#: What bundlers put in front of a file's name: `webpack://_N_E/./src/a.ts`, `turbopack:///[project]/src/a.ts`
_SCHEME = re.compile(r"^(?:webpack|webpack-internal|turbopack|rollup|vite)://[^/]*/(?:\(?[\w-]+\)?/(?=\./))?")
_MOST_END = 64 * 1024


def beside(maps: Callable[[str], Awaitable[bytes | None]]) -> MapOf:
    """Maps of what a build wrote, by the script's path."""

    async def read(path: str) -> bytes | None:
        return await maps(unquote(path.partition("?")[0]).lstrip("/"))

    return read


def within(fetch: Fetch) -> MapOf:
    """Maps that a development server puts at the end of each module, or names there."""

    async def read(path: str) -> bytes | None:
        text = await fetch(path)
        # The comment is short, or the map itself and all that comes behind its beginning.
        at = text.rfind(b"sourceMappingURL=") if text else -1
        found = _MAP_URL.search(text, max(0, at - 16)) if text and at >= 0 else None
        if found is None:
            return None
        url = found[1]
        if inline := _INLINE.match(url):
            return _decoded(url[inline.end() :])
        below = urlsplit(urljoin(path, url[:2_000].decode("latin-1")))
        return None if below.netloc else await fetch(below.path + (f"?{below.query}" if below.query else ""))

    return read


class Originals:
    """One for a server: it keeps what it decoded."""

    def __init__(self) -> None:
        self._decoded: OrderedDict[bytes, SourceMap | None] = OrderedDict()

    async def find(self, frame: Frame, origin: str, map_of: MapOf | None, root: str = "") -> PagePosition:
        """
        The place of `frame` in the project, whose files lie below `root`; the place in the script itself where no map
        knows better. Scripts that are not of the page's `origin` are left as they are.
        """
        if not frame.url.startswith(f"{origin}/"):
            return PagePosition(file=frame.url, line=frame.line, column=frame.column, function=frame.function)
        path = frame.url.removeprefix(origin)
        found = await self._map(path, map_of)
        original = found.find(frame.line - 1, (frame.column or 1) - 1) if found else None
        if original is None:
            return PagePosition(file=_served(path), line=frame.line, column=frame.column, function=frame.function)
        return PagePosition(
            file=project_file(original.source, path, root),
            line=original.line + 1,
            column=original.column + 1,
            function=frame.function,
        )

    async def _map(self, path: str, map_of: MapOf | None) -> SourceMap | None:
        data = await map_of(path) if map_of else None
        if not data or len(data) > MAX_BYTES:
            return None
        digest = hashlib.sha256(data).digest()
        if digest not in self._decoded:
            self._decoded[digest] = await asyncio.to_thread(_readable, data)
            while len(self._decoded) > _KEPT:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(digest)
        return self._decoded[digest]


def project_file(source: str, script: str, root: str = "") -> str:
    """
    The path in the project of what the map of `script` calls `source`.

    Names are relative to the script, and a build's scripts lie deeper than the sources: where a name climbs out of the
    page, it has arrived in the project.
    """
    name = source.replace("\0", "").partition("?")[0].removeprefix("file://")
    plain = _SCHEME.sub("", name).removeprefix("[project]/")
    if plain != name:
        return _below(root, plain)
    if not name.startswith("/"):
        name = posixpath.join(posixpath.dirname(_served(script)), name)
        if not name.startswith("/"):
            return _below(root, name)
    inside = name.removeprefix(WORKING_DIRECTORY)
    return _below("", inside) if inside != name else _below(root, name)


def _below(root: str, name: str) -> str:
    normal = posixpath.normpath(f"/{name}" if not name.startswith("..") else name)
    while normal.startswith("../"):
        normal = normal[3:]
    return posixpath.join(root, normal.lstrip("/")) or "/"


def _served(path: str) -> str:
    """The script's own name, without what its server adds."""
    plain = unquote(path.partition("?")[0].partition("#")[0])
    if plain.startswith("/@fs/"):
        return plain.removeprefix("/@fs")
    return (plain + "index.html" if plain.endswith("/") else plain).lstrip("/")


def _readable(data: bytes) -> SourceMap | None:
    try:
        return decode(data)
    except InvalidMap:
        return None


def _decoded(text: bytes) -> bytes | None:
    try:
        return b64decode(unquote(text.decode("latin-1")), validate=True)
    except ValueError:
        return None
