"""How those who arrive together are let in together, and what one of them cannot do to the others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import structlog

from hub.clock import system_clock
from hub.inbox.feed import Head
from hub.realtime.connection import Connection, Listener, Stage
from hub.realtime.frames import Close, EndConnection
from hub.realtime.ledger import Asked, Gap, Greeting
from hub.realtime.pushes import AccessEnded, changed
from hub.realtime.reception import MOST_AT_ONCE, MOST_WAITING, Reception
from hub.realtime.switchboard import Switchboard
from tests.realtime.books import OMAR, TENANT, Books, Tab, connect, of, running
from tests.realtime.conftest import eventually


@pytest.fixture
async def books() -> Books:
    return Books()


@pytest.fixture
async def board(books: Books) -> Switchboard:
    return Switchboard(books.ledger(), system_clock)


async def come(board: Switchboard, cookie: str, tab: Tab | None = None, since: int | None = None) -> Tab:
    """Say hello, and wait to be let in."""
    tab = tab or Tab()
    epoch = None if since is None else "epoch"
    await board.reception.greet(Greeting(cookie), lambda who: tab.connect(board, who, epoch, since))
    return tab


def expect(books: Books, size: int) -> list[str]:
    """The cookies of so many people."""
    cookies = [f"cookie {number}" for number in range(size)]
    books.people |= {each: of(uuid.UUID(int=1_000 + number)) for number, each in enumerate(cookies)}
    return cookies


async def ends_of(board: Switchboard, cookies: Sequence[str]) -> list[Close | None]:
    """How each of them fared, all come at once: a reason to go, or None."""
    found = await asyncio.gather(*(come(board, each) for each in cookies), return_exceptions=True)
    assert all(isinstance(each, EndConnection | Tab) for each in found)
    return [each.close if isinstance(each, EndConnection) else None for each in found]


def is_asked(books: Books, what: str) -> bool:
    return bool(books.asked) and books.asked[-1][0] == what


def kinds(tab: Tab) -> list[str]:
    return [frame["t"] for frame in tab.take()]


async def test_one_who_comes_alone_is_let_in_at_once(books: Books, board: Switchboard) -> None:
    (cookie,) = expect(books, 1)
    board.reception = Reception(books.ledger(), system_clock, turns_every=3600)
    async with running(board), asyncio.timeout(15):
        tab = await come(board, cookie)
    assert kinds(tab) == ["welcome", "snap"]
    assert tab.opened.stage is Stage.LIVE


async def test_thousands_are_let_in_by_few_questions(books: Books, board: Switchboard) -> None:
    cookies = expect(books, 1_000)
    async with running(board):
        tabs = await asyncio.gather(*(come(board, each, since=0) for each in cookies))
    assert all(kinds(tab) == ["welcome", "fill"] for tab in tabs)
    assert [tab.opened.listener for tab in tabs] == [books.people[each] for each in cookies]
    sizes = MOST_AT_ONCE, 1_000 - MOST_AT_ONCE
    assert books.asked == [(what, size) for size in sizes for what in ("recognise", "missed")]


async def test_however_they_come_postgres_is_asked_so_often_and_no_more(books: Books, board: Switchboard) -> None:
    cookies = expect(books, 100)
    async with running(board):
        began = asyncio.get_running_loop().time()
        coming = []
        for each in cookies:
            coming.append(asyncio.create_task(come(board, each)))
            await asyncio.sleep(0.005)
        await asyncio.gather(*coming)
        took = asyncio.get_running_loop().time() - began
    turns = [what for what, _ in books.asked].count("recognise")
    assert turns <= 20 * took + 2


async def test_stragglers_and_newcomers_are_read_together(books: Books, board: Switchboard) -> None:
    (cookie,) = expect(books, 1)
    straggler = await connect(board)
    books.heads[OMAR] = Head(2, 2, "epoch")
    books.asked.clear()
    board.deliver([changed(TENANT, OMAR, 2, 2, [])])
    coming = asyncio.create_task(come(board, cookie))
    await asyncio.sleep(0)
    await board.reception.take_turn()
    assert kinds(await coming) == ["welcome", "snap"]
    assert kinds(straggler) == ["fill"]
    assert books.asked == [("recognise", 1), ("missed", 2)]


async def test_who_is_nobody_is_told_so_and_the_others_come_in(books: Books, board: Switchboard) -> None:
    cookies = expect(books, 3)
    async with running(board):
        assert await ends_of(board, [cookies[0], "nobody", *cookies[1:]]) == [None, Close.NOT_SIGNED_IN, None, None]
        with pytest.raises(EndConnection) as end:
            await board.reception.greet(Greeting(token="over"), lambda who: Connection(who, Tab()))
    assert end.value.close is Close.TOKEN_EXPIRED
    assert len(board) == 3


@pytest.mark.parametrize("what", ["recognise", "missed"])
async def test_while_the_database_is_away_newcomers_are_refused_and_stragglers_wait(
    books: Books, board: Switchboard, what: str
) -> None:
    cookies = expect(books, 3)
    straggler = await connect(board)
    with structlog.testing.capture_logs() as logs:
        async with running(board):
            books.away, books.heads[OMAR] = {what}, Head(2, 2, "epoch")
            board.deliver([changed(TENANT, OMAR, 2, 2, [])])
            assert await ends_of(board, cookies) == [Close.DATABASE_AWAY] * 3
            assert len(board) == 1
            if what == "missed":
                assert (straggler.opened.stage, straggler.take()) == (Stage.BEHIND, [])
            books.away = set()
            board.look_soon()
            await eventually(lambda: straggler.opened.sent == 2)
            assert await ends_of(board, cookies) == [None] * 3
    assert {each["log_level"] for each in logs} == {"warning"}
    assert not any(each.get("exc_info") for each in logs)


async def test_a_greeter_who_is_cancelled_leaves_no_connection(books: Books, board: Switchboard) -> None:
    cookies = expect(books, 3)
    async with running(board):
        for where in ("recognise", "missed"):
            books.open[where].clear()
            coming = [asyncio.create_task(come(board, each)) for each in cookies]
            await eventually(partial(is_asked, books, where))
            coming[1].cancel()
            await asyncio.sleep(0)
            books.open[where].set()
            done = await asyncio.gather(*coming, return_exceptions=True)
            assert [isinstance(each, Tab) for each in done] == [True, False, True]
            assert len(board) == 2
            for connection in list(board):
                board.remove(connection)
        queued = asyncio.create_task(come(board, cookies[0]))
        await asyncio.sleep(0)
        queued.cancel()
        await asyncio.wait([queued])
        await asyncio.sleep(0.1)
    assert (queued.cancelled(), len(board)) == (True, 0)


async def test_a_greeter_who_is_cancelled_is_sent_nothing_after(books: Books, board: Switchboard) -> None:
    (cookie,) = expect(books, 1)
    books.open["missed"].clear()
    tab = Tab()
    async with running(board):
        coming = asyncio.create_task(come(board, cookie, tab))
        await eventually(lambda: is_asked(books, "missed"))
        coming.cancel()
        await asyncio.wait([coming])
        books.open["missed"].set()
        await asyncio.sleep(0.1)
    assert tab.take() == []


async def test_whom_nobody_can_let_in_harms_nobody_else(books: Books, board: Switchboard) -> None:
    cookies = expect(books, 3)

    def refuse(_who: Listener) -> Connection:
        raise EndConnection(Close.TOO_MANY_CONNECTIONS, "too many")

    def fail(_who: Listener) -> Connection:
        raise RuntimeError("a fault")

    with structlog.testing.capture_logs() as logs:
        async with running(board):
            greet = board.reception.greet
            refused = asyncio.create_task(greet(Greeting(cookies[0]), refuse))
            failed = asyncio.create_task(greet(Greeting(cookies[1]), fail))
            tab = await come(board, cookies[2])
            await asyncio.wait([refused, failed])
    assert kinds(tab) == ["welcome", "snap"]
    ends: list[Any] = [refused.exception(), failed.exception()]
    assert [end.close for end in ends] == [Close.TOO_MANY_CONNECTIONS, Close.BUSY]
    assert [each["event"] for each in logs] == ["could not let in"]


class Strange(Tab):
    """A way to a client that fails."""

    def write(self, message: bytes) -> None:
        raise RuntimeError("a fault")


async def test_a_fault_with_one_connection_harms_no_other(books: Books, board: Switchboard) -> None:
    cookies = expect(books, 3)
    straggler = await connect(board)
    with structlog.testing.capture_logs() as logs:
        async with running(board):
            coming = [come(board, cookies[0], Strange()), *(come(board, each) for each in cookies[1:])]
            books.heads[OMAR] = Head(2, 2, "epoch")
            board.deliver([changed(TENANT, OMAR, 2, 2, [])])
            bad, *good = await asyncio.gather(*coming, return_exceptions=True)
            await eventually(lambda: straggler.opened.sent == 2)
    assert isinstance(bad, EndConnection)
    assert bad.close is Close.BUSY
    assert [kinds(tab) for tab in good if isinstance(tab, Tab)] == [["welcome", "snap"]] * 2
    assert len(board) == 3
    assert [each["event"] for each in logs] == ["could not bring up"]


@pytest.mark.parametrize("fault", ["too few are recognised", "too few are read", "nothing works"])
async def test_a_fault_in_a_turn_does_not_end_the_reception(books: Books, fault: str) -> None:
    ledger, faults = books.ledger(), [fault]

    async def recognise(greetings: Sequence[Greeting]) -> Sequence[Listener | None]:
        found = await ledger.recognise(greetings)
        return found[1:] if faults == ["too few are recognised"] else found

    async def missed(asked: Sequence[Asked]) -> Sequence[Gap]:
        if faults == ["nothing works"]:
            raise RuntimeError("a fault")
        found = await ledger.missed(asked)
        return found[1:] if faults == ["too few are read"] else found

    board = Switchboard(replace(ledger, recognise=recognise, missed=missed), system_clock)
    cookies = expect(books, 3)
    straggler = await connect(Switchboard(ledger, system_clock))
    board.add(straggler.opened)
    books.heads[OMAR] = Head(2, 2, "epoch")
    with structlog.testing.capture_logs():
        async with running(board):
            board.deliver([changed(TENANT, OMAR, 2, 2, [])])
            assert set(await ends_of(board, cookies)) <= {Close.BUSY, Close.DATABASE_AWAY}
            faults.clear()
            assert await ends_of(board, cookies) == [None] * 3
            board.look_soon()
            await eventually(lambda: straggler.opened.sent == 2)


async def test_when_too_many_wait_it_is_full(books: Books, board: Switchboard) -> None:
    books.people["cookie"] = of()
    coming = [asyncio.create_task(come(board, "cookie")) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert board.reception.is_full
    await board.reception.take_turn()
    assert not board.reception.is_full
    for each in coming:
        each.cancel()
    await asyncio.wait(coming)


@pytest.mark.parametrize("what", ["person", "session", "another session"])
async def test_whose_right_ends_while_they_are_recognised_does_not_come_in(
    books: Books, board: Switchboard, what: str
) -> None:
    (cookie,) = expect(books, 1)
    who = books.people[cookie]
    books.open["recognise"].clear()
    async with running(board):
        coming = asyncio.create_task(ends_of(board, [cookie]))
        await eventually(lambda: bool(books.asked))
        session = {"person": None, "session": who.session, "another session": uuid.uuid4()}[what]
        board.deliver([AccessEnded(TENANT, who.person, session)])
        books.open["recognise"].set()
        assert await coming == [None if what == "another session" else Close.BUSY]
        assert await ends_of(board, [cookie]) == [None]


async def test_an_event_during_the_first_reading_is_sent_after_it(books: Books, board: Switchboard) -> None:
    (cookie,) = expect(books, 1)
    person = books.people[cookie].person
    books.open["missed"].clear()
    async with running(board):
        coming = asyncio.create_task(come(board, cookie))
        await eventually(lambda: is_asked(books, "missed"))
        board.deliver([changed(TENANT, person, seq, seq, []) for seq in (1, 2)])
        books.open["missed"].set()
        tab = await coming
    assert kinds(tab) == ["welcome", "snap", "ev", "ev"]
    assert tab.opened.sent == 2
