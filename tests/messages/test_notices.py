"""Money, results and news: what each notice says and how often, and who gets none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from hub.channels.vendor import Channel
from hub.errors import Conflict, Invalid
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
from hub.messages.states import State
from hub.people.choices import Topic, choose
from hub.templates.defaults import install_defaults
from hub.templates.render import Variable
from hub.templates.values import Money
from hub.templates.versions import Words, add_template, publish
from hub.work import SYSTEM
from tests.factories import add_patient
from tests.messages.post import NOON, Post

TODAY = date(2026, 3, 1)
LINK = "https://pay.example.org/42"
PRICE = Money(Decimal("350.00"), "SAR")
ISSUED = InvoiceIssued("INV-42", PRICE, TODAY + timedelta(days=30), LINK)
REMINDER = PaymentReminder("INV-42", PRICE, TODAY + timedelta(days=1), LINK)
PAID = PaymentReceived("INV-42", PRICE, LINK)
RESULTS = ResultsReady(LINK, "lab-9")
NEWS = Announcement("We open on Saturdays.", LINK, "saturdays")
EVERY: list[Notice] = [ISSUED, REMINDER, PAID, RESULTS, NEWS]
BY_CODE = pytest.mark.parametrize("notice", EVERY, ids=lambda notice: notice.code)
BY_SMS = How(channels=(Channel.SMS,))


@pytest.fixture
async def post(post: Post) -> Post:
    """With the hub's own templates."""
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        await install_defaults(work)
    return post


async def said(post: Post, notice: Notice, how: How = BY_SMS) -> str:
    """What the patient reads."""
    message = await post.do(send_notice, post.patient.id, notice, how)
    await post.send(message.lane)
    assert (await post.read(message.id)).state == State.SENT
    return post.vendor.sent[-1].text


@BY_CODE
async def test_each_goes_over_every_channel_in_both_languages(post: Post, notice: Notice) -> None:
    for language, price in (("en", "SAR 350.00"), ("ar", "350.00 ريال سعودي")):
        post.patient = await add_patient(post.house, post.clinic, language=language)
        await post.do(choose, post.patient.id, topic=Topic.MARKETING, allowed=True, source="desk")
        for channel in Channel:
            text = await said(post, notice, How(channels=(channel,), reference=f"{language}/{channel}"))
            assert LINK in text
            if isinstance(notice, InvoiceIssued | PaymentReminder | PaymentReceived):
                assert "INV-42" in text
                assert price in text


@BY_CODE
async def test_each_keeps_to_its_own_choice_of_the_patient(post: Post, notice: Notice) -> None:
    for topic in Topic:
        await post.do(choose, post.patient.id, topic=topic, allowed=topic is not notice.topic, source="desk")
    message = await post.do(send_notice, post.patient.id, notice)
    await post.send(message.lane)
    found = await post.read(message.id)
    reason = "no_opt_in" if notice.topic is Topic.MARKETING else "topic_refused"
    assert (found.state, found.reason, found.topic) == (State.SKIPPED, reason, notice.topic)


async def test_without_being_asked_for_news_are_not_sent_whatever_the_clinics_template_calls_itself(
    post: Post,
) -> None:
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        words = Words({"en": "News", "ar": "أخبار"})
        await publish(work, (await add_template(work, "other", Channel.SMS, "billing", words)).template_id)

    class Disguised(Announcement):
        code = "other"

    message = await post.do(send_notice, post.patient.id, Disguised("News", LINK))
    await post.send("bulk")
    assert ((await post.read(message.id)).state, (await post.read(message.id)).reason) == (State.SKIPPED, "no_opt_in")


@BY_CODE
async def test_asked_for_twice_it_is_told_once(post: Post, notice: Notice) -> None:
    first = await post.do(send_notice, post.patient.id, notice)
    again = await post.do(send_notice, post.patient.id, notice)
    assert first.id == again.id
    by_own = await post.do(send_notice, post.patient.id, notice, How(reference="their own"))
    assert by_own.id != first.id
    assert by_own.reference == "their own"


