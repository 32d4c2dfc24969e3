"""`headrace doctor`: what this machine has and lacks."""

import asyncio
import platform
import shutil
from collections.abc import Sequence

import click

from headrace.cli.output import answer, data, note
from headrace.model.limits import GIB
from headrace.model.sandbox import Finding, SetupStep
from headrace.settings import Settings

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "missing": ("✗", "red")}


@click.command()
@click.option("--executor", help="Examine this executor instead of the one that is set.")
@click.option("--all", "everything", is_flag=True, help="Name every control of the sandbox, also those that hold.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(executor: str | None, everything: bool, as_json: bool) -> int:
    """Say what this machine has and lacks, with the command that mends it. Tries every control in real sandboxes.

    Exits 1 when something is missing. The controls are those of docs/security.md.
    """
    from headrace.logs import configure_logs
    from headrace.settings import read_settings

    settings = read_settings()
    configure_logs("warning")  # what it does is shown, and stdout is for the findings
    findings = [*machine(settings), *asyncio.run(_examine(settings, executor or settings.executor))]
    if as_json:
        data([finding.model_dump(mode="json") for finding in findings])
    else:
        for finding in findings if everything else summed_up(findings):
            mark, colour = _MARKS[finding.status]
            answer(f"{click.style(mark, fg=colour)} {finding.subject}: {finding.detail}")
            if finding.fix:
                answer(f"    {finding.fix}")
    return 1 if any(finding.status == "missing" for finding in findings) else 0


def summed_up(findings: Sequence[Finding]) -> Sequence[Finding]:
    """The same with one line for all controls of a chapter that hold."""
    held: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.chapter and finding.status == "ok":
            held.setdefault(finding.chapter, []).append(finding)
    shown = [finding for finding in findings if not finding.chapter or finding.status != "ok"]
    for chapter, of_chapter in held.items():
        numbers = [int((finding.control or "").removeprefix("H")) for finding in of_chapter]
        detail = f"{len(of_chapter)} controls hold: {_in_words(numbers)}"
        shown.append(Finding(subject=chapter, status="ok", detail=detail))
    return shown


def _in_words(numbers: Sequence[int]) -> str:
    """`H1 to H13, H20`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"H{run[0]} to H{run[-1]}" if len(run) > 1 else f"H{run[0]}" for run in runs)


def machine(settings: Settings) -> Sequence[Finding]:
    """What every part needs, whatever opens the sandboxes."""
    return [_python(), _git(), _data_directory(settings)]


async def _examine(settings: Settings, name: str) -> Sequence[Finding]:
    from headrace.registry import find

    found: Sequence[Finding] = await find("executor", name)(settings).examine(_show)
    return found


def _show(step: SetupStep) -> None:
    """On stderr: it takes half a minute on a fresh machine. Controls are tried each time here, so nothing is said of once."""
    from headrace.model.text import setup_text

    begins = f"{step.message[0].upper()}{step.message[1:]}"
    note(begins if step.seconds is None else setup_text(step.message, step.seconds))


def _python() -> Finding:
    return Finding(subject="Python", status="ok", detail=platform.python_version())


def _git() -> Finding:
    if path := shutil.which("git"):
        from headrace.source.git import why_not_isolated

        lacking = why_not_isolated()
        how = "isolated while it fetches" if lacking is None else f"not isolated while it fetches: {lacking}"
        return Finding(subject="git", status="ok" if lacking is None else "warning", detail=f"{path}, {how}")
    fix = "sudo apt-get install -y git"
    return Finding(subject="git", status="warning", detail="not found: repositories can't be fetched", fix=fix)


def _data_directory(settings: Settings) -> Finding:
    subject, place = "data directory", settings.data_dir
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = place / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
        free = shutil.disk_usage(place).free
    except OSError as exc:
        fix = "set HEADRACE_DATA_DIR to a directory that this user may write"
        return Finding(subject=subject, status="missing", detail=f"{place}: {exc.strerror}", fix=fix)
    if free < 5 * GIB:
        fix = "free space there, or run `headrace cache prune`"
        return Finding(subject=subject, status="warning", detail=f"{place}: {free / GIB:.1f} GiB are free", fix=fix)
    return Finding(subject=subject, status="ok", detail=f"{place}: {free / GIB:.0f} GiB are free")
