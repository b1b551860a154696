"""A canary's notifications may be deleted, and nobody else's."""

from alembic import op

revision = "0006_canary"
down_revision = "0005_live"

# As in hub.people.tenants.
CANARY = "00000000-0000-4000-8000-0000000ca4a7"


def upgrade() -> None:
    op.execute("GRANT DELETE ON notifications TO hub_app")
    op.execute(f"""
        CREATE POLICY of_canary ON notifications AS RESTRICTIVE FOR DELETE TO hub_app
        USING (tenant_id = '{CANARY}'::uuid)""")


def downgrade() -> None:
    op.execute("DROP POLICY of_canary ON notifications")
    op.execute("REVOKE DELETE ON notifications FROM hub_app")
