"""The database: locked by somebody, gone, damaged or replaced."""

import shutil
import sqlite3
import time
from pathlib import Path

from endurance.injection import fault
from endurance.rig import STEPS, Rig


@fault("F16", "somebody holds the lock of the database")
def locked(rig: Rig) -> None:
    build = rig.any_build(lines=40)
    rig.until_phase(build, rig.random.choice(("queued", *STEPS)))
    with rig.database() as db:
        db.execute("BEGIN EXCLUSIVE")
        end = time.monotonic() + (60 if rig.long else 7)
        while time.monotonic() < end:
            began = time.monotonic()
            answer = rig.server.ask("POST", "/workspaces/default/projects", json={"name": f"l-{began}"})
            assert answer.is_success or answer.json()["code"] == "db.busy", answer.text
            assert rig.server.ask("GET", f"/builds/{build.id}").status_code == 200, "reading waits for the writer"
            time.sleep(0.2)
        db.execute("ROLLBACK")


@fault("F19", "the database is gone or damaged when the server starts")
def lost(rig: Rig) -> None:
    rig.any_build()
    rig.server.stop()
    path = rig.data_dir / "headrace.db"
    kept = path.with_name("kept.db")
    shutil.copy(path, kept)
    damage = rig.random.choice((_remove, _empty, _garbage, _another))
    damage(path)
    try:
        rig.server.start()
    except AssertionError:
        said = rig.server.said()
        assert "database.unusable" in said, said
    else:
        raise AssertionError(f"it started over a database after {damage.__name__}")
    finally:
        kept.replace(path)
    rig.server.start()


@fault("F19b", "the database is replaced while the server runs")
def replaced(rig: Rig) -> None:
    build = rig.any_build(lines=40)
    rig.until_phase(build, rig.random.choice(STEPS))
    path = rig.data_dir / "headrace.db"
    aside = path.with_name("aside.db")
    path.rename(aside)
    path.write_bytes(b"")
    for _ in range(5):
        answer = rig.server.ask("POST", "/workspaces/default/projects", json={"name": "x"})
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "database.unusable"
        time.sleep(0.2)
    aside.replace(path)


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * 4096)


def _another(path: Path) -> None:
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (id INTEGER)")
    db.commit()
    db.close()
