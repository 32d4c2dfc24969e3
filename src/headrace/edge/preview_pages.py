"""Small pages of previews: on its way, can't be made, needs a password. Problem+json for programs, as everywhere."""

from collections.abc import Sequence
from html import escape
from http import HTTPStatus

import orjson

from headrace.edge.answer import RawHeaders
from headrace.edge.inject import script
from headrace.edge.pages import Problem
from headrace.model.diagnostic import Diagnostic
from headrace.model.preview import PreviewState
from headrace.preview.visit import Visit

UNKNOWN = Problem(404, "preview.unknown", "No preview lives here", "No project has this address.")
ON_ITS_WAY = Problem(
    503, "preview.building", "On its way", "This preview is being made. The page shows itself when it is ready."
)
ASLEEP = Problem(
    503, "preview.asleep", "Asleep", "Somebody put this preview to sleep. It wakes when its page is loaded again."
)
LATE = Problem(
    503, "preview.version_late", "Not there yet", "The version that was asked for was not served in time. Try again."
)
FAILED = Problem(422, "preview.failed", "This version can't be shown", "The project's code has errors.")
BROKEN = FAILED._replace(status=500, detail="The preview could not be made.")
FOREIGN = Problem(
    403,
    "preview.foreign_origin",
    "Not from there",
    "A page of another origin may not use this preview for its visitor.",
)
BAD_VERSION = Problem(400, "preview.version_invalid", "No such version", "min_version is not the id of a version.")
NEEDS_LINK = Problem(
    401,
    "preview.members_only",
    "For members",
    "This preview opens with a signed link. Who may see the project makes one with `headrace preview open`, or with"
    " POST /api/v1/projects/{id}/preview/links.",
)
NEEDS_PASSWORD = Problem(
    401, "preview.password_needed", "This preview has a password", "Whoever sent you here can tell it to you."
)
WRONG_PASSWORD = NEEDS_PASSWORD._replace(
    status=403, code="preview.password_wrong", detail="This is not the password. Please try again."
)
TOO_MANY = Problem(429, "preview.too_many_attempts", "Too many attempts", "Please wait a minute and try again.")
LINK_EXPIRED = Problem(403, "preview.link_expired", "This link has expired", "Ask for a new one.")
LINK_INVALID = Problem(
    403, "preview.link_invalid", "This link opens nothing here", "It is not whole, or it was made for another preview."
)

#: Where the form of a password goes.
PASSWORD_PATH = "/.headrace/password"  # noqa: S105

#: Passes by itself.
_LOOK_AGAIN = (502, 503, 504)
_MOST_DIAGNOSTICS = 50
_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; form-action 'self';"
    b" base-uri 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>{script}
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">{refresh}
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 12vh auto 2rem; padding: 0 1.5rem }}
h1 {{ font-size: 1.5rem; margin: 0 0 .5rem }}
p {{ margin: 0 0 1rem; opacity: .75; white-space: pre-wrap }}
li {{ margin: 0 0 1rem }}
pre {{ overflow: auto; padding: .75rem; border: 1px solid #8886; border-radius: .4rem; margin: .4rem 0 0 }}
code {{ font-size: .8rem }}
input, button {{ font: inherit; padding: .4rem .7rem }}
</style>
</head>
<h1>{title}</h1>
<p>{detail}</p>
{more}
<p><code>{status} {code}</code></p>
</html>
"""
_FORM = """<form method="post" action="{action}">
<input type="hidden" name="to" value="{to}">
<input type="password" name="password" aria-label="Password" autocomplete="current-password" autofocus required>
<button>Open</button>
</form>"""


def as_program(problem: Problem, state: PreviewState | None = None) -> tuple[RawHeaders, bytes]:
    """Headers and body. `state`: its diagnostics are told."""
    body: dict[str, object] = {
        "type": f"urn:headrace:error:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
    }
    if state is not None:
        body["version"] = state.version
        body["served_version"] = state.served_version
        body["diagnostics"] = [diagnostic.model_dump(mode="json") for diagnostic in state.diagnostics]
    return _headers(problem, b"application/problem+json"), orjson.dumps(body)


def as_page(
    problem: Problem, state: PreviewState | None = None, form_to: str | None = None
) -> tuple[RawHeaders, bytes]:
    """`form_to`: the page asks for the password, and leads there."""
    more = ""
    if state is not None:
        more = _listed(state.diagnostics)
    if form_to is not None:
        more = _FORM.format(action=PASSWORD_PATH, to=escape(form_to))
    page = _PAGE.format(
        title=escape(problem.title),
        detail=escape(problem.detail),
        status=problem.status,
        code=problem.code,
        more=more,
        refresh='\n<meta http-equiv="refresh" content="1">' if problem.status in _LOOK_AGAIN else "",
        # Every version is newer than this one, so the page is replaced as soon as there is one.
        script=script("0").decode() if state is not None else "",
    )
    policy = ((b"content-security-policy", _POLICY), (b"referrer-policy", b"same-origin"))
    return (*_headers(problem, b"text/html; charset=utf-8"), *policy), page.encode()


def of_visit(visit: Visit) -> Problem:
    """Why there is nothing to show, or not the version that was asked for."""
    state = visit.state
    if visit.rests:
        return ASLEEP
    if state.status == "error":
        found = FAILED if state.diagnostics else BROKEN
        return found._replace(detail=state.message) if state.message else found
    return LATE if visit.missed else ON_ITS_WAY


def _headers(problem: Problem, kind: bytes) -> RawHeaders:
    retry = {429: b"60", 503: b"1"}.get(problem.status) if problem is not ASLEEP else None
    return (
        (b"content-type", kind),
        (b"cache-control", b"no-store"),
        (b"vary", b"Accept"),
        (b"x-content-type-options", b"nosniff"),
        *(((b"retry-after", retry),) if retry else ()),
        *(((b"www-authenticate", b"Bearer"),) if problem.status == 401 else ()),
    )


def _listed(diagnostics: Sequence[Diagnostic]) -> str:
    items = "\n".join(map(_item, diagnostics[:_MOST_DIAGNOSTICS]))
    return f"<ol>\n{items}\n</ol>" if items else ""


def _item(diagnostic: Diagnostic) -> str:
    place = ":".join(str(part) for part in (diagnostic.file, diagnostic.line, diagnostic.column) if part is not None)
    parts = [f"<strong>{escape(place)}</strong>" if place else "", escape(diagnostic.message)]
    excerpt = f"<pre>{escape(diagnostic.excerpt)}</pre>" if diagnostic.excerpt else ""
    hint = f"<p>{escape(diagnostic.hint)}</p>" if diagnostic.hint else ""
    return f"<li>{' '.join(filter(None, parts))}{excerpt}{hint}</li>"
