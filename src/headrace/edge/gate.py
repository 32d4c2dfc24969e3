"""Who may see a preview: everybody, who knows its password, or who has a signed link or the API token."""

import hashlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from headrace.edge import preview_pages
from headrace.edge.caller import Caller
from headrace.edge.pages import Problem
from headrace.model.preview import Protection
from headrace.model.project import Project
from headrace.preview.links import check, sign, visit_grant
from headrace.preview.passwords import matches
from headrace.preview.visit import Visit

#: How long somebody who knew the password is not asked again.
PASSWORD_SECONDS = 7 * 86400
_WINDOW_SECONDS = 60.0
#: Wrong passwords within a minute: from one address for one project, and for one project at all.
_FROM_ADDRESS = 10
_FOR_PROJECT = 100
_MOST_KEPT = 10_000
_LONGEST_FORM = 4096


@dataclass(frozen=True)
class Opened:
    """Somebody showed what lets him in: he gets a cookie, and goes on to `to` (a path with its query)."""

    cookie: bytes | None
    to: str


class Gate:
    """`is_member` checks an `Authorization` header, in constant time."""

    def __init__(self, is_member: Callable[[bytes], bool], clock: Callable[[], float] = time.time) -> None:
        self._is_member = is_member
        self._clock = clock
        self._failures: dict[tuple[str, str], deque[float]] = {}

    def refusal(self, visit: Visit, caller: Caller) -> Problem | None:
        """Why a caller may not see what is here; None when he may. A link counts as well as a cookie."""
        protection = visit.project.settings.preview.protection
        if protection is Protection.PUBLIC or self._is_let_in(visit, caller):
            return None
        if caller.link is not None:
            return self._why_not(caller.link)
        return preview_pages.NEEDS_PASSWORD if protection is Protection.PASSWORD else preview_pages.NEEDS_LINK

    def by_link(self, visit: Visit, caller: Caller, to: str) -> Opened:
        """Follow the link of a caller who is let in. Its grant becomes a cookie, until the link's own end."""
        token, now = caller.link or "", self._clock()
        if not check(visit.secret, visit_grant(visit.project.id), token, now):
            return Opened(None, to)
        return Opened(caller.cookie(visit.project, token, int(token.partition(".")[0]) - int(now)), to)

    async def by_password(self, visit: Visit, caller: Caller, form: bytes) -> Opened | Problem:
        """Try a password. Too many attempts are refused unseen, so that their number says nothing about the password."""
        kept = visit.project.settings.preview.password_hash
        fields = parse_qs(form.decode("latin-1"), keep_blank_values=True) if len(form) <= _LONGEST_FORM else {}
        password = fields.get("password", [""])[0]
        project = visit.project
        if not self._may_try(caller.address, project.id):
            return preview_pages.TOO_MANY
        if kept is None or not password or not await matches(kept, password):
            return preview_pages.WRONG_PASSWORD
        self._failures.pop((caller.address, project.id), None)
        token = sign(visit.secret, _password_grant(project), int(self._clock()) + PASSWORD_SECONDS)
        to = fields.get("to", ["/"])[0]
        return Opened(caller.cookie(project, token, PASSWORD_SECONDS), to if _is_local(to) else "/")

    def _is_let_in(self, visit: Visit, caller: Caller) -> bool:
        if caller.authorization is not None and self._is_member(caller.authorization):
            return True
        now = self._clock()
        grants = [visit_grant(visit.project.id)]
        if caller.link is not None and check(visit.secret, grants[0], caller.link, now):
            return True
        kept = caller.grant(visit.project)
        if kept is None:
            return False
        if visit.project.settings.preview.protection is Protection.PASSWORD:
            grants.append(_password_grant(visit.project))
        return any(check(visit.secret, grant, kept, now) for grant in grants)

    def _why_not(self, link: str) -> Problem:
        """Expired or not is told from the text alone: whether it ever was a link, nobody is told."""
        expires = link.partition(".")[0]
        is_old = expires.isascii() and expires.isdigit() and len(expires) <= 15 and int(expires) <= self._clock()
        return preview_pages.LINK_EXPIRED if is_old else preview_pages.LINK_INVALID

    def _may_try(self, address: str, project_id: str) -> bool:
        """Count an attempt before it is looked at: many at once must not all pass."""
        here = self._count((address, project_id), _FROM_ADDRESS)
        # Everybody together only counts who is not refused already, or one could lock out all others.
        return here and self._count(("", project_id), _FOR_PROJECT)

    def _count(self, key: tuple[str, str], allowed: int) -> bool:
        now = self._clock()
        times = self._failures.pop(key, None) or deque(maxlen=allowed + 1)
        times.append(now)
        while times[0] <= now - _WINDOW_SECONDS:
            times.popleft()
        self._failures[key] = times
        if len(self._failures) > _MOST_KEPT:
            del self._failures[next(iter(self._failures))]
        return len(times) <= allowed


def _password_grant(project: Project) -> str:
    """Another password makes the cookies of the one before worthless."""
    kept = project.settings.preview.password_hash or ""
    return f"password:{project.id}:{hashlib.sha256(kept.encode()).hexdigest()[:16]}"


def _is_local(to: str) -> bool:
    """A path of this origin, and nothing that a browser takes for another host."""
    return (
        to.startswith("/") and not to.startswith(("//", "/\\")) and to.isascii() and to.isprintable() and " " not in to
    )
