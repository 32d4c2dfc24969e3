"""Two servers over one data directory: requests for the same inputs share one build, and nobody waits for what never comes."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.server import Server
from tests.waiting import wait_until

#: Takes a while, and writes what differs with each run.
FILES = {
    "package.json": '{"name": "slow"}',
    "headrace.toml": '[build]\ncommand = "sleep 3; mkdir dist; date +%N > dist/index.html"\noutput = "dist"\n',
}


@pytest.fixture
def servers(environment: dict[str, str], data_dir: Path) -> Iterator[tuple[Server, Server]]:
    environment |= {"HEADRACE_EXECUTOR": "process", "HEADRACE_ALLOW_FILE_URLS": "true", "HEADRACE_BUILDS_AT_ONCE": "4"}
    first, second = Server(environment, data_dir), Server(environment, data_dir)
    try:
        first.start()
        second.start()
        yield first, second
    finally:
        second.stop()
        first.stop()


@pytest.fixture
def repository(tmp_path: Path) -> str:
    place = tmp_path / "repository"
    place.mkdir()
    for name, text in FILES.items():
        (place / name).write_text(text)
    who = {f"GIT_{role}_{what}": "ann@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=place, env={**os.environ, **who}, check=True)
    return f"file://{place}"


def from_git(server: Server, url: str) -> str:
    answer = server.http.post(
        "/workspaces/default/projects", json={"name": "slow", "source": {"kind": "git", "url": url, "ref": "main"}}
    )
    assert answer.is_success, answer.text
    project: str = answer.json()["id"]
    return project


def ran(server: Server, build_id: str) -> bool:
    """Whether the build ran a command of its own."""
    return any(event["type"] == "build.command.started" for event in server.events(build_id))


def two_at_once(servers: tuple[Server, Server], project: str, **of_first: Any) -> tuple[str, str]:
    """The first runs its command, and the second knows of it and waits."""
    first, second = servers
    one = first.build(project, **of_first)["id"]
    first.until_event(one, type="build.command.started")
    two = second.build(project)["id"]
    second.until_event(two, type="cache.decision", cache="result")
    assert one != two
    return one, two


def test_many_requests_for_one_version_at_the_same_moment_are_one_build(servers: tuple[Server, Server]) -> None:
    project = servers[0].project("slow")["id"]
    versions = [servers[0].upload(project, FILES)["id"] for _ in range(2)]

    def ask(number: int) -> str:
        answer = servers[number % 2].http.post(
            f"/projects/{project}/builds", json={"version": versions[number // 2 % 2]}
        )
        assert answer.is_success, answer.text
        build: str = answer.json()["id"]
        return build

    with ThreadPoolExecutor(8) as pool:
        asked = set(pool.map(ask, range(8)))
    assert len(asked) == 1
    assert servers[1].until_ended(asked.pop())["status"] == "succeeded"


def test_of_two_builds_that_turn_out_to_be_equal_the_second_takes_what_the_first_makes(
    servers: tuple[Server, Server], repository: str
) -> None:
    one, two = two_at_once(servers, from_git(servers[0], repository))
    ended = [servers[0].until_ended(one), servers[1].until_ended(two)]
    assert [build["status"] for build in ended] == ["succeeded", "succeeded"]
    assert ended[0]["artifact"] == ended[1]["artifact"]
    assert not ran(servers[1], two)
    said = [
        event for event in servers[1].events(two) if event["type"] == "cache.decision" and event["cache"] == "result"
    ]
    assert [event["hit"] for event in said] == [False, True]
    assert said[1]["made_by"] == one


@pytest.mark.parametrize("end", ["cancelled", "failed", "killed"])
def test_when_the_first_of_two_equal_builds_makes_nothing_the_second_builds_itself(
    servers: tuple[Server, Server], repository: str, end: str
) -> None:
    first, second = servers
    # Only the first has the short limit.
    one, two = two_at_once(servers, from_git(first, repository), **({"seconds": 2} if end == "failed" else {}))
    if end == "cancelled":
        assert second.cancel(one).is_success
    if end == "killed":
        first.kill()
    ended = second.until_ended(two)
    assert ended["status"] == "succeeded", ended["failure"]
    assert ran(second, two) or end == "killed"
    # Of the dead server's build the other one takes care.
    expected = {"cancelled": "cancelled", "failed": "failed", "killed": "succeeded"}
    assert second.until_ended(one)["status"] == expected[end]


def _began(server: Server, build: str) -> str:
    return next(str(event["ts"]) for event in server.events(build) if event["type"] == "build.started")


def test_servers_share_the_slots_and_say_why_a_build_waits(environment: dict[str, str], data_dir: Path) -> None:
    environment |= {"HEADRACE_EXECUTOR": "process", "HEADRACE_BUILDS_AT_ONCE": "1"}
    first, second = Server(environment, data_dir), Server(environment, data_dir)
    try:
        first.start()
        second.start()
        busy, late = [first.project(name)["id"] for name in ("busy", "late")]
        many = []
        for number in range(3):
            first.upload(busy, {**FILES, "n": str(number)})
            many.append(first.build(busy)["id"])
        wait_until(lambda: first.see(many[0])["status"] == "building", 30)
        second.upload(late, FILES)
        mine = second.build(late)
        assert mine["waiting"]["ahead"] == 0
        assert "HEADRACE_BUILDS_AT_ONCE=1" in mine["waiting"]["message"]
        assert first.see(many[2])["waiting"]["ahead"] == 2
        for build in (mine["id"], *many):
            second.until_ended(build)
        # Each project has its turn.
        assert sorted([mine["id"], *many], key=lambda build: _began(first, build)) == [many[0], mine["id"], *many[1:]]
        queued = next(event for event in first.events(mine["id"]) if event["type"] == "build.queued")
        assert queued["reason"] == "slots"
    finally:
        second.stop()
        first.stop()
