"""Who hears what, with a ledger of plain values in place of the database."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import structlog

from hub.clock import system_clock
from hub.errors import Unavailable
from hub.inbox.feed import Head
from hub.realtime.backlog import MOST_FRAMES
from hub.realtime.broadcasts import TOLD_AT_ONCE
from hub.realtime.connection import Connection, Stage
from hub.realtime.frames import Close
from hub.realtime.meters import METERS
from hub.realtime.pushes import AccessEnded, InboxMoved, Rang, TopicChanged, changed, rang
from hub.realtime.switchboard import Switchboard
from hub.realtime.wire import Frame
from tests.realtime.books import HUDA, OMAR, OTHER_TENANT, TENANT, Books, Tab, connect, of, running
from tests.realtime.conftest import eventually

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
MANY = 10_000


@pytest.fixture
async def books() -> Books:
    return Books()


@pytest.fixture
async def board(books: Books) -> Switchboard:
    return Switchboard(books.ledger(), system_clock)


def moved(seq: int, person: uuid.UUID = OMAR, tenant: uuid.UUID = TENANT) -> InboxMoved:
    return changed(tenant, person, seq, seq, [])


def rung(*people: uuid.UUID, seq: int = 1, tenant: uuid.UUID = TENANT, urgent: bool = False) -> InboxMoved | Rang:
    """One notification to these people, under the same number in each inbox."""
    return rang(tenant, [(each, seq, seq, each) for each in people], {"title": "Hello"}, urgent=urgent, at=0.0)


async def a_crowd(board: Switchboard, size: int, books: Books) -> list[Tab]:
    """So many people's tabs, greeted and with nothing to read."""
    tabs = [Tab() for _ in range(size)]
    for number, tab in enumerate(tabs):
        board.reception.catch_up(tab.connect(board, of(uuid.UUID(int=1_000 + number)), None, None))
    while any(not tab.opened.is_greeted for tab in tabs):
        await board.reception.take_turn()
    for tab in tabs:
        tab.take()
    books.asked.clear()
    return tabs


def person_of(tab: Tab) -> uuid.UUID:
    return tab.opened.listener.person


def numbers(tab: Tab) -> list[int]:
    """The numbers of the events that came."""
    return [frame["seq"] for frame in tab.take()]


async def test_a_push_reaches_every_tab_of_its_person_and_nobody_else(board: Switchboard) -> None:
    first, second = await connect(board), await connect(board)
    huda = await connect(board, of(HUDA))
    board.deliver([moved(1)])
    assert [numbers(tab) for tab in (first, second, huda)] == [[1], [1], []]
    board.deliver([moved(1, HUDA), rung(OMAR, HUDA, seq=2)])
    assert [numbers(tab) for tab in (first, second, huda)] == [[2], [2], [1, 2]]


async def test_a_bell_shows_each_their_own_number_and_count(board: Switchboard) -> None:
    tab = await connect(board)
    board.deliver([rang(TENANT, [(OMAR, 1, 7, HUDA)], {"title": "وصول سارة"}, urgent=True, at=0.0)])
    row = {"id": str(HUDA), "number": 1, "seq": 1, "title": "وصول سارة"}
    assert tab.take() == [{"t": "ev", "seq": 1, "prev": 0, "unread": 7, "items": [row]}]
    assert (tab.opened.sent, tab.opened.unread) == (1, 7)


async def test_of_a_burst_of_bells_the_receipt_for_the_last_is_timed(board: Switchboard) -> None:
    await connect(board)
    before = sum(METERS.commit_to_receipt.counts)
    for seq in range(1, 4):
        board.deliver([rang(TENANT, [(OMAR, seq, seq, HUDA)], {"title": "Hello"}, urgent=False, at=1.0)])
    board.received(OMAR, 3, 0)
    assert sum(METERS.commit_to_receipt.counts) == before + 1


