"""The contract of detectors: each recognises one framework."""

from typing import Literal, Protocol

from pydantic import Field

from headrace.model.plan import Choice, RedirectRule, Refused
from headrace.model.value import Value
from headrace.plan.project_view import ProjectView


class Detected(Value):
    """What a detector found. Paths are relative to the project's root; an output may lie beside it in the repository."""

    framework: str
    #: Whether what it builds are files, or a program that has to run to answer.
    kind: Literal["static", "server"] = "static"
    #: How it was recognised, in words, and the file that shows it.
    why: str
    source: str
    #: The script of package.json that builds it; None when nothing is run.
    script: str | None = None
    #: What builds it when it has no such script, why it is this, and variables of that command.
    command: str | None = None
    command_why: str = ""
    command_env: dict[str, str] = Field(default_factory=dict)
    #: The script of package.json that starts its development server.
    dev_script: str | None = None
    output: str
    output_why: str
    #: Other directories that such projects write to.
    output_candidates: tuple[str, ...] = ()
    #: Unknown paths answer `index.html`, unless the project has something else for them.
    spa: bool = False
    spa_why: str = "a page that does not exist is an error"
    #: The directory whose files are copied to the output as they are.
    published: str = "public"
    #: The path below which the pages expect to be served, such as `/app/`; `/` for nearly all.
    base: str = "/"
    #: Answers to paths that no file has.
    rules: tuple[RedirectRule, ...] = ()
    #: What a server kind is, as a refusal says it; and what to change so that it makes files.
    as_server: str = "needs a server to answer"
    as_files: str = ""
    #: Why it is not built here, and what to do.
    refused: Refused | None = None
    #: Directories that make its tools' next run faster.
    caches: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()


class Detector(Protocol):
    """Recognises one framework by a project's files, without running anything. The first one that answers decides."""

    @property
    def framework(self) -> str: ...

    def detect(self, view: ProjectView) -> Detected | None: ...
