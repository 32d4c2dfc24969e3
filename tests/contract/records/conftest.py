"""What the suites of the records share: a database of each kind, and things in it."""

import os
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from headrace.model.build import Build, BuildStatus
from headrace.model.deployment import Deployment
from headrace.model.digest import Digest
from headrace.model.ids import new_id
from headrace.model.job import Lease
from headrace.model.line import next_of
from headrace.model.plan import CacheKey, KeyInput
from headrace.model.project import Project
from headrace.model.version import Author, Version
from headrace.records import builds, deployments, line, projects, versions
from headrace.records.database import Database, sqlite_url

NOW = "2026-11-20T12:00:00.000Z"
_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgresql"] if os.environ.get("TEST_POSTGRES") else ["sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "headrace.db") if request.param == "sqlite" else os.environ["TEST_POSTGRES"]


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    opened = await Database.open(url)
    yield opened
    async with opened.write() as c:
        await c.execute(text("DELETE FROM projects"))
        await c.execute(text("DELETE FROM idempotency"))
    await opened.close()


@pytest.fixture
async def project(db: Database) -> Project:
    return await made_project(db)


async def made_project(db: Database, **fields: object) -> Project:
    n = next(_numbers)
    given = {"id": new_id("prj"), "workspace": "default", "name": f"p{n}", "slug": f"p{n}", "created_at": NOW, **fields}
    made = Project.model_validate(given)
    async with db.write() as c:
        await projects.insert(c, made)
    return made


async def made_build(db: Database, project: Project, **fields: object) -> Build:
    made = Build.model_validate({"id": new_id("build"), "project_id": project.id, "created_at": NOW, **fields})
    async with db.write() as c:
        await builds.save(c, made)
    return made


async def made_version(db: Database, project: Project, tree: Digest, **fields: object) -> Version:
    author = Author(kind="user", name="ada")
    version = Version(
        id=new_id("ver"),
        project_id=project.id,
        tree=tree,
        author=author,
        files=1,
        bytes=2,
        created_at=NOW,
        commit="c" * 40,
    ).but(**fields)
    async with db.write() as c:
        await versions.insert(c, version)
    return version


async def made_deployment(db: Database, build: Build) -> Deployment:
    made = Deployment(
        id=new_id("dpl"),
        project_id=build.project_id,
        build_id=build.id,
        artifact=digest("d"),
        label=build.id.removeprefix("build_"),
        created_at=NOW,
    )
    async with db.write() as c:
        await deployments.insert(c, made)
    return made


def digest(letter: str) -> Digest:
    return f"sha256:{letter * 64}"


def key(letter: str) -> CacheKey:
    return CacheKey(digest=digest(letter), inputs=(KeyInput(name="file package-lock.json", digest=digest("f")),))


async def claim(db: Database, worker: str = "w1", build_id: str | None = None, seconds: float = 20) -> Lease | None:
    """Without an id, the one whose turn it is."""
    async with db.write() as c:
        if build_id is None:
            chosen = next_of(await line.line(c))
            build_id = chosen.build_id if chosen else None
        return await builds.claim(c, build_id, worker, seconds, reserved_bytes=1) if build_id else None


async def release(db: Database, lease: Lease) -> None:
    async with db.write() as c:
        await line.end_turn(c, lease)
        await builds.release(c, lease)


async def end(db: Database, lease: Lease, **fields: object) -> None:
    """The build of the lease succeeds, and is given back."""
    async with db.write() as c:
        build = await builds.get(c, lease.build_id)
        assert build
        await builds.save(c, build.but(status=BuildStatus.SUCCEEDED, **fields))
    await release(db, lease)
