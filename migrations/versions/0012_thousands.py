"""Notifications to thousands are checked against their people together, not row by row."""

from alembic import op

revision = "0012_thousands"
down_revision = "0011_lifecycle"

# A foreign key asks for each row, and locks its person: a third of the time that ten thousand rows took. Nobody can
# delete a person who has an inbox, and inboxes are not deleted, so nothing has to be asked the other way round. The
# question is asked in this form because no plan of it, kept from one row or from thousands, reads all of the staff.
REFUSE_STRANGERS = """
CREATE FUNCTION refuse_strangers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added
        WHERE (SELECT tenant_id FROM public.staff WHERE id = added.person_id) IS DISTINCT FROM added.tenant_id
    ) THEN
        RAISE foreign_key_violation USING MESSAGE = 'foreign key of sorts: this person is not on the tenant''s staff';
    END IF;
    RETURN NULL;
END $$
"""
REFUSE_TO_MOVE = """
CREATE FUNCTION refuse_to_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING MESSAGE = 'foreign key of sorts: a notification stays with its person';
END $$
"""


def upgrade() -> None:
    op.execute(REFUSE_STRANGERS)
    op.execute(REFUSE_TO_MOVE)
    op.execute("""
        CREATE TRIGGER of_staff AFTER INSERT ON notifications REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_strangers()""")
    op.execute("""
        CREATE TRIGGER stays AFTER UPDATE OF tenant_id, person_id ON notifications
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_move()""")
    op.execute("ALTER TABLE notifications DROP CONSTRAINT notifications_tenant_id_person_id_fkey")


def downgrade() -> None:
    op.execute("ALTER TABLE notifications ADD FOREIGN KEY (tenant_id, person_id) REFERENCES staff (tenant_id, id)")
    op.execute("DROP TRIGGER stays ON notifications")
    op.execute("DROP TRIGGER of_staff ON notifications")
    op.execute("DROP FUNCTION refuse_to_move")
    op.execute("DROP FUNCTION refuse_strangers")