async def test_a_push_that_names_another_tenant_is_ignored(board: Switchboard) -> None:
    tab = await connect(board)
    tab.opened.watch("arrivals", 0)
    board.deliver(
        [
            moved(1, tenant=OTHER_TENANT),
            rung(OMAR, tenant=OTHER_TENANT),
            rung(*[OMAR] * (TOLD_AT_ONCE + 1), tenant=OTHER_TENANT),
            TopicChanged(OTHER_TENANT, "arrivals", 9),
            AccessEnded(OTHER_TENANT, OMAR),
            AccessEnded(OTHER_TENANT),
            TopicChanged(TENANT, "arrivals", 2),
        ]
    )
    assert tab.take() == [{"t": "state", "topic": "arrivals", "ver": 2}]
    assert tab.opened.closing is None


async def test_a_missed_push_has_the_rows_read(books: Books, board: Switchboard) -> None:
    tab = await connect(board)
    books.heads[OMAR] = Head(3, 3, "epoch")
    board.deliver([moved(3)])
    await board.reception.take_turn()
    assert [(frame["t"], frame["from"], frame["to"]) for frame in tab.take()] == [("fill", 0, 3)]
    board.deliver([moved(4)])
    assert numbers(tab) == [4]


async def test_pushes_that_overtake_each_other_cost_no_reading(books: Books, board: Switchboard) -> None:
    tab = await connect(board)
    read = books.read
    board.deliver([moved(2), rung(OMAR, seq=3), moved(1)])
    await board.reception.take_turn()
    assert (numbers(tab), books.read) == ([1, 2, 3], read)


# --- broadcasts -------------------------------------------------------------------------------------


async def test_while_a_large_broadcast_is_told_everything_else_has_its_turn(books: Books, board: Switchboard) -> None:
    tabs = await a_crowd(board, MANY, books)
    loop = asyncio.get_running_loop()
    told_at: list[int] = []

    def breathe() -> None:
        told_at.append(sum(len(tab.out) for tab in tabs))
        if told_at[-1] < MANY:
            loop.call_soon(breathe)

    board.deliver([rung(*map(person_of, tabs))])
    loop.call_soon(breathe)
    await eventually(lambda: bool(told_at) and told_at[-1] == MANY)
    assert told_at[0] <= 2 * TOLD_AT_ONCE
    assert all(later - sooner <= TOLD_AT_ONCE for sooner, later in pairwise(told_at))
    assert len(told_at) >= MANY // TOLD_AT_ONCE - 1
    assert all(numbers(tab) == [1] for tab in tabs)
    assert books.asked == []


