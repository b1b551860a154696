"""Everything that can be asked of the hub from outside, and who may: role by role, scope by scope, nobody else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from starlette.routing import BaseRoute, Mount, Route

from hub.api.routes import API, HEALTH
from hub.api.webhooks import WEBHOOKS
from hub.app import WAYS
from hub.appointments.lifecycle import arrive
from hub.channels.vendor import Channel
from hub.console.routes import CONSOLE
from hub.people.keys import add_key
from hub.people.live_tokens import sign_token
from hub.people.roles import SCOPES, Permission
from hub.people.tables import ApiKey, Staff
from hub.templates.defaults import install_defaults
from hub.work import SYSTEM, Actor
from tests.conftest import RunningHub
from tests.factories import Clinic, add_patient, book_visit, make_key, tell, write_template
from tests.messages.kept import MAIL, keep
from tests.messages.rows import make_message, make_request
from tests.visitors import browser_of, problem, program_of

ADMIN, DESK, PROVIDER = "admin", "desk", "omar"
EVERYBODY = frozenset({ADMIN, DESK, PROVIDER})
OFFICE = frozenset({ADMIN, DESK})
ONLY_ADMIN = frozenset({ADMIN})

# Placeholders `{visit}`, `{note}`, `{key}`, `{token}`, `{person}` stand for the id of something made for one request.
Values = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """One thing to ask: by which roles it may be asked, and with which scope of a key."""

    method: str
    path: str
    roles: frozenset[str]
    scope: Permission | None = None
    body: Values | list[Values] | None = None
    pattern: str = ""

    @property
    def route(self) -> tuple[str, str]:
        return self.method, self.pattern or self.path

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


APPOINTMENT: Values = {
    "patient": {"name": "Sara Doe"},
    "clinician_id": "{provider}",
    "starts_at": "2026-11-21T06:30:00Z",
}
# What is done to a visit, and how the visit has to stand for it.
STEPS: list[tuple[str, str, Values]] = [
    ("confirm", "visit", {}),
    ("move", "visit", {"starts_at": "2031-03-01T07:00:00Z"}),
    ("arrive", "visit", {}),
    ("start", "arrived", {}),
    ("complete", "arrived", {"next_steps": "Rest."}),
    ("cancel", "visit", {"reason": "Ill"}),
    ("no-show", "begun", {}),
    ("undo", "arrived", {}),
]
MESSAGE: Values = {"patient": {"id": "{patient}"}, "text": "See you at nine.", "topic": "reminders"}
WORDS: Values = {
    "bodies": {"en": "Hello { $patient }", "ar": "مرحبًا { $patient }"},
    "variables": [{"name": "patient", "type": "text", "privacy": "personal", "example": "Sara"}],
}
TEMPLATE: Values = {"channel": "sms", "topic": "reminders", **WORDS}
TEMPLATE_FORM: Values = {
    "channel": "sms",
    "topic": "reminders",
    "body_en": "Hello { $patient }",
    "body_ar": "مرحبًا { $patient }",
    "variable_name": "patient",
    "variable_type": "text",
    "variable_privacy": "personal",
    "variable_example": "Sara",
    "do": "save",
}
PROGRAMS = [
    Ask("GET", "/api/v1/notifications", EVERYBODY),
    Ask(
        "POST",
        "/api/v1/notifications",
        ONLY_ADMIN,
        Permission.NOTIFICATIONS_SEND,
        {"to": {"role": "provider"}, "title": "Hello"},
    ),
    Ask("GET", "/api/v1/notifications/count", EVERYBODY),
    Ask("POST", "/api/v1/notifications/read-all", EVERYBODY, body={}),
    Ask("POST", "/api/v1/notifications/read", EVERYBODY, body={"ids": ["{note}"]}),
    Ask("POST", "/api/v1/notifications/unread", EVERYBODY, body={"ids": ["{note}"]}),
    Ask("POST", "/api/v1/notifications/archive", EVERYBODY, body={"ids": ["{note}"]}),
    Ask("GET", "/api/v1/notifications/{note}", EVERYBODY, pattern="/api/v1/notifications/{id:uuid}"),
    Ask("GET", "/api/v1/appointments", EVERYBODY, Permission.APPOINTMENTS_READ),
    Ask("POST", "/api/v1/appointments", OFFICE, Permission.APPOINTMENTS_WRITE, APPOINTMENT),
    Ask(
        "GET",
        "/api/v1/appointments/{visit}",
        EVERYBODY,
        Permission.APPOINTMENTS_READ,
        pattern="/api/v1/appointments/{id:uuid}",
    ),
    Ask(
        "PATCH",
        "/api/v1/appointments/{visit}",
        OFFICE,
        Permission.APPOINTMENTS_WRITE,
        {"consent": "signed"},
        "/api/v1/appointments/{id:uuid}",
    ),
    *(
        Ask(
            "POST",
            f"/api/v1/appointments/{{{visit}}}/{verb}",
            OFFICE,
            Permission.APPOINTMENTS_WRITE,
            body,
            f"/api/v1/appointments/{{id:uuid}}/{verb}",
        )
        for verb, visit, body in STEPS
    ),
    Ask("GET", "/api/v1/appointment-rules", OFFICE, Permission.APPOINTMENTS_READ),
    Ask(
        "PUT", "/api/v1/appointment-rules", ONLY_ADMIN, body={"reminders": ["P1D", "PT2H"], "no_show_hold_minutes": 60}
    ),
    Ask("GET", "/api/v1/tellings", OFFICE, Permission.APPOINTMENTS_READ),
    Ask(
        "PUT",
        "/api/v1/tellings/arrived/clinician/in_app",
        ONLY_ADMIN,
        body={"enabled": True},
        pattern="/api/v1/tellings/{event}/{to}/{over}",
    ),
    Ask("GET", "/api/v1/messages", OFFICE, Permission.MESSAGES_READ),
    Ask("POST", "/api/v1/messages", OFFICE, Permission.MESSAGES_SEND, MESSAGE),
    Ask("GET", "/api/v1/messages/statistics", OFFICE, Permission.MESSAGES_READ),
    Ask(
        "POST",
        "/api/v1/notices/{notice}",
        OFFICE,
        Permission.MESSAGES_SEND,
        {"patient": {"id": "{patient}"}, "link": "https://example.org/results"},
        "/api/v1/notices/{kind}",
    ),
    Ask("GET", "/api/v1/messages/{failed}", OFFICE, Permission.MESSAGES_READ, pattern="/api/v1/messages/{id:uuid}"),
    Ask(
        "POST",
        "/api/v1/messages/{failed}/retry",
        OFFICE,
        Permission.MESSAGES_RETRY,
        pattern="/api/v1/messages/{id:uuid}/retry",
    ),
    Ask(
        "POST",
        "/api/v1/messages/{waiting}/cancel",
        OFFICE,
        Permission.MESSAGES_SEND,
        pattern="/api/v1/messages/{id:uuid}/cancel",
    ),
    Ask(
        "PATCH",
        "/api/v1/messages/{failed}/status",
        ONLY_ADMIN,
        Permission.MESSAGES_RETRY,
        {"state": "delivered", "reason": "Told by phone"},
        "/api/v1/messages/{id:uuid}/status",
    ),
    Ask("GET", "/api/v1/patients", OFFICE, Permission.PATIENTS_READ),
    Ask("POST", "/api/v1/patients", OFFICE, Permission.PATIENTS_WRITE, {"name": "Sara Doe"}),
    Ask("GET", "/api/v1/patients/{patient}", OFFICE, Permission.PATIENTS_READ, pattern="/api/v1/patients/{id:uuid}"),
    Ask(
        "PATCH",
        "/api/v1/patients/{patient}",
        OFFICE,
        Permission.PATIENTS_WRITE,
        {"language": "ar"},
        "/api/v1/patients/{id:uuid}",
    ),
    Ask(
        "GET",
        "/api/v1/patients/{patient}/choices",
        OFFICE,
        Permission.PATIENTS_READ,
        pattern="/api/v1/patients/{id:uuid}/choices",
    ),
    Ask(
        "POST",
        "/api/v1/patients/{patient}/choices",
        OFFICE,
        Permission.PATIENTS_WRITE,
        {"topic": "marketing", "allowed": True},
        "/api/v1/patients/{id:uuid}/choices",
    ),
    Ask(
        "POST",
        "/api/v1/patients/{patient}/preference-link",
        OFFICE,
        Permission.PATIENTS_WRITE,
        pattern="/api/v1/patients/{id:uuid}/preference-link",
    ),
    Ask("GET", "/api/v1/templates", OFFICE, Permission.TEMPLATES_READ),
    Ask("POST", "/api/v1/templates", ONLY_ADMIN, Permission.TEMPLATES_MANAGE, body={"code": "{code}", **TEMPLATE}),
    Ask("POST", "/api/v1/templates/preview", OFFICE, Permission.TEMPLATES_READ, body=TEMPLATE),
    Ask(
        "GET", "/api/v1/templates/{template}", OFFICE, Permission.TEMPLATES_READ, pattern="/api/v1/templates/{id:uuid}"
    ),
    Ask(
        "PATCH",
        "/api/v1/templates/{template}",
        ONLY_ADMIN,
        Permission.TEMPLATES_MANAGE,
        body={"active": False},
        pattern="/api/v1/templates/{id:uuid}",
    ),
    Ask(
        "DELETE",
        "/api/v1/templates/{template}",
        ONLY_ADMIN,
        Permission.TEMPLATES_MANAGE,
        pattern="/api/v1/templates/{id:uuid}",
    ),
    Ask(
        "PUT",
        "/api/v1/templates/{template}/draft",
        ONLY_ADMIN,
        Permission.TEMPLATES_MANAGE,
        body=WORDS,
        pattern="/api/v1/templates/{id:uuid}/draft",
    ),
    Ask(
        "DELETE",
        "/api/v1/templates/{template}/draft",
        ONLY_ADMIN,
        Permission.TEMPLATES_MANAGE,
        pattern="/api/v1/templates/{id:uuid}/draft",
    ),
    Ask(
        "POST",
        "/api/v1/templates/{template}/publish",
        ONLY_ADMIN,
        Permission.TEMPLATES_MANAGE,
        body={},
        pattern="/api/v1/templates/{id:uuid}/publish",
    ),
    Ask(
        "POST",
        "/api/v1/templates/{template}/roll-back",
        ONLY_ADMIN,
        Permission.TEMPLATES_MANAGE,
        body={"version": 1},
        pattern="/api/v1/templates/{id:uuid}/roll-back",
    ),
    Ask(
        "POST",
        "/api/v1/templates/{template}/test",
        ONLY_ADMIN,
        Permission.TEMPLATES_MANAGE,
        body={"to": "+966501234567", "language": "ar"},
        pattern="/api/v1/templates/{id:uuid}/test",
    ),
    Ask(
        "GET",
        "/api/v1/templates/{template}/usage",
        OFFICE,
        Permission.TEMPLATES_READ,
        pattern="/api/v1/templates/{id:uuid}/usage",
    ),
    Ask("GET", "/api/v1/me", EVERYBODY),
    Ask("POST", "/api/v1/me/sign-out-everywhere", EVERYBODY, body={}),
    Ask("GET", "/api/v1/staff", OFFICE, Permission.STAFF_READ),
    Ask(
        "POST",
        "/api/v1/staff",
        ONLY_ADMIN,
        body={"email": "{email}", "name": "New", "role": "provider", "password": "long enough, this"},
    ),
    Ask("PATCH", "/api/v1/staff/{person}", ONLY_ADMIN, body={"language": "en"}, pattern="/api/v1/staff/{id:uuid}"),
    Ask("GET", "/api/v1/keys", ONLY_ADMIN),
    Ask("POST", "/api/v1/keys", ONLY_ADMIN, body={"name": "New", "scopes": ["staff:read"]}),
    Ask("DELETE", "/api/v1/keys/{key}", ONLY_ADMIN, pattern="/api/v1/keys/{id:uuid}"),
    Ask("POST", "/api/v1/live-tokens", frozenset(), Permission.LIVE_TOKENS, {"staff_id": "{provider}"}),
    Ask(
        "DELETE",
        "/api/v1/live-tokens/{token}",
        frozenset(),
        Permission.LIVE_TOKENS,
        pattern="/api/v1/live-tokens/{id:uuid}",
    ),
]
SOME_TIME: Values = {"day": "2031-03-01", "time": "10:00", "minutes": "30", "clinician": "{provider}"}
BOOKING_FORM: Values = {"who": "Sara Doe", "patient": "new", **SOME_TIME}
# What the board's buttons and forms do to a visit, and how the visit has to stand for it.
CLICKS: list[tuple[str, str, Values]] = [
    ("confirm", "visit", {}),
    ("arrive", "visit", {}),
    ("start", "arrived", {}),
    ("complete", "arrived", {}),
    ("no-show", "begun", {}),
    ("undo", "arrived", {}),
    ("cancel", "visit", {"why": "patient"}),
    ("move", "visit", SOME_TIME),
]
PAGES = [
    Ask("GET", "/console/arrivals", OFFICE),
    Ask("POST", "/console/arrivals", OFFICE, body=BOOKING_FORM),
    Ask("GET", "/console/arrivals/new", OFFICE),
    *(
        Ask("POST", f"/console/arrivals/{{{how}}}/{verb}", OFFICE, None, form, f"/console/arrivals/{{id:uuid}}/{verb}")
        for verb, how, form in CLICKS
    ),
    *(
        Ask("GET", f"/console/arrivals/{{{how}}}/{verb}", OFFICE, pattern=f"/console/arrivals/{{id:uuid}}/{verb}")
        for verb, how in (("move", "visit"), ("cancel", "visit"), ("complete", "arrived"))
    ),
    Ask("GET", "/console/appointments/{visit}", EVERYBODY, pattern="/console/appointments/{id:uuid}"),
    Ask("GET", "/console/appointment-rules", OFFICE),
    Ask("POST", "/console/appointment-rules/tellings", ONLY_ADMIN, body={}),
    Ask("POST", "/console/appointment-rules/reminders", ONLY_ADMIN, body={"number": "3", "unit": "hours"}),
    Ask("POST", "/console/appointment-rules/hold", ONLY_ADMIN, body={"minutes": "60"}),
    Ask("GET", "/console/notifications", EVERYBODY),
    Ask("POST", "/console/notifications/mark", EVERYBODY, body={"ids": "{note}", "as": "read"}),
    Ask("GET", "/console/account", EVERYBODY),
    Ask("POST", "/console/account/shortcuts", EVERYBODY, body={"shortcuts": "off"}),
    Ask("GET", "/console/patients", OFFICE),
    Ask("POST", "/console/patients", OFFICE, body={"name": "Sara Doe", "language": "en"}),
    Ask("GET", "/console/patients/{patient}", OFFICE, pattern="/console/patients/{id:uuid}"),
    Ask(
        "POST",
        "/console/patients/{patient}",
        OFFICE,
        body={"name": "Sara Roe", "language": "ar", "channels": "sms"},
        pattern="/console/patients/{id:uuid}",
    ),
    Ask(
        "POST",
        "/console/patients/{patient}/choices",
        OFFICE,
        body={"allowed": "marketing"},
        pattern="/console/patients/{id:uuid}/choices",
    ),
    Ask("POST", "/console/patients/{patient}/link", OFFICE, pattern="/console/patients/{id:uuid}/link"),
    Ask("GET", "/console/people", ONLY_ADMIN),
    Ask("POST", "/console/people/keys", ONLY_ADMIN, body={"name": "New", "scopes": "staff:read"}),
    Ask("POST", "/console/people/keys/{key}/revoke", ONLY_ADMIN, pattern="/console/people/keys/{id:uuid}/revoke"),
    Ask("POST", "/console/people/{person}/activate", ONLY_ADMIN, pattern="/console/people/{id:uuid}/activate"),
    Ask("POST", "/console/people/{person}/deactivate", ONLY_ADMIN, pattern="/console/people/{id:uuid}/deactivate"),
    Ask("GET", "/console/messages", OFFICE),
    Ask("POST", "/console/messages/export", OFFICE, body={"state": "failed"}),
    Ask("GET", "/console/messages/new", OFFICE),
    Ask("POST", "/console/messages/new", OFFICE, body={"patient": "{patient}", "text": "Hello", "topic": "reminders"}),
    Ask("GET", "/console/messages/{failed}", OFFICE, pattern="/console/messages/{id:uuid}"),
    Ask("POST", "/console/messages/{failed}/retry", OFFICE, pattern="/console/messages/{id:uuid}/retry"),
    Ask("POST", "/console/messages/{waiting}/cancel", OFFICE, pattern="/console/messages/{id:uuid}/cancel"),
    Ask("POST", "/console/messages/{waiting}/now", OFFICE, pattern="/console/messages/{id:uuid}/now"),
    Ask(
        "GET",
        "/console/messages/{failed}/requests/1/mail",
        OFFICE,
        pattern="/console/messages/{id:uuid}/requests/{number:int}/mail",
    ),
    Ask("GET", "/console/outbox", OFFICE),
    Ask("GET", "/console/outbox/{kept}", OFFICE, pattern="/console/outbox/{id:uuid}"),
    Ask("GET", "/console/outbox/{kept}/mail", OFFICE, pattern="/console/outbox/{id:uuid}/mail"),
    Ask(
        "POST",
        "/console/outbox/{kept}/play",
        OFFICE,
        body={"as": "delivered"},
        pattern="/console/outbox/{id:uuid}/play",
    ),
    Ask("GET", "/console/templates", OFFICE),
    Ask("POST", "/console/templates", ONLY_ADMIN, body={"code": "{code}", **TEMPLATE_FORM}),
    Ask("GET", "/console/templates/new", ONLY_ADMIN),
    Ask("POST", "/console/templates/preview", ONLY_ADMIN, body=TEMPLATE_FORM),
    Ask("GET", "/console/templates/{template}", OFFICE, pattern="/console/templates/{id:uuid}"),
    Ask("GET", "/console/templates/{template}/edit", ONLY_ADMIN, pattern="/console/templates/{id:uuid}/edit"),
    Ask(
        "POST",
        "/console/templates/{template}/edit",
        ONLY_ADMIN,
        body=TEMPLATE_FORM,
        pattern="/console/templates/{id:uuid}/edit",
    ),
    Ask(
        "POST",
        "/console/templates/{template}/publish",
        ONLY_ADMIN,
        body={},
        pattern="/console/templates/{id:uuid}/publish",
    ),
    Ask(
        "POST",
        "/console/templates/{template}/roll-back",
        ONLY_ADMIN,
        body={"number": "1"},
        pattern="/console/templates/{id:uuid}/roll-back",
    ),
    Ask(
        "POST",
        "/console/templates/{template}/activate",
        ONLY_ADMIN,
        body={},
        pattern="/console/templates/{id:uuid}/activate",
    ),
    Ask(
        "POST",
        "/console/templates/{template}/deactivate",
        ONLY_ADMIN,
        body={},
        pattern="/console/templates/{id:uuid}/deactivate",
    ),
    Ask(
        "POST",
        "/console/templates/{template}/drop-draft",
        ONLY_ADMIN,
        body={},
        pattern="/console/templates/{id:uuid}/drop-draft",
    ),
    Ask(
        "POST",
        "/console/templates/{template}/delete",
        ONLY_ADMIN,
        body={},
        pattern="/console/templates/{id:uuid}/delete",
    ),
    Ask(
        "POST",
        "/console/templates/{template}/test",
        ONLY_ADMIN,
        body={"to": "+966501234567", "language": "ar", "version": "2"},
        pattern="/console/templates/{id:uuid}/test",
    ),
    Ask("POST", "/sign-out-everywhere", EVERYBODY),
    Ask("POST", "/session/touch", EVERYBODY),
]
LIVE = [
    Ask("GET", "/live/events?v=1", EVERYBODY, pattern="/live/events"),
    Ask("GET", "/live/poll?v=1", EVERYBODY, pattern="/live/poll"),
    Ask("POST", "/live/say", EVERYBODY, body=[{"t": "read", "ids": ["{note}"], "nonce": "1"}]),
]
# What anybody may ask, signed in or not.
OPEN = {
    ("GET", "/"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("POST", "/language"),
    ("POST", "/theme"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
}
# What a patient may ask, and a mailbox provider for them, by a signed link; see console/test_preferences.py and
# console/test_visit.py.
BY_A_SIGNED_LINK = {(method, f"/{page}/{{token}}") for method in ("GET", "POST") for page in ("p", "u", "v")}
# For whoever holds the installation's own token; see test_metrics.py.
BY_ITS_OWN_TOKEN = {("GET", "/metrics")}
# For vendors, who prove by signature or secret who they are; see test_webhooks.py.
FOR_VENDORS = {
    ("POST", "/webhooks/sns"),
    ("POST", "/webhooks/twilio/status"),
    ("POST", "/webhooks/twilio/inbound"),
    ("POST", "/webhooks/unifonic/{token}/sms"),
    ("POST", "/webhooks/unifonic/{token}/whatsapp"),
}
# Not there outside a demo.
DEMO_ONLY = {("GET", "/console/kit")}


def routes_of(routes: list[BaseRoute], before: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Mount) and route.routes:
            yield from routes_of(list(route.routes), before + route.path)
        elif isinstance(route, Route):
            yield from ((method, before + route.path) for method in (route.methods or ()) if method != "HEAD")


def test_every_route_has_a_row_here_that_says_who_may() -> None:
    known = {ask.route for ask in (*PROGRAMS, *PAGES, *LIVE)}
    known |= OPEN | FOR_VENDORS | BY_ITS_OWN_TOKEN | BY_A_SIGNED_LINK | DEMO_ONLY
    assert set(routes_of([API, WEBHOOKS, *WAYS, *HEALTH, *CONSOLE])) == known


async def fill_in(hub: RunningHub, clinic: Clinic, person: Staff, value: Any) -> Any:
    """The value with everything it stands for made, and named by its id."""
    if isinstance(value, dict):
        return {name: await fill_in(hub, clinic, person, each) for name, each in value.items()}
    if isinstance(value, list):
        return [await fill_in(hub, clinic, person, each) for each in value]
    if not isinstance(value, str):
        return value
    for name in (
        "visit",
        "begun",
        "arrived",
        "note",
        "key",
        "kept",
        "token",
        "person",
        "provider",
        "email",
        "failed",
        "waiting",
        "patient",
        "template",
        "code",
        "notice",
    ):
        if f"{{{name}}}" in value:
            value = value.replace(f"{{{name}}}", await made(hub, clinic, person, name))
    return value


async def made(hub: RunningHub, clinic: Clinic, person: Staff, name: str) -> str:
    if name == "visit":
        return str((await book_visit(hub.house, clinic, clinic.omar)).id)
    if name == "begun":
        return str((await book_visit(hub.house, clinic, at=hub.house.clock() - timedelta(hours=1))).id)
    if name == "arrived":
        visit = await book_visit(hub.house, clinic)
        async with hub.house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
            return str((await arrive(work, visit.id)).id)
    if name == "note":
        return str((await tell(hub.house, clinic, person))[0])
    if name == "key":
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            return str((await add_key(work, "To revoke", ["staff:read"]))[0].id)
    if name == "kept":
        return str(await keep(hub.house, clinic, channel=Channel.EMAIL, html=MAIL))
    if name in ("failed", "waiting"):
        return str(await made_message(hub, clinic, "failed" if name == "failed" else "queued"))
    if name == "patient":
        return str((await add_patient(hub.house, clinic)).id)
    if name == "template":
        return str(await write_template(hub.house, clinic, f"greeting_{uuid.uuid4().hex[:12]}"))
    if name == "notice":
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await install_defaults(work)
        return "results_ready"
    if name == "code":
        return f"greeting_{uuid.uuid4().hex[:12]}"
    if name == "token":
        return str(uuid.uuid4())
    if name == "email":
        return f"{uuid.uuid4().hex}@example.org"
    return str(clinic.huda.id if name == "person" else clinic.omar.id)


async def made_message(hub: RunningHub, clinic: Clinic, state: str) -> uuid.UUID:
    patient = await add_patient(hub.house, clinic)
    message = await make_message(hub.house, clinic, patient, state=state, channel="email")
    await make_request(hub.house, clinic, message, channel="email", state="failed", out={"html": "<p>Hello</p>"})
    return message


async def ask_as(
    hub: RunningHub, clinic: Clinic, ask: Ask, person: Staff, client: httpx.AsyncClient, *, form: bool
) -> httpx.Response:
    path = await fill_in(hub, clinic, person, ask.path)
    body = await fill_in(hub, clinic, person, ask.body)
    if body is None:
        return await client.request(ask.method, path)
    return await client.request(ask.method, path, **({"data": body} if form else {"json": body}))


@pytest.mark.parametrize("ask", PROGRAMS, ids=str)
async def test_the_api_answers_whom_it_may_and_nobody_else(hub: RunningHub, clinic: Clinic, ask: Ask) -> None:
    for role in EVERYBODY:
        person: Staff = getattr(clinic, role)
        async with browser_of(hub, person) as client:
            answer = await ask_as(hub, clinic, ask, person, client, form=False)
            if role in ask.roles:
                assert answer.is_success, f"{role}: {answer.text}"
            else:
                problem(answer, 403)
    async with browser_of(hub, None) as client:
        answer = await ask_as(hub, clinic, ask, clinic.omar, client, form=False)
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("ask", PROGRAMS, ids=str)
async def test_a_key_is_good_for_its_scopes_alone(hub: RunningHub, clinic: Clinic, ask: Ask) -> None:
    others = SCOPES - {ask.scope}
    async with program_of(hub, await make_key(hub.house, clinic, frozenset(others))) as client:
        problem(await ask_as(hub, clinic, ask, clinic.omar, client, form=False), 403)
    if ask.scope:
        async with program_of(hub, await make_key(hub.house, clinic, frozenset({ask.scope}))) as client:
            answer = await ask_as(hub, clinic, ask, clinic.omar, client, form=False)
            assert answer.is_success, answer.text
            await revoke_all(hub, clinic)
            problem(await ask_as(hub, clinic, ask, clinic.omar, client, form=False), 401)


async def revoke_all(hub: RunningHub, clinic: Clinic) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        for key in (await work.session.execute(select(ApiKey))).scalars():
            key.revoked_at = work.now


@pytest.mark.parametrize("ask", LIVE, ids=str)
async def test_the_ways_round_are_open_to_sessions_and_live_tokens_and_to_nobody_else(
    hub: RunningHub, clinic: Clinic, ask: Ask
) -> None:
    token = sign_token(hub.house.keys, clinic.id, clinic.omar.id, hub.house.clock())[0]
    key = await make_key(hub.house, clinic)
    async with (
        browser_of(hub, clinic.omar) as person,
        program_of(hub, token) as bell,
        program_of(hub, key) as program,
        browser_of(hub, None) as nobody,
    ):
        body = await fill_in(hub, clinic, clinic.omar, ask.body)
        for client, status in ((person, 200), (bell, 200), (program, 401), (nobody, 401)):
            async with client.stream(ask.method, ask.path, json=body) as answer:
                assert answer.status_code == status
                if status == 401:
                    await answer.aread()
                    problem(answer, 401)


@pytest.mark.parametrize("ask", PAGES, ids=str)
async def test_pages_are_shown_to_whom_they_may_and_nobody_else(hub: RunningHub, clinic: Clinic, ask: Ask) -> None:
    for role in EVERYBODY:
        person: Staff = getattr(clinic, role)
        async with browser_of(hub, person) as client:
            answer = await ask_as(hub, clinic, ask, person, client, form=True)
            if role in ask.roles:
                assert answer.status_code in (200, 204, 303), f"{role}: {answer.status_code}"
                assert not answer.headers.get("location", "").startswith("/sign-in?")
            else:
                assert answer.status_code == 403, f"{role}: {answer.status_code}"
                assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("ask", PAGES, ids=str)
async def test_who_is_not_signed_in_is_led_to_the_sign_in_page(hub: RunningHub, clinic: Clinic, ask: Ask) -> None:
    key = await make_key(hub.house, clinic)
    async with browser_of(hub, None) as nobody, program_of(hub, key) as program:
        for client in (nobody, program):
            answer = await ask_as(hub, clinic, ask, clinic.omar, client, form=True)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/sign-in")


async def test_the_kit_is_not_there_outside_a_demo(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        assert (await client.get("/console/kit")).status_code == 404
