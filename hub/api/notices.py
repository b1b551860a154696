"""`/api/v1/notices/{kind}`: what a practice system tells patients about money, results and news, one call each."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from decimal import Decimal
from typing import Annotated, Any, Self

from babel.numbers import get_currency_precision, list_currencies
from pydantic import Field, StringConstraints, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.auth import caller_of, house_of
from hub.api.bodies import Body, Day, ExternalId, Line, Moment, Prose, idempotency_of, read_body
from hub.api.message_shapes import PatientRef, message_json
from hub.api.messages import find_patient
from hub.channels.vendor import Channel
from hub.errors import NotFound
from hub.idempotency import once
from hub.messages.log import read_listed
from hub.messages.notices import (
    Announcement,
    How,
    InvoiceIssued,
    Notice,
    PaymentReceived,
    PaymentReminder,
    ResultsReady,
    send_notice,
)
from hub.people.roles import Permission
from hub.templates.values import LONGEST_LINK, Money

LONGEST_NEWS = 1_000
Web = Annotated[str, Field(max_length=LONGEST_LINK)]
News = Annotated[Prose, Field(min_length=1, max_length=LONGEST_NEWS)]


class Amount(Body):
    """An amount of money: a decimal as text, for a float is not what somebody owes, and its currency (ISO 4217)."""

    amount: Annotated[str, StringConstraints(pattern=r"^\d{1,9}(\.\d{1,4})?$")]
    currency: str

    @model_validator(mode="after")
    def _can_be_paid(self) -> Self:
        if self.currency not in list_currencies():
            raise ValueError("`currency` is the three letters of a currency, like SAR")
        places = len(self.amount.partition(".")[2])
        if places > get_currency_precision(self.currency):
            raise ValueError(f"{self.currency} has {get_currency_precision(self.currency)} decimal places")
        if not Decimal(self.amount):
            raise ValueError("`amount` is more than nothing")
        return self

    def money(self) -> Money:
        """The same for the verbs."""
        return Money(Decimal(self.amount), self.currency)


class Noticed(Body):
    """What every notice takes: for whom, and how where it is not as usual."""

    patient: PatientRef
    channels: Annotated[list[Channel], Field(min_length=1, max_length=len(Channel))] | None = None
    send_at: Moment | None = None
    reference: ExternalId | None = None
    department: Line | None = None

    @abstractmethod
    def notice(self) -> Notice:
        """What is told."""

    def how(self) -> How:
        """How it is told."""
        return How(self.channels, self.send_at, self.reference, self.department)


class InvoiceIssuedBody(Noticed):
    """An invoice is there to be paid."""

    invoice: ExternalId
    amount: Amount
    due_on: Day
    link: Web

    def notice(self) -> Notice:
        """What is told."""
        return InvoiceIssued(self.invoice, self.amount.money(), self.due_on, self.link)


class PaymentReminderBody(Noticed):
    """An invoice is not paid yet, whether or not it is due already."""

    invoice: ExternalId
    amount: Amount
    due_on: Day
    link: Web

    def notice(self) -> Notice:
        """What is told."""
        return PaymentReminder(self.invoice, self.amount.money(), self.due_on, self.link)


class PaymentReceivedBody(Noticed):
    """A payment came; `receipt` is its own number, where an invoice is paid in parts."""

    invoice: ExternalId
    amount: Amount
    link: Web
    receipt: ExternalId | None = None

    def notice(self) -> Notice:
        """What is told."""
        return PaymentReceived(self.invoice, self.amount.money(), self.link, self.receipt)


class ResultsReadyBody(Noticed):
    """Something is there to be read; `document` is the practice system's own id of it."""

    link: Web
    document: ExternalId | None = None

    def notice(self) -> Notice:
        """What is told."""
        return ResultsReady(self.link, self.document)


class AnnouncementBody(Noticed):
    """News of the clinic; of one `campaign` each patient is told once."""

    announcement: News
    link: Web
    campaign: ExternalId | None = None

    def notice(self) -> Notice:
        """What is told."""
        return Announcement(self.announcement, self.link, self.campaign)


BODIES: dict[str, type[Noticed]] = {
    InvoiceIssued.code: InvoiceIssuedBody,
    PaymentReminder.code: PaymentReminderBody,
    PaymentReceived.code: PaymentReceivedBody,
    ResultsReady.code: ResultsReadyBody,
    Announcement.code: AnnouncementBody,
}


async def send(request: Request) -> Response:
    """POST: tell a patient, once; what they refused, or did not ask for, is kept as not sent."""
    caller = await caller_of(request)
    caller.needs(Permission.MESSAGES_SEND)
    shape = BODIES.get(request.path_params["kind"])
    if shape is None:
        raise NotFound(f"There is no such kind of notice. There are: {', '.join(BODIES)}.")
    body = await read_body(request, shape)
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def queue() -> dict[str, Any]:
            patient = await find_patient(work.session, body.patient)
            return {"id": str((await send_notice(work, patient, body.notice(), body.how())).id)}

        answer = await once(work, idempotency, queue)
        listed = await read_listed(work.session, uuid.UUID(answer["id"]))
    location = {"Location": f"/api/v1/messages/{listed.message.id}"}
    return JSONResponse(message_json(listed), 201, location)
