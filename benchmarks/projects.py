"""
Many projects on one machine: bytes, time and memory of 100,000 that were made from one template with one file changed in each.

    python benchmarks/projects.py [--projects 100000] [--keep DIR]

They are made by what the service itself calls: a project's row, its changed file and its tree in the store, its version's row,
a few hundred to a transaction. Beside that, in the same run, is the limit: a bare loop that writes the same differences with
one dictionary into a SQLite file that has nothing else; and what copies of the directory take. The server is started with no
project and with all of them. `--keep` leaves the data directory for other measurements.
"""

import argparse
import asyncio
import json
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from _server import server
from backports import zstd
from sqlalchemy import insert

from headrace.bootstrap import open_services
from headrace.collect import collect_blobs
from headrace.disk import measure
from headrace.model.digest import Digest, digest_of
from headrace.model.ids import made_at, new_id
from headrace.model.project import Project
from headrace.model.version import Author, Tree, Version
from headrace.pipeline.services import Services
from headrace.pipeline.source import add_version
from headrace.records import projects, tables
from headrace.records.rows import to_row
from headrace.settings import Settings
from headrace.source.base import Fetched
from headrace.tree import canonical, load_tree

FILES = 20
FILE_BYTES = 6950
CHANGED = "src/part-07.tsx"
BATCH = 500
WORDS = [
    "const",
    "return",
    "import",
    "export",
    "from",
    "value",
    "props",
    "state",
    "effect",
    "className",
    "div",
    "span",
    "onClick",
    "href",
    "items",
    "map",
    "key",
]


class Template(NamedTuple):
    root: Path
    version: Version
    tree: Tree
    changed: bytes
    digest: Digest


class Size(NamedTuple):
    """Bytes of a data directory."""

    all: int
    blobs: int
    rows: int
    indexes: int


def write_template(root: Path) -> None:
    chance = random.Random(9)  # noqa: S311 - not a secret
    for number in range(FILES):
        file = root / f"src/part-{number:02}.tsx"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = (" ".join(chance.choices(WORDS, k=8)) + f" {chance.randrange(10**6)}" for _ in iter(int, 1))
        text = ""
        while len(text) < FILE_BYTES:
            text += next(lines) + "\n"
        file.write_text(text[:FILE_BYTES])


