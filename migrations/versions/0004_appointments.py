"""Appointments, their numbers, the board's version; when each sweep is due."""

from alembic import op

from migrations.row_security import guard, show_to_watch

revision = "0004_appointments"
down_revision = "0003_inbox"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE appointments (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            tenant_id uuid NOT NULL REFERENCES tenants,
            number text NOT NULL,
            external_id text,
            patient_id uuid NOT NULL,
            clinician_id uuid NOT NULL,
            starts_at timestamptz NOT NULL,
            minutes integer NOT NULL CHECK (minutes > 0),
            state text NOT NULL CHECK (state IN ('booked', 'arrived')),
            clearance text NOT NULL CHECK (clearance IN ('cleared', 'pending', 'issue')),
            consent text NOT NULL CHECK (consent IN ('signed', 'missing', 'expired')),
            arrived_at timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            FOREIGN KEY (tenant_id, patient_id) REFERENCES patients (tenant_id, id),
            FOREIGN KEY (tenant_id, clinician_id) REFERENCES staff (tenant_id, id),
            UNIQUE (tenant_id, external_id),
            UNIQUE (tenant_id, number),
            CHECK ((state = 'arrived') = (arrived_at IS NOT NULL))
        )""")
    op.execute("CREATE INDEX appointments_by_day ON appointments (tenant_id, starts_at, id)")
    guard("appointments", "SELECT, INSERT, UPDATE")
    op.execute("""
        CREATE TABLE appointment_numbers (
            tenant_id uuid NOT NULL REFERENCES tenants,
            year integer NOT NULL,
            last integer NOT NULL,
            PRIMARY KEY (tenant_id, year)
        )""")
    guard("appointment_numbers", "SELECT, INSERT, UPDATE")
    op.execute("""
        CREATE TABLE arrivals_boards (
            tenant_id uuid PRIMARY KEY REFERENCES tenants,
            version bigint NOT NULL
        )""")
    guard("arrivals_boards", "SELECT, INSERT, UPDATE")
    show_to_watch("arrivals_boards", "tenant_id, version")
    op.execute("CREATE TABLE sweeps (name text PRIMARY KEY, due_at timestamptz NOT NULL)")
    op.execute("GRANT SELECT, INSERT, UPDATE ON sweeps TO hub_app")


def downgrade() -> None:
    for table in ("sweeps", "arrivals_boards", "appointment_numbers", "appointments"):
        op.execute(f"DROP TABLE {table}")
