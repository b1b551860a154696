"""One inbox with the real verbs, database and switchboard, and two devices at the end of bad lines."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import text

from hub.inbox import marks
from hub.inbox.feed import row_of
from hub.inbox.kinds import Kind
from hub.inbox.marks import Mark
from hub.inbox.notify import Notice, Wording, notify
from hub.people.tables import Staff
from hub.realtime.connection import Connection, Listener
from hub.realtime.ledger import Asked, Gap
from hub.realtime.outlets import Fetched
from hub.realtime.pushes import Push
from hub.realtime.switchboard import Switchboard
from hub.wiring import House, ledger_of
from hub.work import SYSTEM, Actor, work_opener
from tests.inbox.conftest import head_of, rows_of
from tests.inbox.reference import Reference
from tests.live_client import Inbox, Row

# What it takes at the very most until everybody stands at the head, once nothing is lost any more.
ROUNDS = 6

RESTORE_HEAD = text(
    "UPDATE inbox_heads SET epoch = gen_random_uuid(), seq = :seq, unread = :unread WHERE person_id = :person"
)
RESTORE_ROW = text("""
UPDATE notifications SET seq = :seq, read_at = CASE WHEN :read THEN coalesce(read_at, now()) END,
    archived_at = CASE WHEN :archived THEN coalesce(archived_at, now()) END
WHERE id = :id
""")

T = TypeVar("T")


@dataclass(frozen=True)
class Dice:
    """What chooses among whatever there is to choose from."""

    device: int
    a: int
    b: int

    def one_of(self, things: list[T]) -> int:
        """Which of them."""
        return self.a % len(things)

    def some_of(self, things: list[T]) -> list[T]:
        """Up to three of them, perhaps the same one twice."""
        return [things[(self.a + index * self.b) % len(things)] for index in range(1 + self.b % 3)]


@dataclass
class Device:
    """A client, its line, and the server's end of it while it is connected."""

    inbox: Inbox = field(default_factory=Inbox)
    line: list[Row] = field(default_factory=list)
    connection: Connection | None = None
    beginnings: list[Row] = field(default_factory=list)
    beaten: bool = False


