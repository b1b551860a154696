"""Live tokens can be taken back; who shows a proof is recognised without asking each tenant in turn."""

from alembic import op

from migrations.row_security import MINE, guard, show_to_watch

revision = "0005_live"
down_revision = "0004_appointments"

# Thousands come back at once after a deploy, of hundreds of tenants: they are recognised by one query across tenants,
# not by one transaction for each. The watch learns names by that; it sees addresses and password hashes already.
SHOWN = {"staff": "role, name, language, token_era", "staff_sessions": "tenant_id, staff_id, secret_hash"}

# Every notification written is checked against its person, whose tenant is checked already: not against both. And
# the tenant that a transaction names is read once for a statement, not for each of the thousands of rows it writes.
HOT = ("inbox_heads", "notifications")
MINE_ONCE = "tenant_id = (SELECT nullif(current_setting('hub.tenant', true), '')::uuid)"


def upgrade() -> None:
    op.execute("ALTER TABLE staff ADD COLUMN token_era integer NOT NULL DEFAULT 0")
    op.execute("""
        CREATE TABLE revoked_tokens (
            tenant_id uuid NOT NULL REFERENCES tenants,
            id uuid NOT NULL,
            kept_until timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )""")
    guard("revoked_tokens", "SELECT, INSERT, DELETE")
    show_to_watch("revoked_tokens", "tenant_id, id")
    show_to_watch("api_keys", "tenant_id, id, revoked_at")
    for table, columns in SHOWN.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO hub_watch")
    for table in HOT:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_tenant_id_fkey")
        op.execute(f"ALTER POLICY of_tenant ON {table} USING ({MINE_ONCE}) WITH CHECK ({MINE_ONCE})")


def downgrade() -> None:
    for table in HOT:
        op.execute(f"ALTER POLICY of_tenant ON {table} USING ({MINE}) WITH CHECK ({MINE})")
        op.execute(f"ALTER TABLE {table} ADD FOREIGN KEY (tenant_id) REFERENCES tenants")
    for table, columns in SHOWN.items():
        op.execute(f"REVOKE SELECT ({columns}) ON {table} FROM hub_watch")
    op.execute("REVOKE SELECT (tenant_id, id, revoked_at) ON api_keys FROM hub_watch")
    op.execute("DROP POLICY of_everybody ON api_keys")
    op.execute("DROP TABLE revoked_tokens")
    op.execute("ALTER TABLE staff DROP COLUMN token_era")
