"""Python: web frameworks and packages are recognised by what their dependencies say, and planned as programs that have to run."""

import re
from dataclasses import dataclass
from typing import ClassVar

from headrace.plan.detectors.base import Detected
from headrace.plan.project_view import ProjectView

_DEPENDENCIES = ("pyproject.toml", "requirements.txt", "Pipfile", "setup.py", "setup.cfg", "environment.yml")


@dataclass(frozen=True)
class PythonRow:
    framework: str
    title: str
    packages: tuple[str, ...]
    #: What to change so that it makes files, when it can.
    as_files: str = ""
    files: tuple[str, ...] = ()


PYTHON_ROWS = (
    PythonRow("django", "Django", ("django", "wagtail"), "django-distill", ("manage.py",)),
    PythonRow("fastapi", "FastAPI", ("fastapi",)),
    PythonRow("fasthtml", "FastHTML", ("python-fasthtml",)),
    PythonRow("flask", "Flask", ("flask",), "Frozen-Flask"),
    PythonRow("litestar", "Litestar", ("litestar", "starlite")),
    PythonRow("streamlit", "Streamlit", ("streamlit",), "stlite"),
    PythonRow("gradio", "Gradio", ("gradio",), "@gradio/lite"),
    PythonRow("reflex", "Reflex", ("reflex",), "`reflex export --frontend-only`"),
    PythonRow("dash", "Dash", ("dash",)),
    PythonRow("nicegui", "NiceGUI", ("nicegui",)),
    PythonRow("sanic", "Sanic", ("sanic",)),
    PythonRow("tornado", "Tornado", ("tornado",)),
    PythonRow("aiohttp", "aiohttp", ("aiohttp",)),
    PythonRow("quart", "Quart", ("quart",)),
    PythonRow("starlette", "Starlette", ("starlette",)),
    PythonRow("bottle", "Bottle", ("bottle",)),
    PythonRow("pyramid", "Pyramid", ("pyramid",)),
)


class PythonServer:
    """Implements `Detector` for one web framework of Python."""

    def __init__(self, row: PythonRow) -> None:
        self._row = row

    @property
    def framework(self) -> str:
        return self._row.framework

    def detect(self, view: ProjectView) -> Detected | None:
        if not any(view.has(name) for name in (*_DEPENDENCIES, *self._row.files)):
            return None
        named = _naming(view, self._row.packages) or view.first(*self._row.files)
        return None if named is None else _detected(self._row, named, f"{named} names {self._row.title}")


class PythonPackage:
    """A Python project of no known framework."""

    framework: ClassVar[str] = "python"

    def detect(self, view: ProjectView) -> Detected | None:
        named = view.first(*_DEPENDENCIES)
        row = PythonRow("python", "Python", ())
        return None if named is None else _detected(row, named, f"{named} is there: a Python project")


def _detected(row: PythonRow, source: str, why: str) -> Detected:
    return Detected(
        framework=row.framework,
        kind="server",
        why=f"{why}, and it needs a server",
        source=source,
        output="dist",
        output_why="a Python project has no usual directory of pages",
        as_files=f"pages made with {row.as_files}, committed, and their directory as output in headrace.toml"
        if row.as_files
        else "",
    )


def _naming(view: ProjectView, packages: tuple[str, ...]) -> str | None:
    """The first file whose dependencies name one of the packages."""
    names = "|".join(re.escape(name) for name in packages)
    wanted = re.compile(
        rf"(?im)^[ \t\-\"'\[,]*(?:dependencies\s*=\s*\[\s*[\"'])?(?:{names})(?![\w-])(?:\[[\w,\s-]*\])?\s*(?:[=<>!~;@\"',\]]|$)"
    )
    return next((file for file in _DEPENDENCIES if (text := view.text(file)) and wanted.search(text[:262_144])), None)
