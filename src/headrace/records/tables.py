"""
The tables. What is queried is a column; the rest of a value is the JSON column `rest`.

Only types that SQLite and PostgreSQL both have. Times are the ISO texts of the values, except leases, which the
database's own clock decides.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

from headrace.records.compact import DigestBytes, IdBytes, TrustNumber

#: The schema that this code speaks. A test compares it with the newest migration.
SCHEMA = "0005"

#: Constraints need names, so that SQLite's batch migrations can find them again.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_OTHERS = text("workspace <> 'default'")
_SOURCED = text("source_digest IS NOT NULL")
_MEASURED = text("peak_bytes IS NOT NULL")
_UNFINISHED = text("status IN ('queued', 'building')")


def _id() -> Column[str]:
    return Column("id", String(40), primary_key=True)


def _project(*, index: bool = False) -> Column[str]:
    return Column(
        "project_id", String(40), ForeignKey("projects.id", ondelete="CASCADE"), nullable=False, index=index or None
    )


def _digest(name: str, **options: Any) -> Column[str]:
    return Column(name, String(71), **options)


meta = Table("meta", metadata, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False))

projects = Table(
    "projects",
    metadata,
    _id(),
    Column("workspace", String(40), nullable=False),
    Column("slug", String(63), nullable=False, unique=True),
    # Finds the project of a source. JSON itself can't be compared on PostgreSQL.
    _digest("source_digest"),
    Column("rest", JSON, nullable=False),
    # A machine has very many projects in one workspace, or in many small ones. Without an index the first is read backwards.
    Index("ix_projects_other_workspaces", "workspace", "id", sqlite_where=_OTHERS, postgresql_where=_OTHERS),
    Index("ix_projects_source", "workspace", "source_digest", sqlite_where=_SOURCED, postgresql_where=_SOURCED),
)

versions = Table(
    "versions",
    metadata,
    Column("id", IdBytes("ver"), primary_key=True),
    _project(),
    Column("tree", DigestBytes, nullable=False),
    Column("rest", JSON, nullable=False),
    Column("trust", TrustNumber, nullable=False, server_default="0"),
    # With the trust, so that the newest trusted version is found without a look at those that strangers sent since.
    Index("ix_versions_newest", "project_id", "id", "trust"),
    sqlite_with_rowid=False,
)

builds = Table(
    "builds",
    metadata,
    _id(),
    Column("workspace", String(40), nullable=False),
    _project(),
    Column("version_id", String(40)),
    Column("status", String(16), nullable=False),
    _digest("result_key"),
    _digest("artifact"),
    Column("active", Boolean, nullable=False, server_default=false()),
    Column("seen", BigInteger, nullable=False),
    Column("rest", JSON, nullable=False),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    # Who works on it. Never written by a fold.
    Column("worker", String(80)),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("lease_until", Float),
    # Memory that was set aside for it when it was started. Counts as long as the lease.
    Column("reserved_bytes", BigInteger),
    # What its commands used at most, and what it was made with: builds after it are taken to need as much.
    Column("peak_bytes", BigInteger),
    Column("framework", String(64)),
    Index(None, "project_id", "id"),
    Index(None, "project_id", "result_key"),
    Index(None, "workspace", "id"),
    Index(None, "workspace", "status", "id"),
    Index("ix_builds_peaks", "project_id", "id", sqlite_where=_MEASURED, postgresql_where=_MEASURED),
    Index("ix_builds_framework_peaks", "framework", "id", sqlite_where=_MEASURED, postgresql_where=_MEASURED),
    Index("ix_builds_unfinished", "id", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
)

#: When a project or a workspace last had a build that ran, kept as long as it has others that wait.
turns = Table(
    "turns",
    metadata,
    Column("owner", String(40), primary_key=True),
    Column("freed_at", Float, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    _digest("digest", primary_key=True),
    Column("files", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    _id(),
    _project(),
    Column("build_id", String(40), ForeignKey("builds.id", ondelete="CASCADE"), nullable=False, index=True),
    _digest("artifact", nullable=False, index=True),
    Column("label", String(63), nullable=False, unique=True),
    Column("rest", JSON, nullable=False),
    Index(None, "project_id", "id"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("label", String(63), primary_key=True),
    _project(index=True),
    Column("deployment_id", String(40), ForeignKey("deployments.id", ondelete="CASCADE"), nullable=False, index=True),
)

results = Table(
    "results",
    metadata,
    Column("project_id", String(40), ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    _digest("digest", primary_key=True),
    Column("build_id", String(40), ForeignKey("builds.id", ondelete="CASCADE"), nullable=False, index=True),
    _digest("artifact", nullable=False, index=True),
    Column("seconds", Float, nullable=False),
    Column("inputs", JSON, nullable=False),
)

#: The inputs of a project's newest key for each cache: what a miss is explained with.
last_inputs = Table(
    "last_inputs",
    metadata,
    Column("project_id", String(40), ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("cache", String(16), primary_key=True),
    _digest("digest", nullable=False),
    Column("inputs", JSON, nullable=False),
)

#: What the caches answered to a build, so that nobody reads a long log to find four lines.
cache_decisions = Table(
    "cache_decisions",
    metadata,
    Column("build_id", String(40), ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("event", JSON, nullable=False),
)

#: Values are sealed; the fingerprint tells whether one changed, to whoever has the key.
secrets = Table(
    "secrets",
    metadata,
    Column("project_id", String(40), ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    _digest("fingerprint", nullable=False),
    Column("masked", Boolean, nullable=False),
    Column("set_at", String(40), nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("body_digest", String(71), nullable=False),
    Column("begun_at", Float, nullable=False, index=True),
    Column("response", JSON),
)
