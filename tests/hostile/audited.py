"""A server whose programs are recorded, and hostile strings in every field of its API."""

from collections.abc import Iterator
from pathlib import Path

from tests.hostile.execaudit import Exec, read_execs, strace, wait_until_traced
from tests.hostile.fields import Fields, Request
from tests.server import Server

from headrace.api.app import openapi_document


class AuditedServer(Server):
    """A server whose programs are recorded from its first moment to its last."""

    def __init__(self, environment: dict[str, str], data_dir: Path) -> None:
        self.programs = data_dir.parent / "programs"
        super().__init__(environment, data_dir, wrap=strace(self.programs))

    def ran(self) -> list[Exec]:
        """Everything that it ran. Ends it."""
        self.stop()
        wait_until_traced(self.programs, self.pid)
        return read_execs(self.programs)

    def attack(self, values: Iterator[list[str]]) -> Iterator[tuple[Request, int]]:
        """
        Each of the `values` that its turn brings in every field that the API has, with the status of the answer, over things that
        exist. An answer of 500 and above is an AssertionError.
        """
        project = self.project("Shop")["id"]
        version = self.upload(project, {"index.html": "<h1>hello</h1>"})["id"]
        build = self.build(project)["id"]
        self.until_ended(build)
        ids = {"workspace": "default", "project_id": project, "version_id": version, "build_id": build}
        for request in Fields(openapi_document(), ids).requests(values):
            if request.method == "DELETE" and request.path.endswith(project):
                continue
            answer = self.http.request(
                request.method,
                self.url + request.path,
                params=dict(request.query),
                headers=dict(request.headers),
                json=request.body,
            )
            assert answer.status_code < 500, (request, answer.text)
            yield request, answer.status_code
