"""No tenant sees another's rows, not even when a query forgets its filter; asked of every table there is."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from hub.appointments.lifecycle import arrive
from hub.appointments.rules import change_rules
from hub.appointments.switches import switch
from hub.appointments.tellings import Event, Recipient, Way
from hub.channels.vendor import File
from hub.db import APP_ROLE, WATCH_ROLE, make_engine
from hub.idempotency import IdempotentRequest, recall
from hub.messages.compose import Sending, send_message
from hub.messages.deliver import deliver_due
from hub.people import sessions
from hub.people.choices import Topic, choose
from hub.people.live_tokens import revoke_token
from hub.templates.defaults import install_defaults
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic, add_patient, book_visit, make_key, open_clinic

# Tables that belong to nobody. Whoever adds one says here why it holds nothing of a tenant's.
OF_NOBODY = {
    "alembic_version",  # where the schema stands
    "circuits",  # which vendors' accounts are spared for a while
    "demo_clock",  # by how much a demo is ahead of the true time
    "sign_in_failures",  # keyed hashes of addresses and networks
    "sweeps",  # when a recurring job is due
    "vendor_events",  # what vendors reported, sealed: whose it is turns out when it is applied
}
# Tables that a tenant may add to and never change.
ONLY_ADDED_TO = {"audit_entries", "message_attachments", "message_steps", "patient_choices"}
# What runs in the database: triggers, which see no more than the statement that sets them off.
FUNCTIONS = ["refuse_strangers", "refuse_to_move", "refuse_to_rewrite"]
# What may be looked at across tenants: to tell whose a caller is, and who is behind.
WATCHED = {
    "tenants": {"id", "slug", "name"},
    "staff": {"id", "tenant_id", "email", "password_hash", "active", "role", "name", "language", "token_era"},
    "staff_sessions": {"id", "tenant_id", "staff_id", "secret_hash", "last_used_at", "expires_at", "ended_at"},
    "api_keys": {"id", "tenant_id", "revoked_at"},
    "revoked_tokens": {"tenant_id", "id"},
    "inbox_heads": {"person_id", "seq", "unread", "epoch"},
    "arrivals_boards": {"tenant_id", "version"},
    "messages": {"tenant_id", "lane", "state", "due_at", "lease_until"},
    "message_attempts": {"id", "tenant_id", "vendor", "vendor_id"},
    "planned_notices": {"tenant_id", "state", "due_at"},
}
# Tables from which only the hub's own canaries are ever deleted.
KEPT = {"notifications"}
NO_RIGHT = "42501"


@dataclass(frozen=True)
class Table:
    """A table of tenants' rows, and the column that names the tenant."""

    name: str
    tenant: str
    columns: tuple[str, ...]
    may: frozenset[str]

    @property
    def changeable(self) -> str:
        """A column to write to."""
        return next(name for name in reversed(self.columns) if name != self.tenant)


@dataclass(frozen=True)
class TwoClinics:
    """Two tenants with rows in every table, seen by the owner of the database."""

    house: House
    owner: asyncpg.Connection
    mine: Clinic
    theirs: Clinic
    tables: tuple[Table, ...]

    async def count(self, table: Table, tenant: uuid.UUID) -> int:
        query = f"SELECT count(*) FROM {table.name} WHERE {table.tenant} = $1"
        return int(await self.owner.fetchval(query, tenant))


@pytest.fixture(scope="module")
async def two(house: House) -> AsyncIterator[TwoClinics]:
    mine, theirs = await open_clinic(house), await open_clinic(house)
    for clinic in (mine, theirs):
        visit = await book_visit(house, clinic)
        await make_key(house, clinic)
        async with house.open_work(clinic.id, SYSTEM) as work:
            await arrive(work, visit.id)
            await change_rules(work, ["P2D"], 60)
            await switch(work, Event.CONFIRMED, Recipient.CLINICIAN, Way.IN_APP, enabled=False)
            await sessions.start(work, clinic.omar.id, "test")
            await revoke_token(work, uuid.uuid4())
            await recall(work, IdempotentRequest.of("a key", "POST /", b""))
        await _send_something(house, clinic)
    owner = await asyncpg.connect(house.settings.database_url.get_secret_value())
    yield TwoClinics(house, owner, mine, theirs, tuple([await describe(owner, name) for name in await names(owner)]))
    await owner.close()