def edit(template: bytes, number: int) -> bytes:
    """What a user makes of the file: a line in the middle that nobody else has."""
    at = template.index(b"\n", len(template) // 2) + 1
    return (
        template[:at]
        + b"<h1>Welcome to project %d, %s</h1>\n" % (number, digest_of(b"%d" % number)[7:19].encode())
        + template[at:]
    )


async def make_template(services: Services, root: Path) -> Template:
    project_id = new_id("prj")
    project = Project(
        id=project_id, workspace="default", name="Template", slug="template", created_at=made_at(project_id)
    )
    async with services.db.write() as c:
        await projects.insert(c, project)
    fetched = Fetched(root=root, paths=None, author=Author(kind="user", name="bench"))
    version = await add_version(services, project, fetched)
    changed = (root / CHANGED).read_bytes()
    return Template(root, version, await load_tree(services.store, version.tree), changed, digest_of(changed))


async def make_projects(services: Services, template: Template, numbers: range) -> None:
    for first in numbers[::BATCH]:
        await make_batch(services, template, range(first, min(first + BATCH, numbers.stop)))


async def make_batch(services: Services, template: Template, numbers: range) -> None:
    files = [edit(template.changed, number) for number in numbers]
    trees = [changed_tree(template.tree, data) for data in files]
    blobs = [blob for data, tree in zip(files, trees, strict=True) for blob in (data, canonical(tree))]
    stored = await services.store.put_many(blobs, likes=[template.digest, template.version.tree] * len(files))
    made = [new_project(number) for number in numbers]
    first = [
        new_version(project, tree, digest) for project, tree, digest in zip(made, trees, stored[1::2], strict=True)
    ]
    async with services.db.write() as c:
        await c.execute(insert(tables.projects), [to_row(tables.projects, project) for project in made])
        await c.execute(insert(tables.versions), [to_row(tables.versions, version) for version in first])


def new_project(number: int) -> Project:
    made = new_id("prj")
    return Project(
        id=made,
        workspace="default",
        name=f"Project {number}",
        slug=f"project-{number}",
        created_at=made_at(made),
    )


def new_version(project: Project, tree: Tree, digest: Digest) -> Version:
    made = new_id("ver")
    return Version(
        id=made,
        project_id=project.id,
        tree=digest,
        author=Author(kind="agent", name="bench"),
        files=len(tree.files),
        bytes=sum(file.size for file in tree.files),
        created_at=made_at(made),
    )


def changed_tree(tree: Tree, data: bytes) -> Tree:
    files = (
        file.model_copy(update={"digest": digest_of(data), "size": len(data)}) if file.path == CHANGED else file
        for file in tree.files
    )
    return Tree(files=tuple(files))


def sizes(data_dir: Path) -> Size:
    """Of a data directory that nobody has open."""
    blobs = rows = indexes = 0
    for path in (data_dir / "headrace.db", data_dir / "blobs/packed.db"):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            query = "SELECT s.type, sum(d.pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name GROUP BY s.type"
            found = dict(database.execute(query).fetchall())
        indexes += found.get("index", 0)
        if path.parent.name == "blobs":
            blobs += found.get("table", 0)
        else:
            rows += found.get("table", 0)
    return Size(measure(data_dir)[0], blobs, rows, indexes)


def own_bytes(data_dir: Path, count: int) -> float:
    """Of one project, what nobody else has: its changed file, as it is stored."""
    with closing(sqlite3.connect(data_dir / "blobs/packed.db")) as database:
        total = database.execute(
            "SELECT sum(length(data)) FROM blob WHERE size BETWEEN ? AND ?", (FILE_BYTES + 1, FILE_BYTES + 100)
        ).fetchone()[0]
    return float(total) / count


def limit_of(directory: Path, template: Template, count: int) -> tuple[float, float]:
    """Bytes and microseconds of one project in a bare loop."""
    base = canonical(template.tree)
    prefix = zstd.ZstdDict(base + template.changed, is_raw=True).as_digested_dict
    began = time.perf_counter()
    with closing(sqlite3.connect(directory / "limit.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE project (id INTEGER PRIMARY KEY, tree BLOB, file BLOB)")
        for first in range(0, count, BATCH):
            database.execute("BEGIN")
            for number in range(first, min(first + BATCH, count)):
                data = edit(template.changed, number)
                manifest = json.dumps([CHANGED, len(data), digest_of(data)[7:]]).encode()
                row = (zstd.compress(manifest, zstd_dict=prefix), zstd.compress(data, zstd_dict=prefix))
                database.execute("INSERT INTO project (tree, file) VALUES (?, ?)", row)
            database.execute("COMMIT")
    seconds = time.perf_counter() - began
    return (directory / "limit.db").stat().st_size / count, seconds / count * 1e6


def copies(directory: Path, template: Template, count: int) -> tuple[float, float]:
    began = time.perf_counter()
    for number in range(count):
        shutil.copytree(template.root, directory / f"copies/{number}")
    return measure(directory / "copies")[0] / count, (time.perf_counter() - began) / count * 1e6


def look(data_dir: Path) -> dict[str, float]:
    """Memory and answers of a server over this data directory."""
    with server(data_dir, executor="process") as client:
        found: dict[str, float] = {"memory": memory(data_dir)}
        ids: list[str] = []
        for name, path in (("page of 50", "?limit=50"), ("page of 100", "?limit=100")):
            times = []
            for _ in range(15):
                began = time.perf_counter()
                answer = client.get(f"/workspaces/default/projects{path}")
                times.append(time.perf_counter() - began)
                answer.raise_for_status()
            ids = [item["id"] for item in answer.json()["items"]]
            found[name] = statistics.median(times) * 1e3
        times = []
        for number in ids[:50]:
            began = time.perf_counter()
            client.get(f"/projects/{number}").raise_for_status()
            times.append(time.perf_counter() - began)
        found["one project"] = statistics.median(times) * 1e3 if times else 0.0
        return found


def memory(data_dir: Path) -> float:
    pid = json.loads((data_dir / "server.json").read_text())["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


async def cold_reads(services: Services, template: Template, count: int) -> dict[str, float]:
    """Microseconds to read a changed file by its digest, and to open, read and check a file of the same size."""
    chance = random.Random(1)  # noqa: S311 - not a secret
    numbers = [chance.randrange(count) for _ in range(min(count, 2000))]
    contents = [edit(template.changed, number) for number in numbers]
    digests = [digest_of(data) for data in contents]
    began = time.perf_counter()
    for digest in digests:
        await services.store.read(digest)
    packed = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as directory:
        for digest, data in zip(digests, contents, strict=True):
            (Path(directory) / digest).write_bytes(data)
        began = time.perf_counter()
        for digest in digests:
            await asyncio.to_thread(read_checked, Path(directory) / digest)
        plain = time.perf_counter() - began
    return {"read_us": packed / len(digests) * 1e6, "file_us": plain / len(digests) * 1e6}


def read_checked(path: Path) -> Digest:
    return digest_of(path.read_bytes())


@contextmanager
def place(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


async def run(data_dir: Path, root: Path, count: int) -> tuple[Template, Size, dict[str, float]]:
    settings = Settings(data_dir=data_dir, executor="process")
    async with open_services(settings) as services:
        template = await make_template(services, root)
    before = sizes(data_dir)
    async with open_services(settings) as services:
        began = time.perf_counter()
        await make_projects(services, template, range(count))
        made = (time.perf_counter() - began) / count * 1e6
        print(f"made {count:,} in {made * count / 1e6:.1f} s", flush=True)
        reads = await cold_reads(services, template, count)
        began = time.perf_counter()
        removed = await collect_blobs(services)
        assert removed.blobs == 0, removed
        return template, before, {"made_us": made, **reads, "collect_s": time.perf_counter() - began}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=100_000)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    count: int = options.projects
    with tempfile.TemporaryDirectory() as directory, place(options.keep) as data_dir:
        work = Path(directory)
        write_template(work / "template")
        (work / "empty").mkdir()
        empty = look(work / "empty")
        template, before, times = asyncio.run(run(data_dir, work / "template", count))
        after = sizes(data_dir)
        own = own_bytes(data_dir, count)
        bare, bare_us = limit_of(work, template, count)
        copy, copy_us = copies(work, template, min(count, 200))
        report(count, before, after, own, times, (bare, bare_us, copy, copy_us), empty, look(data_dir))


def report(
    count: int,
    before: Size,
    after: Size,
    own: float,
    times: dict[str, float],
    limits: tuple[float, float, float, float],
    empty: dict[str, float],
    full: dict[str, float],
) -> None:
    bare, bare_us, copy, copy_us = limits
    each = {name: (new - old) / count for name, new, old in zip(Size._fields, after, before, strict=True)}
    print(f"{count:,} projects, one template of {FILES} files, one file changed in each")
    print(f"  bytes of one: {each['all']:,.0f} (blobs {each['blobs']:,.0f}, rows {each['rows']:,.0f}, ", end="")
    print(f"indexes {each['indexes']:,.0f}); {own:.0f} of them are its own changed file")
    print(f"  beyond what is its own: {each['all'] - own:,.0f} (aim: at most 500)")
    print(f"  a bare loop: {bare:,.0f} bytes, ratio {each['all'] / bare:.1f}; a copy of the directory: {copy:,.0f}")
    print(f"  time to make one: {times['made_us']:,.0f} us; a bare loop {bare_us:,.0f}; a copy {copy_us:,.0f}")
    print(f"  reading a cold changed file: {times['read_us']:,.0f} us; from a file of its own {times['file_us']:,.0f}")
    print(f"  a collection of garbage that finds none: {times['collect_s']:.1f} s")
    for name, value in full.items():
        print(f"  server, {name}: {value:,.1f} {'MB' if name == 'memory' else 'ms'} (with none: {empty[name]:,.1f})")
    found = {**{f"bytes_{name}": round(value, 1) for name, value in each.items()}, "own_bytes": round(own, 1)}
    found |= {"limit_bytes": round(bare, 1), "limit_us": round(bare_us, 1), "copy_bytes": round(copy)}
    found |= {name: round(value, 2) for name, value in times.items()}
    found |= {f"server_{name}".replace(" ", "_"): round(value, 2) for name, value in full.items()}
    print(json.dumps({"benchmark": "projects", "projects": count, **found, "server_memory_empty": empty["memory"]}))


if __name__ == "__main__":
    main()
