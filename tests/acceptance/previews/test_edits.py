"""An edit is on the page when its sync has answered; a bad one leaves the last good page up."""

import threading
from typing import Any

import pytest
from tests.acceptance.previews.conftest import BROKEN, EXAMPLE, PAGE, TEXT, Preview, edited
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox


def test_an_edit_is_served_when_its_sync_has_answered(vite: Preview) -> None:
    for number in range(3):
        sent = vite.send({PAGE: edited(f"number {number}")})
        assert sent["status"] == "ready", sent
        page = vite.get("/", Accept="text/html")
        assert page.headers["x-headrace-version"] == sent["version"] == sent["served_version"]
        assert page.headers["x-headrace-preview"] == "ready"
        assert f"number {number}" in vite.script()


def test_a_bad_edit_says_where_and_the_last_good_page_stays(vite: Preview) -> None:
    good = vite.send({PAGE: edited("good")})
    bad = vite.send({PAGE: BROKEN})
    assert bad["status"] == "error"
    assert bad["served_version"] == good["version"]
    found = {(d["file"], d["line"] is not None, d["severity"]) for d in bad["diagnostics"]}
    assert found == {(PAGE, True, "error")}
    page = vite.get("/", Accept="text/html")
    assert (page.status_code, page.headers["x-headrace-preview"]) == (200, "error")
    assert page.headers["x-headrace-version"] == good["version"]
    assert "good" in vite.script()
    # Whoever asks for the version that failed is told why.
    asked = vite.get(f"/?min_version={bad['version']}", Accept="application/json")
    assert asked.status_code == 422
    assert asked.json()["diagnostics"][0]["file"] == PAGE
    mended = vite.send({PAGE: edited("mended")})
    assert mended["status"] == "ready"
    assert "mended" in vite.script()


def test_a_visitor_can_wait_for_a_version_that_is_on_its_way(vite: Preview) -> None:
    sent = vite.send({PAGE: edited("soon")}, wait=False)
    assert sent["status"] == "building"
    page = vite.get(f"/?min_version={sent['version']}", Accept="text/html")
    assert page.headers["x-headrace-version"] >= sent["version"]
    assert "soon" in vite.script()


def test_nothing_new_is_no_version(vite: Preview) -> None:
    sent = vite.send({PAGE: TEXT})
    assert (sent["status"], sent["changes"]) == ("no_changes", [])


def test_files_that_are_not_part_of_the_page_change_nothing_of_it(vite: Preview) -> None:
    before = vite.script()
    sent = vite.send({"notes/todo.md": "later"})
    assert sent["status"] == "ready"
    assert vite.script() == before
    assert vite.get("/").headers["x-headrace-version"] == sent["version"]


def test_new_and_removed_files_are_seen(vite: Preview) -> None:
    imported = TEXT.replace(
        "import './App.css'", "import './App.css'\nimport { words } from './words'\nconsole.log(words)"
    )
    missing = vite.send({PAGE: imported})
    assert missing["status"] == "error"
    assert "words" in missing["diagnostics"][0]["message"]
    assert vite.send({"src/words.ts": "export const words = 'here they are'"})["status"] == "ready"
    assert "here they are" in vite.script()
    assert vite.send({"src/words.ts": None})["status"] == "error"
    assert vite.send({PAGE: TEXT})["status"] == "ready"


def test_of_many_edits_at_once_the_newest_is_shown_and_every_sender_hears_of_it(vite: Preview) -> None:
    answers: list[dict[str, Any]] = []
    senders = [
        threading.Thread(target=lambda n=number: answers.append(vite.send({PAGE: edited(f"race {n}")})))
        for number in range(8)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert [answer["status"] for answer in answers] == ["ready"] * 8
    newest = max(answer["version"] for answer in answers)
    assert vite.state()["served_version"] == newest
    assert vite.get("/").headers["x-headrace-version"] == newest


def test_another_node_version_starts_a_new_builder_while_the_old_page_stays(vite: Preview) -> None:
    text = (EXAMPLE / "package.json").read_text()
    started = len(vite.events("preview.started"))
    sent = vite.send(
        {"package.json": text.replace('"private": true', '"private": true, "engines": {"node": "22"}')}, wait=False
    )
    page = vite.get("/", Accept="text/html")
    assert (page.status_code, page.headers["x-headrace-preview"]) == (200, "building")
    # Another Node means other dependencies, which are installed for it.
    wait_until(lambda: vite.state()["served_version"] == sent["version"], 150)
    assert len(vite.events("preview.started")) == started + 1
    assert vite.send({PAGE: edited("on the other Node")})["status"] == "ready"
    assert "on the other Node" in vite.script()
