"""Vite, kept warm by a program that uses the project's own: builds one after another, or its development server."""

import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from headrace.diagnostics.places import Places
from headrace.model.plan import BuildPlan
from headrace.model.preview import PreviewMode
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import joined
from headrace.preview.base import MOUNTED, Builder, Change, FreePort, Link, Outcome, Setup
from headrace.preview.drivers._control import Control, Lost
from headrace.preview.drivers._reported import outcome_of
from headrace.preview.drivers._scripts import Call, calls, flags, is_check, script

#: Frameworks whose whole development server is a plugin in Vite's configuration.
_BY_CONFIGURATION = frozenset({"vite", "sveltekit", "react-router", "remix", "tanstack-start", "solidstart", "qwik"})

_BUILD_FLAGS = {
    "--mode": "mode", "-m": "mode", "--base": "base", "--outDir": "outDir", "--assetsDir": "assetsDir",
    "-c": "configFile", "--config": "configFile", "--emptyOutDir": "", "-l": "", "--logLevel": "", "--clearScreen": "",
    "--minify": "minify", "--sourcemap": "", "--manifest": "manifest",
}  # fmt: skip
_DEV_FLAGS = {
    "--mode": "mode", "-m": "mode", "--base": "base", "-c": "configFile", "--config": "configFile", "--host": "",
    "--port": "", "--open": "", "--strictPort": "", "--force": "", "--cors": "", "-l": "", "--logLevel": "",
    "--clearScreen": "",
}  # fmt: skip

#: Files that tools beside Vite read once, when they start. Vite's own configuration is taken up by the running program.
_READ_ONCE = re.compile(
    r"(?:package\.json|headrace\.toml|\.npmrc|\.browserslistrc|\.babelrc(?:\..+)?|\.postcssrc(?:\..+)?"
    r"|(?:postcss|tailwind|babel|svelte|uno|unocss|react-router|app)\.config\.\w+)"
)

_FIRST_SECONDS = 300.0
_APPLY_SECONDS = 60.0


class ViteDriver:
    name: ClassVar[str] = "vite"
    modes: ClassVar[Sequence[PreviewMode]] = (PreviewMode.BUILD, PreviewMode.DEV)

    def fits(self, plan: BuildPlan, files: ProjectFiles, mode: PreviewMode) -> str | None:
        if mode is PreviewMode.DEV:
            return self._fits_dev(plan, files)
        if plan.framework != "vite" or plan.kind != "static":
            return f"warm builds are for plain Vite, and this is {plan.framework}"
        found = _build_call(plan, files)
        return found if isinstance(found, str) else None

    def _fits_dev(self, plan: BuildPlan, files: ProjectFiles) -> str | None:
        if plan.framework not in _BY_CONFIGURATION:
            return f"{plan.framework} isn't run by Vite's configuration alone"
        text = script(plan, files, "dev")
        found = calls(text) if text is not None else []
        if found is None or any(call.program == "vinxi" for call in found):
            return f"its dev script does more than start Vite: {text}"
        return None

    def setup(self, plan: BuildPlan, files: ProjectFiles, mode: PreviewMode, port: FreePort) -> Setup:
        control = port()
        dev = mode is PreviewMode.DEV
        page = port() if dev else None
        call = _dev_call(plan, files) if dev else _build_call(plan, files)
        options, env = _options(call, dev=dev) if isinstance(call, Call) else ({}, {})
        settings = {"mode": mode.value, "control": control, "page": page, "options": options}
        planned = dict(plan.build.env) if plan.build is not None else {}
        if dev:
            # A development server in production mode would serve a page that can't be updated.
            planned.pop("NODE_ENV", None)
        return Setup(
            argv=("node", f"{MOUNTED}/vite.mjs", json.dumps(settings)),
            directory=plan.root,
            env={**planned, **env},
            page_port=page,
            control_port=control,
            output=None if dev else plan.output,
            keep=(joined(plan.root, "node_modules/.vite"),) if dev else (),
            paths=files.paths(),
        )

    def attach(self, setup: Setup, plan: BuildPlan, link: Link) -> Builder:  # noqa: ARG002 - other drivers need the plan
        return ViteBuilder(setup, link)

    def restarts(self, plan: BuildPlan, change: Change) -> bool:  # noqa: ARG002
        return any(_READ_ONCE.fullmatch(posixpath.basename(path)) for path in (*change.written, *change.removed))


