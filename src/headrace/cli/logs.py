"""`headrace logs`."""

import sys
from collections.abc import Iterable
from typing import Any

import click

from headrace.cli.output import answer, colours, data, note, size, table


@click.command()
@click.argument("build")
@click.option("-f", "--follow", is_flag=True, help="Go on until the build has ended.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Begin behind the event with this number.")
@click.option("--json", "as_json", is_flag=True, help="Print the stored events as NDJSON.")
@click.option(
    "--network", is_flag=True, help="Print which hosts the build reached or was refused, instead of its lines."
)
@click.option("--verify", is_flag=True, help="Recompute the receipt from the stored lines instead of printing them.")
def command(build: str, follow: bool, after: int, as_json: bool, network: bool, verify: bool) -> int:
    """Print the log of BUILD.

    With --verify it says whether every event is there and every line is what the build printed; it exits 1 if not.
    """
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    with reading(read_settings()) as client:
        if network:
            if verify or after or follow:
                raise click.UsageError("--network prints a table of the whole build; leave the other options out")
            _print_network(client.get(f"/builds/{build}/network")["items"], as_json=as_json)
            return 0
        if verify:
            if after:
                raise click.UsageError("--verify reads the whole log; leave --after out")
            return _verify(client.events(build, follow=follow), as_json=as_json)
        _print(client.events(build, after=after, follow=follow), as_json=as_json)
        return 0


def _print(lines: Iterable[bytes], *, as_json: bool) -> None:
    if as_json:
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
        return
    from headrace.cli.progress import event_of
    from headrace.model.text import as_text

    coloured = colours(sys.stdout)
    for line in lines:
        event = event_of(line)
        if event and (text := as_text(event, colours=coloured)) is not None:
            answer(text)


def _print_network(uses: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        data(uses)
        return
    rows = [
        [
            use["step"],
            f"{use['host']}:{use['port']}" if use["host"] else "(all others)",
            use["connections"],
            use["refused"],
            size(use["bytes_up"]),
            size(use["bytes_down"]),
            use["package"],
            "new" if use["new"] else "",
        ]
        for use in uses
    ]
    if rows:
        answer(table(["step", "host", "connections", "refused", "sent", "received", "package", ""], rows))
    else:
        note("the build's commands reached nothing: their step has no network, or a cache answered")


def _verify(lines: Iterable[bytes], *, as_json: bool) -> int:
    from headrace.logreader import verify

    found = verify(lines)
    ended = found.stated is not None
    if as_json:
        receipt = found.receipt.model_dump(mode="json")
        data(
            {"ok": not found.problems, "ended": ended, "events": found.last_seq, **receipt, "problems": found.problems}
        )
    else:
        for problem in found.problems:
            note(f"✗ {problem}")
        state = "✓ nothing is missing" if not found.problems else f"✗ {len(found.problems)} problems"
        rest = "" if ended else "; the build has not ended"
        answer(
            f"{state}: {found.last_seq} events, {found.receipt.lines} lines, {found.receipt.bytes} bytes, "
            f"sha256 {found.receipt.sha256}{rest}"
        )
    return 1 if found.problems else 0
