"""`headrace plan`: a pure look at a directory."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.exit_status import of_failure
from headrace.cli.output import answer, data, note, table

if TYPE_CHECKING:
    from headrace.model.plan import BuildPlan


def _print_schema(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from headrace.plan.project_schema import project_schema

        data(project_schema())
        context.exit()


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON Schema of headrace.toml, for editors.",
)
@click.option("--app", metavar="NAME", help="Which app of a repository with several.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan, or the failure, as JSON.")
def command(directory: Path, app: str | None, as_json: bool) -> int:
    """Show what a build of DIRECTORY would run, and why. Runs nothing and needs no server.

    Of a repository whose headrace.toml declares apps it names all, and plans the chosen one.
    """
    from headrace.errors import StepFailed
    from headrace.model.project import ProjectSettings
    from headrace.plan.limits import PlanLimits
    from headrace.plan.planner import make_plan
    from headrace.plan.project_files import DirectoryFiles

    try:
        plan = make_plan(DirectoryFiles(directory), ProjectSettings(app=app), PlanLimits())
    except StepFailed as stopped:
        failure = stopped.failure
        if as_json:
            data({"failure": failure.model_dump(mode="json", exclude_none=True)})
        else:
            note(f"{failure.message} [{failure.reason}]")
            if failure.hint:
                note(f"hint: {failure.hint}")
        return of_failure(failure)
    if as_json:
        data(plan)
        return 0
    answer(table(["what", "is"], _rows(plan)))
    if plan.choices:
        answer("\n" + table(["because", "value", "why"], [[c.subject, c.value, c.why] for c in plan.choices]))
    if plan.refused is not None:
        note(f"not built: {plan.refused.message}")
        note(f"hint: {plan.refused.hint}")
    for ignored in plan.ignored:
        note(f"ignored: {ignored.setting} in {ignored.source}: {ignored.why}")
    return 0


def _rows(plan: "BuildPlan") -> list[list[str]]:
    rows = [["framework", plan.framework], ["root", plan.root or "."]]
    rows += [["app", plan.app]] if plan.app else []
    if plan.apps:
        rows.append(["apps", ", ".join(f"{name} ({place or '.'})" for name, place in plan.apps.items())])
    if plan.refused is not None:
        rows.append(["kind", f"{plan.kind}; not built: {plan.refused.reason}"])
    rows += [["tool", f"{tool.name} {tool.version}"] for tool in plan.tools]
    if plan.install:
        rows.append(["install", shlex.join(plan.install.command.argv)])
    if plan.build:
        rows.append(["build", shlex.join(plan.build.argv)])
    if plan.dev:
        rows.append(["development", shlex.join(plan.dev.argv)])
    rows.append(["output", plan.output or "."])
    return rows