class ViteBuilder:
    """Talks to `program/vite.mjs`."""

    def __init__(self, setup: Setup, link: Link) -> None:
        assert setup.control_port is not None  # noqa: S101 - set by this driver
        self._directory = setup.directory
        self._paths = set(setup.paths)
        self._link = link
        self._tell: Callable[[Outcome], None] = lambda _: None
        self._control = Control(link, setup.control_port, self._heard)

    async def first(self) -> Outcome:
        try:
            return self._outcome(await self._control.first(_FIRST_SECONDS))
        except Lost as exc:
            return Outcome(ok=False, message=f"Vite did not start: {exc}{self._last_words()}")

    def expect(self) -> None:
        self._control.tell(coming=True)

    async def apply(self, change: Change) -> Outcome:
        self._paths.update(change.written)
        self._paths.difference_update(change.removed)
        written, removed = ([self._seen_inside(path) for path in paths] for paths in change)
        try:
            return self._outcome(await self._control.ask(_APPLY_SECONDS, written=written, removed=removed))
        except Lost as exc:
            return Outcome(ok=False, message=f"Vite is gone: {exc}{self._last_words()}")

    async def source_map(self, path: str) -> bytes | None:
        try:
            found = (await self._control.ask(_APPLY_SECONDS, map=path)).get("map")
        except Lost:
            return None
        return found.encode() if isinstance(found, str) else None

    def on_error(self, tell: Callable[[Outcome], None]) -> None:
        self._tell = tell

    async def close(self) -> None:
        await self._control.close()

    def _outcome(self, message: Mapping[str, Any]) -> Outcome:
        return outcome_of("vite", message, Places(self._paths, self._directory))

    def _heard(self, message: Mapping[str, Any]) -> None:
        if message.get("event") == "error":
            self._tell(self._outcome({**message, "ok": False}))

    def _seen_inside(self, path: str) -> str:
        """A path of the version as the program sees it, from its own directory."""
        return posixpath.relpath(path, self._directory) if self._directory else path

    def _last_words(self) -> str:
        if not self._link.ended:
            return ""
        said = [line.text.strip() for line in self._link.lines() if line.text.strip()]
        return f"; it said: {' / '.join(said[-3:])[:500]}" if said else ""


def _build_call(plan: BuildPlan, files: ProjectFiles) -> Call | str:
    """The call of `vite build` that the build command consists of, or why it is more than that."""
    if plan.build is None:
        return "nothing is built"
    argv = plan.build.argv
    if argv[:2] == ("sh", "-c"):
        text = argv[2]
    elif "run" in argv:
        text = script(plan, files, argv[-1]) or ""
    else:
        text = " ".join(argv)
    extra = [name for name in ("prebuild", "postbuild") if script(plan, files, name)]
    if extra:
        return f"its {extra[0]} script has to run for each build"
    found = calls(text)
    main = [call for call in found or () if not is_check(call)]
    if found is None or len(main) != 1 or main[0].program != "vite" or main[0].words[:1] != ("build",):
        return f"its build command does more than `vite build`: {text[:200]}"
    parsed = flags(main[0].words[1:], _BUILD_FLAGS)
    if parsed is None or len(parsed[1]) > 1:
        return f"its build command has options that a warm build doesn't know: {text[:200]}"
    return main[0]


def _dev_call(plan: BuildPlan, files: ProjectFiles) -> Call | None:
    found = calls(script(plan, files, "dev") or "") or []
    return next((call for call in found if call.program == "vite"), None)


def _options(call: Call, *, dev: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Vite's inline configuration for what the script says on its command line, and the script's variables."""
    words = call.words[1:] if call.words[:1] in (("build",), ("dev",), ("serve",)) else call.words
    values, rest = flags(words, _DEV_FLAGS if dev else _BUILD_FLAGS) or ({}, [])
    options: dict[str, Any] = {name: values[name] for name in ("mode", "base", "configFile") if values.get(name)}
    if rest:
        options["root"] = rest[0]
    build: dict[str, Any] = {name: values[name] for name in ("outDir", "assetsDir") if values.get(name)}
    for name in ("minify", "manifest"):
        if name in values:
            build[name] = {"": True, "true": True, "false": False}.get(values[name], values[name])
    return ({**options, "build": build} if build else options), call.env
