"""The head of each person's inbox, and notifications."""

from alembic import op

from migrations.row_security import guard, show_to_watch

revision = "0003_inbox"
down_revision = "0002_audit"


def upgrade() -> None:
    # Heads are updated all the time and have one index on a column that never changes: room on the page keeps
    # those updates off the index (HOT).
    op.execute("""
        CREATE TABLE inbox_heads (
            person_id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants,
            epoch uuid NOT NULL DEFAULT gen_random_uuid(),
            seq bigint NOT NULL DEFAULT 0,
            unread integer NOT NULL DEFAULT 0 CHECK (unread >= 0),
            FOREIGN KEY (tenant_id, person_id) REFERENCES staff (tenant_id, id)
        ) WITH (fillfactor = 70)""")
    guard("inbox_heads", "SELECT, INSERT, UPDATE")
    show_to_watch("inbox_heads", "person_id, seq, unread, epoch")
    op.execute("""
        CREATE TABLE notifications (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            tenant_id uuid NOT NULL REFERENCES tenants,
            person_id uuid NOT NULL,
            number bigint NOT NULL,
            seq bigint NOT NULL,
            title text NOT NULL,
            body text NOT NULL,
            kind text NOT NULL,
            level text NOT NULL CHECK (level IN ('info', 'success', 'warning', 'error')),
            priority text NOT NULL CHECK (priority IN ('critical', 'high', 'medium', 'low')),
            related_type text,
            related_id uuid,
            link text,
            facts jsonb NOT NULL DEFAULT '{}',
            read_at timestamptz,
            archived_at timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            FOREIGN KEY (tenant_id, person_id) REFERENCES staff (tenant_id, id),
            UNIQUE (person_id, number)
        )""")
    op.execute("CREATE INDEX notifications_by_change ON notifications (person_id, seq)")
    op.execute("CREATE INDEX notifications_unread ON notifications (person_id, number) WHERE read_at IS NULL")
    guard("notifications", "SELECT, INSERT, UPDATE")


def downgrade() -> None:
    op.execute("DROP TABLE notifications")
    op.execute("DROP TABLE inbox_heads")
