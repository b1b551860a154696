"""Who hears what, with a ledger of plain values in place of the database."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hub.clock import system_clock
from hub.errors import Unavailable
from hub.inbox.feed import Head, Missed
from hub.realtime.connection import Connection, Listener, Stage
from hub.realtime.frames import Close
from hub.realtime.pushes import AccessEnded, InboxMoved, TopicChanged
from hub.realtime.switchboard import MOST_CATCHING_UP, Ledger, Switchboard
from tests.realtime.conftest import eventually

TENANT, OTHER_TENANT = uuid.uuid4(), uuid.uuid4()
OMAR, HUDA = uuid.uuid4(), uuid.uuid4()


@dataclass
class Books:
    """What the database would say."""

    heads: dict[uuid.UUID, Head] = field(default_factory=dict)
    boards: dict[tuple[uuid.UUID, str], int] = field(default_factory=dict)
    ended: dict[str, Close] = field(default_factory=dict)
    away: bool = False
    open: asyncio.Event = field(default_factory=asyncio.Event)
    reading: int = 0
    most_reading: int = 0
    read: int = 0

    def __post_init__(self) -> None:
        self.open.set()

    def head(self, person: uuid.UUID) -> Head:
        return self.heads.get(person, Head(0, 0, "epoch"))

    def ledger(self) -> Ledger:
        return Ledger(self.missed, self.all_heads, self.versions, self.lapsed)

    async def missed(self, _tenant: uuid.UUID, person: uuid.UUID, epoch: str | None, since: int | None) -> Missed:
        self.answer()
        head = self.head(person)
        self.reading += 1
        self.most_reading = max(self.most_reading, self.reading)
        try:
            await self.open.wait()
        finally:
            self.reading -= 1
        self.read += 1
        return Missed(head, since or 0, [], reset=since is None or epoch != head.epoch)

    async def all_heads(self, people: Collection[uuid.UUID]) -> dict[uuid.UUID, Head]:
        self.answer()
        return {person: self.head(person) for person in people}

    async def versions(self, topics: Collection[tuple[uuid.UUID, str]]) -> dict[tuple[uuid.UUID, str], int]:
        self.answer()
        return {topic: self.boards[topic] for topic in topics if topic in self.boards}

    async def lapsed(self, _connections: Iterable[Connection]) -> dict[str, Close]:
        self.answer()
        return self.ended

    def answer(self) -> None:
        if self.away:
            raise Unavailable("away")


@pytest.fixture
async def books() -> Books:
    return Books()


@pytest.fixture
async def board(books: Books) -> Switchboard:
    return Switchboard(books.ledger(), system_clock)


def listener(person: uuid.UUID = OMAR, tenant: uuid.UUID = TENANT, session: uuid.UUID | None = None) -> Listener:
    return Listener(tenant, person, "provider", "Omar", "en", session or uuid.uuid4(), None)


async def connect(board: Switchboard, who: Listener | None = None) -> Connection:
    """A connection that has said hello and been sent its rows."""
    opened = Connection(who or listener())
    board.add(opened)
    await board.resume(opened, None, None)
    await heard(opened)
    return opened


async def heard(opened: Connection) -> list[dict[str, Any]]:
    """What is sent next; waits for it."""
    async with asyncio.timeout(2):
        return [json.loads(text) for text in await opened.next_frames()]


def moved(seq: int, person: uuid.UUID = OMAR, tenant: uuid.UUID = TENANT) -> InboxMoved:
    return InboxMoved(tenant, person, seq, seq, items=[])


@asynccontextmanager
async def running(board: Switchboard) -> AsyncIterator[None]:
    task = asyncio.create_task(board.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=2)
        assert task.cancelled()


async def test_a_push_reaches_every_tab_of_its_person_and_nobody_else(board: Switchboard) -> None:
    first, second = await connect(board), await connect(board)
    huda = await connect(board, listener(HUDA))
    board.deliver([moved(1)])
    for tab in (first, second):
        assert [frame["seq"] for frame in await heard(tab)] == [1]
    board.deliver([moved(1, HUDA)])
    assert [frame["seq"] for frame in await heard(huda)] == [1]


async def test_a_push_that_names_another_tenant_is_ignored(board: Switchboard) -> None:
    opened = await connect(board)
    opened.topics["arrivals"] = 0
    board.deliver(
        [
            moved(1, tenant=OTHER_TENANT),
            TopicChanged(OTHER_TENANT, "arrivals", 9),
            AccessEnded(OTHER_TENANT, OMAR, None),
            TopicChanged(TENANT, "arrivals", 2),
        ]
    )
    assert await heard(opened) == [{"t": "state", "topic": "arrivals", "ver": 2}]
    assert opened.closing is None


async def test_a_missed_push_has_the_rows_read(books: Books, board: Switchboard) -> None:
    opened = await connect(board)
    books.heads[OMAR] = Head(3, 3, "epoch")
    board.deliver([moved(3)])
    assert [(frame["t"], frame["from"], frame["to"]) for frame in await heard(opened)] == [("fill", 0, 3)]
    board.deliver([moved(4)])
    assert [frame["seq"] for frame in await heard(opened)] == [4]


async def test_an_event_during_the_first_reading_is_sent_after_it(books: Books, board: Switchboard) -> None:
    books.open.clear()
    opened = Connection(listener())
    board.add(opened)
    hello = asyncio.create_task(board.resume(opened, None, None))
    await asyncio.sleep(0)
    board.deliver([moved(1), moved(2)])
    books.open.set()
    await hello
    assert [frame["t"] for frame in await heard(opened)] == ["snap", "ev", "ev"]
    assert opened.sent == 2


async def test_what_two_looks_find_missing_is_read(books: Books, board: Switchboard) -> None:
    behind, level = await connect(board), await connect(board, listener(HUDA))
    books.heads[OMAR] = Head(2, 1, "epoch")
    read = books.read
    await board.look()
    assert (behind.stage, books.read) == (Stage.LIVE, read)
    await board.look()
    assert [(frame["t"], frame["to"], frame["unread"]) for frame in await heard(behind)] == [("fill", 2, 1)]
    assert books.read == read + 1
    assert level.stage is Stage.LIVE


async def test_a_look_for_a_reason_finds_who_is_behind_at_once(books: Books, board: Switchboard) -> None:
    behind = await connect(board)
    books.heads[OMAR] = Head(2, 1, "epoch")
    board.look_soon()
    await board.look()
    assert [(frame["t"], frame["to"]) for frame in await heard(behind)] == [("fill", 2)]


async def test_a_reason_to_look_outlives_a_look_that_failed(books: Books) -> None:
    ledger, away = books.ledger(), [True]

    async def heads(people: Collection[uuid.UUID]) -> dict[uuid.UUID, Any]:
        if away.pop():
            raise Unavailable("away")
        return await ledger.heads(people)

    board = Switchboard(replace(ledger, heads=heads), system_clock)
    behind = await connect(board)
    books.heads[OMAR] = Head(2, 1, "epoch")
    board.look_soon()
    with pytest.raises(Unavailable):
        await board.look()
    away.append(False)
    await board.look()
    assert [(frame["t"], frame["to"]) for frame in await heard(behind)] == [("fill", 2)]


async def test_while_other_processes_are_not_heard_every_look_counts(books: Books) -> None:
    board = Switchboard(books.ledger(), system_clock, hears_others=lambda: False)
    behind = await connect(board)
    books.heads[OMAR] = Head(2, 1, "epoch")
    await board.look()
    assert [(frame["t"], frame["to"]) for frame in await heard(behind)] == [("fill", 2)]


async def test_a_look_tells_the_versions_of_what_is_watched(books: Books, board: Switchboard) -> None:
    opened = await connect(board)
    books.boards[TENANT, "arrivals"] = 4
    await board.watch(opened, "arrivals")
    books.boards[TENANT, "arrivals"] = 5
    await board.look()
    assert [frame["ver"] for frame in await heard(opened)] == [4, 5]


async def test_watching_again_is_answered_again(books: Books, board: Switchboard) -> None:
    opened = await connect(board)
    await board.watch(opened, "arrivals")
    await board.watch(opened, "arrivals")
    assert [frame["ver"] for frame in await heard(opened)] == [0, 0]


async def test_an_inbox_begun_anew_sends_its_tabs_back_to_hello(books: Books, board: Switchboard) -> None:
    opened = await connect(board)
    books.heads[OMAR] = Head(0, 0, "another epoch")
    await board.look()
    assert await heard(opened) == []
    assert opened.closing is Close.GOING_AWAY


async def test_one_reading_at_a_time_for_each_and_few_for_all(books: Books, board: Switchboard) -> None:
    people = [uuid.uuid4() for _ in range(3 * MOST_CATCHING_UP)]
    tabs = [await connect(board, listener(person)) for person in people]
    books.open.clear()
    for person in people:
        books.heads[person] = Head(9, 9, "epoch")
        for seq in (9, 7, 8, 9):
            board.deliver([moved(seq, person)])
    await board.look()
    await eventually(lambda: books.reading == MOST_CATCHING_UP)
    books.read = 0
    books.open.set()
    for tab in tabs:
        assert [frame["to"] for frame in await heard(tab)] == [9]
    assert (books.read, books.most_reading) == (len(people), MOST_CATCHING_UP)


async def test_a_question_asked_while_rows_are_read_gets_an_answer_of_its_own(books: Books, board: Switchboard) -> None:
    opened = await connect(board)
    books.heads[OMAR] = Head(5, 5, "epoch")
    books.open.clear()
    board.deliver([moved(5)])
    await asyncio.sleep(0)
    opened.ask_again(3)
    board.catch_up(opened)
    books.open.set()
    told: list[int] = []
    while len(told) < 2:
        told += [frame["from"] for frame in await heard(opened)]
    assert told == [0, 3]


async def test_a_tab_that_could_not_catch_up_is_taken_up_by_the_next_look(books: Books, board: Switchboard) -> None:
    opened = await connect(board)
    books.away = True
    board.deliver([moved(2)])
    await asyncio.sleep(0.01)
    assert opened.stage is Stage.BEHIND
    books.away, books.heads[OMAR] = False, Head(2, 2, "epoch")
    await board.look()
    assert [frame["to"] for frame in await heard(opened)] == [2]


async def test_a_tab_that_leaves_while_its_rows_are_read_leaves_nothing_behind(
    books: Books, board: Switchboard
) -> None:
    before = asyncio.all_tasks()
    opened = await connect(board)
    books.open.clear()
    board.deliver([moved(2)])
    await asyncio.sleep(0)
    board.remove(opened)
    reading = asyncio.all_tasks() - before
    await asyncio.wait(reading, timeout=1)
    assert (asyncio.all_tasks() - before, books.reading, len(board)) == (set(), 0, 0)


async def test_a_signed_out_session_loses_its_tabs_and_no_other(board: Switchboard) -> None:
    ended, stays = listener(), listener()
    tab, other = await connect(board, ended), await connect(board, stays)
    board.deliver([AccessEnded(TENANT, OMAR, ended.session)])
    assert (tab.closing, other.closing) == (Close.SESSION_ENDED, None)
    board.deliver([AccessEnded(TENANT, OMAR, None)])
    assert other.closing is Close.SESSION_ENDED


async def test_whose_right_has_lapsed_loses_the_tab(books: Books, board: Switchboard) -> None:
    opened, other = await connect(board), await connect(board)
    books.ended = {opened.id: Close.TOKEN_EXPIRED}
    await board.look_at_access()
    assert (opened.closing, other.closing) == (Close.TOKEN_EXPIRED, None)


async def test_a_clinic_is_listened_to_while_somebody_of_it_is_connected(books: Books) -> None:
    asked: list[tuple[uuid.UUID, bool]] = []
    board = Switchboard(books.ledger(), system_clock, lambda tenant, on: asked.append((tenant, on)))
    first, second = await connect(board), await connect(board, listener(HUDA))
    board.remove(first)
    board.remove(second)
    await connect(board)
    assert asked == [(TENANT, True), (TENANT, False), (TENANT, True)]


async def test_a_heartbeat_says_where_everything_stands(board: Switchboard) -> None:
    opened = await connect(board)
    opened.topics["arrivals"] = 3
    board.deliver([moved(1)])
    board.beat()
    _, beat = await heard(opened)
    assert {name: beat[name] for name in ("t", "n", "head", "unread", "topics")} == {
        "t": "hb",
        "n": 1,
        "head": 1,
        "unread": 1,
        "topics": {"arrivals": 3},
    }


async def test_heartbeats_are_spread_over_turns_and_everybody_gets_one(board: Switchboard) -> None:
    tabs = [await connect(board) for _ in range(7)]
    for turn in range(3):
        board.beat(turn, turns=3)
    for tab in tabs:
        assert [frame["t"] for frame in await heard(tab)] == ["hb"]


async def test_nobody_beats_at_a_tab_that_was_told_to_resync(board: Switchboard) -> None:
    opened = await connect(board)
    for seq in range(1, 300):
        board.deliver([moved(seq)])
    board.beat()
    assert [frame["t"] for frame in await heard(opened)] == ["resync"]


async def test_looks_go_on_after_the_database_was_away(books: Books) -> None:
    board = Switchboard(books.ledger(), system_clock, look_every=0.01, access_look_every=0.01)
    opened = await connect(board)
    async with running(board):
        books.away = True
        await asyncio.sleep(0.05)
        books.away, books.heads[OMAR] = False, Head(1, 1, "epoch")
        assert [frame["to"] for frame in await heard(opened)] == [1]
        books.ended = {opened.id: Close.SESSION_ENDED}
        assert await heard(opened) == []


async def test_a_wake_up_brings_the_look_forward(books: Books) -> None:
    board = Switchboard(books.ledger(), system_clock, look_every=60)
    opened = await connect(board)
    async with running(board):
        books.heads[OMAR] = Head(1, 1, "epoch")
        board.look_soon()
        assert [frame["to"] for frame in await heard(opened)] == [1]


@pytest.mark.parametrize("turns", range(4))
async def test_it_ends_when_told_even_as_a_wake_up_comes(books: Books, turns: int) -> None:
    board = Switchboard(books.ledger(), system_clock, look_every=60)
    before = asyncio.all_tasks()
    task = asyncio.create_task(board.run())
    await eventually(lambda: len(asyncio.all_tasks() - before) > 3)
    board.look_soon()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await eventually(lambda: asyncio.all_tasks() <= before, within=1)
