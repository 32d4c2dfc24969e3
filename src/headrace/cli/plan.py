"""`headrace plan`: a pure look at a directory."""

import shlex
from pathlib import Path

import click

from headrace.cli.exit_status import of_failure
from headrace.cli.output import answer, data, note, table


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the plan, or the failure, as JSON.")
def command(directory: Path, as_json: bool) -> int:
    """Show what a build of DIRECTORY would run, and why. Runs nothing and needs no server."""
    from headrace.errors import StepFailed
    from headrace.model.project import ProjectSettings
    from headrace.plan.limits import PlanLimits
    from headrace.plan.planner import make_plan
    from headrace.plan.project_files import DirectoryFiles

    try:
        plan = make_plan(DirectoryFiles(directory), ProjectSettings(), PlanLimits())
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
    rows = [["framework", plan.framework], ["root", plan.root or "."]]
    rows += [["tool", f"{tool.name} {tool.version}"] for tool in plan.tools]
    if plan.install:
        rows.append(["install", shlex.join(plan.install.command.argv)])
    if plan.build:
        rows.append(["build", shlex.join(plan.build.argv)])
    rows.append(["output", plan.output or "."])
    answer(table(["what", "is"], rows))
    if plan.choices:
        answer("\n" + table(["because", "value", "why"], [[c.subject, c.value, c.why] for c in plan.choices]))
    for ignored in plan.ignored:
        note(f"ignored: {ignored.setting} in {ignored.source}: {ignored.why}")
    return 0
