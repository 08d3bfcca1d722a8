"""model versions: declared replicas

Revision: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade():
    # In one statement with its reference: nothing is copied, and SQLite cannot add a reference later.
    op.execute("ALTER TABLE model_versions ADD COLUMN replica_of VARCHAR(32) REFERENCES model_versions (id)")


def downgrade():
    with op.batch_alter_table("model_versions") as batch:
        batch.drop_column("replica_of")
