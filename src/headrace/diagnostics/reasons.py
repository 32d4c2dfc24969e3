"""What each reason of a failure means, and what to do: the closed list of `docs/failures.md`."""

from typing import NamedTuple

from headrace.model.diagnostic import FailureReason


class Meaning(NamedTuple):
    #: What happened, as a sentence.
    happened: str
    #: What to do, as a sentence.
    remedy: str


#: Every reason in the order in which a build can meet it. A test keeps it complete.
MEANINGS: dict[str, dict[FailureReason, Meaning]] = {
    "The source": {
        FailureReason.SOURCE_NOT_FOUND: Meaning(
            "The repository, branch, commit, archive or directory is not there.", "Check the address and the reference."
        ),
        FailureReason.SOURCE_UNREACHABLE: Meaning(
            "The host of the source does not answer.", "Try again; check the address."
        ),
        FailureReason.SOURCE_AUTH_FAILED: Meaning(
            "The host refuses the credentials, or wants some.", "Give the project a token or key that may read it."
        ),
        FailureReason.SOURCE_EMPTY: Meaning(
            "There are no files.", "Push a commit; check `.gitignore` and the root directory."
        ),
        FailureReason.SOURCE_TOO_LARGE: Meaning(
            "The source passes a limit of size or number of files.", "Take out what is generated, or raise the limit."
        ),
        FailureReason.SOURCE_TIMEOUT: Meaning("Fetching took too long.", "Try again; a shallow history is quicker."),
        FailureReason.SOURCE_FORBIDDEN: Meaning(
            "The source holds what is not let in: a protocol, a path, a kind of file.",
            "The message names it; take it out.",
        ),
    },
    "The plan": {
        FailureReason.CONFIG_ERROR: Meaning(
            "A configuration file can't be read, or asks for what is not possible.",
            "The first diagnostic has file and line; correct it there.",
        ),
        FailureReason.NOTHING_TO_BUILD: Meaning(
            "No framework, build script or page was found.", "Set the root directory or the build command."
        ),
        FailureReason.UNSUPPORTED: Meaning(
            "The project is of a kind that can't be built or run here.", "The hint says what can."
        ),
        FailureReason.MISSING_SCRIPT: Meaning(
            "A script that is to be run is not in package.json.", "Add it, or name another command."
        ),
        FailureReason.WRONG_NODE_VERSION: Meaning(
            "A tool or package does not work with this version of Node.",
            'Set `"engines": {"node": …}` in package.json, `.nvmrc`, or `node` below `[build]` in headrace.toml.',
        ),
        FailureReason.MISSING_ENV: Meaning(
            "The build wants an environment variable that is not set.",
            "Set it below `[env]` in headrace.toml or in the project's settings; the message has its name.",
        ),
    },
    "Dependencies": {
        FailureReason.MISSING_DEPENDENCY: Meaning(
            "A package, program or file that is asked for is not there.",
            "The hint has the command that adds the package, or the file of nearly that name.",
        ),
        FailureReason.VERSION_NOT_FOUND: Meaning(
            "The package exists, the version does not.", "Ask for a version that was published."
        ),
        FailureReason.LOCKFILE_OUT_OF_DATE: Meaning(
            "The lock file and package.json say different things.",
            "Install on your side and commit the lock file; or `frozen = false` below `[build]` in headrace.toml.",
        ),
        FailureReason.PEER_CONFLICT: Meaning(
            "Two packages want different versions of a third.", "Take versions that go together; the message has both."
        ),
        FailureReason.INSTALL_SCRIPT_FAILED: Meaning(
            "A script that a package runs when it is installed failed.",
            "Take a release of the package that fits the version of Node; a download needs its host to be allowed.",
        ),
        FailureReason.GIT_DEPENDENCY_FAILED: Meaning(
            "A dependency from a git repository can't be fetched.",
            "Take a release from the registry, or a repository that can be reached.",
        ),
        FailureReason.REGISTRY_UNAVAILABLE: Meaning(
            "The registry does not answer, or answers with an error.",
            "Try again; check the registry's address in `.npmrc`.",
        ),
        FailureReason.REGISTRY_AUTH_FAILED: Meaning(
            "The registry refuses to hand the package out without a token.",
            "Give the project the token that its `.npmrc` asks for.",
        ),
        FailureReason.NETWORK_DENIED: Meaning(
            "The step asked for a host that it may not reach.",
            'Builds have no network unless `network = "internet"` below `[build]`; installs reach registries only.',
        ),
        FailureReason.NETWORK_LIMIT: Meaning(
            "The step moved more over the network than one command may, or connected too often.",
            "`headrace logs BUILD --network` says which host; the operator can raise the limit ([network.md](network.md)).",
        ),
        FailureReason.OFFLINE_MISS: Meaning(
            "The build was asked for without a network, and something that it needs is not on this machine.",
            "Build once without `--offline`; the message names what is missing.",
        ),
    },
    "The build": {
        FailureReason.CASE_MISMATCH: Meaning(
            "An import has a file's name in other upper and lower case letters.",
            "Write it as the file is named; the hint has the real path.",
        ),
        FailureReason.TYPE_ERROR: Meaning(
            "The type check failed.", "Correct the types at file and line of the first diagnostic."
        ),
        FailureReason.SYNTAX_ERROR: Meaning(
            "A file can't be read as what it is, or imports a name that a module does not export.",
            "Correct the file at the line of the first diagnostic.",
        ),
        FailureReason.LINT_ERROR: Meaning(
            "A linter that is part of the build complained, perhaps only of warnings because `CI` is set.",
            "Correct what it names, or set the rule to a warning.",
        ),
        FailureReason.PRERENDER_FAILED: Meaning(
            "A page threw while the build made its HTML.", "The message has the page; correct what it throws."
        ),
        FailureReason.COMMAND_FAILED: Meaning(
            "A command failed, and nothing that it said is known to mean one of the other reasons.", "Read the log."
        ),
    },
    "Limits": {
        FailureReason.OUT_OF_MEMORY: Meaning(
            "The sandbox's memory, or the heap that Node allows itself, was not enough.",
            "The hint says which of the two to raise.",
        ),
        FailureReason.TIMEOUT: Meaning(
            "The command was stopped at its time limit.", "Does it wait for something? Raise the limit otherwise."
        ),
        FailureReason.DISK_FULL: Meaning(
            "The command wrote more than it may.", "Write less, or raise the limit of the project."
        ),
        FailureReason.PIDS_LIMIT: Meaning(
            "Too many processes and threads at the same time, or ever more of them, for seconds.",
            "Let the command start fewer, or find what starts itself.",
        ),
    },
    "The output": {
        FailureReason.OUTPUT_MISSING: Meaning(
            "The build ended well, but its output directory is not there.",
            "The hint lists the directories that the build did write; set `output` below `[build]`.",
        ),
        FailureReason.OUTPUT_EMPTY: Meaning("The output directory has no files.", "Check what the build command does."),
        FailureReason.OUTPUT_INVALID: Meaning(
            "The output holds what can't be served: links out of it, devices, a secret, no page.",
            "The message names the path.",
        ),
        FailureReason.OUTPUT_TOO_LARGE: Meaning(
            "The output passes a limit of size or number of files.", "Publish less, or raise the limit."
        ),
    },
    "Headrace": {
        FailureReason.SANDBOX_DIED: Meaning("The sandbox went away while a command ran.", "Build again."),
        FailureReason.RUNNER_LOST: Meaning("The worker went away and could not be resumed.", "Build again."),
        FailureReason.EXECUTOR_UNAVAILABLE: Meaning(
            "No sandbox can be opened on this machine, or it would lack a control that nobody has accepted.",
            "Do what the hint says; `headrace doctor` looks at the whole machine.",
        ),
        FailureReason.ENGINE_LOST: Meaning(
            "Docker or Podman stopped answering, and did not come back in five attempts.", "Start it again, then build."
        ),
        FailureReason.STORAGE_ERROR: Meaning(
            "The disk or the database of this machine took nothing any more.",
            "Look at the kernel's log, then build again. Nothing was published.",
        ),
        FailureReason.INTERNAL: Meaning("An error of Headrace.", "Report it with the build's id; build again."),
    },
}


def markdown() -> str:
    """`docs/failures.md`."""
    parts = [_HEAD]
    for group, meanings in MEANINGS.items():
        rows = [f"| `{reason}` | {happened} | {remedy} |" for reason, (happened, remedy) in meanings.items()]
        parts.append("\n".join([f"\n## {group}\n", "| Reason | What happened | What to do |", "|---|---|---|", *rows]))
    return "\n".join(parts) + "\n"


_HEAD = """\
# Why a build failed

Made from `src/headrace/diagnostics/reasons.py` by `scripts/write_docs.py`; a test keeps it up to date.

A build that fails is a result, not an error: its `failure` has a `reason` of this closed list, the `step`, a `message`
with file and line where there is one, a `hint` that says what to do, the `command` and its `exit_code`, and up to ten
`diagnostics`: `tool, code, severity, file, line, column, message, excerpt, hint, log_seq`. The first diagnostic is the
cause. A `file` is always a file of the version, named from its root. The whole object is at most 8 KiB of JSON, whatever
the log holds; `log_seq` is where the log says it.

The reason comes from the sandbox's own evidence first (memory, time, disk, processes), then from what the tools printed,
and never from the exit status alone."""
