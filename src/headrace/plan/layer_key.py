"""Cache keys as named inputs, so that a miss can say which input differs."""

import json
import platform
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from headrace.model.digest import Digest, digest_of
from headrace.model.plan import BuildPlan, CacheKey, KeyInput, PlannedCommand, Tool
from headrace.model.version import Tree
from headrace.plan.lock_files import LOCK_FILES

#: Rises when the same inputs would make something else because Headrace itself changed.
_FORMAT = "1"


def layer_key(plan: BuildPlan, tree: Tree, *, scope: str, base_system: str) -> CacheKey:
    """
    Key of the dependency layer. Of a manifest only the part that installs read belongs to it.

    `scope` separates trust scopes: equal lock files of two workspaces have different keys.
    """
    install = plan.install
    if install is None:
        raise ValueError("a plan without an install has no dependency layer")
    manifests = {part.name: part for part in install.manifests}
    wanted = frozenset(install.inputs)
    # Lock files and manifests first: they are what people change.
    files = [
        manifests.get(f"file {file.path}") or KeyInput(name=f"file {file.path}", digest=file.digest or _of(file.link))
        for file in sorted(tree.files, key=lambda file: (not _is_lock(file.path), file.path.count("/"), file.path))
        if file.path in wanted
    ]
    return _key(
        [
            *files,
            *_tools(plan.tools),
            *_command("install", install.command),
            KeyInput(name="outputs", digest=_of(install.outputs)),
            *_machine(base_system),
            KeyInput(name="trust scope", digest=_of(scope)),
        ]
    )


def result_key(
    plan: BuildPlan,
    tree: Digest,
    env: Mapping[str, str],
    base_system: str,
    *,
    secrets: Mapping[str, Digest] = MappingProxyType({}),
    untrusted: str | None = None,
) -> CacheKey:
    """
    Key of the build's result: equal keys make equal artifacts. Limits and reasons don't belong to it. `untrusted` is the
    trust scope of a build whose result nobody else may be given; `secrets` are fingerprints of the secrets that the build
    command gets, by name.
    """
    commands = [
        *(_command("install", plan.install.command) if plan.install else ()),
        *(_command("build", plan.build) if plan.build else ()),
    ]
    own = [KeyInput(name=f"setting {name}", digest=_of(env[name])) for name in sorted(env)]
    return _key(
        [
            KeyInput(name="files", digest=tree),
            *own,
            *(KeyInput(name=f"secret {name}", digest=secrets[name]) for name in sorted(secrets)),
            *_tools(plan.tools),
            *commands,
            KeyInput(name="output", digest=_of([plan.output, plan.output_candidates])),
            KeyInput(name="routing", digest=_of(plan.routing.model_dump(mode="json"))),
            *_machine(base_system),
            *(KeyInput(name="trust scope", digest=_of(untrusted)),) * (untrusted is not None),
        ]
    )


def first_difference(now: CacheKey, before: CacheKey | None) -> str | None:
    """
    Name of the first input that differs from the last build, such as `file package-lock.json` or `tool node`.

    None when nothing is known to differ: there was no build before, or its entry has gone.
    """
    if before is None:
        return None
    old = {part.name: part.digest for part in before.inputs}
    changed = next((part.name for part in now.inputs if old.get(part.name) != part.digest), None)
    if changed is not None:
        return changed
    names = {part.name for part in now.inputs}
    return next((part.name for part in before.inputs if part.name not in names), None)


def _key(inputs: Iterable[KeyInput]) -> CacheKey:
    named = (KeyInput(name="format of keys", digest=_of(_FORMAT)), *inputs)
    ordered = (*named[1:], named[0])
    return CacheKey(digest=_of([[part.name, part.digest] for part in ordered]), inputs=ordered)


def _is_lock(path: str) -> bool:
    return path.rpartition("/")[2] in LOCK_FILES


def _tools(tools: Iterable[Tool]) -> list[KeyInput]:
    return [KeyInput(name=f"tool {tool.name}", digest=_of(tool.model_dump(mode="json"))) for tool in tools]


def _command(name: str, command: PlannedCommand) -> list[KeyInput]:
    return [
        KeyInput(name=f"{name} command", digest=_of(_said(command))),
        *(
            KeyInput(
                name=f"variable {variable}" if name == "build" else f"{name} variable {variable}", digest=_of(value)
            )
            for variable, value in sorted(command.env.items())
        ),
    ]


def _said(command: PlannedCommand) -> list[object]:
    plain: list[object] = [command.argv, command.directory, command.network]
    return [*plain, command.secrets] if command.secrets else plain


def _machine(base_system: str) -> list[KeyInput]:
    return [
        KeyInput(name="platform", digest=_of([platform.system(), platform.machine()])),
        KeyInput(name="base system", digest=_of(base_system)),
    ]


def _of(value: object) -> Digest:
    return digest_of(
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    )
