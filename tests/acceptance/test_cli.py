"""Headrace as its users meet it: the launcher, real sandboxes, real registries, pages that are fetched."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "react-vite"
pytestmark = [pytest.mark.sandbox, pytest.mark.network, pytest.mark.xdist_group("cli")]

Ended = subprocess.CompletedProcess[str]


class Headrace:
    """The command line with a data directory of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.environment = {**os.environ, "HEADRACE_DATA_DIR": str(data_dir), "HEADRACE_PORT": "0"}

    def __call__(self, *arguments: str | Path) -> Ended:
        argv = [ROOT / "headrace", *arguments]
        return subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False, timeout=600)

    def start(self, *arguments: str | Path) -> "subprocess.Popen[str]":
        argv = [ROOT / "headrace", *arguments]
        return subprocess.Popen(
            argv,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def json(self, *arguments: str | Path, status: int = 0) -> Any:
        ended = self(*arguments, "--json")
        assert ended.returncode == status, ended.stderr
        return json.loads(ended.stdout)

    def stop_server(self) -> None:
        announced = self.data_dir / "server.json"
        if not announced.exists():
            return
        os.kill(json.loads(announced.read_bytes())["pid"], signal.SIGTERM)
        wait_until(lambda: not announced.exists())


def page(url: str, path: str = "") -> str:
    """What a browser would get. Names below localhost need not resolve here: the port says where the server is."""
    host, port = url.split("/")[2].rsplit(":", 1)
    with closing(HTTPConnection("127.0.0.1", int(port.rstrip("/")))) as connection:
        connection.request("GET", f"/{path}", headers={"Host": f"{host}:{port}"})
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()


@pytest.fixture(scope="module")
def headrace(tmp_path_factory: pytest.TempPathFactory, provisions: Path) -> Iterator[Headrace]:
    command = Headrace(tmp_path_factory.mktemp("data"))
    # Tool chains are made anew, so that the first build shows the whole way.
    (provisions / "base").mkdir(exist_ok=True)
    (command.data_dir / "base").symlink_to(provisions / "base")
    yield command
    command.stop_server()


@pytest.fixture(scope="module")
def served(headrace: Headrace) -> Any:
    """The example, served by a server that stays."""
    return headrace.json("up", EXAMPLE, "--detach")


def site(place: Path, **files: str) -> Path:
    place.mkdir()
    for name, text in files.items():
        (place / name.replace("__", ".")).write_text(text)
    return place


def test_up_prints_where_the_page_is_and_the_page_is_there(served: Any) -> None:
    assert set(served) == {"url", "project_id", "version", "build_id", "artifact"}
    index = page(served["url"])
    assert '<div id="root">' in index
    script = index.split('src="/')[1].split('"')[0]
    assert "react" in page(served["url"], script).lower()


def test_up_again_is_answered_with_the_build_that_is_there(headrace: Headrace, served: Any) -> None:
    assert headrace.json("up", EXAMPLE, "--detach") == served


def test_only_the_address_is_on_stdout(headrace: Headrace, served: Any) -> None:
    ended = headrace("up", EXAMPLE, "--detach")
    assert ended.stdout == served["url"] + "\n"


def test_a_terminal_sees_the_steps_and_then_the_address(headrace: Headrace, served: Any) -> None:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in headrace.environment.items() if name not in ("CI", "NO_COLOR")}
    argv: list[str | Path] = [ROOT / "headrace", "up", EXAMPLE, "--detach", "--force"]
    process = subprocess.Popen(argv, env={**environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the end of a terminal is an error
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert process.wait() == 0
    screen = shown.decode()
    assert "restored by mount (cached)" in screen
    assert "\x1b[" in screen
    assert screen.splitlines()[-1] == served["url"]


def test_a_build_without_a_server_shares_its_caches(headrace: Headrace, served: Any) -> None:
    there = headrace.json("builds", "--project", served["project_id"])
    assert headrace.json("build", EXAMPLE)["id"] in [build["id"] for build in there]
    forced = headrace.json("build", EXAMPLE, "--force")
    assert forced["id"] not in [build["id"] for build in there]
    assert forced["artifact"] == served["artifact"]
    assert {step["id"]: step["cached"] for step in forced["steps"]}["dependencies"]


def test_export_writes_the_artifacts_files(headrace: Headrace, served: Any, tmp_path: Path) -> None:
    ended = headrace("build", EXAMPLE, "--export", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == served["artifact"] + "\n"
    assert (tmp_path / "out" / "index.html").read_text() == page(served["url"])
    assert headrace("build", EXAMPLE, "--export", tmp_path / "out").returncode == 2


def test_events_on_stdout_are_the_whole_log(headrace: Headrace, served: Any) -> None:
    ended = headrace("build", EXAMPLE, "--force", "--events", "-")
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "build.created"
    assert events[-1]["type"] == "build.completed"
    assert headrace("logs", events[0]["build_id"], "--json").stdout == ended.stdout


def test_the_log_is_readable_and_verified(headrace: Headrace, served: Any) -> None:
    text = headrace("logs", served["build_id"]).stdout
    assert "STEP 2: INSTALLING DEPENDENCIES" in text
    assert "✓ Build succeeded" in text
    verified = headrace.json("logs", served["build_id"], "--verify")
    assert verified["ok"]
    assert verified["lines"] > 0


def test_lists_know_what_was_built(headrace: Headrace, served: Any) -> None:
    assert served["project_id"] in [project["id"] for project in headrace.json("projects")]
    assert served["build_id"] in [build["id"] for build in headrace.json("builds", "--project", "react-vite")]
    assert headrace("builds", "--project", "nothing-like-it").returncode == 5


def test_the_cache_lists_and_explains_itself(headrace: Headrace, served: Any) -> None:
    kinds = {entry["kind"] for entry in headrace.json("cache", "ls")["items"]}
    assert {"dependencies", "tool"} <= kinds
    decisions = headrace.json("cache", "explain", served["build_id"])
    assert "dependencies" in [decision["cache"] for decision in decisions]


def test_a_build_is_replayed_without_a_network(headrace: Headrace, served: Any) -> None:
    replayed = headrace.json("build", EXAMPLE, "--offline", "--force")
    assert replayed["id"] != served["build_id"]
    assert (replayed["status"], replayed["artifact"]) == ("succeeded", served["artifact"])
    assert headrace.json("logs", replayed["id"], "--network") == []


def test_the_ledger_says_what_an_install_reached(headrace: Headrace, served: Any) -> None:
    (use, *_) = headrace.json("logs", served["build_id"], "--network")
    assert (use["step"], use["refused"], use["new"]) == ("dependencies", 0, False)
    assert use["bytes_down"] > use["bytes_up"] > 0
    assert f"{use['host']}:{use['port']}" in headrace("logs", served["build_id"], "--network").stdout


def test_what_is_missing_without_a_network_is_named(headrace: Headrace, served: Any, tmp_path: Path) -> None:
    place = tmp_path / "example"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns("node_modules", "dist"))
    lock = place / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    ended = headrace("build", place, "--offline")
    assert ended.returncode == 1
    assert "offline_miss" in ended.stderr
    assert "dependencies of this lock file is not here" in ended.stderr


def test_what_a_build_made_is_revoked_by_one_command(headrace: Headrace, served: Any, tmp_path: Path) -> None:
    place = site(tmp_path / "stranger", index__html="<title>stranger</title>")
    made = headrace.json("build", place, "--untrusted")
    assert headrace.json("build", place, "--untrusted")["id"] == made["id"]
    revoked = headrace("cache", "revoke", made["id"])
    assert revoked.returncode == 0, revoked.stderr
    assert f"removed the result of {made['id']}" in revoked.stdout
    assert "still served" in revoked.stderr
    assert headrace.json("build", place, "--untrusted")["id"] != made["id"]
    assert headrace("cache", "revoke", "build_nothing-like-it").returncode == 5


def test_what_was_removed_from_the_cache_is_made_again(headrace: Headrace, served: Any) -> None:
    entries = headrace.json("cache", "ls")["items"]
    digest = next(entry["digest"] for entry in entries if entry["kind"] == "dependencies")
    assert headrace("cache", "rm", digest.removeprefix("sha256:")[:12]).returncode == 0
    assert digest not in [entry["digest"] for entry in headrace.json("cache", "ls")["items"]]
    assert headrace("cache", "rm", digest).returncode == 5
    again = headrace.json("build", EXAMPLE, "--force")
    assert again["artifact"] == served["artifact"]
    assert not next(step for step in again["steps"] if step["id"] == "dependencies")["cached"]


def test_everything_is_removed_only_when_somebody_agrees(headrace: Headrace, served: Any) -> None:
    ended = subprocess.run(
        [ROOT / "headrace", "cache", "rm", "--all"], env=headrace.environment, stdin=subprocess.DEVNULL, check=False
    )
    assert ended.returncode == 4
    assert headrace.json("cache", "ls")["items"]


def test_a_build_that_fails_says_where(headrace: Headrace, served: Any, tmp_path: Path) -> None:
    broken = shutil.copytree(EXAMPLE, tmp_path / "broken")
    source = next(broken.glob("src/App.tsx"))
    source.write_text(source.read_text() + "\nconst wrong: number = 'text'\nexport { wrong }\n")
    build = headrace.json("build", broken, status=1)
    assert build["status"] == "failed"
    assert build["failure"]["reason"] == "type_error"
    found = build["failure"]["diagnostics"][0]
    assert (found["code"], found["file"]) == ("TS2322", "src/App.tsx")
    up = headrace("up", broken, "--detach")
    assert up.returncode == 1
    assert up.stdout == ""
    assert "TS2322" in up.stderr


def test_what_can_not_be_planned_is_a_result(headrace: Headrace, tmp_path: Path) -> None:
    empty = site(tmp_path / "site", notes__txt="nothing to build")
    assert headrace.json("plan", empty, status=1)["failure"]["reason"] == "nothing_to_build"
    assert headrace.json("build", empty, status=1)["failure"]["reason"] == "nothing_to_build"


def test_a_build_that_takes_too_long_is_stopped(headrace: Headrace, tmp_path: Path) -> None:
    slow = site(tmp_path / "slow", package__json='{"scripts": {"build": "sleep 60"}}')
    (slow / "headrace.toml").write_text('[build]\noutput = "dist"\n')
    began = time.monotonic()
    assert headrace.json("build", slow, "--timeout", "5", status=124)["failure"]["reason"] == "timeout"
    assert time.monotonic() - began < 30


def test_ctrl_c_cancels_a_build_and_leaves_nothing(headrace: Headrace, tmp_path: Path) -> None:
    slow = site(tmp_path / "slow", package__json='{"scripts": {"build": "echo begun && sleep 60"}}')
    (slow / "headrace.toml").write_text('[build]\noutput = "dist"\n')
    process = headrace.start("build", slow, "--events", "-")
    assert process.stdout
    for line in process.stdout:
        if '"line":"begun"' in line:
            break
    process.send_signal(signal.SIGINT)
    last = process.stdout.readlines()[-1]
    assert process.wait(10) == 130
    assert json.loads(last)["status"] == "cancelled"
    process.communicate()
    assert list(headrace.data_dir.glob("sandboxes/[!.]*")) == []
    assert list(headrace.data_dir.glob("builds/[!.]*")) == []


def test_a_build_can_be_cancelled_from_elsewhere(headrace: Headrace, served: Any, tmp_path: Path) -> None:
    slow = site(tmp_path / "slow", package__json='{"scripts": {"build": "sleep 61"}}')
    (slow / "headrace.toml").write_text('[build]\noutput = "dist"\n')
    process = headrace.start("up", slow, "--detach", "--json")
    wait_until(lambda: bool(headrace.json("builds", "--status", "building")))
    identifier = headrace.json("builds", "--status", "building")[0]["id"]
    assert headrace("cancel", identifier).returncode == 0
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(printed)["status"] == "cancelled"
    assert headrace("cancel", identifier).returncode == 0


def test_up_in_the_foreground_serves_until_ctrl_c(tmp_path: Path) -> None:
    headrace = Headrace(tmp_path / "data")
    place = site(tmp_path / "hello", index__html="<h1>hello</h1>")
    process = headrace.start("up", place, "--json")
    assert process.stdout
    answered = json.loads(process.stdout.readline())
    assert page(answered["url"]) == "<h1>hello</h1>"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert not (headrace.data_dir / "server.json").exists()


def test_the_server_ends_when_up_is_killed(tmp_path: Path) -> None:
    headrace = Headrace(tmp_path / "data")
    place = site(tmp_path / "hello", index__html="<h1>hello</h1>")
    process = headrace.start("up", place, "--json")
    assert process.stdout
    process.stdout.readline()
    process.kill()
    process.communicate()
    wait_until(lambda: not (headrace.data_dir / "server.json").exists())


def test_up_says_so_when_its_server_dies(tmp_path: Path) -> None:
    headrace = Headrace(tmp_path / "data")
    process = headrace.start("up", site(tmp_path / "hello", index__html="<h1>hello</h1>"), "--json")
    assert process.stdout
    process.stdout.readline()
    os.kill(json.loads((headrace.data_dir / "server.json").read_bytes())["pid"], signal.SIGKILL)
    _, said = process.communicate(timeout=20)
    assert process.returncode not in (0, 130)
    assert "the server ended with status -9" in said
    assert "server.log" in said


def test_a_repository_is_built_from_a_branch(tmp_path: Path) -> None:
    headrace = Headrace(tmp_path / "data")
    headrace.environment["HEADRACE_ALLOW_FILE_URLS"] = "true"
    place = site(tmp_path / "repo", index__html="<h1>main</h1>")
    git = ["git", "-C", str(place), "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"], ["switch", "-qc", "next"]):
        subprocess.run([*git, *arguments], check=True)
    (place / "index.html").write_text("<h1>next</h1>")
    subprocess.run([*git, "commit", "-qam", "two"], check=True)
    subprocess.run([*git, "switch", "-q", "main"], check=True)
    ended = headrace("build", f"file://{place}", "--ref", "next", "--export", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "index.html").read_text() == "<h1>next</h1>"


def test_nothing_is_there_before_the_first_build(tmp_path: Path) -> None:
    assert Headrace(tmp_path)("projects").returncode == 5


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    headrace = Headrace(tmp_path)
    headrace.environment |= {"HEADRACE_URL": "http://127.0.0.1:9", "HEADRACE_TOKEN": "t" * 40}
    ended = headrace("projects")
    assert ended.returncode == 6
    assert "127.0.0.1:9" in ended.stderr


def test_a_wrong_token_is_not_authenticated(headrace: Headrace, served: Any) -> None:
    stranger = Headrace(headrace.data_dir)
    stranger.environment["HEADRACE_TOKEN"] = "w" * 40
    assert stranger("projects").returncode == 3


def test_the_doctor_finds_this_machine_fit(headrace: Headrace) -> None:
    findings = headrace.json("doctor")
    assert "missing" not in {finding["status"] for finding in findings}


def test_two_servers_do_not_share_a_port(served: Any, tmp_path: Path) -> None:
    port = served["url"].rsplit(":", 1)[1].strip("/")
    other = Headrace(tmp_path / "data")
    for command in (["serve", "--port", port], ["up", EXAMPLE, "--port", port]):
        ended = other(*command)
        assert ended.returncode == 78
        assert f":{port}" in ended.stderr
