"""`headrace build`: the whole pipeline in this process."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from headrace.cli.exit_status import of_build
from headrace.cli.output import answer, data, note

if TYPE_CHECKING:
    from headrace.cli.progress import Progress
    from headrace.model.build import Build, BuildOptions
    from headrace.model.event import Event
    from headrace.model.version import DirectorySource, GitSource
    from headrace.pipeline.here import OnEvent


@click.command()
@click.argument("source")
@click.option("--ref", help="Branch or tag of a repository; by default its default branch.")
@click.option("--app", metavar="NAME", help="Which app of a repository with several; each is a project of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print the build as JSON.")
@click.option("--events", "events_to", metavar="FILE|-", help="Write the build's events there as NDJSON; - is stdout.")
@click.option(
    "--export", "export_to", type=click.Path(path_type=Path), help="Write the artifact's files to this directory."
)
@click.option("--force", is_flag=True, help="Build although the same inputs were built before.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache of dependencies.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Wall time of the whole build."
)
@click.option("--offline", is_flag=True, help="Use no network: what isn't here ends the build, which says what it is.")
@click.option(
    "--untrusted",
    is_flag=True,
    help="Strangers' code: write to no cache that trusted builds read; never the project's own site.",
)
@click.option("--executor", help="What runs the commands: oci, or process (no isolation).")
def command(
    source: str,
    ref: str | None,
    app: str | None,
    as_json: bool,
    events_to: str | None,
    export_to: Path | None,
    force: bool,
    no_cache: bool,
    timeout: float | None,
    offline: bool,
    untrusted: bool,
    executor: str | None,
) -> int:
    """Build SOURCE (a directory or the URL of a git repository) in this process, without a server.

    With --json or `--events -` stdout carries only data; what people read goes to stderr.
    """
    from headrace.cli.sources import source_of
    from headrace.model.build import BuildOptions
    from headrace.model.trust import Trust

    if as_json and events_to == "-":
        raise click.UsageError("--json and `--events -` both want stdout; write the events to a file")
    code = source_of(source, ref)
    trust = Trust.UNTRUSTED if untrusted else Trust.TRUSTED
    options = BuildOptions(
        force=force, no_cache=no_cache, trust=trust, offline=offline, executor=executor, seconds=timeout
    )
    with ExitStack() as stack:
        events = stack.enter_context(_opened(events_to)) if events_to else None
        build = asyncio.run(_build(code, app, options, events, export_to))
    if as_json:
        data(build)
    elif events_to != "-" and build.artifact:
        answer(build.artifact)
    return of_build(build.status, build.failure)


async def _build(
    source: "DirectorySource | GitSource",
    app: str | None,
    options: "BuildOptions",
    events: IO[bytes] | None,
    export_to: Path | None,
) -> "Build":
    from headrace.bootstrap import open_services, working
    from headrace.cli.export import check_target, export
    from headrace.cli.progress import OnlyNew, progress
    from headrace.logs import configure_logs
    from headrace.pipeline.here import build_here
    from headrace.settings import read_settings

    settings = read_settings(**({"executor": options.executor} if options.executor else {}))
    # Progress says what people want to know; the process's own log is for what goes wrong.
    configure_logs("error" if settings.log_level == "error" else "warning")
    if export_to:
        check_target(export_to)
    async with open_services(settings) as services, working(services) as worker:
        since = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with progress() as shown:
            build = await build_here(
                services,
                worker,
                source,
                options,
                app=app,
                on_event=_tell(OnlyNew(shown, since), events),
                cancelled=_interrupted(),
            )
        if export_to and build.artifact:
            count = await export(services.store, build.artifact, export_to)
            note(f"wrote {count} files to {export_to}")
        return build


def _tell(shown: "Progress", events: IO[bytes] | None) -> "OnEvent":
    def tell(event: "Event", line: bytes) -> None:
        if events:
            events.write(line + b"\n")
            events.flush()
        shown.show(event)

    return tell


def _interrupted() -> asyncio.Event:
    """
    Set by the first Ctrl-C or SIGTERM, which cancels the build in order. The handlers are gone after it, so a second one
    ends this process at once.
    """
    loop = asyncio.get_running_loop()
    wish = asyncio.Event()

    def heard() -> None:
        wish.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        note("cancelling")  # last: nobody may be there to read it

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heard)
    return wish


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdout.buffer
    else:
        with Path(name).open("wb") as file:
            yield file
