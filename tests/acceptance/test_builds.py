"""Builds through the API, in real sandboxes: what is shared, what is built again, and how a failure says what it is."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

if TYPE_CHECKING:
    from tests.server import Server

pytestmark = pytest.mark.sandbox


def project(build: str, **more: str) -> dict[str, str]:
    """A project whose build is one shell command, with no dependencies to install."""
    return {"headrace.toml": f'[build]\ncommand = {json.dumps(build)}\noutput = "dist"\n', **more}


PAGE = "mkdir dist && echo '<h1>made</h1>' > dist/index.html"


@pytest.fixture
def new(server: "Server") -> Any:
    def make(files: dict[str, str], name: str = "made", **settings: Any) -> str:
        body: dict[str, Any] = {"name": name, "settings": settings}
        created = server.http.post("/workspaces/default/projects", json=body).json()
        server.upload(created["id"], files)
        return str(created["id"])

    return make


def test_what_was_built_is_served_at_two_addresses(server: "Server", new: Any) -> None:
    build = server.build(new(project(PAGE)), wait=True)
    assert build["status"] == "succeeded", build["failure"]
    port = httpx2.URL(server.url).port
    for label in ("made", build["id"].removeprefix("build_")):
        page = httpx2.get(f"{server.url}/", headers={"Host": f"{label}.localhost:{port}"})
        assert (page.status_code, page.text) == (200, "<h1>made</h1>\n")


def test_the_same_inputs_are_the_same_build_until_it_is_forced(server: "Server", new: Any) -> None:
    made = new(project(PAGE))
    first = server.build(made, wait=True)
    again = server.http.post(f"/projects/{made}/builds", json={})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    forced = server.build(made, wait=True, force=True)
    assert forced["id"] != first["id"]
    assert forced["artifact"] == first["artifact"]


def test_requests_at_the_same_moment_share_one_build(server: "Server", new: Any) -> None:
    made = new(project(f"sleep 1; {PAGE}"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.http.post(f"/projects/{made}/builds", json={}).json(), range(8)))
    assert len({answer["id"] for answer in answers}) == 1
    assert server.until_ended(answers[0]["id"])["status"] == "succeeded"


def test_a_changed_file_is_named_by_the_cache(server: "Server", new: Any) -> None:
    made = new(project(PAGE))
    server.build(made, wait=True)
    server.upload(made, project(PAGE, **{"extra.txt": "more"}))
    build = server.build(made, wait=True)
    decisions = server.http.get(f"/builds/{build['id']}/cache").json()
    result = next(d for d in decisions["items"] if d["cache"] == "result")
    assert (result["hit"], result["differs"]) == (False, "files")


@pytest.mark.parametrize(
    ("command", "settings", "reason"),
    [
        ("exit 3", {}, "command_failed"),
        ("sleep 30", {"limits": {"build_seconds": 1}}, "timeout"),
        (
            "python3 -c 'x = bytearray(400 * 2**20)'; mkdir dist; touch dist/index.html",
            {"limits": {"memory_bytes": 100 * 2**20}},
            "out_of_memory",
        ),
        (
            "mkdir dist && dd if=/dev/zero of=big bs=1M count=80 && sleep 20",
            {"limits": {"disk_bytes": 2**24}},
            "disk_full",
        ),
        ("true", {}, "output_missing"),
        ("mkdir dist", {}, "output_empty"),
    ],
)
def test_a_failure_says_what_it_was(
    server: "Server", new: Any, command: str, settings: dict[str, Any], reason: str
) -> None:
    build = server.build(new(project(command), **settings), wait=True)
    assert build["status"] == "failed"
    assert build["failure"]["reason"] == reason, build["failure"]
    assert len(json.dumps(build["failure"]).encode()) <= 8192


def test_a_build_that_floods_its_log_says_in_its_last_lines_why_it_ended(server: "Server", new: Any) -> None:
    last = "src/main.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'."
    files = {
        **project(f'python3 -c "print(\'noise\\n\' * 100000)"; echo "{last}"; exit 2'),
        "src/main.ts": "export {}\n",
    }
    build = server.until_ended(server.build(new(files, limits={"log_bytes": 20_000}))["id"])
    assert (build["status"], build["failure"]["reason"]) == ("failed", "type_error"), build["failure"]
    (found,) = build["failure"]["diagnostics"]
    assert (found["file"], found["line"], found["column"]) == ("src/main.ts", 3, 7)
    events = server.events(build["id"])
    told = next(event for event in events if event["type"] == "log.truncated")
    assert told["bytes"] == build["receipt"]["truncated_bytes"] == 600_001 + len(last) + 1 - build["receipt"]["bytes"]
    assert found["log_seq"] > told["seq"]
    text = server.http.get(f"/builds/{build['id']}/logs", params={"format": "text"}).text.splitlines()
    gap = next(
        at
        for at, line in enumerate(text)
        if line.startswith(f"! Not in the log, because it was full: {told['bytes']} bytes")
    )
    assert "noise".startswith(text[gap - 2].removeprefix("│").strip())
    assert text[gap + 1].removeprefix("│").strip() == "noise"
    assert any(last in line for line in text[gap:])


def test_a_build_has_no_network(server: "Server", new: Any) -> None:
    look = "python3 -c \"import socket; s=socket.create_connection(('1.1.1.1', 443), 3)\""
    build = server.build(new(project(look)), wait=True)
    assert build["status"] == "failed"
    printed = server.http.get(f"/builds/{build['id']}/logs", params={"format": "text"}).text
    assert "Network is unreachable" in printed


def test_every_byte_of_a_long_log_can_be_read_and_proved(server: "Server", new: Any) -> None:
    printing = f"python3 -c 'for n in range(200000): print(\"line\", n)'; printf 'no end'; {PAGE}"
    build = server.build(new(project(printing)), wait=True)
    events = server.events(build["id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    printed = [event for event in events if event["type"] == "build.log"]
    raw = "".join(event["line"] + ("\n" if event.get("eol", True) else "") for event in printed).encode()
    rolled = hashlib.sha256(bytes(32) + hashlib.sha256(raw).digest()).hexdigest()
    receipt = events[-1]["receipt"]
    assert (receipt["lines"], receipt["bytes"], receipt["sha256"]) == (200_001, len(raw), rolled)


def test_a_reader_that_comes_back_goes_on_where_it_was(server: "Server", new: Any) -> None:
    counting = f"for n in 1 2 3 4 5 6 7 8 9 10; do echo $n; sleep 0.1; done; {PAGE}"
    build = server.build(new(project(counting)))
    seen: list[int] = []
    while (
        not seen or server.see(build["id"])["status"] == "building" or seen[-1] < server.events(build["id"])[-1]["seq"]
    ):
        after = seen[-1] if seen else 0
        with server.http.stream("GET", f"/builds/{build['id']}/events?follow=true&after={after}") as stream:
            for number, line in enumerate(stream.iter_lines()):
                seen.append(json.loads(line)["seq"])
                if number == 3:
                    break
    assert seen == list(range(1, len(seen) + 1))


def test_server_sent_events_resume_by_the_header_that_browsers_send(server: "Server", new: Any) -> None:
    build = server.build(new(project(PAGE)), wait=True)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "3"}
    text = server.http.get(f"/builds/{build['id']}/events", headers=headers).text
    assert text.split("id: ")[1].splitlines()[0] == "4"
    assert "event: build.completed" in text


def test_a_queued_build_is_cancelled_at_once(server: "Server", new: Any) -> None:
    running = [server.build(new(project("sleep 20"), name=f"busy {n}"))["id"] for n in range(2)]
    for build in running:
        server.until_event(build, type="build.command.started")
    waiting = server.build(new(project(PAGE), name="waits"))
    assert server.see(waiting["id"])["status"] == "queued"
    assert server.cancel(waiting["id"]).json()["status"] == "cancelled"
    for build in running:
        server.cancel(build)
        assert server.until_ended(build)["status"] == "cancelled"
    ended = server.cancel(server.build(new(project(PAGE), name="ends"), wait=True)["id"])
    assert (ended.status_code, ended.json()["code"]) == (409, "build.already_terminal")


def test_safe_mode_runs_nothing_and_says_so(
    environment: dict[str, str], data_dir: Path, server: "Server", new: Any
) -> None:
    made = new(project(PAGE))
    server.stop()
    server.environment = environment | {"HEADRACE_SAFE_MODE": "true"}
    server.start()
    answer = server.http.post(f"/projects/{made}/builds", json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "safe_mode")