async def test_what_is_another_matter_is_told_again(post: Post) -> None:
    pairs: list[tuple[Notice, Notice]] = [
        (ISSUED, replace(ISSUED, invoice="INV-43")),
        (PAID, replace(PAID, amount=Money(Decimal(100), "SAR"))),
        (replace(PAID, receipt="R-1"), replace(PAID, receipt="R-2")),
        (RESULTS, replace(RESULTS, document="lab-10")),
        (replace(RESULTS, document=None), replace(RESULTS, document=None)),
        (NEWS, replace(NEWS, campaign="sundays")),
        (ISSUED, REMINDER),
    ]
    for one, other in pairs:
        first, second = [await post.do(send_notice, post.patient.id, each) for each in (one, other)]
        assert first.id != second.id
    assert (await post.do(send_notice, post.patient.id, PAID)).reference == "invoice/INV-42/received/350 SAR"
    reminded = await post.do(send_notice, post.patient.id, REMINDER)
    post.clock.move(timedelta(days=1))
    assert (await post.do(send_notice, post.patient.id, REMINDER)).id != reminded.id


async def test_an_invoice_is_one_patients_and_news_are_everybodys(post: Post) -> None:
    other = await add_patient(post.house, post.clinic)
    await post.do(send_notice, post.patient.id, ISSUED)
    with pytest.raises(Conflict):
        await post.do(send_notice, other.id, ISSUED)
    first, second = [await post.do(send_notice, each.id, NEWS) for each in (post.patient, other)]
    assert first.id != second.id


@pytest.mark.parametrize(("language", "words"), [("en", "has not been paid yet"), ("ar", "لم تُسدَّد بعد")])
async def test_a_reminder_is_true_before_and_after_the_day_it_is_due(post: Post, language: str, words: str) -> None:
    post.patient = await add_patient(post.house, post.clinic, language=language)
    for days in (-400, -2, -1, 0, 1, 2, 30):
        due = TODAY + timedelta(days=days)
        text = await said(post, replace(REMINDER, due_on=due), replace(BY_SMS, reference=f"{days}"))
        assert words in text
        assert f"{due.day} " in text
        assert str(due.year) in text
        assert not {"today", "tomorrow", "اليوم", "غدًا"} & set(text.split())


async def test_a_wording_of_the_clinics_own_may_count_days_but_not_backwards(post: Post) -> None:
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        words = Words(
            {"en": "Due in { $days }.", "ar": "خلال { $days }."}, (Variable("days", "number", "personal", 3),)
        )
        await publish(work, (await add_template(work, "own", Channel.SMS, "billing", words)).template_id)

    class Counted(PaymentReminder):
        code = "own"

    assert await said(post, Counted("INV-1", PRICE, TODAY + timedelta(days=3), LINK)) == "Due in 3."
    with pytest.raises(Invalid) as refused:
        await post.do(send_notice, post.patient.id, Counted("INV-1", PRICE, TODAY - timedelta(days=3), LINK), BY_SMS)
    assert [error.field for error in refused.value.errors] == ["variables.days"]


async def test_how_it_is_sent_may_be_said(post: Post) -> None:
    at = NOON + timedelta(days=2)
    how = How((Channel.EMAIL,), at, "R-1", "Billing")
    message = await post.do(send_notice, post.patient.id, REMINDER, how)
    found = await post.read(message.id)
    assert (found.channels, found.scheduled_at, found.reference) == (["email"], at, "R-1")
    assert (found.department, found.lane) == ("Billing", "normal")
    later = await post.do(send_notice, post.patient.id, REMINDER, How(at=at))
    assert later.reference == "invoice/INV-42/reminder/2026-03-03", "the day on which it is told"


async def test_what_does_not_fit_is_refused(post: Post) -> None:
    for spoiled in (
        replace(ISSUED, link="javascript:alert(1)"),
        replace(ISSUED, amount=Money(Decimal("1e12"), "SAR")),
        replace(PAID, amount=Money(Decimal("NaN"), "SAR")),
        replace(NEWS, announcement="x" * 2001),
    ):
        with pytest.raises(Invalid):
            await post.do(send_notice, post.patient.id, spoiled)
