"""What a practice system has told about money, results and news: one kind of notice each, with what it must say.

Each is told once, however often it is asked for, and only to whom wants to be told of such things.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar

from hub.channels.vendor import Channel
from hub.messages.compose import Sending, send_from_template
from hub.messages.tables import Message
from hub.people.choices import Topic
from hub.people.tenants import read_clinic
from hub.templates.values import Money
from hub.work import Work


@dataclass(frozen=True, slots=True)
class InvoiceIssued:
    """An invoice is there to be paid; `link` leads to it. An invoice is announced once."""

    code: ClassVar[str] = "invoice_issued"
    topic: ClassVar[Topic] = Topic.BILLING
    invoice: str
    amount: Money
    due_on: date
    link: str

    def values(self, _today: date) -> dict[str, Any]:
        """What the template may name."""
        return _invoice(self.invoice, self.amount, self.link) | {"due_on": self.due_on.isoformat()}

    def reference(self, _patient: uuid.UUID, _today: date) -> str:
        """What tells it from every other one."""
        return f"invoice/{self.invoice}/issued"


@dataclass(frozen=True, slots=True)
class PaymentReminder:
    """An invoice is not paid yet, before or after the day it is due. A patient is reminded of it once a day at most."""

    code: ClassVar[str] = "payment_reminder"
    topic: ClassVar[Topic] = Topic.BILLING
    invoice: str
    amount: Money
    due_on: date
    link: str

    def values(self, today: date) -> dict[str, Any]:
        """What the template may name: `days` only until it is due, for no words count them backwards."""
        days = (self.due_on - today).days
        left = {"days": days} if days >= 0 else {}
        return _invoice(self.invoice, self.amount, self.link) | {"due_on": self.due_on.isoformat()} | left

    def reference(self, _patient: uuid.UUID, today: date) -> str:
        """What tells it from every other one."""
        return f"invoice/{self.invoice}/reminder/{today.isoformat()}"


@dataclass(frozen=True, slots=True)
class PaymentReceived:
    """Thanks for a payment; `link` leads to its receipt.

    Several payments of one invoice are told apart by their `receipt`, else by their amounts.
    """

    code: ClassVar[str] = "payment_received"
    topic: ClassVar[Topic] = Topic.BILLING
    invoice: str
    amount: Money
    link: str
    receipt: str | None = None

    def values(self, _today: date) -> dict[str, Any]:
        """What the template may name."""
        return _invoice(self.invoice, self.amount, self.link)

    def reference(self, _patient: uuid.UUID, _today: date) -> str:
        """What tells it from every other one."""
        payment = self.receipt or f"{self.amount.amount.normalize():f} {self.amount.currency}"
        return f"invoice/{self.invoice}/received/{payment}"


@dataclass(frozen=True, slots=True)
class ResultsReady:
    """Something is there to be read behind `link`, by whoever proves who they are; the message says no more.

    With a `document`, it is told once.
    """

    code: ClassVar[str] = "results_ready"
    topic: ClassVar[Topic] = Topic.RESULTS
    link: str
    document: str | None = None

    def values(self, _today: date) -> dict[str, Any]:
        """What the template may name."""
        return {"link": self.link}

    def reference(self, _patient: uuid.UUID, _today: date) -> str | None:
        """What tells it from every other one."""
        return f"results/{self.document}/ready" if self.document else None


@dataclass(frozen=True, slots=True)
class Announcement:
    """News of the clinic, for those alone who asked for them. Of one `campaign` each patient is told once."""

    code: ClassVar[str] = "announcement"
    topic: ClassVar[Topic] = Topic.MARKETING
    announcement: str
    link: str
    campaign: str | None = None

    def values(self, _today: date) -> dict[str, Any]:
        """What the template may name."""
        return {"announcement": self.announcement, "link": self.link}

    def reference(self, patient: uuid.UUID, _today: date) -> str | None:
        """What tells it from every other one."""
        return f"announcement/{self.campaign}/{patient}" if self.campaign else None


Notice = InvoiceIssued | PaymentReminder | PaymentReceived | ResultsReady | Announcement


@dataclass(frozen=True, slots=True)
class How:
    """How a notice is sent, where it is not as usual: over what, not before `at`, by a reference of one's own."""

    channels: Sequence[Channel] | None = None
    at: datetime | None = None
    reference: str | None = None
    department: str | None = None


AS_USUAL = How()


async def send_notice(work: Work, patient: uuid.UUID, notice: Notice, how: How = AS_USUAL) -> Message:
    """Queue a notice. One whose kind the patient refused, or did not ask for, is not sent, and says so.

    Raises NotFound without patient, Invalid for values that do not fit or a clinic without words for this, and Conflict
    when what it is about was told to somebody else.
    """
    clinic = await read_clinic(work.session, work.tenant)
    today = clinic.today(max(how.at or work.now, work.now))
    sending = Sending(
        patient,
        notice.code,
        notice.values(today),
        topic=notice.topic,
        channels=how.channels,
        lane="bulk" if notice.topic is Topic.MARKETING else "normal",
        at=how.at,
        reference=how.reference or notice.reference(patient, today),
        department=how.department,
    )
    return await send_from_template(work, sending)


def _invoice(invoice: str, amount: Money, link: str) -> dict[str, Any]:
    return {
        "invoice": invoice,
        "amount": {"amount": str(amount.amount), "currency": amount.currency},
        "link": link,
    }
