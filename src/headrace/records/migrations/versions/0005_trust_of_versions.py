"""Versions have a trust. Those that are there are trusted: that is what they were taken for."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("versions", sa.Column("trust", sa.SmallInteger(), server_default="0", nullable=False))
    op.drop_index("ix_versions_project_id_id", table_name="versions")
    op.create_index("ix_versions_newest", "versions", ["project_id", "id", "trust"])


def downgrade() -> None:
    raise NotImplementedError("restore a backup: an older Headrace can't read what a newer one wrote")
