"""The wording that every clinic begins with."""

from __future__ import annotations

import re

import pytest

from hub.channels.vendor import Channel
from hub.people.choices import Topic
from hub.people.tenants import LANGUAGES
from hub.templates.checks import check_wording
from hub.templates.defaults import Default, defaults, install_defaults
from hub.templates.history import Filters, read_templates
from hub.templates.pattern import Choice, read_pattern, walk
from hub.templates.render import render
from hub.templates.segments import count_segments
from hub.templates.versions import Words, add_template, published, save_draft
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic
from tests.templates.wordings import PLAIN, RIYADH, wording

CODES = {
    "appointment_booked",
    "appointment_confirmed",
    "appointment_rescheduled",
    "appointment_cancelled",
    "appointment_completed",
    "appointment_no_show",
    "appointment_reminder_day",
    "appointment_reminder_hours",
    "invoice_issued",
    "payment_reminder",
    "payment_received",
    "results_ready",
    "announcement",
    "preferences",
}
STAFF_CODES = {
    "staff_appointment_booked",
    "staff_appointment_rescheduled",
    "staff_appointment_cancelled",
    "staff_appointment_no_show",
}
WORDINGS = {(code, channel) for code in CODES for channel in Channel} | {(code, Channel.EMAIL) for code in STAFF_CODES}
# With the examples, which are as long as usual ones. These give a reason, or two times of day.
TWO_PARTS_IN_ENGLISH = {"appointment_rescheduled"}
HEALTH = re.compile(r"result|diagnos|treat|medic|lab|scan|نتائج|نتيجة|تشخيص|علاج|دواء|مختبر|أشعة", re.IGNORECASE)


def test_every_occasion_has_its_words_over_every_channel_and_staff_by_email() -> None:
    assert {(each.code, each.channel) for each in defaults()} == WORDINGS
    assert {each.topic for each in defaults()} == set(Topic)


@pytest.mark.parametrize("default", defaults(), ids=lambda default: f"{default.code} {default.channel}")
class TestEach:
    def test_is_in_order(self, default: Default) -> None:
        check_wording(default.wording)

    def test_has_no_health_detail_where_others_may_look(self, default: Default) -> None:
        shown = default.words.subjects if default.channel == Channel.EMAIL else default.words.bodies
        assert not [text for text in shown.values() if HEALTH.search(text)]
        if default.channel != Channel.EMAIL:
            assert "patient" not in default.wording.examples

    def test_is_short(self, default: Default) -> None:
        if default.channel != Channel.SMS:
            return
        english, arabic = (count_segments(said(default, language)) for language in LANGUAGES)
        assert english.encoding == "gsm7"
        assert english.parts <= (2 if default.code in TWO_PARTS_IN_ENGLISH else 1)
        assert arabic.parts <= 3

    def test_ends_with_its_links(self, default: Default) -> None:
        for language in LANGUAGES:
            assert said(default, language).removesuffix("\n\n-- \nNoor Clinic").split()[-1].startswith("https://")

    def test_has_all_forms_of_a_number(self, default: Default) -> None:
        for piece in walk(read_pattern(default.words.bodies["ar"], "ar").pieces):
            if isinstance(piece, Choice):
                assert {key for key, _ in piece.cases} == {"zero", "one", "two", "few", "many", "other"}

    def test_is_written_in_its_language(self, default: Default) -> None:
        for place in (default.words.bodies, default.words.subjects):
            for language, text in place.items():
                bare = re.sub(r"\{[^{}]*\}", "", text)
                assert bool(re.search(r"[\u0600-\u06ff]", bare)) == (language == "ar")
                assert not re.search(r"[٠-٩“”‘’—\u00a0]", text)


def said(default: Default, language: str) -> str:
    version = default.wording
    return render(version, version.channel, language, version.examples, clinic="Noor Clinic", zone=RIYADH).text


async def test_a_clinic_gets_what_it_lacks_published_and_only_once(house: House, clinic: Clinic) -> None:
    own = Words(PLAIN, wording().variables)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await add_template(work, "results_ready", Channel.SMS, "results", own)
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await install_defaults(work) == len(WORDINGS) - 1
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await install_defaults(work) == 0
        listed = await read_templates(work.session, Filters(search="results_ready", channel="sms"), None, 10)
        # Their own draft stays theirs.
        assert [(each.published, each.draft and dict(each.draft.bodies)) for each in listed] == [(None, PLAIN)]
        assert set(await published(work.session, "announcement")) == set(Channel)


async def test_what_a_clinic_changed_is_left_as_it_is(house: House, clinic: Clinic) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
        (listed,) = await read_templates(work.session, Filters(search="announcement", channel="sms"), None, 10)
        changed = Words(
            {"en": "{ $preferences_link }", "ar": "{ $preferences_link }"}, wording(PLAIN, "preferences_link").variables
        )
        await save_draft(work, listed.template.id, changed)
        assert await install_defaults(work) == 0
