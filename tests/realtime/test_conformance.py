"""The wire, case by case: whoever speaks `hub.v1` is answered so, by WebSocket, event stream and long poll alike."""

from __future__ import annotations

import base64
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
import structlog
from websockets.asyncio.client import connect

from bench.inbox import Inbox
from hub.errors import Unavailable
from hub.people import sessions
from hub.people.keys import add_key, revoke_key
from hub.people.live_tokens import AUDIENCE, PURPOSE, revoke_token, sign_token
from hub.people.roles import Permission
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.realtime.frames import LARGEST_FRAME, Close
from hub.work import SYSTEM
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, make_key, tell
from tests.live_client import open_socket
from tests.realtime.conftest import cookie_for
from tests.realtime.ways import WAYS, HttpClient, Refused, Visit, come, range_of

ELSEWHERE = "https://practice.example"
STOP, LATER, WHO = 4000, 4100, 4150


@dataclass(frozen=True)
class Scene:
    """What a case is about: a hub, a clinic, and Omar, who comes or speaks."""

    hub: RunningHub
    clinic: Clinic
    clock: MovableClock

    @property
    def visit(self) -> Visit:
        return Visit(self.hub.url)

    async def cookie(self, person: Staff | None = None) -> str:
        return await cookie_for(self.hub.house, person or self.clinic.omar)

    def token(self, person: Staff | None = None, **rest: Any) -> str:
        person = person or self.clinic.omar
        return sign_token(self.hub.house.keys, person.tenant_id, person.id, self.clock(), **rest)[0]

    def forged(self, **claims: Any) -> str:
        """A token with other claims, signed as if it were ours."""
        keys = self.hub.house.keys.signing_keys(PURPOSE)
        kid, key = next(iter(keys.items()))
        told = jwt.decode(self.token(), key, ["HS256"], audience=AUDIENCE)
        return jwt.encode(told | claims, key, "HS256", headers={"kid": kid})


