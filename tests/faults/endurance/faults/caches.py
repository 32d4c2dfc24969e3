"""Caches that are damaged, cleaned while they are used, or wanted by many at once."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from endurance import projects
from endurance.injection import fault
from endurance.rig import Rig, Visitor
from headrace.executor._base_system import base_system_name
from headrace.executor._spec import INIT


@fault("F41", "many builds want the same dependencies at once")
def race(rig: Rig) -> None:
    lines = rig.random.randint(1, 1000)
    for _ in range(8 if rig.long else 4):
        # The same install; another page, so that each builds.
        files = projects.counting(f"release-{rig.random.getrandbits(32):08x}", lines=5, install=True)
        rig.ask({**files, "package-lock.json": files["package-lock.json"] + " " * lines}, lines=5)


@fault("F42", "bits of what is stored turn over")
def bit_flips(rig: Rig) -> None:
    first = rig.counting(lines=5, install=True)
    rig.server.until_ended(first.id)
    rig.server.kill()
    for record in (rig.data_dir / "layers").glob("*/layer.json"):
        _flip(rig, record)
    for record in (rig.data_dir / "trees").glob("*/layer.json"):
        _flip(rig, record)
    rig.server.start()
    files = projects.counting(f"release-{rig.random.getrandbits(32):08x}", lines=5, install=True)
    rig.ask(files, lines=5)


@fault("F43", "the caches are cleaned while builds use them")
def cleaned(rig: Rig) -> None:
    def clean() -> None:
        # One by one: a budget would count the tool chains too, which all rigs of this machine share.
        for entry in rig.server.json("GET", "/cache")["items"]:
            if entry["kind"] == "dependencies":
                rig.server.ask("DELETE", f"/cache/{entry['digest']}")

    _built_during(rig, clean)


@fault("F43b", "everything is pruned while builds use it", own_rig=True, long=True)
def pruned(rig: Rig) -> None:
    rig.server.stop()
    _own(rig, "tools")
    rig.server.start()
    _built_during(rig, lambda: rig.server.json("POST", "/cache/prune", json={"bytes": 0}))


def _built_during(rig: Rig, clean: Callable[[], object]) -> None:
    """Builds that each install, while somebody cleans again and again."""
    builds = [rig.counting(lines=20, install=True) for _ in range(3)]
    running = True

    def go_on() -> None:
        while running:
            clean()

    cleaner = threading.Thread(target=go_on)
    cleaner.start()
    try:
        for build in builds:
            rig.server.until_ended(build.id)
    finally:
        running = False
        cleaner.join()


def _own(rig: Rig, kind: str) -> None:
    """Of what all rigs of this machine share, a copy."""
    place = rig.data_dir / kind
    shared = place.resolve()
    place.unlink()
    subprocess.run(["cp", "-a", str(shared), str(place)], check=True)


@fault("F61", "a site is deployed again and again while people visit it")
def switches(rig: Rig) -> None:
    releases = [f"release-{rig.random.getrandbits(32):08x}" for _ in range(3)]
    first = rig.ask(projects.static(releases[0]))
    project = rig.server.until_ended(first.id)["project_id"]
    with Visitor(rig.server.url, first.slug, releases) as visitor:
        for number in range(30 if rig.long else 6):
            rig.server.upload(project, projects.static(releases[number % 3]))
            rig.server.until_ended(rig.server.build(project, force=True)["id"])
    assert visitor.asked > 20
    assert visitor.wrong == [], visitor.wrong[:3]


def _flip(rig: Rig, path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[rig.random.randrange(len(data))] ^= 1 << rig.random.randrange(8)
    path.write_bytes(data)


@fault("F49", "the base system of sandboxes is gone, then damaged", executors=("oci",), own_rig=True, long=True)
def base_system(rig: Rig) -> None:
    rig.server.stop()
    _own(rig, "base")
    rig.server.start()
    root = rig.data_dir / "base" / base_system_name()
    rig.server.until_ended(rig.counting(lines=5).id, seconds=280)
    root.rename(root.with_name("gone"))
    rig.server.until_ended(rig.counting(lines=5).id, seconds=280)
    (root / INIT.lstrip("/")).unlink()
    still = rig.ask(projects.static("nothing runs for it"))
    damaged = rig.counting(lines=5)
    rig.server.until_ended(still.id, seconds=60)
    rig.server.until_ended(damaged.id, seconds=280)
    assert (root / INIT.lstrip("/")).is_file(), "it was not made again"
