"""`[dev.proxy]` of a directory's headrace.toml becomes a setting of its project: on the user's own machine, and not in silence."""

from pathlib import Path
from typing import Any

from headrace.cli.client import Client
from headrace.cli.output import note
from headrace.errors import StepFailed
from headrace.model.project import ProjectSettings
from headrace.plan.declared_apps import choose_declared
from headrace.plan.project_file import proxy_rules, read_project_file
from headrace.plan.project_files import DirectoryFiles
from headrace.settings import server_url


def take_over_proxy(client: Client, project: Any, directory: Path) -> Any:
    """The project with the rules of the directory's file. Without such rules it stays as it is."""
    try:
        # Only the file itself is read; the directory need not be walked for it.
        wanted = ProjectSettings(root=project["settings"]["root"], app=project["settings"].get("app"))
        file = read_project_file(DirectoryFiles(directory, ()), wanted.root)
        declared = choose_declared(file, wanted)
        file = declared.file if declared else file
    except StepFailed:
        # The plan reads the same file, and says what is wrong with it.
        return project
    rules = [rule.model_dump(mode="json") for rule in proxy_rules(file)]
    if not rules or rules == project["settings"].get("proxy"):
        return project
    if server_url():
        note(
            f"! [dev.proxy] of {file.path} is left out: its addresses are of this machine, and the server is another one"
        )
        return project
    for rule in rules:
        note(f"{rule['path']} of the page goes to {rule['to']} (from {file.path})")
    return client.patch(f"/projects/{project['id']}", {"settings": {"proxy": rules}})
