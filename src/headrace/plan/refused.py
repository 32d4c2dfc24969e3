"""Why a project that is understood is not built: it needs a server, or nothing says how it is built. And the refusal itself."""

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.model.plan import BuildPlan, Refused
from headrace.plan.build_command import require_script
from headrace.plan.nothing import projects_below
from headrace.plan.parts import Parts, Wanted
from headrace.plan.refusal import refusal


def why_refused(wanted: Wanted, parts: Parts | None) -> Refused | None:
    """None for a plan that can be carried out."""
    found = wanted.detected
    if found.refused is not None:
        return found.refused
    if found.kind == "server":
        shown = "see its preview, which runs its development server" if parts and parts.dev else ""
        below = projects_below(wanted.view) if wanted.view.manifest is None else []
        other = f'there is a project in {", ".join(below)}: write root = "{below[0]}" in headrace.toml' if below else ""
        what = "project" if found.framework == "dev-script" else f"{found.framework} project"
        change = f"to deploy it as files, set {found.as_files}" if found.as_files else ""
        return Refused(
            reason=FailureReason.UNSUPPORTED,
            message=f"this {what} {found.as_server}, and only files can be deployed yet",
            hint="; or ".join(part for part in (other, change, shown) if part)
            or 'to deploy files, write [build] command = "…" and output = "…" in headrace.toml',
        )
    if parts is None or parts.build is not None:
        return None
    try:
        require_script(wanted.view, found.script or "build", found.framework)
    except StepFailed as missing:
        place = missing.failure.diagnostics[0]
        return Refused(
            reason=missing.failure.reason,
            message=missing.failure.message,
            hint=missing.failure.hint or "",
            file=place.file,
            line=place.line,
        )
    return None


def refuse_server(plan: BuildPlan) -> None:
    """Raises StepFailed for a plan that is not built here. Its preview can be shown all the same, where it has one."""
    if (why := plan.refused) is not None:
        raise refusal(FailureReason(why.reason), why.message, hint=why.hint, file=why.file, line=why.line)
