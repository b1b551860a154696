"""What only a demo and its sandbox need: a clock that can be moved, and the outbox's order."""

from alembic import op

revision = "0010_demo_clock"
down_revision = "0009_messages"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE demo_clock (
            id boolean PRIMARY KEY DEFAULT true CHECK (id),
            shift interval NOT NULL
        )""")
    op.execute("GRANT SELECT, INSERT, UPDATE ON demo_clock TO hub_app")
    op.execute("GRANT SELECT ON demo_clock TO hub_watch")
    op.execute("""
        CREATE INDEX message_attempts_in_outbox ON message_attempts (tenant_id, started_at, id)
        WHERE vendor = 'sandbox'""")


def downgrade() -> None:
    op.execute("DROP INDEX message_attempts_in_outbox")
    op.execute("DROP TABLE demo_clock")
