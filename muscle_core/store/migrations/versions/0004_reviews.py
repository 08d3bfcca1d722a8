"""reviews, their causes, and who is asked to review what

Revision: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _sample():
    """Columns that name one sample of one comparison, and who it is for."""
    return (
        sa.Column("old_version_id", sa.String(length=32), nullable=False),
        sa.Column("new_version_id", sa.String(length=32), nullable=False),
        sa.Column("dataset_id", sa.String(length=32), nullable=False),
        sa.Column("split", sa.String(length=80), nullable=False),
        sa.Column("sample_id", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["old_version_id"], ["model_versions.id"]),
        sa.ForeignKeyConstraint(["new_version_id"], ["model_versions.id"]),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
    )


_NAMES = ("old_version_id", "new_version_id", "dataset_id", "split", "sample_id", "reviewer")


def upgrade():
    # No causes are put in: a table without rows means the defaults, and a copy needs an empty database.
    op.create_table(
        "review_causes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "reviews",
        sa.Column("id", sa.String(length=32), nullable=False),
        *_sample(),
        sa.Column("cause_id", sa.String(length=32), nullable=True),
        sa.Column("severity", sa.String(length=20), nullable=True),
        sa.Column("verdict", sa.String(length=40), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("answers", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cause_id"], ["review_causes.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(*_NAMES, name="uq_reviews"),
    )
    op.create_table(
        "review_assignments",
        *_sample(),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(*_NAMES),
    )


def downgrade():
    op.drop_table("review_assignments")
    op.drop_table("reviews")
    op.drop_table("review_causes")
