"""Where patients are reached, sealed; what they chose, and since when."""

from alembic import op

from migrations.row_security import guard

revision = "0007_patients"
down_revision = "0006_canary"


def upgrade() -> None:
    op.execute("ALTER TABLE patients ADD COLUMN zone text")
    op.execute("""
        ALTER TABLE patients ADD COLUMN channels text[] NOT NULL DEFAULT '{sms,whatsapp,email}'
            CHECK (channels <@ '{sms,whatsapp,email}' AND cardinality(channels) BETWEEN 1 AND 3)""")
    op.execute("CREATE INDEX patients_by_name ON patients (tenant_id, name, id)")
    op.execute("""
        CREATE TABLE contact_points (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            tenant_id uuid NOT NULL REFERENCES tenants,
            patient_id uuid NOT NULL,
            kind text NOT NULL CHECK (kind IN ('phone', 'email')),
            sealed bytea NOT NULL,
            lookup bytea NOT NULL,
            flag text CHECK (flag IN ('bounce', 'complaint', 'invalid')),
            flagged_at timestamptz,
            flag_event_id uuid,
            soft_failures integer NOT NULL DEFAULT 0,
            soft_since timestamptz,
            created_at timestamptz NOT NULL,
            removed_at timestamptz,
            CHECK ((flag IS NULL) = (flagged_at IS NULL)),
            UNIQUE (tenant_id, id),
            FOREIGN KEY (tenant_id, patient_id) REFERENCES patients (tenant_id, id)
        )""")
    op.execute("""
        CREATE UNIQUE INDEX contact_points_of_patient ON contact_points (tenant_id, patient_id, kind)
            WHERE removed_at IS NULL""")
    op.execute("CREATE INDEX contact_points_by_lookup ON contact_points (tenant_id, lookup) WHERE removed_at IS NULL")
    guard("contact_points", "SELECT, INSERT, UPDATE")
    op.execute("""
        CREATE TABLE patient_choices (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants,
            patient_id uuid NOT NULL,
            topic text CHECK (topic IN ('reminders', 'confirmations', 'results', 'billing', 'marketing')),
            channel text CHECK (channel IN ('sms', 'whatsapp', 'email')),
            allowed boolean NOT NULL,
            source text NOT NULL CHECK (source IN ('desk', 'api', 'link', 'reply', 'unsubscribe', 'vendor')),
            actor_kind text NOT NULL,
            actor_id uuid,
            at timestamptz NOT NULL,
            CHECK ((topic IS NULL) <> (channel IS NULL)),
            FOREIGN KEY (tenant_id, patient_id) REFERENCES patients (tenant_id, id)
        )""")
    op.execute("CREATE INDEX patient_choices_of_patient ON patient_choices (tenant_id, patient_id, id)")
    guard("patient_choices", "SELECT, INSERT")


def downgrade() -> None:
    op.execute("DROP TABLE patient_choices")
    op.execute("DROP TABLE contact_points")
    op.execute("DROP INDEX patients_by_name")
    op.execute("ALTER TABLE patients DROP COLUMN zone, DROP COLUMN channels")
