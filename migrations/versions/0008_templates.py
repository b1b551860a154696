"""The wording of what leaves the building: templates and their versions, which never change once published."""

from alembic import op

from migrations.row_security import guard

revision = "0008_templates"
down_revision = "0007_patients"

IMMUTABLE = """
CREATE FUNCTION refuse_to_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'draft' AND (NEW.state = 'draft' OR (
        OLD.template_id, OLD.number, OLD.subjects, OLD.bodies, OLD.variables, OLD.vendor_refs, OLD.created_at
    ) IS DISTINCT FROM (
        NEW.template_id, NEW.number, NEW.subjects, NEW.bodies, NEW.variables, NEW.vendor_refs, NEW.created_at
    )) THEN
        RAISE EXCEPTION 'a version that was published is never rewritten';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute("""
        CREATE TABLE templates (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            tenant_id uuid NOT NULL REFERENCES tenants,
            code text NOT NULL CHECK (code ~ '^[a-z][a-z0-9_]{1,59}$'),
            channel text NOT NULL CHECK (channel IN ('sms', 'whatsapp', 'email')),
            topic text NOT NULL CHECK (topic IN ('reminders', 'confirmations', 'results', 'billing', 'marketing')),
            active boolean NOT NULL DEFAULT true,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            UNIQUE (tenant_id, id),
            UNIQUE (tenant_id, code, channel)
        )""")
    guard("templates", "SELECT, INSERT, UPDATE, DELETE")
    op.execute("""
        CREATE TABLE template_versions (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            tenant_id uuid NOT NULL REFERENCES tenants,
            template_id uuid NOT NULL,
            number integer NOT NULL CHECK (number > 0),
            state text NOT NULL CHECK (state IN ('draft', 'published', 'superseded')),
            subjects jsonb,
            bodies jsonb NOT NULL,
            variables jsonb NOT NULL,
            vendor_refs jsonb NOT NULL DEFAULT '{}',
            note text NOT NULL DEFAULT '',
            created_at timestamptz NOT NULL,
            created_by uuid,
            published_at timestamptz,
            published_by uuid,
            CHECK ((state = 'draft') = (published_at IS NULL)),
            UNIQUE (tenant_id, id),
            UNIQUE (template_id, number),
            FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, id) ON DELETE CASCADE
        )""")
    for state in ("draft", "published"):
        op.execute(f"CREATE UNIQUE INDEX one_{state} ON template_versions (template_id) WHERE state = '{state}'")
    guard("template_versions", "SELECT, INSERT, UPDATE, DELETE")
    op.execute(IMMUTABLE)
    op.execute("""
        CREATE TRIGGER never_rewritten BEFORE UPDATE ON template_versions
            FOR EACH ROW EXECUTE FUNCTION refuse_to_rewrite()""")


def downgrade() -> None:
    op.execute("DROP TABLE template_versions")
    op.execute("DROP FUNCTION refuse_to_rewrite")
    op.execute("DROP TABLE templates")