@pytest.fixture
def scene(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> Scene:
    return Scene(hub, clinic, clock)


# --- who is let in --------------------------------------------------------------------------------

Proof = Callable[[Scene], Awaitable[Visit]]


def visit_with(**parts: Any) -> Proof:
    async def visit(scene: Scene) -> Visit:
        return replace(scene.visit, **parts)

    return visit


def cookie_with(**parts: Any) -> Proof:
    async def visit(scene: Scene) -> Visit:
        return replace(scene.visit, cookie=await scene.cookie(), **parts)

    return visit


def token_made(made: Callable[[Scene], str]) -> Proof:
    async def visit(scene: Scene) -> Visit:
        return replace(scene.visit, token=made(scene))

    return visit


def damaged(at: int) -> Callable[[Scene], str]:
    def made(scene: Scene) -> str:
        parts = scene.token().split(".")
        parts[at] = parts[at][::-1]
        return ".".join(parts)

    return made


async def ended_session(scene: Scene) -> Visit:
    cookie = await scene.cookie()
    async with scene.hub.house.open_work(scene.clinic.id, SYSTEM) as work:
        await sessions.end_all(work, scene.clinic.omar.id)
    return replace(scene.visit, cookie=cookie)


async def idle_session(scene: Scene) -> Visit:
    cookie = await scene.cookie()
    scene.clock.move(scene.hub.house.idle + timedelta(seconds=1))
    return replace(scene.visit, cookie=cookie)


async def deactivated(scene: Scene) -> tuple[str, str]:
    proofs = await scene.cookie(), scene.token()
    async with scene.hub.house.open_work(scene.clinic.id, SYSTEM) as work:
        await change_staff(work, scene.clinic.omar.id, active=False)
    return proofs


async def deactivated_cookie(scene: Scene) -> Visit:
    return replace(scene.visit, cookie=(await deactivated(scene))[0])


async def deactivated_token(scene: Scene) -> Visit:
    return replace(scene.visit, token=(await deactivated(scene))[1])


async def expired_token(scene: Scene) -> Visit:
    token = scene.token()
    scene.clock.move(timedelta(minutes=10))
    return replace(scene.visit, token=token)


async def revoked_token(scene: Scene) -> Visit:
    omar = scene.clinic.omar
    token, made = sign_token(scene.hub.house.keys, omar.tenant_id, omar.id, scene.clock())
    async with scene.hub.house.open_work(scene.clinic.id, SYSTEM) as work:
        await revoke_token(work, made.id)
    return replace(scene.visit, token=token)


async def token_of_a_revoked_key(scene: Scene) -> Visit:
    async with scene.hub.house.open_work(scene.clinic.id, SYSTEM) as work:
        key, _ = await add_key(work, "Practice system", [Permission.LIVE_TOKENS])
    async with scene.hub.house.open_work(scene.clinic.id, SYSTEM) as work:
        await revoke_key(work, key.id)
    return replace(scene.visit, token=scene.token(key=key.id))


async def token_of_an_earlier_era(scene: Scene) -> Visit:
    token = scene.token()
    await ended_session(scene)
    return replace(scene.visit, token=token)


async def api_key(scene: Scene) -> Visit:
    return replace(scene.visit, token=await make_key(scene.hub.house, scene.clinic))


async def bad_token_and_good_cookie(scene: Scene) -> Visit:
    return replace(scene.visit, cookie=await scene.cookie(), token="x")


async def person_of_another_tenant(scene: Scene) -> Visit:
    return replace(scene.visit, token=scene.forged(tid=uuid.uuid4().hex))


def unsigned(scene: Scene) -> str:
    head, claims, _ = scene.token().split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    assert head != none
    return f"{none}.{claims}."


def cursor(**parts: Any) -> Proof:
    return cookie_with(cursor=parts)


REFUSED: dict[str, tuple[Proof, int]] = {
    "nobody": (visit_with(), WHO),
    "an empty cookie": (visit_with(cookie="hub="), WHO),
    "a cookie that is none of ours": (visit_with(cookie="hub=x.y"), WHO),
    "a cookie of no tenant": (visit_with(cookie=f"hub={'0' * 32}.secret"), WHO),
    "a very long cookie": (visit_with(cookie=f"hub={'0' * 4000}"), WHO),
    "a cookie, from a page elsewhere": (cookie_with(origin=ELSEWHERE), WHO),
    "a cookie, from a page of no origin": (cookie_with(origin="null"), WHO),
    "a cookie, from who does not say": (cookie_with(origin=None), WHO),
    "a cookie, from another port": (cookie_with(origin="http://127.0.0.1:1"), WHO),
    "a cookie, from a name that begins like ours": (cookie_with(origin="http://127.0.0.1.evil.example"), WHO),
    "a cookie, across sites": (cookie_with(origin=None, fetch_site="cross-site"), WHO),
    "a cookie, from the same site but not our pages": (cookie_with(origin=None, fetch_site="same-site"), WHO),
    "a cookie, typed as an address": (cookie_with(origin=None, fetch_site="none"), WHO),
    "a cookie, with two stories": (cookie_with(origin=ELSEWHERE, fetch_site="same-origin"), WHO),
    "a session that ended": (ended_session, WHO),
    "a session that idled": (idle_session, WHO),
    "the cookie of somebody deactivated": (deactivated_cookie, WHO),
    "the token of somebody deactivated": (deactivated_token, WHO),
    "a token that ended": (expired_token, WHO),
    "a token that was revoked": (revoked_token, WHO),
    "a token of a revoked key": (token_of_a_revoked_key, WHO),
    "a token of before signing out everywhere": (token_of_an_earlier_era, WHO),
    "a token with another head": (token_made(damaged(0)), WHO),
    "a token with other claims": (token_made(damaged(1)), WHO),
    "a token with another signature": (token_made(damaged(2)), WHO),
    "a token without a signature": (token_made(unsigned), WHO),
    "a token for another purpose": (token_made(lambda scene: scene.forged(aud="hub-reset")), WHO),
    "a token for nobody": (token_made(lambda scene: scene.forged(sub=uuid.uuid4().hex)), WHO),
    "a token for the other tenant": (person_of_another_tenant, WHO),
    "a token of one word": (visit_with(token="x"), WHO),
    "an empty token": (visit_with(token=""), WHO),
    "a very long token": (visit_with(token="x" * 4000), WHO),
    "an API key": (api_key, WHO),
    "a bad token beside a good cookie": (bad_token_and_good_cookie, WHO),
    "version 0": (cookie_with(version=0), STOP),
    "version 2": (cookie_with(version=2), STOP),
    "no version": (cookie_with(version=None), STOP),
    "a version in words": (cookie_with(version="one"), STOP),
    "a number below nought": (cursor(epoch="e", seq=-1), STOP),
    "a number beyond all": (cursor(epoch="e", seq=2**53 + 1), STOP),
    "a number beyond counting": (cursor(epoch="e", seq=10**40), STOP),
    "half a number": (cursor(epoch="e", seq=1.5), STOP),
    "a number in words": (cursor(epoch="e", seq="one"), STOP),
    "a number without an epoch": (cursor(seq=1), STOP),
    "an epoch without a number": (cursor(epoch="e"), STOP),
    "an epoch of 65": (cursor(epoch="e" * 65, seq=1), STOP),
    "something unknown": (cookie_with(extra={"device": "phone"}), STOP),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", REFUSED)
async def test_who_is_not_let_in_is_told_what_to_do(scene: Scene, way: str, case: str) -> None:
    proof, code = REFUSED[case]
    visit = await proof(scene)
    with pytest.raises(Refused) as refused:
        async with come(way, visit):
            pass
    assert refused.value.code == code
    assert scene.hub.house.switchboard.connections_of(scene.clinic.omar.id) == 0


async def cookie_beside_a_good_token(scene: Scene) -> Visit:
    return replace(scene.visit, cookie="hub=x.y", token=scene.token(), origin=ELSEWHERE)


async def token_from(scene: Scene, origin: str | None) -> Visit:
    return replace(scene.visit, token=scene.token(), origin=origin)


LET_IN: dict[str, Proof] = {
    "a cookie, from our pages": cookie_with(),
    "a cookie, from our pages, as browsers read": cookie_with(origin=None, fetch_site="same-origin"),
    "a cookie, from this machine's other name": cookie_with(origin="localhost"),
    "a token, from a program": lambda scene: token_from(scene, None),
    "a token, from a page elsewhere": lambda scene: token_from(scene, ELSEWHERE),
    "a good token beside a bad cookie": cookie_beside_a_good_token,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", LET_IN)
async def test_who_is_let_in_is_welcomed_by_name(scene: Scene, way: str, case: str) -> None:
    visit = await LET_IN[case](scene)
    if visit.origin == "localhost":
        visit = replace(visit, origin=scene.hub.url.replace("127.0.0.1", "localhost"))
    async with come(way, visit) as client:
        welcome = await client.hear()
        assert welcome["t"] == "welcome"
        assert welcome["you"]["id"] == str(scene.clinic.omar.id)
        assert welcome["hb"] == 15
        assert set(welcome["backoff"]) == {"first", "cap"}
        assert (await client.hear())["t"] == "snap"


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (None, None),
        (["hub.v1"], "hub.v1"),
        (["hub.v2", "hub.v1"], "hub.v1"),
        (["hub.v2"], None),
        (["HUB.V1"], None),
        (["hub.v1.evil", "mqtt"], None),
    ],
    ids=["none", "ours", "ours among others", "another", "ours in capitals", "two others"],
)
async def test_the_subprotocol_is_ours_or_none(scene: Scene, offered: Any, taken: str | None) -> None:
    async with connect(scene.hub.live_url, subprotocols=offered, origin=None) as socket:
        assert socket.subprotocol == taken
        await socket.send(json.dumps({"t": "hello", "v": 1, "token": scene.token()}))
        assert json.loads(await socket.recv())["t"] == "welcome"


@pytest.mark.parametrize("way", WAYS)
async def test_a_hub_without_its_database_asks_to_come_back_later(
    scene: Scene, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = await scene.cookie()

    async def away(_greetings: Any) -> Any:
        raise Unavailable("The database does not answer.")

    ledger = replace(scene.hub.house.ledger, recognise=away)
    monkeypatch.setattr(scene.hub.house.switchboard.reception, "_ledger", ledger)
    monkeypatch.setattr(scene.hub.app.state.live.door, "_ledger", ledger)
    with pytest.raises(Refused) as refused:
        async with come(way, replace(scene.visit, cookie=cookie)):
            pass
    assert refused.value.code == LATER
    client = HttpClient(replace(scene.visit, cookie=cookie), Inbox())
    with pytest.raises(Refused) as refused:
        await client.say({"t": "pong", "n": 1})
    await client.close()
    assert refused.value.code == LATER


@pytest.mark.parametrize("way", WAYS)
async def test_no_proof_and_no_place_is_written_to_the_log(
    scene: Scene, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = scene.token()
    visits = [
        replace(scene.visit, token=token, cursor={"epoch": "secret-epoch", "seq": 4711}),
        replace(scene.visit, token=f"{token}x", cookie="hub=secret-cookie"),
    ]
    with structlog.testing.capture_logs() as logs:
        for visit in visits:
            with suppress(Refused):
                async with come(way, visit) as client:
                    await client.hear()
                    await client.say({"t": "auth", "token": token, "nonce": "secret-nonce"})
    # As `hub.logs` sets it: what libraries say of every request is not written.
    written = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert not [each for each in ("secret", token) if each in str(logs) + str(written)]


# --- from where -----------------------------------------------------------------------------------

SOME = 7


async def stand(scene: Scene, count: int = SOME) -> Inbox:
    """Omar's inbox with so many notifications, as a client has it that heard them all."""
    for number in range(count):
        await tell(scene.hub.house, scene.clinic, scene.clinic.omar, title=f"Number {number + 1}")
    async with come("socket", replace(scene.visit, cookie=await scene.cookie())) as client:
        await client.hear_until("snap")
    return client.inbox


# What the client says of its epoch and number, given the inbox; what comes after welcome, and how many rows.
CURSORS: dict[str, tuple[Callable[[Inbox], Any], str, int]] = {
    "nothing yet": (lambda _: None, "snap", SOME),
    "the head": (lambda inbox: (inbox.epoch, SOME), "fill", 0),
    "one behind": (lambda inbox: (inbox.epoch, SOME - 1), "fill", 1),
    "before the first": (lambda inbox: (inbox.epoch, 0), "fill", SOME),
    "the future": (lambda inbox: (inbox.epoch, SOME + 1), "snap", SOME),
    "the far future": (lambda inbox: (inbox.epoch, 2**53), "snap", SOME),
    "another epoch": (lambda _: (str(uuid.uuid4()), SOME), "snap", SOME),
    "an epoch in words": (lambda _: ("naïve ' \" & = 漢", 3), "snap", SOME),
    "an epoch with a nought in it": (lambda _: ("\x00", 3), "snap", SOME),
    "an empty epoch": (lambda _: ("", 0), "snap", SOME),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CURSORS)
async def test_a_client_is_brought_up_from_wherever_it_stands(scene: Scene, way: str, case: str) -> None:
    inbox = await stand(scene)
    where, kind, rows = CURSORS[case]
    at = where(inbox)
    cursor = {"epoch": at[0], "seq": at[1]} if at else None
    async with come(way, replace(scene.visit, cookie=await scene.cookie(), cursor=cursor)) as client:
        welcome, brought = await client.hear(), await client.hear()
    assert welcome["resume"] == ("reset" if kind == "snap" else "ok")
    assert (welcome["epoch"], welcome["head"], welcome["unread"]) == (inbox.epoch, SOME, SOME)
    assert brought["t"] == kind
    assert len(brought["items"]) == rows


@pytest.mark.parametrize("way", WAYS)
async def test_every_point_resumes_to_the_same_inbox(scene: Scene, way: str) -> None:
    await stand(scene)
    cookie = await scene.cookie()
    points = []
    async with come(way, replace(scene.visit, cookie=cookie)) as client:
        await client.hear_until("snap")
        ids = list(client.inbox.rows)
        for mark, some in (("read", ids[:2]), ("archive", ids[1:3]), ("unread", ids[:1])):
            points.append(_copy(client.inbox))
            await client.say({"t": mark, "ids": some, "nonce": mark})
            await client.hear_everything(len(points) + SOME)
        whole = client.inbox
    for point in points:
        async with come(way, replace(scene.visit, cookie=cookie), point) as again:
            await again.hear_everything(SOME + 3)
        assert (again.inbox.rows, again.inbox.unread) == (whole.rows, whole.unread)
    assert whole.unread == sum(row["read_at"] is None for row in whole.rows.values()) == SOME - 2


def _copy(inbox: Inbox) -> Inbox:
    return replace(inbox, rows={each: dict(row) for each, row in inbox.rows.items()}, shown=list(inbox.shown), held={})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("behind", "kind"), [(200, "fill"), (201, "snap")])
async def test_above_two_hundred_missed_a_client_begins_anew(scene: Scene, way: str, behind: int, kind: str) -> None:
    inbox = await stand(scene, 1)
    for _ in range(behind):
        await tell(scene.hub.house, scene.clinic, scene.clinic.omar)
    async with come(way, replace(scene.visit, cookie=await scene.cookie()), inbox) as client:
        assert (await client.hear_until("fill", "snap"))["t"] == kind
        assert client.inbox.cursor == behind + 1
        assert client.inbox.unread == behind + 1
        assert client.inbox.resets == 1 + (kind == "snap")


# --- what is said, and answered -------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """Ids that a case may name: three of Omar's, of which the last is read; one of Huda's, one of elsewhere."""

    mine: list[str]
    hers: str
    theirs: str
    token: str
    huda: str


Say = Callable[[World], dict[str, Any]]
N = {"nonce": "n"}
# What is said; the answer (its `t`, or the code of an `err`); and whether the inbox moved.
SAID: dict[str, tuple[Say, str, bool]] = {
    "read one": (lambda w: {"t": "read", "ids": w.mine[:1], **N}, "ok", True),
    "read some": (lambda w: {"t": "read", "ids": w.mine, **N}, "ok", True),
    "read one twice over": (lambda w: {"t": "read", "ids": w.mine[:1] * 2, **N}, "ok", True),
    "read what is read": (lambda w: {"t": "read", "ids": w.mine[2:], **N}, "ok", False),
    "unread what is read": (lambda w: {"t": "unread", "ids": w.mine[2:], **N}, "ok", True),
    "unread what is unread": (lambda w: {"t": "unread", "ids": w.mine[:1], **N}, "ok", False),
    "archive one": (lambda w: {"t": "archive", "ids": w.mine[:1], **N}, "ok", True),
    "an id in capitals": (lambda w: {"t": "read", "ids": [w.mine[0].upper()], **N}, "ok", True),
    "read an unknown one": (lambda w: {"t": "read", "ids": [str(uuid.UUID(int=1))], **N}, "not-found", False),
    "read mine and an unknown one": (
        lambda w: {"t": "read", "ids": [w.mine[0], str(uuid.UUID(int=1))], **N},
        "not-found",
        False,
    ),
    "read somebody else's": (lambda w: {"t": "read", "ids": [w.hers], **N}, "not-found", False),
    "read mine and somebody else's": (lambda w: {"t": "read", "ids": [w.mine[0], w.hers], **N}, "not-found", False),
    "archive another tenant's": (lambda w: {"t": "archive", "ids": [w.theirs], **N}, "not-found", False),
    "a hundred ids": (
        lambda w: {"t": "read", "ids": [str(uuid.UUID(int=each)) for each in range(100)], **N},
        "not-found",
        False,
    ),
    "read all": (lambda w: {"t": "read_all", "upto": 4, **N}, "ok", True),
    "read all up to one": (lambda w: {"t": "read_all", "upto": 1, **N}, "ok", True),
    "read all up to nothing": (lambda w: {"t": "read_all", "upto": 0, **N}, "ok", False),
    "read all for ever": (lambda w: {"t": "read_all", "upto": 2**53, **N}, "ok", True),
    "a nonce of 64": (lambda w: {"t": "read", "ids": w.mine[:1], "nonce": "漢" * 64}, "ok", True),
    "fill from the beginning": (lambda w: {"t": "fill", "from": 0}, "fill", False),
    "fill from the middle": (lambda w: {"t": "fill", "from": 2}, "fill", False),
    "fill from the head": (lambda w: {"t": "fill", "from": 4}, "fill", False),
    "fill from the future": (lambda w: {"t": "fill", "from": 5}, "snap", False),
    "a new token": (lambda w: {"t": "auth", "token": w.token, **N}, "ok", False),
    "a bad token": (lambda w: {"t": "auth", "token": "x", **N}, "token_refused", False),
    "an empty token": (lambda w: {"t": "auth", "token": "", **N}, "token_refused", False),
}


async def make_world(scene: Scene) -> World:
    house, clinic = scene.hub.house, scene.clinic
    mine = [str((await tell(house, clinic, clinic.omar))[0]) for _ in range(3)]
    (hers,) = await tell(house, clinic, clinic.huda)
    async with come("socket", replace(scene.visit, cookie=await scene.cookie())) as client:
        await client.ask({"t": "read", "ids": mine[2:], "nonce": "0"})
        await client.hear_everything(4)
    return World(mine, str(hers), "", scene.token(), scene.token(clinic.huda))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", SAID)
async def test_what_is_said_is_answered(scene: Scene, other_clinic: Clinic, way: str, case: str) -> None:
    world = await make_world(scene)
    (theirs,) = await tell(scene.hub.house, other_clinic, other_clinic.omar)
    frame, wanted, moves = SAID[case]
    said = frame(replace(world, theirs=str(theirs)))
    async with come(way, replace(scene.visit, cookie=await scene.cookie())) as client:
        await client.hear_until("snap")
        heard = await client.ask(said)
        assert heard.get("code", heard["t"]) == wanted
        assert heard.get("nonce") == said.get("nonce")
        await tell(scene.hub.house, scene.clinic, scene.clinic.omar, title="The last")
        await client.hear_everything(6 if moves else 5)
        assert client.inbox.cursor == (6 if moves else 5)
        assert client.inbox.unread == sum(row["read_at"] is None for row in client.inbox.rows.values())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("frame", [{"t": "pong", "n": 1}, {"t": "recv", "seq": 1, "held_ms": 5}])
async def test_some_frames_have_no_answer(scene: Scene, way: str, frame: dict[str, Any]) -> None:
    async with come(way, replace(scene.visit, cookie=await scene.cookie())) as client:
        await client.hear_until("snap")
        await client.say(frame)
        await tell(scene.hub.house, scene.clinic, scene.clinic.omar)
        assert (await client.hear())["t"] in ("ev", "fill")


@pytest.mark.parametrize("way", WAYS)
async def test_answers_come_in_the_order_of_what_was_said(scene: Scene, way: str) -> None:
    async with come(way, replace(scene.visit, cookie=await scene.cookie())) as client:
        # At once, before anything was heard.
        some = [{"t": "read", "ids": [str(uuid.uuid4())], "nonce": str(each)} for each in range(20)]
        await client.say(*some)
        nonces = [(await client.hear_until("err"))["nonce"] for _ in some]
    assert nonces == [str(each) for each in range(20)]


@pytest.mark.parametrize("way", WAYS)
async def test_the_token_of_somebody_else_renews_nothing(scene: Scene, way: str) -> None:
    async with come(way, replace(scene.visit, token=scene.token())) as client:
        await client.say({"t": "auth", "token": scene.token(scene.clinic.huda), "nonce": "n"})
        if way == "socket":
            assert await client.hear_the_end() == Close.TOKEN_EXPIRED
        else:
            assert (await client.hear_until("err"))["code"] == "token_refused"


# --- what is no frame -----------------------------------------------------------------------------


def a_read(**parts: Any) -> str:
    return json.dumps({"t": "read", "ids": [str(uuid.UUID(int=1))], "nonce": "1"} | parts)


def padded(size: int) -> str:
    frame = json.dumps({"t": "auth", "token": "", "nonce": "1"})
    return frame.replace('"token": ""', '"token": "' + "x" * (size - len(frame)) + '"')


BAD_FRAMES: dict[str, str] = {
    "not JSON": "{",
    "nothing": "",
    "null": "null",
    "a number": "7",
    "a text": '"read"',
    "a list": "[[]]",
    "very deep": "[" * 10_000,
    "no type": '{"ids":[]}',
    "a type that is a number": '{"t":1}',
    "an unknown type": '{"t":"subscribe"}',
    "a type of the hub's": '{"t":"ev","seq":1}',
    "a type in another script": json.dumps({"t": "漢" * 200}, ensure_ascii=False),
    "hello": '{"t":"hello","v":1}',
    "an unknown field": '{"t":"fill","from":1,"to":2}',
    "a field in another script": json.dumps({"t": "fill", "from": 1, "ش" * 200: 1}, ensure_ascii=False),
    "no ids": a_read(ids=[]),
    "ids that are a number": a_read(ids=7),
    "ids that are a text": a_read(ids=str(uuid.UUID(int=1))),
    "an id that is none": a_read(ids=["x"]),
    "an id that is a number": a_read(ids=[7]),
    "101 ids": a_read(ids=[str(uuid.UUID(int=each)) for each in range(101)]),
    "no nonce": '{"t":"read","ids":["00000000-0000-0000-0000-000000000001"]}',
    "an empty nonce": a_read(nonce=""),
    "a nonce of 65": a_read(nonce="n" * 65),
    "a nonce that is a number": a_read(nonce=7),
    "a nonce that is null": a_read(nonce=None),
    "read all up to less than nothing": '{"t":"read_all","upto":-1,"nonce":"1"}',
    "read all up to a half": '{"t":"read_all","upto":1.5,"nonce":"1"}',
    "read all up to a text": '{"t":"read_all","upto":"1","nonce":"1"}',
    "read all up to what is no number": '{"t":"read_all","upto":NaN,"nonce":"1"}',
    "read all up to too much": '{"t":"read_all","upto":9007199254740993,"nonce":"1"}',
    "fill from nowhere": '{"t":"fill"}',
    "fill from less than nothing": '{"t":"fill","from":-1}',
    "fill from yes": '{"t":"fill","from":true}',
    "a receipt of yesterday": '{"t":"recv","seq":1,"held_ms":86400000}',
    "a receipt before it came": '{"t":"recv","seq":1,"held_ms":-1}',
    "a pong without a number": '{"t":"pong"}',
    "a renewal without a token": '{"t":"auth","nonce":"1"}',
    "a token of 4,097": '{"t":"auth","nonce":"1","token":"' + "x" * 4097 + '"}',
    "half a surrogate": '{"t":"auth","nonce":"1","token":"\\ud800"}',
    "a frame above 16 KiB": padded(LARGEST_FRAME + 1),
}


@pytest.mark.parametrize("way", ["socket", "say"])
@pytest.mark.parametrize("case", BAD_FRAMES)
async def test_what_is_no_frame_stops_its_client_and_does_nothing(scene: Scene, way: str, case: str) -> None:
    bad = BAD_FRAMES[case]
    (note,) = await tell(scene.hub.house, scene.clinic, scene.clinic.omar)
    visit = replace(scene.visit, cookie=await scene.cookie())
    async with come("socket", visit) as bystander:
        await bystander.hear_until("snap")
        if way == "socket":
            async with open_socket(scene.hub.live_url, visit.cookie) as offender:
                await offender.say(t="hello", v=1)
                await offender.hear_until("snap")
                await offender.socket.send(bad)
                assert range_of(await offender.hear_the_end()) == STOP
        else:
            good = a_read(ids=[str(note)])
            client = HttpClient(visit, Inbox())
            answer = await client.http.post("/live/say", content=f"[{good},{bad}]".encode())
            await client.close()
            assert answer.status_code == 400
        await tell(scene.hub.house, scene.clinic, scene.clinic.omar, title="Still here")
        assert (await bystander.hear())["unread"] == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b'{"t":"pong","n":1}', 400),
        (b"[]", 400),
        (b"null", 400),
        (b"\xff\xfe", 400),
        (b'[{"t":"pong","n":1}', 400),
        (b"[" + b'{"t":"pong","n":1},' * 19 + b'{"t":"pong","n":1}]', 200),
        (b"[" + b'{"t":"pong","n":1},' * 20 + b'{"t":"pong","n":1}]', 400),
        (b'[{"t":"watch","topic":"arrivals"}]', 400),
        (b'[{"t":"unwatch","topic":"arrivals"}]', 400),
        (b"[" + b" " * 65_536 + b"]", 413),
    ],
    ids=[
        "nothing",
        "an object",
        "a frame alone",
        "no frames",
        "null",
        "no text",
        "half",
        "20 frames",
        "21 frames",
        "watch",
        "unwatch",
        "above 64 KiB",
    ],
)
async def test_what_is_said_by_request_is_an_array_of_frames(scene: Scene, body: bytes, status: int) -> None:
    client = HttpClient(replace(scene.visit, cookie=await scene.cookie()), Inbox())
    answer = await client.http.post("/live/say", content=body)
    await client.close()
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
    else:
        assert answer.json() == []
