"""Facts of a preview: in order, and not without end."""

from pathlib import Path

from headrace.events.file import FileEventLog
from headrace.model.preview import PreviewBuilding, PreviewWarning
from headrace.preview import facts as module
from headrace.preview.facts import Facts

PROJECT = "prj_01m7xpeyhy9gptce7gk34taj0d"


def _building(number: int) -> PreviewBuilding:
    return PreviewBuilding(project_id=PROJECT, version_id=f"ver_{number}")


async def test_facts_are_written_in_the_order_in_which_they_were_said(tmp_path: Path) -> None:
    events = FileEventLog(tmp_path)
    facts = Facts(events)
    for number in range(50):
        facts.say(_building(number))
    await facts.flush()
    lines = (tmp_path / f"{PROJECT}.ndjson").read_text().splitlines()
    assert [f'"version_id":"ver_{number}"' in line for number, line in enumerate(lines)] == [True] * 50
    assert lines[0].startswith('{"seq":1,"ts":"2')


async def test_a_large_log_begins_anew_with_the_next_life(tmp_path: Path) -> None:
    events = FileEventLog(tmp_path)
    facts = Facts(events)
    facts.say(PreviewWarning(project_id=PROJECT, code="x", message="m" * 1000))
    await facts.flush()
    await facts.begin_life(PROJECT)
    assert await events.last(PROJECT) == 1
    log = tmp_path / f"{PROJECT}.ndjson"
    with log.open("ab") as file:
        file.truncate(module.LARGE_BYTES + 1)
    await facts.begin_life(PROJECT)
    assert not log.exists()
    facts.say(_building(1))
    await facts.flush()
    assert await events.last(PROJECT) == 1


async def test_a_log_is_full_for_what_pages_say(tmp_path: Path) -> None:
    facts = Facts(FileEventLog(tmp_path))
    assert not facts.is_full(PROJECT)
    with (tmp_path / f"{PROJECT}.ndjson").open("wb") as file:
        file.truncate(module.MOST_BYTES + 1)
    assert facts.is_full(PROJECT)
