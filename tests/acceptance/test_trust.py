"""A pull request from a fork: built where everybody can look at it, and nowhere else."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.acceptance.previews.conftest import Preview
from tests.server import Server

pytestmark = pytest.mark.sandbox

#: A page that a program serves, so that its preview has a builder that is awake.
SERVE = """
import http from "node:http"
import fs from "node:fs"
http.createServer((_, answer) => answer.end(fs.readFileSync("page.html"))).listen(process.env.PORT)
"""


def project(page: str) -> dict[str, str]:
    manifest = {"name": "shop", "scripts": {"dev": "node dev.mjs"}}
    settings = '[build]\ncommand = "mkdir dist && cp page.html dist/index.html"\noutput = "dist"\n'
    return {"package.json": json.dumps(manifest), "headrace.toml": settings, "dev.mjs": SERVE, "page.html": page}


def site(server: Server, label: str) -> str:
    return httpx2.get(f"{server.url}/", headers={"Host": f"{label}.localhost:{httpx2.URL(server.url).port}"}).text


def own_page(server: Server, build: dict[str, Any]) -> str:
    return site(server, build["id"].removeprefix("build_"))


def test_what_strangers_propose_is_seen_at_its_own_address_alone(server: Server) -> None:
    shop = server.project("shop")
    preview = Preview(server, shop)
    preview.set(mode="dev")
    sent = preview.send(dict(project("ours")))
    assert sent["status"] == "ready", sent
    ours = server.build(shop["id"], wait=True)
    assert ours["status"] == "succeeded", ours["failure"]

    theirs = server.upload(shop["id"], project("a stranger's"), trust="untrusted")
    answer = server.http.post(
        f"/projects/{shop['id']}/builds", json={"version": theirs["id"], "options": {"wait": True}}, timeout=120
    )
    build = answer.json()
    assert (build["status"], build["options"]["trust"]) == ("succeeded", "untrusted"), build["failure"]
    resolved = next(event for event in server.events(build["id"]) if event["type"] == "source.resolved")
    assert (resolved["version_id"], resolved["trust"]) == (theirs["id"], "untrusted")

    assert own_page(server, build) == "a stranger's"
    assert site(server, "shop") == "ours"
    assert (preview.get().text, preview.state()["version"]) == ("ours", sent["version"])
    # Nobody who names no version gets it.
    assert server.build(shop["id"], wait=True)["id"] == ours["id"]
    edit = preview.send({"page.html": "ours again"})
    assert (edit["status"], preview.get().text) == ("ready", "ours again")
    assert server.build(shop["id"], wait=True)["version_id"] == edit["version"]
    assert site(server, "shop") == "ours again"


def test_the_command_line_sends_a_strangers_directory_as_such(server: Server, tmp_path: Path) -> None:
    def headrace(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-m", "headrace", *arguments]
        return subprocess.run(argv, env=server.environment, capture_output=True, text=True, check=False, timeout=120)

    def up(*options: str) -> Any:
        ended = headrace("up", directory, "--detach", "--json", *options)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    directory = tmp_path / "shop"
    directory.mkdir()
    write(directory, project("ours"))
    ours = up()
    proxy = '[dev.proxy]\n"/api" = "http://127.0.0.1:9"\n'
    write(directory, project("a stranger's") | {"headrace.toml": project("")["headrace.toml"] + proxy})
    theirs = up("--untrusted")
    assert theirs["project_id"] == ours["project_id"]
    assert [site(server, httpx2.URL(one["url"]).host.partition(".")[0]) for one in (theirs, ours)] == [
        "a stranger's",
        "ours",
    ]
    versions = server.http.get(f"/projects/{ours['project_id']}/versions").json()["items"]
    assert [(one["id"], one["trust"]) for one in versions] == [
        (theirs["version"], "untrusted"),
        (ours["version"], "trusted"),
    ]
    # A stranger's file is no word on what the project's page may reach.
    assert not server.http.get(f"/projects/{ours['project_id']}").json()["settings"]["proxy"]
    listed = headrace("builds").stdout
    assert [line.split()[2] for line in listed.splitlines()] == ["trust", "untrusted", "trusted"]


def write(directory: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (directory / path).write_text(text)
