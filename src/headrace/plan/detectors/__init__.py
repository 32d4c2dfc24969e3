"""Detectors, one framework each. The order matters: the first that answers decides."""

from headrace.plan.detectors.angular import Angular
from headrace.plan.detectors.base import Detected, Detector
from headrace.plan.detectors.frameworks import BEFORE_VITE, BEHIND_VITE, SHOWN_LAST
from headrace.plan.detectors.generators import GENERATORS, ForeignGenerator
from headrace.plan.detectors.nx import Nx
from headrace.plan.detectors.python import PYTHON_ROWS, PythonPackage, PythonServer
from headrace.plan.detectors.script import DevScript, Script
from headrace.plan.detectors.static import Static
from headrace.plan.detectors.vite import Vite
from headrace.plan.project_view import ProjectView

_FRAMEWORKS: tuple[Detector, ...] = (*BEFORE_VITE, Angular(), Vite(), *BEHIND_VITE, *SHOWN_LAST)

DETECTORS: tuple[Detector, ...] = (
    Nx(_FRAMEWORKS),
    *_FRAMEWORKS,
    Script(),
    *(ForeignGenerator(row) for row in GENERATORS),
    *(PythonServer(row) for row in PYTHON_ROWS),
    Static(),
    DevScript(),
    PythonPackage(),
)


def in_its_place(view: ProjectView, found: Detected) -> Detected:
    """A workshop of components whose script builds something, where the project that it stands beside has none that does."""
    scripts = view.manifest.scripts if view.manifest else {}
    if found.kind == "server" or found.command is not None or scripts.get(found.script or "", "").strip():
        return found
    others = (other for detector in SHOWN_LAST if (other := detector.detect(view)) is not None)
    return next((other for other in others if scripts.get(other.script or "", "").strip()), found)


#: What is found where no framework is.
_WITHOUT = frozenset({"script", "static", "dev-script"})


def framework_of(view: ProjectView) -> str | None:
    """The framework of a project; None for plain files and scripts of their own."""
    found = next((found for detector in DETECTORS if (found := detector.detect(view)) is not None), None)
    return found.framework if found is not None and found.framework not in _WITHOUT else None
