"""What the edge knows of who sends a request to a preview: where from, with what in the hand, and what for."""

import re
from urllib.parse import unquote

from headrace.edge.accept import wants_page
from headrace.edge.request import Scope
from headrace.model.project import Project

#: Headrace's own cookies. Nothing of this name reaches a tenant's code, or comes from it.
COOKIE = "headrace_"
SECURE_COOKIE = f"__Host-{COOKIE}"

_LINK = "headrace"
_MIN_VERSION = "min_version"
_LOOKED_AT = frozenset(
    {
        b"accept",
        b"authorization",
        b"cookie",
        b"host",
        b"origin",
        b"referer",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"x-forwarded-proto",
        b"x-headrace-min-version",
    }
)
_LOCAL = re.compile(rb"(?:.+\.)?localhost\.?(?::[0-9]*)?")


class Caller:
    """Of a preview, it takes Headrace's own parameters out of the scope's query: neither tenants nor logs shall see them."""

    def __init__(self, scope: Scope, *, of_preview: bool = True) -> None:
        headers = {name: value for name, value in scope["headers"] if name in _LOOKED_AT}
        self.is_socket = scope["type"] == "websocket"
        self.host = headers.get(b"host", b"").lower()
        self.address: str = (scope.get("client") or ("",))[0]
        self.authorization = headers.get(b"authorization")
        self.origin = headers.get(b"origin")
        self.has_cookies = b"cookie" in headers
        self._cookies: list[bytes] = [value for name, value in scope["headers"] if name == b"cookie"]
        self._accept = headers.get(b"accept")
        self._mode = headers.get(b"sec-fetch-mode")
        self._site: bytes | None = headers.get(b"sec-fetch-site")
        self._has_referer = b"referer" in headers
        self._is_get = scope.get("method", "GET") == "GET" and not self.is_socket
        own: dict[str, str] = {}
        if of_preview:
            own, scope["query_string"] = _own_parameters(scope["query_string"])
        #: The grant that a link carries.
        self.link = own.get(_LINK)
        self.min_version = (
            own.get(_MIN_VERSION) or headers.get(b"x-headrace-min-version", b"").decode("latin-1") or None
        )
        # Whoever lies about it only makes his own cookies useless.
        encrypted = scope.get("scheme") in ("https", "wss") or headers.get(b"x-forwarded-proto") == b"https"
        #: Whether the browser takes `Secure` cookies from here.
        self.is_secure = encrypted or _LOCAL.fullmatch(self.host) is not None
        self.scheme = "https" if encrypted else "http"

    @property
    def navigates(self) -> bool:
        """Whether somebody goes to this address, as opposed to a page that loads it."""
        if not self._is_get:
            return False
        return self._mode == b"navigate" if self._mode is not None else wants_page(self._accept)

    @property
    def is_of_open_page(self) -> bool:
        """Whether a page that is open already loads this, as opposed to somebody who goes to the address, or a program."""
        if self._mode == b"navigate" or self.navigates:
            return False
        # Browsers say where a request is from, but only to addresses that they trust.
        if self._site is not None:
            return self._site != b"none"
        return self.origin is not None or self._has_referer

    @property
    def is_foreign(self) -> bool:
        """Whether a page of another origin sends this."""
        return self.origin is not None and self.origin.lower().partition(b"://")[2] != self.host

    def grant(self, project: Project) -> str | None:
        """What the cookie of this project carries."""
        wanted = self.cookie_name(project).encode()
        for line in self._cookies:
            for pair in line.split(b";"):
                name, _, value = pair.strip().partition(b"=")
                if name == wanted:
                    return value.decode("latin-1")
        return None

    def cookie_name(self, project: Project) -> str:
        return (SECURE_COOKIE if self.is_secure else COOKIE) + project.id

    def cookie(self, project: Project, grant: str, seconds: int) -> bytes:
        """
        The value of a `Set-Cookie` header. A preview is shown in frames of the server's own page, which is another site for
        the browser: so the cookie goes with requests of frames, and it is kept apart for each site around them, which also
        works where cookies of third parties are blocked.
        """
        kept = f"{self.cookie_name(project)}={grant}; Path=/; HttpOnly; Max-Age={seconds}"
        return f"{kept}; {'Secure; SameSite=None; Partitioned' if self.is_secure else 'SameSite=Lax'}".encode()


def _own_parameters(query: bytes) -> tuple[dict[str, str], bytes]:
    if _LINK.encode() not in query and _MIN_VERSION.encode() not in query:
        return {}, query
    own: dict[str, str] = {}
    rest = []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name in (_LINK.encode(), _MIN_VERSION.encode()):
            own[name.decode()] = unquote(value.decode("latin-1"))
        else:
            rest.append(part)
    return own, b"&".join(rest)
