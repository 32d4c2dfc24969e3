"""Smaller rows of versions, and indexes for those projects only that they are asked for."""

import sqlalchemy as sa
from alembic import op

from headrace.records.compact import id_bytes

revision = "0002"
down_revision = "0001"

_AT_ONCE = 1000


def upgrade() -> None:
    op.drop_index("ix_projects_workspace_id", table_name="projects")
    op.drop_index("ix_projects_workspace_source_digest", table_name="projects")
    others, sourced = sa.text("workspace <> 'default'"), sa.text("source_digest IS NOT NULL")
    op.create_index(
        "ix_projects_other_workspaces",
        "projects",
        ["workspace", "id"],
        sqlite_where=others,
        postgresql_where=others,
    )
    op.create_index(
        "ix_projects_source", "projects", ["workspace", "source_digest"], sqlite_where=sourced, postgresql_where=sourced
    )
    # Names of constraints are free again before the new table takes them.
    op.execute("CREATE TABLE versions_before AS SELECT * FROM versions")
    op.drop_table("versions")
    op.create_table(
        "versions",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("tree", sa.LargeBinary(), nullable=False),
        sa.Column("rest", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_versions_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sqlite_with_rowid=False,
    )
    _copy(op.get_bind())
    op.drop_table("versions_before")
    op.create_index(op.f("ix_versions_project_id_id"), "versions", ["project_id", "id"], unique=False)


def _copy(connection: sa.Connection) -> None:
    page = sa.text("SELECT id, project_id, tree, rest FROM versions_before WHERE id > :after ORDER BY id LIMIT :most")
    add = sa.text("INSERT INTO versions (id, project_id, tree, rest) VALUES (:id, :project_id, :tree, :rest)")
    after = ""
    while rows := connection.execute(page, {"after": after, "most": _AT_ONCE}).mappings().all():
        after = rows[-1]["id"]
        packed = [
            {**row, "id": id_bytes("ver", row["id"]), "tree": bytes.fromhex(row["tree"].removeprefix("sha256:"))}
            for row in rows
        ]
        connection.execute(add, packed)


def downgrade() -> None:
    raise NotImplementedError("restore a backup: an older Headrace can't read what a newer one wrote")
