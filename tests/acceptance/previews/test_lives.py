"""Sleep, wake, death: a preview comes back, and leaves nothing behind."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.acceptance.previews.conftest import PAGE, Preview, edited, example_files, left_in
from tests.mounts import mounts_with
from tests.server import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox


def _supervisors(data_dir: Path) -> list[int]:
    """Processes whose working sandbox lies in the data directory, by their lock files."""
    return [
        int(lock.read_text().split()[0])
        for lock in (data_dir / "sandboxes").glob("preview.*/**/lock")
        if lock.stat().st_size
    ]


def test_a_sleeping_preview_has_no_process_and_still_shows_its_page(vite: Preview, data_dir: Path) -> None:
    vite.send({PAGE: edited("good night")})
    vite.stop()
    assert vite.state()["status"] == "asleep"
    assert left_in(data_dir) == []
    assert mounts_with(data_dir) == []
    # The visit wakes it, and is answered at once from what was kept.
    assert "good night" in vite.script()
    vite.until("ready")
    assert vite.state()["memory_bytes"] > 0


@pytest.mark.parametrize("mode", ["build", "dev"])
def test_what_an_open_page_asks_does_not_wake_a_preview_that_was_put_to_sleep(vite: Preview, mode: str) -> None:
    vite.set(mode=mode)
    vite.send({PAGE: edited("good night")})
    of_page = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    assert vite.get("/", **of_page).status_code == 200
    vite.stop()
    asked = vite.get("/", **of_page)
    assert asked.headers["X-Headrace-Preview"] == "asleep"
    # Files are kept while a preview sleeps. A development server is not.
    assert asked.status_code == (200 if mode == "build" else 503)
    assert mode == "build" or asked.json()["code"] == "preview.asleep"
    assert vite.state()["status"] == "asleep"
    vite.get("/", Accept="text/html", **of_page | {"Sec-Fetch-Mode": "navigate"})
    vite.until("ready")
    assert vite.get("/", **of_page).headers["X-Headrace-Preview"] == "ready"


def test_a_change_wakes_a_sleeping_preview(vite: Preview) -> None:
    vite.stop()
    sent = vite.send({PAGE: edited("woken")})
    assert sent["status"] == "ready"
    assert "woken" in vite.script()


def test_a_builder_that_is_killed_is_started_again_by_the_next_change(vite: Preview, data_dir: Path) -> None:
    for victim in _supervisors(data_dir):
        os.kill(victim, signal.SIGKILL)
    vite.until("asleep")
    assert vite.events("preview.asleep")[-1]["why"] == "died"
    assert vite.get("/", Accept="text/html").status_code == 200
    sent = vite.send({PAGE: edited("again")})
    assert sent["status"] == "ready", sent
    assert "again" in vite.script()


def test_a_server_that_is_killed_leaves_pages_that_its_successor_shows(
    vite: Preview, server: Server, data_dir: Path
) -> None:
    sent = vite.send({PAGE: edited("before the crash")})
    # The page is put on disk when it has been still for a moment.
    wait_until(lambda: any((data_dir / "previews").glob("*.json")), 20)
    wait_until(lambda: sent["version"] in next((data_dir / "previews").glob("*.json")).read_text(), 20)
    server.kill()
    server.start()
    assert "before the crash" in vite.script()
    assert vite.get("/").headers["x-headrace-version"] == sent["version"]
    after = vite.send({PAGE: edited("after the crash")})
    assert after["status"] == "ready", after
    assert "after the crash" in vite.script()
    vite.stop()
    wait_until(lambda: not left_in(data_dir), 20)


def test_a_server_that_stops_puts_its_previews_to_sleep(vite: Preview, server: Server, data_dir: Path) -> None:
    server.stop()
    assert left_in(data_dir) == []
    server.start()
    assert vite.events("preview.asleep")[-1]["why"] == "server"


def test_a_build_beside_the_server_does_not_take_its_previews_for_left_overs(
    vite: Preview, server: Server, data_dir: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<h1>beside</h1>")
    subprocess.run(
        ["./headrace", "build", str(site)],
        env=server.environment,
        check=True,
        capture_output=True,
        cwd=Path(__file__).parents[3],
    )
    assert vite.state()["status"] == "ready"
    assert vite.send({PAGE: edited("still warm")})["seconds"] is not None
    assert len(vite.events("preview.started")) == 1


def test_another_mode_counts_also_when_it_is_set_while_a_page_is_made(vite: Preview) -> None:
    vite.send({PAGE: edited("on its way")}, wait=False)
    vite.set(mode="dev")
    wait_until(lambda: vite.state()["mode"] == "dev" and vite.state()["status"] == "ready", 60)
    assert "/@vite/client" in vite.get("/", Accept="text/html").text


def test_a_deleted_project_leaves_nothing(vite: Preview, server: Server, data_dir: Path) -> None:
    assert server.http.delete(f"/projects/{vite.id}").status_code == 204
    assert left_in(data_dir) == []
    assert vite.get("/").status_code == 404
    assert not list((data_dir / "previews").glob("*.json"))


class TestShortOfMemory:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"HEADRACE_PREVIEW_MEMORY_BYTES": str(256 * 2**20)}

    def test_the_least_recently_used_goes_to_sleep_first(self, vite: Preview, server: Server) -> None:
        others: list[Preview] = []
        while vite.state()["status"] != "asleep" and len(others) < 8:
            others.append(Preview(server, server.project(f"other {len(others)}")))
            assert others[-1].send(example_files())["status"] == "ready"
        assert vite.events("preview.asleep")[-1]["why"] == "memory"
        assert [other.state()["status"] for other in others] == ["ready"] * len(others)
        assert others


class TestIdle:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"HEADRACE_PREVIEW_IDLE_SECONDS": "1"}

    def test_a_preview_that_nobody_uses_goes_to_sleep(self, vite: Preview, data_dir: Path) -> None:
        vite.until("asleep")
        assert vite.events("preview.asleep")[-1]["why"] == "idle"
        wait_until(lambda: not left_in(data_dir), 10)
