"""Which driver shows a project, in which mode, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.model.plan import BuildPlan
from headrace.model.preview import PreviewMode
from headrace.model.project import PreviewSettings
from headrace.plan.project_files import ProjectFiles
from headrace.preview.base import Driver
from headrace.registry import find, names

#: Takes any project that has a command for development, so the special ones are asked before. What none of them can show is
#: shown by cached builds.
LAST = "command"

#: Names of the two ways that need no warm process.
FILES = "files"
BUILDS = "builds"


@dataclass(frozen=True)
class Choice:
    """`driver` None: plain files, or cached builds, as `name` says."""

    name: str
    mode: PreviewMode
    driver: Driver | None
    why: str


def choose(plan: BuildPlan, files: ProjectFiles, settings: PreviewSettings) -> Choice:
    if plan.build is None and plan.kind == "static" and plan.refused is None:
        return Choice(FILES, PreviewMode.BUILD, None, "no build command: the files are served as they are")
    modes = [PreviewMode.BUILD, PreviewMode.DEV] if settings.mode == "auto" else [PreviewMode(settings.mode)]
    refusals: list[str] = []
    for mode in modes:
        able = [driver for driver in _drivers() if mode in driver.modes]
        # Which of several drivers shows it is of interest to nobody; that none can in the preferred mode is.
        answers = {driver.name: driver.fits(plan, files, mode) for driver in able}
        for driver in able:
            if answers[driver.name] is None:
                return Choice(driver.name, mode, driver, f"{driver.name}, mode {mode}" + _because(refusals))
        refusals += [answer for answer in answers.values() if answer is not None]
    return Choice(
        BUILDS, PreviewMode.BUILD, None, "nothing can watch this project, so each change is built" + _because(refusals)
    )


def _drivers() -> Sequence[Driver]:
    return [find("preview.drivers", name)() for name in sorted(names("preview.drivers"), key=lambda name: name == LAST)]


def _because(refusals: Sequence[str]) -> str:
    return f" ({'; '.join(dict.fromkeys(refusals))})" if refusals else ""
