"""How a static result answers: what the project's file says, then its rule files, then what its framework is known for."""

from collections.abc import Iterable

from headrace.model.plan import Choice, HeaderRule, Ignored, RedirectRule, Routing
from headrace.plan.detectors.base import Detected
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.refusal import config_error
from headrace.plan.routing_files import parse_headers, parse_redirects


def choose_routing(
    view: ProjectView, detected: Detected, project_file: ProjectFile
) -> tuple[Routing, tuple[Choice, ...], tuple[Ignored, ...]]:
    own = project_file.routing
    own_redirects, own_headers = _own_rules(project_file)
    redirects, headers, ignored = _rule_files(view, detected.published)
    rewrites_all = any(rule.path == "/*" and rule.status == 200 and rule.to == "/index.html" for rule in redirects)
    not_found = own.not_found or ("404.html" if view.has(joined(detected.published, "404.html")) else None)
    spa, why = _spa(detected, own.spa, rewrites_all=rewrites_all, not_found=not_found)
    routing = Routing(
        spa=spa,
        clean_urls=own.clean_urls if own.clean_urls is not None else True,
        not_found=None if spa else not_found,
        redirects=(
            *own_redirects,
            *(rule for rule in redirects if not (spa and rule.path == "/*" and rule.status == 200)),
            *_base_rules(detected.base),
        ),
        headers=(*headers, *own_headers),
    )
    source = f"{project_file.path} routing.spa" if own.spa is not None else detected.framework
    unknown = "index.html" if spa else (not_found or "404")
    choices = [Choice(subject="unknown paths", value=unknown, why=why, source=source)]
    if detected.base != "/":
        also = "its pages name their assets below it; the site answers there and at /"
        choices.append(Choice(subject="base", value=detected.base, why=also, source=detected.source))
    return routing, tuple(choices), ignored


def _base_rules(base: str) -> tuple[RedirectRule, ...]:
    """A project made for a directory of a host: the same files answer below that directory."""
    return () if base == "/" else (RedirectRule(path=f"{base}*", to="/:splat", status=200),)


def _spa(detected: Detected, own: bool | None, *, rewrites_all: bool, not_found: str | None) -> tuple[bool, str]:
    if own is not None:
        return own, "the project says so"
    if rewrites_all:
        return True, "_redirects sends every path to index.html"
    if not_found:
        return False, f"the project has a page for them: {not_found}"
    return detected.spa, detected.spa_why


def _own_rules(project_file: ProjectFile) -> tuple[tuple[RedirectRule, ...], tuple[HeaderRule, ...]]:
    """Rules of the project's file, held to the same form as those of the rule files. Raises StepFailed."""
    redirects: list[RedirectRule] = []
    headers: list[HeaderRule] = []
    for entry in project_file.routing.redirects:
        rules, refused = parse_redirects(project_file.path, f"{entry.source} {entry.to} {entry.status}")
        _refuse(project_file.path, refused)
        redirects += rules
    for rule in project_file.routing.headers:
        lines = "\n".join(f"  {name}: {value}" for name, value in rule.headers.items())
        parsed, refused = parse_headers(project_file.path, f"{rule.path}\n{lines}")
        _refuse(project_file.path, refused)
        headers += parsed
    return tuple(redirects), tuple(headers)


def _refuse(path: str, refused: Iterable[Ignored]) -> None:
    for rule in refused:
        raise config_error(
            f"{path}: the rule {rule.setting!r} is wrong: {rule.why}",
            hint="correct the rule below [routing]",
            file=path,
        )


def _rule_files(
    view: ProjectView, published: str
) -> tuple[tuple[RedirectRule, ...], tuple[HeaderRule, ...], tuple[Ignored, ...]]:
    redirects_path, headers_path = joined(published, "_redirects"), joined(published, "_headers")
    redirects, ignored = parse_redirects(joined(view.root, redirects_path), view.text(redirects_path) or "")
    headers, also = parse_headers(joined(view.root, headers_path), view.text(headers_path) or "")
    return redirects, headers, (*ignored, *also)
