"""jobs: leases, places, slots, needs and history

Revision: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NEW = (
    ("priority", sa.Integer(), "0"),
    ("slot", sa.String(length=10), "any"),
    ("attempts", sa.Integer(), "0"),
    ("saves", sa.Integer(), "0"),
    ("saves_at_claim", sa.Integer(), "0"),
)


def upgrade():
    # Column by column: nothing is copied, so nothing of the table can get lost on the way.
    for name, kind, value in _NEW:  # rows that are there need a value; new ones bring theirs
        op.add_column("jobs", sa.Column(name, kind, nullable=False, server_default=value))
    op.add_column("jobs", sa.Column("blocked_by", sa.String(length=32), nullable=True))
    op.add_column("jobs", sa.Column("machine", sa.String(length=300), nullable=True))
    op.add_column("jobs", sa.Column("device", sa.String(length=20), nullable=True))
    op.add_column("jobs", sa.Column("log_tail", sa.Text(), nullable=True))
    # A worker of the earlier version wrote when it was last there; its lease is over from then on.
    op.execute("ALTER TABLE jobs RENAME COLUMN heartbeat TO lease_until")
    op.create_table(
        "job_needs",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("needed_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.ForeignKeyConstraint(["needed_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "needed_id"),
    )
    op.create_index("ix_job_needs_needed", "job_needs", ["needed_id"])
    op.create_table(
        "job_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("what", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("worker", sa.String(length=80), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_job_events_job_id", "job_events", ["job_id"])


def downgrade():
    op.drop_table("job_events")
    op.drop_table("job_needs")
    op.execute("ALTER TABLE jobs RENAME COLUMN lease_until TO heartbeat")
    for name in ("log_tail", "device", "machine", "blocked_by", *(name for name, _, _ in reversed(_NEW))):
        op.drop_column("jobs", name)
