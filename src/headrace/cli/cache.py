"""`headrace cache`: what builds reuse."""

import click

from headrace.cli.output import answer, confirm, data, note, size, table


@click.group("cache")
def command() -> None:
    """List, explain and clean what builds reuse: installed dependencies, packages and tool chains."""


@command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_entries(as_json: bool) -> None:
    """List the entries, the most recently used first."""
    from headrace.cli.servers import reading
    from headrace.model.text import seconds_text
    from headrace.settings import read_settings

    with reading(read_settings()) as client:
        cache = client.get("/cache")
    if as_json:
        data(cache)
        return
    rows = [
        [
            entry["digest"].removeprefix("sha256:")[:12],
            entry["kind"],
            size(entry["bytes"]),
            entry["files"],
            None if entry["seconds"] is None else seconds_text(entry["seconds"]),
            entry["used_at"],
            entry["made_by"],
        ]
        for entry in cache["items"]
    ]
    if rows:
        answer(table(["entry", "kind", "size", "files", "made in", "used", "made by"], rows))
    note(f"{size(cache['bytes'])} of {size(cache['budget_bytes'])}")


@command.command()
@click.argument("build")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(build: str, as_json: bool) -> None:
    """Say which caches answered BUILD, and for each that did not, the first input that differs from the build before."""
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    with reading(read_settings()) as client:
        decisions = client.get(f"/builds/{build}/cache")["items"]
    if as_json:
        data(decisions)
        return
    for decision in decisions:
        answer(f"{decision['cache']}: {decision['explanation']}")
        for part in decision["key"]["inputs"]:
            mark = "≠" if part["name"] == decision["differs"] else " "
            answer(f"  {mark} {part['digest'].removeprefix('sha256:')[:12]}  {part['name']}")
    if not decisions:
        note("no cache was asked in this build")


@command.command()
@click.option(
    "--bytes", "budget", type=click.IntRange(min=0), help="Keep at most this much; by default HEADRACE_CACHE_BYTES."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prune(budget: int | None, as_json: bool) -> None:
    """Remove the least recently used entries until the rest fits the budget. What a build uses now stays."""
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    with reading(read_settings()) as client:
        pruned = client.post("/cache/prune", {} if budget is None else {"bytes": budget})
    if as_json:
        data(pruned)
    else:
        packages = f" and {pruned['packages']} packages" if pruned["packages"] else ""
        note(f"removed {len(pruned['removed'])} entries{packages}, {size(pruned['freed_bytes'])}")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(as_json: bool) -> None:
    """Compare every entry and stored blob with what it is named by. What is damaged is dropped and made again when needed."""
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    with reading(read_settings()) as client:
        checked = client.post("/cache/verify", {})
    if as_json:
        data(checked)
    else:
        rows = [[one["digest"].removeprefix("sha256:")[:12], one["kind"], one["why"]] for one in checked["damaged"]]
        if rows:
            answer(table(["entry", "kind", "what is wrong"], rows))
        note(f"{checked['checked']} entries checked, {len(rows)} damaged and dropped")
    if checked["damaged"]:
        raise SystemExit(1)


@command.command()
@click.argument("build")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def revoke(build: str, as_json: bool) -> None:
    """Take out what BUILD made: layers, layers begun with those, and results of builds that used one.

    Builds that use one right now are cancelled. Deployments that show something that came of it are listed, and stay.
    """
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    with reading(read_settings()) as client:
        revoked = client.post("/cache/revoke", {"build": build})
    if as_json:
        data(revoked)
        return
    for layer in revoked["layers"]:
        begun = f", begun with {layer['begun_with'].removeprefix('sha256:')[:12]}" if layer["begun_with"] else ""
        answer(f"removed layer {layer['digest'].removeprefix('sha256:')[:12]}, made by {layer['made_by']}{begun}")
    for result in revoked["results"]:
        answer(f"removed the result of {result['build_id']}")
    for cancelled in revoked["cancelled"]:
        answer(f"cancelled {cancelled}")
    for one in revoked["deployments"]:
        where = f"the project's own address, and {one['label']}" if one["active"] else one["label"]
        note(f"! still served: {one['deployment_id']} of {one['build_id']} at {where}")
    if not (revoked["layers"] or revoked["results"] or revoked["cancelled"]):
        note(f"nothing that {build} made is in a cache")


@command.command("rm")
@click.argument("entry", required=False)
@click.option("--all", "everything", is_flag=True, help="Remove every entry.")
@click.option("--yes", is_flag=True, help="Don't ask before removing everything.")
def remove(entry: str | None, everything: bool, yes: bool) -> None:
    """Remove ENTRY: its digest, or the beginning of it as `headrace cache ls` prints it."""
    from headrace.cli.servers import reading
    from headrace.settings import read_settings

    if (entry is None) is not everything:
        raise click.UsageError("name one entry, or say --all")
    with reading(read_settings()) as client:
        entries = client.get("/cache")["items"]
        chosen = [one["digest"] for one in entries] if entry is None else [_digest(entries, entry)]
        if everything and not yes:
            confirm(f"Remove {len(chosen)} entries, {size(sum(one['bytes'] for one in entries))}?", otherwise="--yes")
        for digest in chosen:
            client.delete(f"/cache/{digest}")
    note(f"removed {len(chosen)} entries" if everything else f"removed {entry}")


def _digest(entries: list[dict[str, str]], text: str) -> str:
    """The digest that begins with `text`. Raises NotFound, or InvalidInput when there are several."""
    from headrace.errors import InvalidInput, NotFound

    begin = text.removeprefix("sha256:")
    found = [entry["digest"] for entry in entries if entry["digest"].removeprefix("sha256:").startswith(begin)]
    if not found:
        raise NotFound(f"the cache has no entry {text!r}", hint="`headrace cache ls` lists them")
    if len(found) > 1:
        raise InvalidInput(f"{text!r} begins {len(found)} entries", hint="give more of the digest")
    return found[0]
