"""
The four rules of isolation of SLSA's third build level (https://slsa.dev/spec/v1.0/requirements#isolated), each tried by builds
that would break it: no secret of the platform can be read, builds of the same time do not touch each other, none leaves anything
for a later one, and none puts anything into a cache that others read.

Each yields what was wrong in one round, nothing if all was right.
"""

import base64
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from endurance.projects import Files
from endurance.rig import Rig

_PROGRAMS = Path(__file__).with_name("strangers")
#: A word of the server's own environment, as the password of its database would be.
CANARY = "platform-canary-7d1f0c"

Round = Callable[[Rig, Sequence[str]], list[str]]
"""Of a rig, and of secrets that nobody may see."""


def new_secrets(rig: Rig) -> list[str]:
    """Secrets of the platform: a word in the server's environment, for which it is started anew, and what it has made itself."""
    rig.server.stop()
    rig.server.environment["DATABASE_PASSWORD"] = CANARY
    rig.server.start()
    return [CANARY, (rig.data_dir / "token").read_text().strip(), (rig.data_dir / "secret").read_bytes().hex()]


def tried(rig: Rig, rule: str, rounds: int) -> Iterator[list[str]]:
    assert rig.executor != "process", "there they would reach the whole machine"
    secrets = new_secrets(rig)
    for _ in range(rounds):
        yield RULES[rule](rig, secrets)


def _secrets_are_out_of_reach(rig: Rig, secrets: Sequence[str]) -> list[str]:
    paths = [str(path) for path in rig.data_dir.iterdir() if path.is_file()]
    argv = ["python3", "loot.py", rig.server.url.rpartition(":")[2], *paths]
    slug, build = _built(rig, _python("loot.py", shlex.join(argv)))
    loot = rig.server.site(slug, "/loot.bin").content + rig.server.log_path(build).read_bytes()
    assert b"PATH=" in loot, "the build could not even read its own environment"
    forms = {form for secret in secrets for form in _forms(secret)}
    answers = rig.server.site(slug, "/answers.txt").text
    wrong = [f"a secret of the platform: {form!r}" for form in sorted(forms) if form in loot]
    return wrong + ([f"an answer of a service: {answers[:200]}"] if answers else [])


def _builds_of_the_same_time_do_not_touch(rig: Rig, _: Sequence[str]) -> list[str]:
    attacker = rig.ask(_python("attack.py", "python3 attack.py"))
    rig.server.until_logged(attacker.id, '"line":"attacks"')
    slug, _ = _built(rig, _python("victim.py", "python3 victim.py"))
    row = rig.server.until_ended(attacker.id)
    assert row["status"] == "succeeded", row["failure"]
    page = rig.server.site(slug).text
    return [] if page == "noticed []" else [page]


def _nothing_stays_for_the_next(rig: Rig, _: Sequence[str]) -> list[str]:
    project = rig.server.project(f"stays-{rig.random.getrandbits(32):08x}")
    pages = []
    for program in ("plant.py", "look.py"):
        rig.server.upload(project["id"], _python(program, f"python3 {program}"))
        row = rig.server.until_ended(rig.server.build(project["id"])["id"])
        assert row["status"] == "succeeded", row["failure"]
        pages.append(rig.server.site(project["slug"]).text)
    other, _ = _built(rig, _python("look.py", "python3 look.py"))
    assert int(pages[0].removeprefix("left ")) > 3, pages[0]
    return [page for page in (pages[1], rig.server.site(other).text) if page != "found []"]


def _caches_can_not_be_forged(rig: Rig, _: Sequence[str]) -> list[str]:
    """A stranger's build, ours of the same files, the stranger's again, and ours again: with nothing of the stranger's in it."""
    name = f"forged-{rig.random.getrandbits(32):08x}"
    project = rig.server.project(name)["id"]
    said: dict[str, list[str]] = {"untrusted": [], "trusted": []}
    for trust in ("untrusted", "trusted", "untrusted", "trusted"):
        version = rig.server.upload(project, _installing(name), trust=trust)
        body = {"version": version["id"], "options": {"force": True}}
        build = rig.server.json("POST", f"/projects/{project}/builds", json=body)["id"]
        row = rig.server.until_ended(build)
        assert row["status"] == "succeeded", row["failure"]
        said[trust].append(rig.server.site(build.removeprefix("build_")).text)
    first, second = said["trusted"]
    wrong = [f"a stranger's word: {first}"] if first in said["untrusted"][:1] else []
    wrong += [f"ours was {first} and is {second}"] if first != second else []
    damaged = rig.server.json("POST", "/cache/verify")["damaged"]
    return wrong + [f"damaged: {one}" for one in damaged]


RULES: dict[str, Round] = {
    "secrets": _secrets_are_out_of_reach,
    "overlap": _builds_of_the_same_time_do_not_touch,
    "remains": _nothing_stays_for_the_next,
    "caches": _caches_can_not_be_forged,
}


def noticed(rig: Rig) -> dict[str, str]:
    """What the programs find when they work in one build with what they look for: each must find something."""
    together = {
        "overlap": "python3 attack.py sh python3 & python3 victim.py; wait",
        "remains": "python3 plant.py && python3 look.py",
        "secrets": f"DATABASE_PASSWORD={CANARY} python3 loot.py 1",
    }
    files: dict[str, str] = {path.name: path.read_text() for path in _PROGRAMS.glob("*.py")}
    pages = {}
    for rule, command in together.items():
        slug, _ = _built(rig, {**_python("look.py", command), **files})
        pages[rule] = rig.server.site(slug, "/loot.bin" if rule == "secrets" else "/").text
    return pages


def _built(rig: Rig, files: Files) -> tuple[str, str]:
    """Name of the site, and id of the build that made it."""
    build = rig.ask(files)
    row = rig.server.until_ended(build.id)
    assert row["status"] == "succeeded", row["failure"]
    return build.slug, build.id


def _python(program: str, command: str) -> Files:
    table = f'[build]\ncommand = {json.dumps(command)}\noutput = "dist"\n'
    return {"headrace.toml": table, program: (_PROGRAMS / program).read_text()}


def _installing(name: str) -> Files:
    """Installed anew, because nobody has installed something of this name."""
    package = {"name": name, "version": "1.0.0", "scripts": {"install": "node install.js", "build": "node build.js"}}
    root = {"name": name, "version": "1.0.0", "hasInstallScript": True}
    lock = {"name": name, "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": {"": root}}
    return {
        "package.json": json.dumps(package),
        "package-lock.json": json.dumps(lock),
        "headrace.toml": '[build]\noutput = "dist"\n',
        **{name: (_PROGRAMS / name).read_text() for name in ("install.js", "build.js")},
    }


def _forms(secret: str) -> Iterator[bytes]:
    data = secret.encode()
    yield data
    yield data.hex().encode()
    yield base64.b64encode(data).rstrip(b"=")[:-1]
    try:
        yield bytes.fromhex(secret)
    except ValueError:
        return
