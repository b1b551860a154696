"""The audit log, which is only added to, and the keys of requests that were answered."""

from alembic import op

from migrations.row_security import guard

revision = "0002_audit"
down_revision = "0001_people"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE audit_entries (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            tenant_id uuid NOT NULL REFERENCES tenants,
            number bigint NOT NULL,
            at timestamptz NOT NULL,
            actor_kind text NOT NULL CHECK (actor_kind IN ('staff', 'key', 'system')),
            actor_id uuid,
            action text NOT NULL,
            object_type text NOT NULL,
            object_id uuid,
            before jsonb,
            after jsonb,
            previous_hash bytea,
            hash bytea,
            UNIQUE (tenant_id, number)
        )""")
    op.execute("CREATE INDEX audit_entries_of_object ON audit_entries (tenant_id, object_id, number)")
    guard("audit_entries", "SELECT, INSERT")
    op.execute("""
        CREATE TABLE idempotency_keys (
            tenant_id uuid NOT NULL REFERENCES tenants,
            caller_id uuid NOT NULL,
            key text NOT NULL,
            fingerprint bytea NOT NULL,
            answer jsonb,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, caller_id, key)
        )""")
    guard("idempotency_keys", "SELECT, INSERT, UPDATE, DELETE")


def downgrade() -> None:
    op.execute("DROP TABLE idempotency_keys")
    op.execute("DROP TABLE audit_entries")