class World:
    """What may happen, one method each."""

    def __init__(self, house: House, person: Staff) -> None:
        self.house = house
        self.person = person
        self.reference = Reference()
        self.rumours: list[Push] = []
        self.devices = [Device(), Device()]
        self.slowly: tuple[str, Dice] | None = None
        ledger = ledger_of(house.database, house.keys, house.clock, house.idle)
        self._missed = ledger.missed
        self.board = Switchboard(replace(ledger, missed=self._missed_slowly), house.clock)
        self._open_work = work_opener(
            house.database, house.clock, house.keys, house.settings.public_url, self._announce
        )

    async def happens(self, what: str, dice: Dice) -> None:
        """Let one thing happen, and what it starts come to its end."""
        await getattr(self, what)(dice)
        await self.board.reception.take_turn()

    # --- what happens to the inbox ----------------------------------------------------------------

    async def create(self, dice: Dice) -> None:
        """A notification, or two in one transaction."""
        notice = Notice(Kind.SYSTEM, Wording("Hello"))
        async with self._open_work(self.person.tenant_id, SYSTEM) as work:
            ids = [(await notify(work, [self.person.id], notice))[0] for _ in range(1 + dice.a // 6)]
        for each in ids:
            self.reference.create(each)

    async def read(self, dice: Dice) -> None:
        """Some are marked read."""
        await self._mark("read", dice)

    async def unread(self, dice: Dice) -> None:
        """Some are marked unread."""
        await self._mark("unread", dice)

    async def archive(self, dice: Dice) -> None:
        """Some are archived."""
        await self._mark("archive", dice)

    async def _mark(self, as_: Mark, dice: Dice) -> None:
        if not self.reference.entries:
            return
        ids = dice.some_of(list(self.reference.entries))
        async with self._open_work(self.person.tenant_id, Actor("staff", self.person.id)) as work:
            await marks.mark(work, self.person.id, ids, as_)
        self.reference.mark(as_, ids)

    async def read_all(self, dice: Dice) -> None:
        """Everything is read, but for the last few changes."""
        upto = max(0, self.reference.seq - dice.a)
        async with self._open_work(self.person.tenant_id, Actor("staff", self.person.id)) as work:
            await marks.read_all(work, self.person.id, upto)
        self.reference.read_all(upto)

    async def begin_anew(self, dice: Dice) -> None:
        """A backup of some marks ago is restored, under another epoch, and the hub started again."""
        for device in self.devices:
            self._hang_up(device)
        self.rumours = []
        self.reference.go_back(dice.a)
        head = {"seq": self.reference.seq, "unread": self.reference.unread_at(self.reference.seq)}
        rows = [
            {"id": each, "seq": entry.seq, "read": entry.read, "archived": entry.archived}
            for each, entry in self.reference.entries.items()
        ]
        async with self.house.database.of_tenant(self.person.tenant_id) as session:
            await session.execute(RESTORE_HEAD, head | {"person": self.person.id})
            if rows:
                await session.execute(RESTORE_ROW, rows)

    # --- between the database and the switchboard ---------------------------------------------------

    async def _announce(self, pushes: list[Push]) -> None:
        self.rumours += pushes

    async def hear(self, dice: Dice) -> None:
        """One announcement arrives, perhaps before an older one."""
        if self.rumours:
            self.board.deliver([self.rumours.pop(dice.one_of(self.rumours))])

    async def hear_twice(self, dice: Dice) -> None:
        """One arrives, and will once more."""
        if self.rumours:
            self.board.deliver([self.rumours[dice.one_of(self.rumours)]])

    async def hear_all(self, _dice: Dice) -> None:
        """All arrive."""
        rumours, self.rumours = self.rumours, []
        self.board.deliver(rumours)

    async def miss(self, dice: Dice) -> None:
        """One never arrives."""
        if self.rumours:
            self.rumours.pop(dice.one_of(self.rumours))

    async def look(self, _dice: Dice) -> None:
        """The switchboard asks the database by itself."""
        await self.board.look()

    async def read_slowly(self, dice: Dice) -> None:
        """The next rows take time to come: something else happens between, and is heard of first."""
        self.slowly = (("create", "read", "archive", "read_all")[dice.b % 4], dice)

    async def _missed_slowly(self, asked: Sequence[Asked]) -> Sequence[Gap]:
        slowly, self.slowly = self.slowly, None
        missed = await self._missed(asked)
        if slowly is not None:
            await getattr(self, slowly[0])(slowly[1])
            await self.hear_all(slowly[1])
        return missed

    # --- between the switchboard and the devices ----------------------------------------------------

    async def connect(self, dice: Dice) -> None:
        """A device comes, or comes back, with what it has."""
        device = self.devices[dice.device]
        if device.connection is not None:
            return
        person = self.person
        device.connection = Connection(
            Listener(person.tenant_id, person.id, person.role, person.name, person.language, uuid.uuid4(), None),
            Fetched(),
            device.inbox.epoch,
            device.inbox.cursor,
        )
        self.board.add(device.connection)
        self.board.reception.catch_up(device.connection)
        await self.board.reception.take_turn()
        first, *rest = device.connection.take_waiting()
        self._apply(device, json.loads(first.data))
        device.line += [json.loads(frame.data) for frame in rest]

    async def disconnect(self, dice: Dice) -> None:
        """A device's connection breaks, with all that is under way on it."""
        self._hang_up(self.devices[dice.device])

    def _hang_up(self, device: Device) -> None:
        if device.connection is not None:
            self.board.remove(device.connection)
            device.connection = None
            device.line = []

    async def beat(self, _dice: Dice) -> None:
        """A heartbeat."""
        self.board.beat()

    async def send(self, dice: Dice) -> None:
        """What waits for a device goes on its line."""
        await self._send(self.devices[dice.device])

    async def _send(self, device: Device) -> None:
        if device.connection is None:
            return
        while waiting := device.connection.take_waiting():
            device.line += [json.loads(frame.data) for frame in waiting]
        if device.connection.closing is not None:
            self._hang_up(device)

    async def receive(self, dice: Dice) -> None:
        """One frame arrives, perhaps before an older one."""
        device = self.devices[dice.device]
        if device.line:
            self._apply(device, device.line.pop(dice.one_of(device.line)))

    async def receive_twice(self, dice: Dice) -> None:
        """One arrives, and will once more."""
        device = self.devices[dice.device]
        if device.line:
            self._apply(device, device.line[dice.one_of(device.line)])

    async def receive_all(self, dice: Dice) -> None:
        """All arrive, in order."""
        await self._send(self.devices[dice.device])
        self._receive_all(self.devices[dice.device])

    async def lose(self, dice: Dice) -> None:
        """One never arrives."""
        device = self.devices[dice.device]
        if device.line:
            device.line.pop(dice.one_of(device.line))

    def _receive_all(self, device: Device) -> None:
        line, device.line = device.line, []
        for frame in line:
            self._apply(device, frame)

    def _apply(self, device: Device, frame: Row) -> None:
        before = device.inbox.cursor
        asks_since = device.inbox.apply(frame)
        device.beaten |= frame["t"] == "hb"
        moved = device.inbox.cursor not in (None, before)
        if moved and (frame["t"] == "snap" or (frame["t"] == "fill" and before is None)):
            device.beginnings.append(frame)
            assert frame["t"] == "fill" or not any(row["archived_at"] for row in frame["items"])
        self._check_moment(device.inbox)
        if asks_since is not None and device.connection is not None:
            device.connection.ask_again(asks_since)
            self.board.reception.catch_up(device.connection)

    # --- what must hold -----------------------------------------------------------------------------

    def _check_moment(self, inbox: Inbox) -> None:
        """Whatever has come by now, a device shows the inbox as it was at one moment, and the count of that moment."""
        if inbox.cursor is None:
            return
        moment = {str(each): entry for each, entry in self.reference.moments[inbox.cursor].items()}
        assert inbox.unread == self.reference.unread_at(inbox.cursor)
        for each, row in inbox.rows.items():
            entry = moment[each]
            assert (row["number"], row["seq"]) == (entry.number, entry.seq)
            assert (row["read_at"] is not None, row["archived_at"] is not None) == (entry.read, entry.archived)

    async def come_to_rest(self) -> None:
        """Nothing is lost any more, and time passes: every device must find its way to the head by itself."""
        self.rumours, self.slowly = [], None
        both = Dice(0, 0, 0), Dice(1, 0, 0)
        for _ in range(ROUNDS):
            for dice in both:
                await self.happens("connect", dice)
            await self.happens("look", both[0])
            await self.happens("beat", both[0])
            for device, dice in zip(self.devices, both, strict=True):
                device.beaten = False
                await self.happens("receive_all", dice)
                if not device.beaten:
                    # So long without a sound, a client connects anew.
                    await self.happens("disconnect", dice)
            if all(device.inbox.cursor == self.reference.seq and device.beaten for device in self.devices):
                return
        raise AssertionError("somebody does not come to rest")

    async def check_end(self) -> None:
        """Reference, database and devices agree, and so does a count of the rows."""
        stored = {row.id: row_of(row) for row in await rows_of(self.house, self.person)}
        assert await head_of(self.house, self.person) == (
            self.reference.seq,
            self.reference.unread_at(self.reference.seq),
        )
        assert {
            each: (row["number"], row["seq"], row["read_at"] is not None, row["archived_at"] is not None)
            for each, row in stored.items()
        } == {
            each: (entry.number, entry.seq, entry.read, entry.archived)
            for each, entry in self.reference.entries.items()
        }
        for device in self.devices:
            self._check_device(device, {str(each): row for each, row in stored.items()})
            self._hang_up(device)
        assert len(self.board) == 0

    def _check_device(self, device: Device, stored: dict[str, Row]) -> None:
        inbox = device.inbox
        assert {each: _without_update(row) for each, row in inbox.rows.items()} == {
            each: _without_update(stored[each]) for each in inbox.rows
        }
        last = device.beginnings[-1]
        floor = min(row["number"] for row in last["items"]) if last.get("more") else 0
        expected = {each for each, row in stored.items() if row["number"] >= floor and row["archived_at"] is None}
        assert expected <= inbox.rows.keys()
        assert not inbox.held
        if inbox.resets == len(device.beginnings) == 1:
            self._check_shown(inbox, stored, last["seq"] if last["t"] == "snap" else last["to"])

    def _check_shown(self, inbox: Inbox, stored: dict[str, Row], begun_at: int) -> None:
        numbers: list[Any] = [stored[each]["number"] for each in inbox.shown]
        assert len(set(numbers)) == len(numbers)
        assert [number for number in numbers if number > begun_at] == sorted(
            row["number"] for row in stored.values() if row["number"] > begun_at
        )


def _without_update(row: Row) -> Row:
    # What a sweep changed is not told row by row, and so neither is when.
    return {name: value for name, value in row.items() if name != "updated_at"}
