"""A version in, a plan out. Nothing is run, no process and no socket is opened; all that is read are the version's files."""

import re

from headrace.model.diagnostic import FailureReason
from headrace.model.plan import BuildPlan, Choice, Ignored
from headrace.model.project import ProjectSettings
from headrace.plan.apps import app_named, choose_app
from headrace.plan.declared_apps import DeclaredApp, choose_declared, declared_in
from headrace.plan.detectors import DETECTORS, framework_of, in_its_place
from headrace.plan.detectors.base import Detected
from headrace.plan.hosts.read import Hosts, filled, read_hosts
from headrace.plan.limits import PlanLimits
from headrace.plan.manifest import read_manifest
from headrace.plan.nothing import nothing_to_build
from headrace.plan.parts import Parts, Wanted, needs_node, parts_of
from headrace.plan.project_file import NAME, ProjectFile, read_project_file
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import ProjectView, joined, placed
from headrace.plan.refusal import config_error, refusal
from headrace.plan.refused import why_refused
from headrace.plan.routing import choose_routing

#: What other hosts' files name as output for programs that run there: never a directory of pages.
_FOR_SERVERS = frozenset(
    {".next", ".output", ".vercel", ".vercel/output", ".netlify", ".svelte-kit", "build/server", ".amplify-hosting"}
)


def make_plan(files: ProjectFiles, settings: ProjectSettings, limits: PlanLimits) -> BuildPlan:
    """
    The plan of a version: everything that decides what its build does, and why.

    Raises StepFailed for a project that can't be planned; its failure names what was looked for, what was found and what
    to write.
    """
    own = read_project_file(files, _directory(settings.root, "the project's settings"))
    declared = choose_declared(own, settings)
    app_choices: tuple[Choice, ...] = ()
    if declared is not None:
        root, app_choices = _there(files, declared.root, f"{own.path} apps.{declared.name}.root"), (declared.choice,)
        view, hosts, file, passed_over = _read(files, root, declared.file)
        passed_over = (*passed_over, *_own_file(view, declared))
    else:
        root = _root(files, settings, own)
        view, hosts, file, passed_over = _read(files, root, own)
        if (app := _workspace_app(view, hosts, file, settings)) is not None:
            root, app_choices = app[0], (app[1],)
            view, hosts, file, passed_over = _read(files, root, read_project_file(files, root))
    detected, unfit = _detect(view, file)
    wanted = Wanted(view, detected, file, hosts, settings, limits)
    parts = parts_of(wanted) if needs_node(wanted) else None
    # Whoever names the directory of the result knows that there is one; other hosts' files mean a program by it, too.
    owns_output = file.build.output is not None and file.is_own("build.output")
    routing, routing_choices = choose_routing(view, detected, file, hosts)
    output, output_choice, unused = _output(root, detected, file)
    return BuildPlan(
        framework=detected.framework,
        kind="static" if owns_output else detected.kind,
        root=root,
        app=declared.name if declared else None,
        apps=declared_in(own),
        package_manager=parts.manager.name if parts else None,
        tools=parts.tools if parts else (),
        install=parts.install.install if parts else None,
        build=parts.build if parts else None,
        dev=parts.dev if parts else None,
        refused=None if owns_output and (parts is None or parts.build) else why_refused(wanted, parts),
        caches=tuple(joined(root, cache) for cache in detected.caches),
        output=placed(root, output),
        output_candidates=_candidates(root, output, detected, file),
        routing=routing,
        choices=(
            *app_choices,
            Choice(subject="framework", value=detected.framework, why=detected.why, source=detected.source),
            *(parts.choices if parts else ()),
            output_choice,
            *routing_choices,
            *detected.choices,
        ),
        ignored=_once(parts, (*unfit, *unused, *passed_over, *hosts.ignored)),
    )


def _read(
    files: ProjectFiles, root: str, own: ProjectFile
) -> tuple[ProjectView, Hosts, ProjectFile, tuple[Ignored, ...]]:
    """The project at `root`: its files, what other hosts' files say, its own file with that filled in, what was passed over."""
    view = ProjectView(files, root, read_manifest(files, joined(root, "package.json")))
    hosts = read_hosts(view)
    return view, hosts, *filled(own, hosts)


def _own_file(view: ProjectView, declared: DeclaredApp) -> tuple[Ignored, ...]:
    """A second file in the app's directory: what is said of an app is said in one place."""
    if declared.file.directory == view.root or not view.has(NAME):
        return ()
    why = f"{declared.file.path} declares the app: its keys belong below [apps.{declared.name}]"
    return (Ignored(source=joined(view.root, NAME), setting="the whole file", why=why),)


def _workspace_app(
    view: ProjectView, hosts: Hosts, file: ProjectFile, settings: ProjectSettings
) -> tuple[str, Choice] | None:
    """The app that is meant by a workspace's root, unless something says what to build there."""
    if settings.app is not None:
        return app_named(view, framework_of, settings.app)
    said = (file.build.command, file.build.output, file.build.framework, hosts.script)
    return choose_app(view, framework_of) if not view.root and said == (None, None, None, None) else None


