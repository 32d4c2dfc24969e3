"""
How a static result answers: what the project's file says, then files of other hosts, then what its framework is known for.

Rule files (`_redirects`, `_headers`) are read from the output when it becomes an artifact, because a build may write them.
"""

from headrace.model.plan import Choice, HeaderRule, RedirectRule, Routing
from headrace.plan.detectors.base import Detected
from headrace.plan.hosts.read import Hosts
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.refusal import config_error
from headrace.site.headers_file import header_problem
from headrace.site.redirects_file import pattern_problem

_STATUSES = (200, 301, 302, 303, 307, 308, 404)


def choose_routing(
    view: ProjectView, detected: Detected, project_file: ProjectFile, hosts: Hosts | None = None
) -> tuple[Routing, tuple[Choice, ...]]:
    """Raises StepFailed for a rule of the project's file that can't be followed."""
    own = project_file.routing
    not_found = own.not_found or ("404.html" if view.has(joined(detected.published, "404.html")) else None)
    spa, why = _spa(detected, own.spa, not_found)
    routing = Routing(
        spa=spa,
        clean_urls=own.clean_urls if own.clean_urls is not None else True,
        trailing_slash=own.trailing_slash,
        not_found=not_found,
        redirects=(
            *_redirects(project_file),
            *(hosts.redirects if hosts else ()),
            *_base_rules(detected.base),
            *(detected.rules if not spa else ()),
        ),
        headers=(*_headers(project_file), *(hosts.headers if hosts else ())),
    )
    source = project_file.where("routing.spa") if own.spa is not None else detected.source
    unknown = "index.html" if spa else (not_found or "404")
    choices = [Choice(subject="unknown paths", value=unknown, why=why, source=source)]
    if detected.base != "/":
        also = "its pages name their assets below it; the site answers there and at /"
        choices.append(Choice(subject="base", value=detected.base, why=also, source=detected.source))
    return routing, tuple(choices)


def _spa(detected: Detected, own: bool | None, not_found: str | None) -> tuple[bool, str]:
    if own is not None:
        return own, "the project says so"
    if not_found:
        return False, f"the project has a page for them: {not_found}"
    return detected.spa, detected.spa_why


def _base_rules(base: str) -> tuple[RedirectRule, ...]:
    """A project made for a directory of a host: the same files answer below that directory."""
    return () if base == "/" else (RedirectRule(path=f"{base}*", to="/:splat", status=200),)


def _redirects(project_file: ProjectFile) -> tuple[RedirectRule, ...]:
    rules = []
    for entry in project_file.routing.redirects:
        problem = pattern_problem(entry.source)
        if problem is None and entry.status not in _STATUSES:
            problem = f"status {entry.status} is not one of {', '.join(map(str, _STATUSES))}"
        if problem is None and not entry.to.startswith(("/", "https://", "http://")):
            problem = f"{entry.to!r} is neither a path nor an address"
        if problem is None and entry.status in (200, 404) and not entry.to.startswith("/"):
            problem = "passing requests on to another host is not supported"
        if problem is not None:
            raise _wrong(project_file, f"the redirect from {entry.source!r}", problem)
        rules.append(RedirectRule(path=entry.source, to=entry.to, status=entry.status))
    return tuple(rules)


def _headers(project_file: ProjectFile) -> tuple[HeaderRule, ...]:
    for rule in project_file.routing.headers:
        problems = [pattern_problem(rule.path), *(header_problem(name, value) for name, value in rule.headers.items())]
        if problem := next((problem for problem in problems if problem), None):
            raise _wrong(project_file, f"the headers for {rule.path!r}", problem)
    return tuple(HeaderRule(path=r.path, headers=tuple(r.headers.items())) for r in project_file.routing.headers)


def _wrong(project_file: ProjectFile, what: str, problem: str) -> Exception:
    return config_error(
        f"{project_file.path}: {what} can't be followed: {problem}",
        hint=f"correct it below [routing] in {project_file.path}",
        file=project_file.path,
    )
