"""Which of the apps that a repository's `headrace.toml` declares is meant, and the file as that app has it."""

from typing import NamedTuple, TypeVar

from headrace.errors import StepFailed
from headrace.model.plan import Choice
from headrace.model.project import ProjectSettings
from headrace.model.value import Value
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import joined, placed
from headrace.plan.refusal import config_error

V = TypeVar("V", bound=Value)

_TABLES = ("build", "routing", "limits", "dev")


class DeclaredApp(NamedTuple):
    name: str
    #: The file, with what is different for this app.
    file: ProjectFile
    #: Where the app is, as it was written: relative to the root of the version once it is checked.
    root: str
    choice: Choice


def choose_declared(file: ProjectFile, settings: ProjectSettings) -> DeclaredApp | None:
    """
    The app that is meant: the one that is asked for, else the one in the project's root directory, else the file's `app`, else
    the only one. None when the file declares none, or the project is another directory of the repository.

    Raises StepFailed, naming them all, when none of these says which.
    """
    if not file.apps:
        return None
    asked, beside = settings.app, placed("", settings.root) not in ("", file.directory)
    here = [
        name for name, app in file.apps.items() if beside and _directory(file, app.root) == placed("", settings.root)
    ]
    if asked is not None:
        if asked not in file.apps:
            raise _unknown(file, asked)
        if beside and asked not in here:
            raise _two_wishes(file, asked, settings.root)
        return _chosen(file, asked, "it is asked for")
    if beside and not here:
        return None
    if len(here) == 1:
        return _chosen(file, here[0], "the project's root directory is this app's")
    if file.app in (here or file.apps) and file.app is not None:
        return _chosen(file, file.app, f"{file.path} app says so")
    if len(file.apps) == 1:
        return _chosen(file, next(iter(file.apps)), "the only app that is declared")
    raise _undecided(file)


def declared_in(file: ProjectFile) -> dict[str, str]:
    """The directories of the apps, by name."""
    return {name: _directory(file, app.root) for name, app in sorted(file.apps.items())}


def _chosen(file: ProjectFile, name: str, why: str) -> DeclaredApp:
    app = file.apps[name]
    changed = {table: _over(getattr(file, table), getattr(app, table)) for table in _TABLES}
    said = [f"{table}.{key}" for table in _TABLES for key in getattr(app, table).model_fields_set]
    places = {key: f"apps.{name}.{key}" for key in (*said, *(f"env.{variable}" for variable in app.env))}
    own = file.but(root=app.root, env={**file.env, **app.env}, places=places, **changed)
    choice = Choice(
        subject="app", value=name, why=f"{why}; declared are {_listed(file)}", source=f"{file.path} apps.{name}"
    )
    return DeclaredApp(name, own, joined(file.directory, app.root), choice)


def _over(common: V, own: V) -> V:
    """`common` with the keys that `own` says. Tables of paths and variables are taken together, entry by entry."""
    said = {name: getattr(own, name) for name in own.model_fields_set}
    return common.but(
        **{
            name: {**getattr(common, name), **value} if isinstance(value, dict) else value
            for name, value in said.items()
        }
    )


def _directory(file: ProjectFile, root: str) -> str:
    return placed(file.directory, root)


def _listed(file: ProjectFile) -> str:
    return ", ".join(f"{name} ({directory or '.'})" for name, directory in list(declared_in(file).items())[:20])


def _unknown(file: ProjectFile, asked: str) -> StepFailed:
    return config_error(
        f"{file.path} declares no app {asked[:60]!r}; declared are {_listed(file)}",
        hint=f"choose one of {', '.join(sorted(file.apps))}, or declare it: [apps.NAME] with its root",
        file=file.path,
    )


def _undecided(file: ProjectFile) -> StepFailed:
    first = min(file.apps)
    return config_error(
        f"{file.path} declares several apps, and nothing says which is meant: {_listed(file)}",
        hint=f"choose one: --app {first} on the command line, app = {first!r} in the project's settings, or a default for "
        f'everybody, app = "{first}" at the top of {file.path}',
        file=file.path,
    )


def _two_wishes(file: ProjectFile, asked: str, root: str) -> StepFailed:
    return config_error(
        f"the app {asked[:60]!r} is asked for, and the project's root directory is {root[:100]!r}, where it is not: "
        f"{file.path} declares {_listed(file)}",
        hint="take the root directory out of the project's settings: the app has its own",
        file=file.path,
    )