def _once(parts: Parts | None, others: tuple[Ignored, ...]) -> tuple[Ignored, ...]:
    return tuple(dict.fromkeys((*(parts.ignored if parts else ()), *others)))


def _root(files: ProjectFiles, settings: ProjectSettings, own: ProjectFile) -> str:
    named, source = settings.root or own.root, "the project's settings" if settings.root else f"{own.path} root"
    if not named and (other := read_hosts(ProjectView(files, "")).root):
        named, source = other
    return _there(files, named or "", source)


def _there(files: ProjectFiles, named: str, source: str) -> str:
    root = _directory(named, source)
    if not root or any(path.startswith(f"{root}/") for path in files.paths()):
        return root
    what = "is a file" if root in files.paths() else "is not a directory of this version"
    there = sorted({path.rpartition("/")[0] for path in files.paths() if path.endswith("/package.json")})[:10]
    known = f"; directories with a package.json: {', '.join(there)}" if there else ""
    raise refusal(
        FailureReason.CONFIG_ERROR,
        f"the root directory {root!r} ({source}) {what}{known}",
        hint="name a directory of the project",
    )


def _directory(path: str, source: str) -> str:
    """A directory inside the version. Raises StepFailed for one that leaves it."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    if path.startswith(("/", "~")) or ".." in names or re.search(r"[\0\n\r\\]", path):
        raise refusal(
            FailureReason.CONFIG_ERROR,
            f"{path[:100]!r} ({source}) is not a directory inside the project",
            hint="name it relative to the root of the version, such as apps/web",
        )
    return "/".join(names)


def _detect(view: ProjectView, file: ProjectFile) -> tuple[Detected, tuple[Ignored, ...]]:
    """What the project is, and the framework that another host's file names when it isn't that."""
    wish = file.build.framework
    by_name = {detector.framework: detector for detector in DETECTORS}
    unfit: tuple[Ignored, ...] = ()
    if wish is not None and not file.is_own("build.framework"):
        detector = by_name.get(wish)
        if detector is not None and (detected := detector.detect(view)):
            return detected, ()
        source, _, setting = file.where("build.framework").partition(" ")
        unfit = (Ignored(source=source, setting=setting, why=f"the project does not look like {wish}"),)
        wish = None
    if wish is not None and wish not in by_name:
        raise config_error(
            f"{file.path}: the framework {wish!r} is not known",
            hint=f"known are {', '.join(by_name)}; or leave it out and set command and output",
            file=file.path,
        )
    found = (detector.detect(view) for detector in (DETECTORS if wish is None else (by_name[wish],)))
    detected = next((one for one in found if one is not None), None)
    if detected is not None and wish is None and file.build.command is None:
        detected = in_its_place(view, detected)
    output = file.build.output
    if detected is not None and (output is None or detected.script is not None or detected.framework == "static"):
        return detected, unfit
    if output is None or not (file.is_own("build.output") or file.build.command):
        if detected is not None:
            return detected, unfit
        raise nothing_to_build(view, wish)
    explicit = Detected(
        framework=wish or (detected.framework if detected else "script" if file.build.command else "static"),
        why="the project says what to run and where its result is",
        source=file.where("build.output").split()[0],
        dev_script=detected.dev_script if detected else None,
        output=output,
        output_why="the project says so",
        published="public" if file.build.command else _inside(file, output),
    )
    return explicit, unfit


def _output(root: str, detected: Detected, file: ProjectFile) -> tuple[str, Choice, tuple[Ignored, ...]]:
    named, source = file.build.output, file.where("build.output")
    beside = detected.output.startswith("../")
    shown = placed(root, detected.output) if beside else detected.output or "."
    usual = Choice(subject="output", value=shown, why=detected.output_why, source=detected.source)
    if named is None:
        return detected.output, usual, ()
    value = _inside(file, named)
    if not file.is_own("build.output") and (detected.kind == "server" or value in _FOR_SERVERS):
        where, _, setting = source.partition(" ")
        why = "it holds a program that runs there, and only pages can be deployed"
        return detected.output, usual, (Ignored(source=where, setting=setting, why=why),)
    return value, Choice(subject="output", value=value or ".", why="the project says so", source=source), ()


def _candidates(root: str, output: str, detected: Detected, file: ProjectFile) -> tuple[str, ...]:
    """
    Other directories to look at. A setting is an order: when it is wrong, that is said and nothing is guessed.

    Another host's setting was not written for here; it is only looked at first.
    """
    if file.build.output is not None and file.is_own("build.output"):
        return ()
    others = dict.fromkeys((detected.output, *detected.output_candidates))
    return tuple(placed(root, other) for other in others if other != output)


def _inside(file: ProjectFile, output: str) -> str:
    return _directory(
        output.removeprefix("/") if not file.is_own("build.output") else output, file.where("build.output")
    )
