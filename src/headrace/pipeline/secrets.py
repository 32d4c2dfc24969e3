"""Secrets of a project: given to the step that names them, and kept out of what people read."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from headrace.errors import StepFailed
from headrace.masking import forms
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.digest import Digest
from headrace.model.event import BuildWarning
from headrace.model.plan import BuildPlan, StepId
from headrace.model.project import Project
from headrace.model.secret import Secret
from headrace.model.trust import Trust
from headrace.pipeline.context import Context
from headrace.pipeline.services import Services
from headrace.records import secrets

_SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "PASSWD", "PRIVATE", "CREDENTIAL", "API_KEY", "ACCESS_KEY")
_PUBLIC_PREFIXES = ("VITE_", "PUBLIC_", "NEXT_PUBLIC_", "NUXT_PUBLIC_", "REACT_APP_", "GATSBY_", "EXPO_PUBLIC_")


async def keep(services: Services, project: Project, name: str, value: str) -> Secret:
    """Set a secret of the project, or set it anew."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    secret = Secret(name=name, set_at=now, masked=bool(forms(value)))
    about, sealer = _about(project, name), services.sealer
    async with services.db.write() as c:
        await secrets.put(c, project.id, secret, sealer.seal(value, about), sealer.fingerprint(value, about))
    return secret


async def reveal(services: Services, project: Project, names: Collection[str], step: StepId) -> dict[str, str]:
    """The values of the secrets that a step names. Raises StepFailed for one that is not set."""
    if not names:
        return {}
    async with services.db.read() as c:
        sealed = await secrets.sealed(c, project.id, names)
    if missing := sorted(set(names) - set(sealed)):
        raise StepFailed(_missing(project, missing, step))
    return {name: services.sealer.open(sealed[name], _about(project, name)) for name in sorted(sealed)}


async def granted(ctx: Context, names: Collection[str], step: StepId) -> dict[str, str]:
    """
    The secrets that a step of this build gets. An untrusted build runs without: who wrote it may also have written the line
    that names them. Raises StepFailed for one that is not set.
    """
    if ctx.build.options.trust is Trust.TRUSTED:
        return await reveal(ctx.services, ctx.project, names, step)
    # An install is never shown the settings' variables.
    like = secret_like(ctx.project.settings.env) if step is StepId.BUILD else {}
    if withheld := {*names, *like}:
        said = f"{', '.join(sorted(withheld))}: no secret is given to an untrusted build"
        ctx.record(BuildWarning(build_id=ctx.build.id, step=step, code="secret.withheld", message=said))
    return {}


def shown_env(ctx: Context) -> Mapping[str, str]:
    """The variables of the project's settings that this build gets: of an untrusted one, those that are called like no secret."""
    env = ctx.project.settings.env
    if ctx.build.options.trust is Trust.TRUSTED:
        return env
    hidden = secret_like(env)
    return {name: value for name, value in env.items() if name not in hidden}


async def fingerprints(services: Services, project: Project, plan: BuildPlan) -> Mapping[str, Digest]:
    """What the result's key has of the secrets that the build command is given."""
    names = plan.build.secrets if plan.build else ()
    if not names:
        return {}
    async with services.db.read() as c:
        return await secrets.fingerprints(c, project.id, names)


def secret_like(env: Mapping[str, str]) -> Mapping[str, str]:
    """Variables that were not declared as secrets and are called like some. What a framework publishes by its name is none."""
    return {
        name: value
        for name, value in env.items()
        if any(word in name.upper() for word in _SECRET_WORDS) and not name.startswith(_PUBLIC_PREFIXES)
    }


def _about(project: Project, name: str) -> str:
    return f"secret {name} of {project.id}"


def _missing(project: Project, names: list[str], step: StepId) -> Failure:
    one = names[0]
    return Failure(
        reason=FailureReason.MISSING_ENV,
        step=step,
        message=f"the {'install' if step is StepId.DEPENDENCIES else 'build'} needs the secret {', '.join(names)}, which is not set",
        hint=f"set it: headrace secrets set {project.slug} {one}",
    )
