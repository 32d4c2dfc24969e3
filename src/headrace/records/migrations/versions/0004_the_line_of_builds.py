"""What decides which build is started next: memory that was measured and set aside, and whose turn it was."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for column in (
        sa.Column("reserved_bytes", sa.BigInteger()),
        sa.Column("peak_bytes", sa.BigInteger()),
        sa.Column("framework", sa.String(length=64)),
    ):
        op.add_column("builds", column)
    measured = sa.text("peak_bytes IS NOT NULL")
    for name, first in (("ix_builds_peaks", "project_id"), ("ix_builds_framework_peaks", "framework")):
        op.create_index(name, "builds", [first, "id"], sqlite_where=measured, postgresql_where=measured)
    op.create_table(
        "turns",
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("freed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_turns")),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup: an older Headrace can't read what a newer one wrote")
