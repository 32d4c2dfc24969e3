"""One deployment as visitors see it: which path answers what. A path that is not in the table does not exist."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from headrace.edge.accept import takes_page, wants_page
from headrace.edge.answer import NO_CACHE, Answer, cache_control, etag_of
from headrace.edge.paths import RequestPath
from headrace.edge.rules import Headers, Redirects, with_query
from headrace.model.artifact import ArtifactFile, Manifest
from headrace.model.digest import Digest
from headrace.model.plan import Routing
from headrace.model.project import ProxyRule
from headrace.site.media_types import extension, has_known_extension

#: Prepared answers of one site. Beyond that the table begins anew: it costs time, never correctness.
_MOST_PREPARED = 4096

_INDEX = "index.html"
_SUFFIX = ".html"


@dataclass(frozen=True)
class Found:
    file: ArtifactFile
    status: int = 200
    #: The path is the file's own, and no rule or fallback put the file there.
    direct: bool = True
    #: The answer depends on `Accept`: another client gets another one for this path.
    by_accept: bool = False


@dataclass(frozen=True)
class Redirect:
    status: int
    location: str


class Site:
    """`changing`: it may be another one in a moment, and has no deployment's id: clients ask before they use a copy."""

    def __init__(
        self, deployment_id: str, manifest: Manifest, *, changing: bool = False, proxy: tuple[ProxyRule, ...] = ()
    ) -> None:
        self.deployment_id = deployment_id
        self.proxy = proxy
        self._changing = changing
        self.files = {file.path: file for file in manifest.files}
        routing = manifest.routing
        self._spa = self.files.get(_INDEX) if routing.spa else None
        self._not_found = self.files.get(routing.not_found or "")
        self._table = _table(self.files, routing)
        self._first = Redirects(routing.redirects, force=True)
        self._then = Redirects(routing.redirects, force=False)
        self._headers = Headers(routing.headers)
        self._answers: dict[object, Answer] = {}
        #: (path as it was sent, codings) -> answer, for the shortest way. Empty when rules look at more than the path.
        self.hot: dict[tuple[bytes, tuple[str, ...]], Answer] = {}

    def find(self, path: RequestPath, query: str, accept: bytes | None) -> Found | Redirect | None:
        """What a GET of `path` answers; None when there is nothing and the site has no page to say so."""
        if path.plain and (rule := self._first.match(path.text, query)):
            return self._by_rule(rule.status, rule.to)
        entry = self._table.get(path.text)
        if isinstance(entry, ArtifactFile):
            return Found(entry, 404 if entry is self._not_found else 200)
        if entry is not None:
            return Redirect(308, with_query("/" + quote(entry), query))
        if path.plain and (rule := self._then.match(path.text, query)):
            return self._by_rule(rule.status, rule.to)
        if path.plain and self._spa and _is_navigation(path.text, accept):
            return Found(self._spa, direct=False, by_accept=True)
        return self._missing()

    def immutable(self, path: str) -> Found | None:
        """A file whose name carries its hash: right also for pages of other deployments."""
        file = self.files.get(path)
        return Found(file) if file and file.immutable else None

    def answer(self, path: str, found: Found, coding: str, digest: Digest, size: int) -> Answer:
        """The prepared answer for `path`: the blob `digest`, which is `found.file` in `coding`."""
        extra = self._headers.of(path)
        key = (found.file.path, found.status, found.direct, found.by_accept, coding, extra)
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= _MOST_PREPARED:
                self._answers.clear()
            answer = self._answers[key] = Answer(
                found.status, self._header_map(found, coding, digest, size, dict(extra)), digest, size
            )
        return answer

    def remember(self, raw_path: bytes, codings: tuple[str, ...], found: Found, answer: Answer) -> None:
        """Take the short way to `answer` from now on, where the path alone decides."""
        if found.status != 200 or not found.direct or self._first.look_at_query:
            return
        if len(self.hot) >= _MOST_PREPARED:
            self.hot.clear()
        self.hot[raw_path, codings] = answer

    def _by_rule(self, status: int, to: str) -> Found | Redirect | None:
        if status not in (200, 404):
            return Redirect(status, to)
        entry = self._table.get(to)
        file = self._table.get(entry) if isinstance(entry, str) else entry
        if isinstance(file, ArtifactFile):
            return Found(file, status, direct=False)
        return self._missing()

    def _missing(self) -> Found | None:
        return Found(self._not_found, 404, direct=False) if self._not_found else None

    def _header_map(
        self, found: Found, coding: str, digest: Digest, size: int, extra: dict[bytes, bytes]
    ) -> dict[bytes, bytes]:
        file = found.file
        vary = [b"Accept-Encoding"] if file.encodings else []
        if found.by_accept:
            vary.append(b"Accept")
        headers = {
            b"content-type": file.media_type.encode(),
            b"content-length": str(size).encode(),
            b"etag": etag_of(digest),
            b"cache-control": self._cache_control(found),
            b"x-content-type-options": b"nosniff",
            b"accept-ranges": b"bytes",
        }
        if self.deployment_id:
            headers[b"x-headrace-deployment"] = self.deployment_id.encode()
        if coding in file.encodings:
            headers[b"content-encoding"] = coding.encode()
        if vary:
            headers[b"vary"] = b", ".join(vary)
        return headers | extra

    def _cache_control(self, found: Found) -> bytes:
        # Another file may answer for a path that is not this one's own tomorrow.
        immutable = found.file.immutable and found.direct
        if self._changing and not immutable:
            return NO_CACHE
        return cache_control(found.file.path, found.file.media_type, immutable=immutable)


def _is_navigation(path: str, accept: bytes | None) -> bool:
    """
    Whether somebody goes to an address of a single-page app. A missing script must not get a page instead: browsers would
    report a syntax error in line 1 where "not found" is meant.
    """
    if path.startswith(".") or "/." in path:
        # `.env`, `.git/config`, `.well-known/…`: who asks for these wants that file or nothing.
        return False
    if not extension(path):
        return takes_page(accept)
    return wants_page(accept) and not has_known_extension(path)


def _table(files: dict[str, ArtifactFile], routing: Routing) -> dict[str, ArtifactFile | str]:
    """Path -> file, or the path to go to instead."""
    table: dict[str, ArtifactFile | str] = {path: file for path, file in files.items() if not _is_page(path, routing)}
    others: list[tuple[str, str]] = []
    for path, file in files.items():
        if not _is_page(path, routing):
            continue
        address, *aliases = _addresses(path, routing)
        if address in table:
            # A file of this very name, or another page, has the short address.
            table[path] = file
            continue
        table[address] = file
        if not routing.clean_urls:
            table[path] = file
        others += ((alias, address) for alias in aliases)
    for alias, address in others:
        table.setdefault(alias, address)
    return table


def _is_page(path: str, routing: Routing) -> bool:
    name = path.rpartition("/")[2]
    return name == _INDEX or (routing.clean_urls and name.endswith(_SUFFIX) and name != _SUFFIX)


def _addresses(path: str, routing: Routing) -> Iterator[str]:
    """The address of a page, then those that lead there."""
    directory, _, name = path.rpartition("/")
    is_index = name == _INDEX
    bare = directory if is_index else path.removesuffix(_SUFFIX)
    with_slash = routing.trailing_slash if routing.trailing_slash is not None else is_index
    if is_index and not bare:
        yield ""
    else:
        yield f"{bare}/" if with_slash else bare
        yield bare if with_slash else f"{bare}/"
    yield path
