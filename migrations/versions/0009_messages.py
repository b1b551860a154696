"""What leaves the building: messages, each request to a vendor, each step of the way, and what vendors report."""

from alembic import op

from migrations.row_security import guard, show_to_watch

revision = "0009_messages"
down_revision = "0008_templates"

STATES = (
    "'queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'bounced', 'held', 'unknown', 'skipped', 'cancelled'"
)


def upgrade() -> None:
    op.execute(f"""
        CREATE TABLE messages (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            tenant_id uuid NOT NULL REFERENCES tenants,
            patient_id uuid,
            topic text NOT NULL CHECK (topic IN ('reminders', 'confirmations', 'results', 'billing', 'marketing')),
            lane text NOT NULL CHECK (lane IN ('critical', 'normal', 'bulk')),
            code text,
            language text NOT NULL CHECK (language IN ('en', 'ar')),
            channels text[] NOT NULL CHECK (channels <@ '{{sms,whatsapp,email}}' AND cardinality(channels) > 0),
            channel text NOT NULL CHECK (channel IN ('sms', 'whatsapp', 'email')),
            sealed bytea NOT NULL,
            state text NOT NULL CHECK (state IN ({STATES})),
            reason text,
            attempt integer NOT NULL DEFAULT 0,
            tries integer NOT NULL DEFAULT 0,
            due_at timestamptz NOT NULL,
            scheduled_at timestamptz,
            expires_at timestamptz,
            lease_until timestamptz,
            reference text,
            related_type text,
            related_id uuid,
            department text,
            actor_kind text NOT NULL,
            actor_id uuid,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CHECK ((state = 'sending') = (lease_until IS NOT NULL)),
            UNIQUE (tenant_id, id),
            UNIQUE (tenant_id, reference),
            FOREIGN KEY (tenant_id, patient_id) REFERENCES patients (tenant_id, id)
        )""")
    op.execute("CREATE INDEX messages_due ON messages (lane, tenant_id, due_at, id) WHERE state = 'queued'")
    op.execute("CREATE INDEX messages_leased ON messages (lease_until) WHERE state = 'sending'")
    op.execute("CREATE INDEX messages_unknown ON messages (tenant_id, due_at) WHERE state = 'unknown'")
    op.execute("CREATE INDEX messages_by_time ON messages (tenant_id, created_at, id)")
    op.execute("CREATE INDEX messages_of_patient ON messages (tenant_id, patient_id, created_at, id)")
    op.execute(
        "CREATE INDEX messages_of_object ON messages (tenant_id, related_id, created_at) WHERE related_id IS NOT NULL"
    )
    guard("messages", "SELECT, INSERT, UPDATE")
    show_to_watch("messages", "tenant_id, lane, state, due_at, lease_until")
    op.execute("""
        CREATE TABLE message_attachments (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            tenant_id uuid NOT NULL REFERENCES tenants,
            message_id uuid NOT NULL,
            place integer NOT NULL,
            content_type text NOT NULL,
            size integer NOT NULL CHECK (size BETWEEN 1 AND 10485760),
            sealed bytea NOT NULL,
            UNIQUE (message_id, place),
            FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id)
        )""")
    guard("message_attachments", "SELECT, INSERT")
    op.execute("""
        CREATE TABLE message_attempts (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants,
            message_id uuid NOT NULL,
            number integer NOT NULL CHECK (number > 0),
            channel text NOT NULL CHECK (channel IN ('sms', 'whatsapp', 'email')),
            vendor text NOT NULL,
            contact_point_id uuid,
            template_version_id uuid,
            sealed bytea NOT NULL,
            state text NOT NULL CHECK (state IN ('sending', 'sent', 'refused', 'unknown', 'never_sent',
                'delivered', 'read', 'failed', 'bounced')),
            vendor_id text,
            code text,
            answer jsonb,
            segments_estimated integer,
            segments_billed integer,
            cost numeric(14, 6),
            currency text CHECK (currency ~ '^[A-Z]{3}$'),
            started_at timestamptz NOT NULL,
            finished_at timestamptz,
            asked_at timestamptz,
            UNIQUE (tenant_id, id),
            UNIQUE (message_id, number),
            FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id),
            FOREIGN KEY (tenant_id, contact_point_id) REFERENCES contact_points (tenant_id, id)
        )""")
    op.execute("CREATE INDEX message_attempts_by_vendor ON message_attempts (vendor, vendor_id)")
    op.execute(
        "CREATE INDEX message_attempts_by_version ON message_attempts (tenant_id, template_version_id, started_at)"
    )
    op.execute("CREATE INDEX message_attempts_silent ON message_attempts (tenant_id, started_at) WHERE state = 'sent'")
    guard("message_attempts", "SELECT, INSERT, UPDATE")
    show_to_watch("message_attempts", "id, tenant_id, vendor, vendor_id")
    op.execute("""
        CREATE TABLE message_steps (
            id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants,
            message_id uuid NOT NULL,
            at timestamptz NOT NULL,
            state text NOT NULL,
            attempt integer,
            channel text,
            vendor text,
            reason text,
            detail jsonb,
            FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id)
        )""")
    op.execute("CREATE INDEX message_steps_of_message ON message_steps (tenant_id, message_id, id)")
    guard("message_steps", "SELECT, INSERT")
    op.execute("""
        CREATE TABLE vendor_events (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            vendor text NOT NULL,
            transport_id text NOT NULL,
            semantic_key text NOT NULL,
            kind text NOT NULL,
            vendor_id text,
            attempt_id uuid,
            tenant_id uuid,
            sealed bytea NOT NULL,
            occurred_at timestamptz NOT NULL,
            received_at timestamptz NOT NULL,
            due_at timestamptz,
            applied_at timestamptz,
            result text,
            UNIQUE (vendor, transport_id),
            UNIQUE (vendor, semantic_key)
        )""")
    op.execute("CREATE INDEX vendor_events_due ON vendor_events (due_at) WHERE due_at IS NOT NULL")
    op.execute("GRANT SELECT, INSERT, UPDATE ON vendor_events TO hub_app")
    op.execute("""
        CREATE TABLE circuits (
            account text PRIMARY KEY,
            failures integer NOT NULL DEFAULT 0,
            open_until timestamptz,
            reason text,
            changed_at timestamptz NOT NULL
        )""")
    op.execute("GRANT SELECT, INSERT, UPDATE ON circuits TO hub_app")


def downgrade() -> None:
    for table in (
        "circuits",
        "vendor_events",
        "message_steps",
        "message_attempts",
        "message_attachments",
        "messages",
    ):
        op.execute(f"DROP TABLE {table}")
