"""`headrace up`: build and serve here."""

import time
from typing import Any

import click

from headrace.cli.output import answer, data, note


@click.command()
@click.argument("source")
@click.option("--ref", help="Branch or tag of a repository; by default its default branch.")
@click.option("--app", metavar="NAME", help="Which app of a repository with several; each is a project of its own.")
@click.option("--detach", is_flag=True, help="Return once the page answers; the server goes on.")
@click.option("--force", is_flag=True, help="Build although the same inputs were built before.")
@click.option("--offline", is_flag=True, help="Use no network: what isn't here ends the build, which says what it is.")
@click.option(
    "--untrusted",
    is_flag=True,
    help="Strangers' code: write to no cache that trusted builds read; never the project's own site.",
)
@click.option("--json", "as_json", is_flag=True, help="Print url, project_id, version, build_id and artifact as JSON.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port for a server that is started now; 0 takes a free one."
)
def command(
    source: str,
    ref: str | None,
    app: str | None,
    detach: bool,
    force: bool,
    offline: bool,
    untrusted: bool,
    as_json: bool,
    port: int | None,
) -> int:
    """Build SOURCE (a directory or the URL of a git repository) and serve it on this machine.

    Uses the server of this data directory, or starts one that lives as long as this command. Ctrl-C while it builds
    cancels the build; afterwards it stops the server.
    """
    from headrace.cli.deliver import follow, send
    from headrace.cli.servers import serving
    from headrace.cli.sources import source_of
    from headrace.settings import read_settings

    settings = read_settings()
    code = source_of(source, ref)
    with serving(settings, port=port, stays=detach) as server:
        client = server.client
        build = follow(
            client,
            send(
                client,
                settings,
                code,
                {"force": force, "offline": offline, "trust": "untrusted" if untrusted else "trusted"},
                app,
            ),
        )
        if status := _status(build):
            server.stop()
            if as_json:
                data(build)
            return status
        project = client.get(f"/projects/{build['project_id']}")
        url = build["url"] if untrusted else project["url"]
        _wait_for_page(client, url)
        # From here on Ctrl-C is how this command is meant to end, so it is no failure.
        try:
            if as_json:
                data(_address(url, build))
            else:
                answer(url)
            if server.process and not detach:
                note("Ctrl-C stops the server.")
                server.stay(settings)
        except KeyboardInterrupt:
            note("stopping")
        return 0


def _status(build: Any) -> int:
    from headrace.cli.exit_status import of_build
    from headrace.model.build import BuildStatus
    from headrace.model.diagnostic import Failure

    failure = Failure.model_validate(build["failure"]) if build["failure"] else None
    return of_build(BuildStatus(build["status"]), failure)


def _address(url: str, build: Any) -> dict[str, Any]:
    """What a script wants to know of a build that is served."""
    return {
        "url": url,
        "project_id": build["project_id"],
        "version": build["version_id"],
        "build_id": build["id"],
        "artifact": build["artifact"],
    }


def _wait_for_page(client: Any, url: str) -> None:
    from headrace.errors import Unavailable

    deadline = time.monotonic() + 10
    while not client.site_answers(url):
        if time.monotonic() > deadline:
            raise Unavailable(f"{url} does not answer", hint="look at the server's log")
        time.sleep(0.02)
