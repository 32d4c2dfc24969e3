"""`headrace logs`."""

import sys
from collections.abc import Iterable

import click

from headrace.cli.output import answer, colours, data, note


@click.command()
@click.argument("build")
@click.option("-f", "--follow", is_flag=True, help="Go on until the build has ended.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Begin behind the event with this number.")
@click.option("--json", "as_json", is_flag=True, help="Print the stored events as NDJSON.")
@click.option("--verify", is_flag=True, help="Recompute the receipt from the stored lines instead of printing them.")
def command(build: str, follow: bool, after: int, as_json: bool, verify: bool) -> int:
    """Print the log of BUILD.

    With --verify it says whether every event is there and every line is what the build printed; it exits 1 if not.
    """
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    with reading(read_settings()) as client:
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