@pytest.mark.parametrize("place", [0, MANY // 40, MANY // 20 - 1])
async def test_what_comes_in_the_middle_of_a_broadcast_is_neither_lost_nor_doubled(
    books: Books, board: Switchboard, place: int
) -> None:
    tabs = await a_crowd(board, MANY // 20, books)
    people = [person_of(tab) for tab in tabs]
    async with running(board):
        board.deliver([rung(*people), moved(2, people[place])])
        await asyncio.sleep(0)
        board.deliver([moved(3, people[place]), rung(*people[: place + 1], seq=4 if place == 0 else 2)])
        await asyncio.sleep(0.2)
    expected = {people[place]: [1, 2, 3, *([4] if place == 0 else [])]}
    for tab in tabs[: place + 1]:
        assert numbers(tab) == expected.get(person_of(tab), [1, 2])
    assert books.read == 0


async def test_broadcasts_are_told_in_their_order_and_those_that_wait_in_one_write(
    books: Books, board: Switchboard
) -> None:
    tabs = await a_crowd(board, TOLD_AT_ONCE + 100, books)
    people = [person_of(tab) for tab in tabs]
    before = tabs[-1].writes
    board.deliver([rung(*people, seq=seq) for seq in (1, 2, 3)])
    await eventually(lambda: all(len(tab.out) == 3 for tab in tabs))
    assert tabs[-1].writes == before + 2
    assert all(numbers(tab) == [1, 2, 3] for tab in tabs)


async def test_nobody_is_read_up_who_may_only_not_have_been_told_yet(books: Books, board: Switchboard) -> None:
    tabs = await a_crowd(board, 2 * TOLD_AT_ONCE, books)
    people = [person_of(tab) for tab in tabs]
    books.heads |= {each: Head(2, 2, "epoch") for each in people}
    board.deliver([rung(*people), moved(2, people[-1])])
    await board.reception.take_turn()
    assert (tabs[-1].opened.stage, books.read) == (Stage.BEHIND, 0)
    await eventually(lambda: tabs[-1].opened.stage is Stage.LIVE)
    assert numbers(tabs[-1]) == [1, 2]


async def test_a_gap_that_a_broadcast_leaves_is_read_after_it(books: Books, board: Switchboard) -> None:
    tabs = await a_crowd(board, TOLD_AT_ONCE + 1, books)
    last = person_of(tabs[-1])
    books.heads[last] = Head(3, 3, "epoch")
    async with running(board):
        board.deliver([rung(*map(person_of, tabs)), moved(3, last)])
        await eventually(lambda: tabs[-1].opened.sent == 3)
    assert [frame["t"] for frame in tabs[-1].take()] == ["ev", "fill"]


async def test_a_tab_that_comes_or_goes_during_a_broadcast_is_no_trouble(books: Books, board: Switchboard) -> None:
    tabs = await a_crowd(board, 2 * TOLD_AT_ONCE, books)
    people = [person_of(tab) for tab in tabs]
    board.deliver([rung(*people)])
    board.remove(tabs[-1].opened)
    books.heads[people[-2]] = Head(1, 1, "epoch")
    newcomer = await connect(board, of(people[-2]))
    await eventually(lambda: len(tabs[-2].out) == 1)
    await asyncio.sleep(0)
    assert (newcomer.take(), tabs[-1].take(), numbers(tabs[-2])) == ([], [], [1])


class Broken(Tab):
    def write(self, message: bytes) -> None:
        if b'"t":"ev","seq":1,' in message:
            raise RuntimeError("broken")
        super().write(message)


async def test_a_fault_in_a_broadcast_stops_neither_the_next_one_nor_reading(books: Books, board: Switchboard) -> None:
    tabs = await a_crowd(board, 2 * TOLD_AT_ONCE, books)
    people = [person_of(tab) for tab in tabs]
    broken = Broken()
    broken.connect(board, of(people[TOLD_AT_ONCE + 5]), None, None).caught_up(0, 0, "epoch")
    books.heads |= {each: Head(1, 1, "epoch") for each in people}
    with structlog.testing.capture_logs() as logs:
        board.deliver([rung(*people)])
        await eventually(lambda: bool(logs))
    assert [each["event"] for each in logs] == ["a broadcast was not told to its end"]
    board.look_soon()
    await board.look()
    for _ in range(2):
        await board.reception.take_turn()
    assert {tab.opened.sent for tab in tabs} == {1}
    board.deliver([rung(*people, seq=2)])
    await eventually(lambda: all(tab.opened.sent == 2 for tab in tabs))


@pytest.mark.parametrize(("people", "first"), [(1, 5), (2_500, 10)])
async def test_the_first_wait_grows_with_those_who_are_connected(
    books: Books, board: Switchboard, people: int, first: int
) -> None:
    await a_crowd(board, people, books)
    tab = Tab()
    board.reception.catch_up(tab.connect(board, of(), None, None))
    await board.reception.take_turn()
    assert tab.take()[0]["backoff"] == {"first": first, "cap": 30}


# --- looks ------------------------------------------------------------------------------------------


async def test_what_two_looks_find_missing_is_read(books: Books, board: Switchboard) -> None:
    behind, level = await connect(board), await connect(board, of(HUDA))
    books.heads[OMAR] = Head(2, 1, "epoch")
    read = books.read
    await board.look()
    await board.reception.take_turn()
    assert (behind.opened.stage, books.read) == (Stage.LIVE, read)
    await board.look()
    await board.reception.take_turn()
    assert [(frame["t"], frame["to"], frame["unread"]) for frame in behind.take()] == [("fill", 2, 1)]
    assert books.read == read + 1
    assert level.opened.stage is Stage.LIVE


async def test_a_look_for_a_reason_finds_who_is_behind_at_once(books: Books, board: Switchboard) -> None:
    behind = await connect(board)
    books.heads[OMAR] = Head(2, 1, "epoch")
    board.look_soon()
    await board.look()
    await board.reception.take_turn()
    assert [(frame["t"], frame["to"]) for frame in behind.take()] == [("fill", 2)]


async def test_a_reason_to_look_outlives_a_look_that_failed(books: Books, board: Switchboard) -> None:
    behind = await connect(board)
    books.heads[OMAR] = Head(2, 1, "epoch")
    board.look_soon()
    books.away = {"heads"}
    with pytest.raises(Unavailable):
        await board.look()
    books.away = set()
    await board.look()
    await board.reception.take_turn()
    assert [(frame["t"], frame["to"]) for frame in behind.take()] == [("fill", 2)]


async def test_while_other_processes_are_not_heard_every_look_counts(books: Books) -> None:
    board = Switchboard(books.ledger(), system_clock, hears_others=lambda: False)
    behind = await connect(board)
    books.heads[OMAR] = Head(2, 1, "epoch")
    await board.look()
    await board.reception.take_turn()
    assert [(frame["t"], frame["to"]) for frame in behind.take()] == [("fill", 2)]


async def test_a_look_finds_the_one_of_several_tabs_that_is_behind(books: Books, board: Switchboard) -> None:
    behind, level = await connect(board), await connect(board)
    books.heads[OMAR] = Head(2, 2, "epoch")
    for seq in (1, 2):
        level.opened.offer(seq, seq, Frame(b"{}", moves_to=seq))
    board.look_soon()
    await board.look()
    await board.reception.take_turn()
    assert [(frame["t"], frame["to"]) for frame in behind.take()] == [("fill", 2)]
    assert level.opened.stage is Stage.LIVE


async def test_a_look_tells_the_versions_of_what_is_watched(books: Books, board: Switchboard) -> None:
    tab = await connect(board)
    books.boards[TENANT, "arrivals"] = 4
    await board.watch(tab.opened, "arrivals")
    books.boards[TENANT, "arrivals"] = 5
    await board.look()
    assert [frame["ver"] for frame in tab.take()] == [4, 5]


async def test_watching_again_is_answered_again_and_nobody_else(board: Switchboard) -> None:
    tab, other = await connect(board), await connect(board, of(HUDA))
    for each in (tab, other, tab):
        await board.watch(each.opened, "arrivals")
    assert [frame["ver"] for frame in tab.take()] == [0, 0]
    assert [frame["ver"] for frame in other.take()] == [0]


async def test_a_tab_that_stops_watching_while_the_version_is_read_is_told_nothing(
    books: Books, board: Switchboard
) -> None:
    tab = await connect(board)
    tab.opened.watch("visits", 9)
    books.open["versions"].clear()
    watching = asyncio.create_task(board.watch(tab.opened, "arrivals"))
    await asyncio.sleep(0)
    tab.opened.unwatch("arrivals")
    books.open["versions"].set()
    await watching
    assert tab.take() == []


async def test_an_inbox_begun_anew_sends_its_tabs_back_to_hello(books: Books, board: Switchboard) -> None:
    tab = await connect(board)
    books.heads[OMAR] = Head(0, 0, "another epoch")
    await board.look()
    await board.reception.take_turn()
    assert (tab.take(), tab.ended) == ([], [Close.GOING_AWAY])


async def test_a_tab_of_an_older_inbox_is_found_beside_one_of_the_new(books: Books, board: Switchboard) -> None:
    books.heads[OMAR] = Head(9, 9, "epoch")
    old = await connect(board)
    books.heads[OMAR] = Head(2, 2, "another epoch")
    new = await connect(board)
    await board.look()
    await board.reception.take_turn()
    assert (old.ended, new.ended) == ([Close.GOING_AWAY], [])


@pytest.mark.parametrize("beside", [None, 1])
async def test_an_inbox_of_which_commits_were_lost_begins_anew(
    books: Books, board: Switchboard, beside: int | None
) -> None:
    books.heads = {OMAR: Head(3, 3, "epoch"), HUDA: Head(2, 2, "epoch")}
    ahead, level = await connect(board), await connect(board, of(HUDA))
    books.heads[OMAR] = Head(1, 1, "epoch")
    if beside is not None:
        await connect(board, epoch="epoch", since=beside)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await board.look()
            await board.reception.take_turn()
    assert (ahead.ended, level.ended) == ([Close.GOING_AWAY], [])
    assert books.heads == {OMAR: Head(1, 1, "epoch anew"), HUDA: Head(2, 2, "epoch")}
    assert [(each["log_level"], each["people"]) for each in logs] == [("error", 1)]


async def test_what_is_told_while_postgres_is_asked_is_not_taken_for_lost(books: Books, board: Switchboard) -> None:
    tab, behind = await connect(board), await connect(board)
    tab.opened.offer(1, 1, Frame(b"{}", moves_to=1))
    books.heads[OMAR] = Head(1, 1, "epoch")
    books.open["heads"].clear()
    looking = asyncio.create_task(board.look())
    await eventually(lambda: ("heads", 1) in books.asked)
    board.deliver([moved(2)])
    books.open["heads"].set()
    await looking
    assert (tab.ended, behind.ended, books.heads) == ([], [], {OMAR: Head(1, 1, "epoch")})


async def test_one_reading_for_all_that_one_tab_misses(books: Books, board: Switchboard) -> None:
    tabs = await a_crowd(board, 50, books)
    books.open["missed"].clear()
    for tab in tabs:
        books.heads[person_of(tab)] = Head(9, 9, "epoch")
        board.deliver(moved(seq, person_of(tab)) for seq in (9, 7, 8, 9))
    async with running(board):
        await eventually(lambda: books.read == len(tabs))
        for tab in tabs:
            board.deliver([moved(9, person_of(tab))])
        await board.look()
        books.open["missed"].set()
        await eventually(lambda: all(tab.opened.sent == 9 for tab in tabs))
        await asyncio.sleep(0.1)
    assert all([frame["to"] for frame in tab.take()] == [9] for tab in tabs)
    assert [asked for asked in books.asked if asked[0] == "missed"] == [("missed", len(tabs))]


async def test_a_question_asked_while_rows_are_read_gets_an_answer_of_its_own(books: Books, board: Switchboard) -> None:
    tab = await connect(board)
    books.heads[OMAR] = Head(5, 5, "epoch")
    books.open["missed"].clear()
    async with running(board):
        board.deliver([moved(5)])
        await eventually(lambda: tab.opened.stage is Stage.READING)
        tab.opened.ask_again(3)
        board.reception.catch_up(tab.opened)
        books.open["missed"].set()
        await eventually(lambda: len(tab.out) == 2)
    assert [frame["from"] for frame in tab.take()] == [0, 3]


@pytest.mark.parametrize("asked", [False, True])
async def test_a_tab_that_could_not_catch_up_is_taken_up_by_the_next_look(
    books: Books, board: Switchboard, asked: bool
) -> None:
    books.heads[OMAR] = Head(2, 2, "epoch")
    tab = await connect(board, epoch="epoch", since=2 if asked else 0)
    books.away = {"all"}
    if asked:
        tab.opened.ask_again(1)
        board.reception.catch_up(tab.opened)
    else:
        books.heads[OMAR] = Head(4, 4, "epoch")
        board.deliver([moved(4)])
    with structlog.testing.capture_logs():
        await board.reception.take_turn()
    assert (tab.opened.stage, tab.take()) == (Stage.BEHIND, [])
    books.away = set()
    await board.look()
    await board.reception.take_turn()
    assert [(frame["from"], frame["to"]) for frame in tab.take()] == [(1, 2) if asked else (2, 4)]


async def test_a_tab_that_leaves_while_its_rows_are_read_leaves_nothing_behind(
    books: Books, board: Switchboard
) -> None:
    async with running(board):
        tab = await connect(board)
        books.open["missed"].clear()
        board.deliver([moved(2)])
        await eventually(lambda: tab.opened.stage is Stage.READING)
        board.deliver([moved(9)])
        board.remove(tab.opened)
        books.heads[OMAR] = Head(2, 2, "epoch")
        read = books.read
        books.open["missed"].set()
        await asyncio.sleep(0.15)
    assert (tab.take(), len(board), books.read) == ([], 0, read)


# --- access -----------------------------------------------------------------------------------------


async def test_a_signed_out_session_loses_its_tabs_and_no_other(board: Switchboard) -> None:
    ended, stays = of(), of()
    tab, other = await connect(board, ended), await connect(board, stays)
    board.deliver([AccessEnded(TENANT, OMAR, ended.session)])
    assert (tab.ended, other.ended) == ([Close.SESSION_ENDED], [])
    board.deliver([AccessEnded(TENANT, OMAR)])
    assert other.ended == [Close.SESSION_ENDED]


@pytest.mark.parametrize("what", ["person", "session", "key", "token"])
async def test_whatever_is_named_ends_those_tabs_that_rest_on_it(board: Switchboard, what: str) -> None:
    rights = {"key": uuid.uuid4(), "token": uuid.uuid4()}
    tabs = [await connect(board, of(**rights)), await connect(board, of(HUDA)), await connect(board, of(HUDA))]
    named = getattr(tabs[0].opened.listener, what)
    board.deliver([AccessEnded(TENANT, **{what: named})])
    assert [tab.ended for tab in tabs] == [[Close.SESSION_ENDED], [], []]


async def test_whose_right_has_lapsed_loses_the_tab(books: Books, board: Switchboard) -> None:
    tab, other = await connect(board), await connect(board)
    books.ended = {tab.opened: Close.TOKEN_EXPIRED}
    await board.look_at_access()
    assert (tab.ended, other.ended) == ([Close.TOKEN_EXPIRED], [])


async def test_who_shows_a_new_token_while_the_old_one_is_looked_at_stays(books: Books, board: Switchboard) -> None:
    tab = await connect(board, of(token=uuid.uuid4()))
    books.ended = {tab.opened: Close.TOKEN_EXPIRED}
    books.open["lapsed"].clear()
    looking = asyncio.create_task(board.look_at_access())
    await asyncio.sleep(0)
    tab.opened.listener = of(token=uuid.uuid4())
    books.open["lapsed"].set()
    await looking
    assert tab.ended == []


async def test_a_token_that_ends_soon_is_asked_to_be_renewed(books: Books) -> None:
    board = Switchboard(books.ledger(), lambda: NOW)
    minutes = [None, 0.5, 1, 5]
    tabs = [
        await connect(board, of(expires_at=None if end is None else NOW + timedelta(minutes=end))) for end in minutes
    ]
    await board.look_at_access()
    renew = {"t": "renew", "within_s": 60}
    assert [tab.take() for tab in tabs] == [[], [renew], [renew], []]


async def test_a_clinic_is_listened_to_while_somebody_of_it_is_connected(books: Books) -> None:
    asked: list[tuple[uuid.UUID, bool]] = []
    board = Switchboard(books.ledger(), system_clock, lambda tenant, on: asked.append((tenant, on)))
    first, second = await connect(board), await connect(board, of(HUDA))
    board.remove(first.opened)
    board.remove(second.opened)
    board.remove(second.opened)
    await connect(board)
    assert asked == [(TENANT, True), (TENANT, False), (TENANT, True)]


async def test_who_cannot_be_registered_is_not_half_registered(books: Books) -> None:
    def refuse(_tenant: uuid.UUID, _on: bool) -> None:
        raise RuntimeError("not now")

    board = Switchboard(books.ledger(), system_clock, refuse)
    with pytest.raises(RuntimeError):
        board.add(Connection(of(), Tab()))
    assert (len(board), list(board), board.connections_of(OMAR)) == (0, [], 0)


async def test_thousands_who_come_and_go_leave_nothing_behind(books: Books, board: Switchboard) -> None:
    tabs = await a_crowd(board, 2_000, books)
    for tab in tabs[::2] + tabs[1::2]:
        board.remove(tab.opened)
    assert (len(board), board._people, board._tenants) == (0, {}, {})


# --- heartbeats and turns ---------------------------------------------------------------------------


async def test_a_heartbeat_says_where_everything_stands(board: Switchboard) -> None:
    tab = await connect(board)
    tab.opened.watch("arrivals", 3)
    board.deliver([moved(1)])
    board.beat()
    _, beat = tab.take()
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
    assert [[frame["t"] for frame in tab.take()] for tab in tabs] == [["hb"]] * 7


async def test_nobody_beats_at_a_tab_that_was_told_to_resync_or_not_greeted(board: Switchboard) -> None:
    tab, stranger = await connect(board), Tab()
    stranger.connect(board, of(), None, None)
    tab.room = 0
    board.deliver(moved(seq) for seq in range(1, MOST_FRAMES + 2))
    board.beat()
    tab.room = None
    tab.opened.flush()
    assert [frame["t"] for frame in tab.take()] == ["resync"]
    assert stranger.take() == []


async def test_each_tab_is_told_its_own_moment_to_go(board: Switchboard) -> None:
    tabs = [await connect(board) for _ in range(4)]
    draining = asyncio.create_task(board.drain(2.0))
    await asyncio.sleep(0)
    assert sorted(frame["after_ms"] for tab in tabs for frame in tab.take()) == [0, 500, 1000, 1500]
    for tab in tabs:
        assert not draining.done()
        board.remove(tab.opened)
        await asyncio.sleep(0.01)
    await draining


async def test_looks_go_on_after_the_database_was_away(books: Books) -> None:
    board = Switchboard(books.ledger(), system_clock, look_every=0.01, access_look_every=0.01)
    tab = await connect(board)
    with structlog.testing.capture_logs() as logs:
        async with running(board):
            books.away = {"all"}
            await asyncio.sleep(0.05)
            books.away, books.heads[OMAR] = set(), Head(1, 1, "epoch")
            await eventually(lambda: [json.loads(each)["t"] for each in tab.out] == ["fill"])
            books.ended = {tab.opened: Close.SESSION_ENDED}
            await eventually(lambda: tab.ended == [Close.SESSION_ENDED])
    assert {each["turn"] for each in logs} == {"look", "look_at_access"}


async def test_a_wake_up_brings_the_look_forward(books: Books) -> None:
    board = Switchboard(books.ledger(), system_clock, look_every=60)
    tab = await connect(board)
    async with running(board):
        books.heads[OMAR] = Head(1, 1, "epoch")
        board.look_soon()
        await eventually(lambda: tab.opened.sent == 1)


@pytest.mark.parametrize("turns", range(4))
async def test_it_ends_when_told_even_as_a_wake_up_comes(books: Books, turns: int) -> None:
    board = Switchboard(books.ledger(), system_clock, look_every=60)
    before = asyncio.all_tasks()
    task = asyncio.create_task(board.run())
    await eventually(lambda: len(asyncio.all_tasks() - before) > 4)
    board.look_soon()
    await connect(board)
    board.reception.catch_up(Connection(of(), Tab()))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await eventually(lambda: asyncio.all_tasks() <= before)
