"""A directory that is watched, against real servers: saves, conflicts, restarts. The pages are plain files and need no sandbox."""

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.server import Server

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("cli-preview")


class Watching:
    """`headrace preview --json` over a directory; its records as they come."""

    def __init__(self, directory: Path, environment: dict[str, str], *options: str) -> None:
        argv = [sys.executable, "-m", "headrace", "preview", str(directory), "--json", *options]
        self.process = subprocess.Popen(
            argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        self._records: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.said = b""
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._listen)]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._records.put(json.loads(line))

    def _listen(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.said += line

    def next(self, kind: str, seconds: float = 30) -> dict[str, Any]:
        """The next record of this kind; others are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                record = self._records.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {kind} within {seconds} s\n{self.said.decode()[-4000:]}") from None
            if record["type"] == kind:
                return record

    def nothing(self, kind: str, seconds: float = 1) -> None:
        """No record of this kind for a while."""
        with pytest.raises(AssertionError):
            self.next(kind, seconds)

    def stop(self) -> int:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        status = self.process.wait(30)
        for reader in self._readers:
            reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()
        return status


Watch = Callable[..., Watching]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    place = tmp_path / "my-site"
    place.mkdir()
    (place / "index.html").write_text("<h1>one</h1>\n")
    return place


@pytest.fixture
def watch(environment: dict[str, str], site: Path) -> Iterator[Watch]:
    started: list[Watching] = []

    def start(*options: str) -> Watching:
        started.append(Watching(site, environment, *options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def page(url: str, path: str = "") -> httpx2.Response:
    """What a browser would get. Names below localhost need not resolve here."""
    address = httpx2.URL(url)
    host = f"{address.host}:{address.port}"
    return httpx2.get(f"http://127.0.0.1:{address.port}/{path}", headers={"Host": host}, timeout=30)


def headrace(
    environment: dict[str, str], *arguments: str | Path, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "headrace", *map(str, arguments)]
    return subprocess.run(argv, env=environment, input=stdin, capture_output=True, text=True, check=False, timeout=120)


def test_a_save_is_on_the_page_and_the_address_came_first(server: "Server", watch: Watch, site: Path) -> None:
    watching = watch()
    url = watching.next("url")
    assert url["url"].startswith("http://my-site.preview.localhost:")
    assert watching.next("sync")["status"] == "ready"
    (site / "index.html").write_text("<h1>two</h1>\n")
    saved = watching.next("sync")
    assert (saved["status"], [change["path"] for change in saved["changes"]]) == ("ready", ["index.html"])
    shown = page(url["url"])
    assert "<h1>two</h1>" in shown.text
    assert shown.headers["x-headrace-version"] == saved["version"]


def test_without_a_server_one_is_started_that_ends_with_ctrl_c(watch: Watch, data_dir: Path) -> None:
    watching = watch()
    watching.next("sync")
    pid = json.loads((data_dir / "server.json").read_bytes())["pid"]
    assert watching.stop() == 130
    assert not Path(f"/proc/{pid}").exists()
    assert b"Traceback" not in watching.said


def test_new_renamed_and_deleted_files_arrive_together(server: "Server", watch: Watch, site: Path) -> None:
    watching = watch()
    watching.next("sync")
    (site / "new").mkdir()
    (site / "new" / "a.txt").write_text("a")
    assert watching.next("sync")["changes"][0]["path"] == "new/a.txt"
    (site / "new" / "a.txt").rename(site / "new" / "b.txt")
    renamed = watching.next("sync")
    assert {(change["path"], change["change"]) for change in renamed["changes"]} == {
        ("new/a.txt", "deleted"),
        ("new/b.txt", "added"),
    }


def test_an_editors_save_through_a_temporary_file_is_one_change(server: "Server", watch: Watch, site: Path) -> None:
    watching = watch()
    watching.next("sync")
    (site / ".index.html.swp").write_text("swap")
    (site / "index.html").rename(site / "index.html~")
    (site / "index.html").write_text("<h1>vim</h1>\n")
    (site / "index.html~").unlink()
    assert [change["path"] for change in watching.next("sync")["changes"]] == ["index.html"]
    watching.nothing("sync")


def test_a_branch_that_is_switched_arrives_whole(server: "Server", watch: Watch, site: Path) -> None:
    for number in range(300):
        (site / f"{number}.txt").write_text("main")
    git = ["git", "-C", str(site), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["commit", "-q", "-m", "1"],
        ["checkout", "-q", "-b", "b"],
    ):
        subprocess.run([*git, *words], check=True)
    for number in range(300):
        (site / f"{number}.txt").write_text("b")
    subprocess.run([*git, "commit", "-q", "-a", "-m", "2"], check=True)
    watching = watch()
    url = watching.next("url")["url"]
    watching.next("sync")
    subprocess.run([*git, "checkout", "-q", "main"], check=True)
    sent: set[str] = set()
    while len(sent) < 300:
        sent |= {change["path"] for change in watching.next("sync")["changes"]}
    assert page(url, "299.txt").text == "main"


def test_what_can_not_be_sent_is_said_and_the_rest_goes_on(server: "Server", watch: Watch, site: Path) -> None:
    watching = watch()
    watching.next("sync")
    with (site / "film.mp4").open("wb") as film:
        film.truncate(40 << 20)
    (site / "index.html").write_text("<h1>two</h1>\n")
    assert watching.next("left_out")["path"] == "film.mp4"
    assert [change["path"] for change in watching.next("sync")["changes"]] == ["index.html"]


def test_what_somebody_else_changed_is_told_and_kept(server: "Server", watch: Watch, site: Path) -> None:
    watching = watch()
    project = watching.next("url")["project_id"]
    watching.next("sync")
    theirs = {"files": [{"path": "agent.html", "content": "by an agent"}], "author": {"kind": "agent", "name": "a"}}
    assert server.http.post(f"/projects/{project}/sync", json=theirs).is_success
    assert watching.next("ahead")["paths"] == ["agent.html"]
    (site / "index.html").write_text("<h1>two</h1>\n")
    watching.next("sync")
    files = server.http.get(f"/projects/{project}/files").json()["files"]
    assert [file["path"] for file in files] == ["agent.html", "index.html"]


def test_a_conflict_shows_both_sides_and_the_next_save_goes_through(server: "Server", watch: Watch, site: Path) -> None:
    watching = watch()
    project = watching.next("url")["project_id"]
    watching.next("sync")
    theirs = {"files": [{"path": "index.html", "content": "<h1>theirs</h1>\n"}]}
    assert server.http.post(
        f"/projects/{project}/sync", json=theirs | {"author": {"kind": "agent", "name": "a"}}
    ).is_success
    watching.next("ahead")
    (site / "other.txt").write_text("not in conflict")
    (site / "index.html").write_text("<h1>mine</h1>\n")
    conflict = watching.next("conflict")["conflicts"][0]
    assert conflict["path"] == "index.html"
    assert (conflict["hunks"][0]["ours"], conflict["hunks"][0]["theirs"]) == (
        ["<h1>theirs</h1>\n"],
        ["<h1>mine</h1>\n"],
    )
    (site / "index.html").write_text("<h1>theirs and mine</h1>\n")
    url = watching.next("sync")["url"]
    wait_until(lambda: "theirs and mine" in page(url).text)
    assert page(url, "other.txt").text == "not in conflict"


def test_an_agents_change_from_before_is_not_undone_by_an_old_directory(
    server: "Server", watch: Watch, site: Path
) -> None:
    watching = watch()
    project = watching.next("url")["project_id"]
    watching.next("sync")
    watching.stop()
    theirs = {
        "files": [{"path": "index.html", "content": "<h1>theirs</h1>\n"}],
        "author": {"kind": "agent", "name": "a"},
    }
    assert server.http.post(f"/projects/{project}/sync", json=theirs).is_success
    again = watch()
    url = again.next("url")["url"]
    assert again.next("ahead")["paths"] == ["index.html"]
    again.next("state")
    assert "theirs" in page(url).text


def test_a_server_that_is_restarted_is_found_again(server: "Server", watch: Watch, site: Path) -> None:
    watching = watch()
    watching.next("sync")
    server.kill()
    (site / "index.html").write_text("<h1>meanwhile</h1>\n")
    watching.next("note")
    server.start()
    saved = watching.next("sync")
    assert [change["path"] for change in saved["changes"]] == ["index.html"]
    assert "meanwhile" in page(saved["url"]).text


def test_sync_sends_files_and_says_where_they_are_served(
    server: "Server", watch: Watch, site: Path, environment: dict[str, str]
) -> None:
    watching = watch()
    watching.next("sync")
    watching.stop()
    (site / "a.txt").write_text("a")
    ended = headrace(environment, "sync", "my-site", "a.txt", "--dir", site, "--agent", "tester")
    assert ended.returncode == 0, ended.stderr
    assert page(ended.stdout.strip(), "a.txt").text == "a"
    gone = headrace(environment, "sync", site, "--dir", site, "--delete", "a.txt", "--json")
    assert json.loads(gone.stdout)["changes"][0]["change"] == "deleted"
    body = json.dumps({"files": [{"path": "b.html", "content": "b"}], "wait": True})
    assert json.loads(headrace(environment, "sync", "my-site", "-", "--json", stdin=body).stdout)["status"] == "ready"


def test_sync_says_no_with_a_status_of_its_own(
    server: "Server", watch: Watch, site: Path, environment: dict[str, str]
) -> None:
    watching = watch()
    base = watching.next("sync")["version"]
    watching.stop()
    assert headrace(environment, "sync", "nobody", "index.html", "--dir", site).returncode == 5
    assert headrace(environment, "sync", "my-site", "missing.html", "--dir", site).returncode == 2
    (site / "index.html").write_text("<h1>theirs</h1>\n")
    assert headrace(environment, "sync", "my-site", "index.html", "--dir", site).returncode == 0
    (site / "index.html").write_text("<h1>mine</h1>\n")
    conflict = headrace(environment, "sync", "my-site", "index.html", "--dir", site, "--base", base)
    assert conflict.returncode == 1
    assert "theirs" in conflict.stderr
    assert "mine" in conflict.stderr


def test_previews_are_listed_stopped_woken_and_linked_to(
    server: "Server", watch: Watch, site: Path, environment: dict[str, str]
) -> None:
    watching = watch()
    url = watching.next("url")["url"]
    watching.next("sync")
    watching.stop()
    assert "my-site" in headrace(environment, "preview", "ls").stdout
    assert json.loads(headrace(environment, "preview", "stop", "my-site", "--json").stdout)["status"] == "asleep"
    assert headrace(environment, "preview", "wake", site).returncode == 0
    link = headrace(environment, "preview", "open", "my-site").stdout.strip()
    assert link.startswith(url)
    assert "/view/" in headrace(environment, "preview", "open", "my-site", "--view").stdout
    assert headrace(environment, "preview", "link", "my-site", "--seconds", "60").stdout.startswith(url)
    assert headrace(environment, "preview", "stop", "nobody").returncode == 5


def test_a_proxy_of_the_projects_file_becomes_its_setting(server: "Server", watch: Watch, site: Path) -> None:
    (site / "headrace.toml").write_text('[dev.proxy]\n"/api/" = "http://127.0.0.1:8000"\n')
    watching = watch()
    project = watching.next("url")["project_id"]
    rules = server.http.get(f"/projects/{project}").json()["settings"]["proxy"]
    assert rules == [{"path": "/api/", "to": "http://127.0.0.1:8000"}]
    assert b"/api/ of the page goes to http://127.0.0.1:8000" in watching.said
    watching.next("sync")
    (site / "headrace.toml").write_text('[dev.proxy]\n"/api/" = "http://127.0.0.1:9000"\n')
    watching.next("sync")
    rules = server.http.get(f"/projects/{project}").json()["settings"]["proxy"]
    assert rules == [{"path": "/api/", "to": "http://127.0.0.1:9000"}]


@pytest.mark.sandbox
@pytest.mark.network
def test_a_real_project_shows_edits_and_mistakes_as_they_are_saved(server: "Server", watch: Watch, site: Path) -> None:
    (site / "src").mkdir()
    for name in ("package.json", "package-lock.json", "index.html"):
        shutil.copy(ROOT / "examples" / "vanilla-vite" / name, site / name)
    main = site / "src" / "main.js"
    main.write_text("document.title = 'first title'\n")
    watching = watch()
    url = watching.next("url")["url"]
    first = watching.next("sync", 120)
    assert first["status"] == "ready", first
    main.write_text("document.title = 'second title'\n")
    assert watching.next("sync")["status"] == "ready"
    assert "second title" in script_of(url)
    main.write_text("document.title = \n")
    failed = watching.next("sync")
    assert failed["status"] == "error"
    found = failed["diagnostics"][0]
    assert (found["file"], found["line"]) == ("src/main.js", 1)
    assert "second title" in script_of(url)
    main.write_text("document.title = 'third title'\n")
    assert watching.next("sync")["status"] == "ready"
    assert "third title" in script_of(url)


@pytest.mark.sandbox
@pytest.mark.network
def test_people_read_where_a_mistake_is(server: "Server", site: Path, environment: dict[str, str]) -> None:
    (site / "src").mkdir()
    for name in ("package.json", "package-lock.json", "index.html"):
        shutil.copy(ROOT / "examples" / "vanilla-vite" / name, site / name)
    (site / "src" / "main.js").write_text("document.title = \n")
    said = site.parent / "said"
    argv = [sys.executable, "-m", "headrace", "preview", str(site)]
    with said.open("wb") as file:
        process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=file, start_new_session=True)
    try:
        wait_until(lambda: "src/main.js:" in said.read_text(), 120)
        (site / "src" / "main.js").write_text("document.title = 'right'\n")
        wait_until(lambda: "✓ src/main.js  ready in " in said.read_text())
    finally:
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.fullmatch(rb"http://my-site\.preview\.localhost:\d+/\n", printed)
    assert "failed after" in said.read_text()


def script_of(url: str) -> str:
    """The script of the page."""
    found = re.search(r'src="/(assets/[^"]+\.js)"', page(url).text)
    assert found, page(url).text
    return page(url, found[1]).text


def test_sync_of_what_is_there_already_says_so(
    server: "Server", watch: Watch, site: Path, environment: dict[str, str]
) -> None:
    watching = watch()
    watching.next("sync")
    watching.stop()
    ended = headrace(environment, "sync", "my-site", "index.html", "--dir", site)
    assert (ended.returncode, "is there already" in ended.stderr) == (0, True)
    assert headrace(environment, "sync", "my-site", "--delete", "index.html").returncode == 1
    gone = headrace(environment, "sync", "my-site", "--delete", "index.html")
    assert (gone.returncode, "nothing changed" in gone.stderr) == (1, True)
