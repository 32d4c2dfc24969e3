"""One call is all an agent needs: it sends files, and is told whether the page shows them. A real server, a real page."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest


@pytest.fixture(scope="module")
def client(api_url: str, api_token: str) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {api_token}"}
    with httpx2.Client(base_url=f"{api_url}/api/v1", headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def project(client: httpx2.Client) -> str:
    made = client.post("/workspaces/default/projects", json={"name": "Synced"}).raise_for_status()
    return str(made.json()["id"])


def sync(client: httpx2.Client, project: str, files: dict[str, str], **fields: Any) -> httpx2.Response:
    listed = [{"path": path, "content": content} for path, content in files.items()]
    return client.post(f"/projects/{project}/sync", json={"files": listed, **fields})


def test_the_answer_comes_when_the_page_shows_the_change(client: httpx2.Client, project: str) -> None:
    for text in ("hello", "hello again"):
        answer = sync(client, project, {"index.html": f"<h1>{text}</h1>"}, wait=True)
        body = answer.json()
        assert (answer.status_code, body["status"]) == (200, "ready"), answer.text
        assert body["served_version"] == body["version"]
        assert body["url"] == body["preview"]["url"]
    same = sync(client, project, {"index.html": "<h1>hello again</h1>"}, wait=True).json()
    assert (same["status"], same["version"], same["served_version"]) == ("no_changes", body["version"], body["version"])


def test_two_agents_on_different_lines_of_one_file_both_win(client: httpx2.Client, project: str) -> None:
    lines = [f"<p>{n}</p>\n" for n in range(12)]
    base = sync(client, project, {"index.html": "".join(lines)}).json()["version"]
    answers: list[httpx2.Response] = []

    def agent(line: int) -> None:
        mine = [f"<p>agent {at}</p>\n" if at == line else text for at, text in enumerate(lines)]
        answers.append(sync(client, project, {"index.html": "".join(mine)}, base_version=base, wait=True))

    agents = [threading.Thread(target=agent, args=(line,)) for line in (0, 5, 11)]
    for one in agents:
        one.start()
    for one in agents:
        one.join(60)
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "ready")] * 3
    newest = max(answer.json()["version"] for answer in answers)
    difference = client.get(f"/versions/{newest}/changes", params={"against": base}).json()["code_diff"]
    added = [line for hunk in difference["index.html"]["hunks"] for line in hunk["lines"] if line[0] == "+"]
    assert added == ["+<p>agent 0</p>\n", "+<p>agent 5</p>\n", "+<p>agent 11</p>\n"]


def test_two_agents_on_one_line_hear_of_each_other(client: httpx2.Client, project: str) -> None:
    base = sync(client, project, {"index.html": "<p>1</p>\n"}).json()["version"]
    first = sync(client, project, {"index.html": "<p>first</p>\n"}, base_version=base).json()["version"]
    second = sync(client, project, {"index.html": "<p>second</p>\n"}, base_version=base)
    body = second.json()
    assert (second.status_code, body["code"], body["version"]) == (409, "version.conflict", first)
    (hunk,) = body["conflicts"][0]["hunks"]
    assert (hunk["ours"], hunk["theirs"]) == (["<p>first</p>\n"], ["<p>second</p>\n"])
    # What the answer says is enough to go on.
    again = sync(client, project, {"index.html": "<p>first and second</p>\n"}, base_version=body["version"], wait=True)
    assert again.json()["status"] == "ready"
