"""What every tenant's table gets: row-level security that even the owner obeys, and the rights of the two roles."""

from alembic import op

MINE = "tenant_id = nullif(current_setting('hub.tenant', true), '')::uuid"


def guard(table: str, rights: str, mine: str = MINE) -> None:
    """Let `hub_app` do `rights` with the rows of the tenant that its transaction names, and see no others."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY of_tenant ON {table} TO hub_app USING ({mine}) WITH CHECK ({mine})")
    op.execute(f"GRANT {rights} ON {table} TO hub_app")


def show_to_watch(table: str, columns: str) -> None:
    """Let `hub_watch` look at these columns of every tenant's rows."""
    op.execute(f"CREATE POLICY of_everybody ON {table} FOR SELECT TO hub_watch USING (true)")
    op.execute(f"GRANT SELECT ({columns}) ON {table} TO hub_watch")