async def _send_something(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
        await choose(work, patient.id, topic=Topic.MARKETING, allowed=True, source="desk")
        files = (File("plan.pdf", "application/pdf", b"%PDF"),)
        words = Sending(patient.id, topic=Topic.RESULTS, text="Hello", lane="critical", files=files)
        await send_message(work, words)
    await deliver_due(house.courier, clinic.id, "critical")


async def names(owner: asyncpg.Connection) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    return [row[0] for row in await owner.fetch(query) if row[0] not in OF_NOBODY]


async def describe(owner: asyncpg.Connection, name: str) -> Table:
    query = "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped"
    columns = tuple(row[0] for row in await owner.fetch(query, name))
    rights = [
        right
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
        if await owner.fetchval("SELECT has_table_privilege($1, $2, $3)", APP_ROLE, name, right)
    ]
    return Table(name, "id" if name == "tenants" else "tenant_id", columns, frozenset(rights))


async def test_every_table_is_guarded_or_belongs_to_nobody(two: TwoClinics) -> None:
    rows = await two.owner.fetch(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    guarded = {row["relname"]: (row["relrowsecurity"], row["relforcerowsecurity"]) for row in rows}
    assert set(guarded) - OF_NOBODY == {table.name for table in two.tables}
    for table in two.tables:
        assert table.tenant in table.columns, f"{table.name} does not say whose its rows are"
        assert guarded[table.name] == (True, True), f"{table.name} is open"
        policies = await two.owner.fetch("SELECT roles, cmd FROM pg_policies WHERE tablename = $1", table.name)
        assert ([APP_ROLE], "ALL") in [(list(row["roles"]), row["cmd"]) for row in policies]
        assert {(tuple(row["roles"]), row["cmd"]) for row in policies} <= {
            ((APP_ROLE,), "ALL"),
            ((WATCH_ROLE,), "SELECT"),
        } | ({((APP_ROLE,), "DELETE")} if table.name in KEPT else set())


async def test_there_are_no_views_or_functions_around_the_guard(two: TwoClinics) -> None:
    query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm', 'f')"
    assert await two.owner.fetch(query) == []
    functions = await two.owner.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
    )
    assert [row["proname"] for row in functions] == FUNCTIONS


async def test_both_tenants_have_rows_in_every_table(two: TwoClinics) -> None:
    for table in two.tables:
        for clinic in (two.mine, two.theirs):
            assert await two.count(table, clinic.id) > 0, f"put a row into {table.name} above"


async def test_a_query_without_a_filter_shows_only_ones_own_rows(two: TwoClinics) -> None:
    for clinic in (two.mine, two.theirs):
        async with two.house.database.of_tenant(clinic.id) as session:
            for table in two.tables:
                seen = (await session.execute(text(f"SELECT {table.tenant} FROM {table.name}"))).scalars().all()
                assert set(seen) == {clinic.id}, table.name
                assert len(seen) == await two.count(table, clinic.id)


async def test_naming_the_other_tenant_shows_nothing_either(two: TwoClinics) -> None:
    async with two.house.database.of_tenant(two.mine.id) as session:
        for table in two.tables:
            query = text(f"SELECT count(*) FROM {table.name} WHERE {table.tenant} = :theirs")
            assert (await session.execute(query, {"theirs": two.theirs.id})).scalar_one() == 0, table.name


async def test_an_update_without_a_filter_changes_only_ones_own_rows(two: TwoClinics) -> None:
    for table in two.tables:
        same = f"UPDATE {table.name} SET {table.changeable} = {table.changeable}"
        if "UPDATE" not in table.may:
            await refused(two, same)
            continue
        async with undone(two) as session:
            changed = await session.execute(text(f"{same} RETURNING {table.tenant}"))
            assert set(changed.scalars()) == {two.mine.id}, table.name


async def test_a_delete_without_a_filter_takes_only_ones_own_rows(two: TwoClinics) -> None:
    for table in two.tables:
        if "DELETE" not in table.may:
            await refused(two, f"DELETE FROM {table.name}")
            continue
        async with undone(two) as session:
            gone = await session.execute(text(f"DELETE FROM {table.name} RETURNING {table.tenant}"))
            assert set(gone.scalars()) == (set() if table.name in KEPT else {two.mine.id}), table.name


async def test_a_row_cannot_be_written_for_another_tenant(two: TwoClinics) -> None:
    for table in two.tables:
        theirs = await two.owner.fetchval(
            f"SELECT to_jsonb(t) FROM {table.name} t WHERE {table.tenant} = $1 LIMIT 1", two.theirs.id
        )
        insert = (
            f"INSERT INTO {table.name} SELECT * FROM jsonb_populate_record(NULL::{table.name}, CAST(:row AS jsonb))"
        )
        await refused(two, insert, row=theirs)


async def test_a_row_cannot_be_given_to_another_tenant(two: TwoClinics) -> None:
    for table in two.tables:
        await refused(two, f"UPDATE {table.name} SET {table.tenant} = :theirs", theirs=two.theirs.id)


async def test_without_a_tenant_nothing_is_visible(two: TwoClinics) -> None:
    async with two.house.database.of_nobody() as session:
        for table in two.tables:
            assert (await session.execute(text(f"SELECT count(*) FROM {table.name}"))).scalar_one() == 0, table.name


@pytest.mark.parametrize("ending", ["commit", "rollback"])
async def test_the_tenant_does_not_leak_to_the_next_user_of_the_connection(two: TwoClinics, ending: str) -> None:
    engine = make_engine(two.house.settings.database_url.get_secret_value(), APP_ROLE, "test", size=1)
    who = text("SELECT pg_backend_pid(), current_setting('hub.tenant', true), (SELECT count(*) FROM staff)")
    async with AsyncSession(engine, info={"tenant": two.mine.id}) as session:
        first = (await session.execute(who)).one()
        await getattr(session, ending)()
    async with AsyncSession(engine) as session:
        second = (await session.execute(who)).one()
    async with AsyncSession(engine, info={"tenant": two.theirs.id}) as session:
        assert (await session.execute(text("SELECT DISTINCT tenant_id FROM staff"))).scalars().all() == [two.theirs.id]
    await engine.dispose()
    assert first[1] == str(two.mine.id)
    assert first[2] == 4
    assert second[0] == first[0], "another connection proves nothing"
    assert second[1] in ("", None)
    assert second[2] == 0


async def test_a_tenant_that_does_not_exist_sees_nothing(two: TwoClinics) -> None:
    async with two.house.database.of_tenant(uuid.uuid4()) as session:
        for table in two.tables:
            assert (await session.execute(text(f"SELECT count(*) FROM {table.name}"))).scalar_one() == 0, table.name


async def test_the_audit_log_is_only_added_to(two: TwoClinics) -> None:
    for table in two.tables:
        if table.name in ONLY_ADDED_TO:
            assert table.may == {"SELECT", "INSERT"}
    await refused(two, "UPDATE audit_entries SET action = 'nothing'")
    await refused(two, "DELETE FROM audit_entries")
    await refused(two, "TRUNCATE audit_entries")


async def test_the_app_owns_nothing_and_rules_nothing(two: TwoClinics) -> None:
    for role in (APP_ROLE, WATCH_ROLE):
        found = await two.owner.fetchrow("SELECT * FROM pg_roles WHERE rolname = $1", role)
        for power in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolreplication"):
            assert found[power] is False, f"{role} has {power}"
        owned = "SELECT count(*) FROM pg_class WHERE relowner = $1::regrole"
        assert await two.owner.fetchval(owned, role) == 0
    for table in two.tables:
        assert table.may <= {"SELECT", "INSERT", "UPDATE", "DELETE"}, table.name
    for statement in (
        "CREATE TABLE mine (id int)",
        "ALTER TABLE staff NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY of_tenant ON staff",
        "SELECT * FROM alembic_version",
    ):
        await refused(two, statement)


async def test_the_watch_reads_only_the_columns_it_was_given(two: TwoClinics) -> None:
    for table in two.tables:
        given = WATCHED.get(table.name, set())
        for column in table.columns:
            may = await two.owner.fetchval(
                "SELECT has_column_privilege($1, $2, $3, 'SELECT')", WATCH_ROLE, table.name, column
            )
            assert may == (column in given), f"{table.name}.{column}"
            if not may:
                await refused_to_watch(two, f"SELECT {column} FROM {table.name}")
        if given:
            async with two.house.database.watching() as watch:
                await watch.execute(text(f"SELECT {', '.join(sorted(given))} FROM {table.name}"))


async def test_the_watch_writes_nowhere(two: TwoClinics) -> None:
    for table in [*(table.name for table in two.tables), *OF_NOBODY]:
        for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
            assert not await two.owner.fetchval("SELECT has_table_privilege($1, $2, $3)", WATCH_ROLE, table, right)
        await refused_to_watch(two, f"DELETE FROM {table}")
    await refused_to_watch(two, "UPDATE staff SET active = false")
    await refused_to_watch(two, "UPDATE inbox_heads SET seq = 0")


async def test_every_reference_between_tenants_rows_names_the_tenant(two: TwoClinics) -> None:
    query = """
        SELECT conrelid::regclass::text AS here, confrelid::regclass::text AS there, pg_get_constraintdef(oid) AS words
        FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
    """
    for row in await two.owner.fetch(query):
        if row["there"] != "tenants":
            assert row["words"].startswith("FOREIGN KEY (tenant_id, "), f"{row['here']} → {row['there']}"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE appointments SET clinician_id = :person",
        "UPDATE appointments SET patient_id = :patient",
        "UPDATE notifications SET person_id = :person",
        "INSERT INTO inbox_heads (person_id, tenant_id) VALUES (:person, :mine)",
        "INSERT INTO notifications (tenant_id, person_id, number, seq, title, body, kind, level, priority, "
        "created_at, updated_at) VALUES (:mine, :person, 99, 99, '', '', 'system', 'info', 'low', now(), now())",
        "INSERT INTO notifications (tenant_id, person_id, number, seq, title, body, kind, level, priority, "
        "created_at, updated_at) SELECT :mine, person, 98, 98, '', '', 'system', 'info', 'low', now(), now() "
        "FROM unnest(ARRAY[CAST(:own AS uuid), CAST(:person AS uuid)]) AS person",
        "INSERT INTO staff_sessions (tenant_id, staff_id, secret_hash, device, created_at, last_used_at, expires_at) "
        "VALUES (:mine, :person, 'x', '', now(), now(), now())",
    ],
)
async def test_a_row_cannot_refer_to_another_tenants_people(two: TwoClinics, statement: str) -> None:
    patient = await two.owner.fetchval("SELECT id FROM patients WHERE tenant_id = $1", two.theirs.id)
    known = {"person": two.theirs.huda.id, "patient": patient, "mine": two.mine.id, "own": two.mine.huda.id}
    values = {name: value for name, value in known.items() if f":{name}" in statement}
    with pytest.raises(IntegrityError, match="foreign key"):
        async with two.house.database.of_tenant(two.mine.id) as session:
            await session.execute(text(statement), values)


@asynccontextmanager
async def undone(two: TwoClinics) -> AsyncIterator[AsyncSession]:
    """A session as the application's, whose changes are taken back at the end."""
    async with two.house.database.of_tenant(two.mine.id) as session:
        yield session
        await session.rollback()


async def refused(two: TwoClinics, statement: str, **values: Any) -> None:
    """The application may not do this, and nothing changes."""
    with pytest.raises(DBAPIError) as refusal:
        async with two.house.database.of_tenant(two.mine.id) as session:
            await session.execute(text(statement), values)
    assert getattr(refusal.value.orig, "sqlstate", "") == NO_RIGHT, f"{statement}: {refusal.value}"


async def refused_to_watch(two: TwoClinics, statement: str) -> None:
    with pytest.raises(DBAPIError) as refusal:
        async with two.house.database.watching() as watch:
            await watch.execute(text(statement))
    assert getattr(refusal.value.orig, "sqlstate", "") == NO_RIGHT, f"{statement}: {refusal.value}"
