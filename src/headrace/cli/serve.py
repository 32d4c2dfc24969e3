"""`headrace serve`: the server in this process."""

import asyncio
import os
import signal
import sys
import threading

import click

from headrace.cli.output import answer, note


@click.command()
@click.option("--host", help="Address to listen on; by default HEADRACE_HOST or 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option(
    "--until-stdin-closes", is_flag=True, hidden=True, help="Drain when the process that started this one ends."
)
@click.option("--only-answer", is_flag=True, hidden=True, help="Neither build nor announce: a server for one command.")
def command(host: str | None, port: int | None, until_stdin_closes: bool, only_answer: bool) -> None:
    """Run the server: API, event streams, sites and an embedded worker.

    SIGTERM and Ctrl-C drain it: open answers get a few seconds, builds that run are taken up by the next server.
    """
    from headrace.asgi import serve
    from headrace.settings import api_token, read_settings

    given = {"host": host, "port": port}
    settings = read_settings(**{name: value for name, value in given.items() if value is not None})
    api_token(settings)

    def ready(url: str) -> None:
        answer(url)
        where = "HEADRACE_TOKEN" if settings.token else str(settings.data_dir / "token")
        note(f"API at {url}/api/v1, its token is in {where}; data in {settings.data_dir}. Ctrl-C stops.")

    if until_stdin_closes:
        threading.Thread(target=_drain_with_parent, daemon=True).start()
    asyncio.run(serve(settings, ready, only_answer=only_answer))


def _drain_with_parent() -> None:
    """The pipe on stdin closes when the other process ends, in whatever way."""
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
