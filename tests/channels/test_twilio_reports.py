"""Twilio's requests: its own package is the oracle for signatures; each status and code says what follows."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from hub.channels.twilio_reports import Form, is_signed, read_form, read_inbound, read_status, signature_of
from hub.channels.vendor import AddressFault, Channel, Report, ReportKind
from hub.errors import Malformed

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
URL = "https://hub.example/webhooks/twilio/status?m=01J9ZK3V"
TOKEN = "12345678901234567890123456789012"
SID = "SM" + "0a" * 16

words = st.text(st.characters(codec="utf-8"), max_size=20)
names = words | st.sampled_from(["Body", "body", "To", "ErrorCode", "نص", "A", "a", ""])
values = words | st.sampled_from(["", "مرحبا، موعدك غداً", "+966500000001", "a&b=c", " ", "+", "%00", "1B2"])
forms = st.lists(st.tuples(names, values), max_size=12)
urls = st.sampled_from(
    [URL, "https://hub.example:443/webhooks/x", "http://127.0.0.1:8080/webhooks/x?y=%D9%85&z=", "http://hub.example/"]
)


class Fields(ImmutableMultiDict[str, str]):
    """A form as the package reads it from most frameworks."""

    def getall(self, name: str) -> list[str]:
        return self.getlist(name)


@given(forms, urls)
@example([("A", "1"), ("A", "1"), ("A", "0"), ("Blank", "")], URL)
@example([("A", "1B2")], URL)
def test_signatures_are_those_of_twilios_own_package(form: list[tuple[str, str]], url: str) -> None:
    read = read_form(urlencode(form).encode())
    theirs = RequestValidator(TOKEN).compute_signature(url, Fields(form))
    assert signature_of(TOKEN, url, read).decode() == theirs
    assert is_signed([TOKEN], url, read, theirs)
    assert RequestValidator(TOKEN).validate(url, Fields(form), signature_of(TOKEN, url, read).decode())


@given(forms.filter(bool), st.data())
def test_whatever_is_changed_breaks_the_signature(form: list[tuple[str, str]], data: st.DataObject) -> None:
    signature = signature_of(TOKEN, URL, form).decode()
    place = data.draw(st.integers(0, len(form) - 1))
    name, value = form[place]
    changed = data.draw(
        st.sampled_from(
            [
                form[:place] + form[place + 1 :],
                [*form[:place], (name, value + "x"), *form[place + 1 :]],
                [*form, ("Added", "1")],
            ]
        )
    )
    # Equal for Twilio, too: order and repetition do not count, nor does where a name ends.
    if signature_of(TOKEN, URL, changed).decode() != signature:
        assert not is_signed([TOKEN], URL, changed, signature)
        assert not RequestValidator(TOKEN).validate(URL, Fields(changed), signature)


@pytest.mark.parametrize(
    "url",
    [
        "http://hub.example/webhooks/twilio/status?m=01J9ZK3V",
        "https://evil.example/webhooks/twilio/status?m=01J9ZK3V",
        "https://hub.example/webhooks/twilio/status",
        "https://hub.example/webhooks/twilio/inbound?m=01J9ZK3V",
    ],
)
def test_another_address_breaks_the_signature(url: str) -> None:
    assert not is_signed([TOKEN], url, [("A", "1")], signature_of(TOKEN, URL, [("A", "1")]).decode())


@pytest.mark.parametrize("signature", [None, "", "x", "ü", "=" * 28, "\udcff"])
def test_what_is_no_signature_is_refused_quietly(signature: str | None) -> None:
    assert not is_signed([TOKEN], URL, [], signature)


def test_either_of_two_tokens_will_do_while_they_are_changed() -> None:
    assert is_signed(["new", TOKEN], URL, [], signature_of(TOKEN, URL, []).decode())
    assert not is_signed(["new", "newer"], URL, [], signature_of(TOKEN, URL, []).decode())
    assert not is_signed([], URL, [], "")


def test_the_port_that_goes_without_saying_may_be_said() -> None:
    signature = signature_of(TOKEN, "https://hub.example:443/x", []).decode()
    assert is_signed([TOKEN], "https://hub.example/x", [], signature)
    signature = signature_of(TOKEN, "https://hub.example/x", []).decode()
    assert is_signed([TOKEN], "https://hub.example:443/x", [], signature)
    assert not is_signed([TOKEN], "https://hub.example:8443/x", [], signature)


@pytest.mark.parametrize("body", [b"\xff", b"&".join(b"a=1" for _ in range(201))])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_form(body)


def status(**changes: str) -> list[tuple[str, str]]:
    """A callback as Twilio sends it."""
    fields = {
        "AccountSid": "AC0",
        "From": "+15005550006",
        "To": "+966500000001",
        "MessageSid": SID,
        "MessageStatus": "delivered",
        "RawDlrDoneDate": "2603010805",
    }
    return [*(fields | changes).items()]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("accepted", ReportKind.OTHER),
        ("scheduled", ReportKind.OTHER),
        ("queued", ReportKind.OTHER),
        ("sending", ReportKind.OTHER),
        ("sent", ReportKind.SENT),
        ("delivered", ReportKind.DELIVERED),
        ("read", ReportKind.READ),
        ("undelivered", ReportKind.FAILED),
        ("failed", ReportKind.FAILED),
        ("canceled", ReportKind.FAILED),
        ("partially_delivered", ReportKind.OTHER),
        ("something_new", ReportKind.OTHER),
    ],
)
def test_every_status_has_its_kind(said: str, kind: ReportKind) -> None:
    (report,) = read_status(status(MessageStatus=said), "", NOW)
    assert report.kind is kind
    assert report.vendor_id == SID
    assert report.address == "+966500000001"
    assert report.channel is Channel.SMS


@pytest.mark.parametrize(
    ("code", "kind", "fault"),
    [
        ("30001", ReportKind.FAILED, None),
        ("30003", ReportKind.SOFT_BOUNCED, None),
        ("30004", ReportKind.FAILED, None),
        ("30005", ReportKind.FAILED, AddressFault.INVALID),
        ("30006", ReportKind.FAILED, AddressFault.INVALID),
        ("30007", ReportKind.FAILED, None),
        ("30036", ReportKind.FAILED, None),
        ("21610", ReportKind.FAILED, AddressFault.OPTED_OUT),
        ("63003", ReportKind.FAILED, None),
        ("63016", ReportKind.FAILED, None),
        ("99999", ReportKind.FAILED, None),
        ("", ReportKind.FAILED, None),
    ],
)
@pytest.mark.parametrize("said", ["failed", "undelivered"])
def test_every_code_of_a_failure_has_its_class(
    said: str, code: str, kind: ReportKind, fault: AddressFault | None
) -> None:
    (report,) = read_status(status(MessageStatus=said, ErrorCode=code), "", NOW)
    assert (report.kind, report.fault, report.code) == (kind, fault, code or None)


@pytest.mark.parametrize("said", ["sending", "sent", "delivered", "read"])
def test_the_code_of_an_earlier_failure_is_not_read_again(said: str) -> None:
    (lingering,) = read_status(status(MessageStatus=said, ErrorCode="30005"), "", NOW)
    (clean,) = read_status(status(MessageStatus=said), "", NOW)
    assert lingering == clean
    assert lingering.fault is lingering.code is None


def test_our_reference_comes_back_in_the_address() -> None:
    ours = uuid.uuid4()
    assert read_status(status(), str(ours), NOW)[0].reference == ours
    assert read_status(status(), "01J9ZK3V", NOW)[0].reference is None


def test_the_same_status_is_one_fact() -> None:
    first, again = read_status(status(), "", NOW)[0], read_status(status(AddedLater="1"), "", NOW)[0]
    failed = read_status(status(MessageStatus="failed", ErrorCode="30003"), "", NOW)[0]
    assert first.semantic_key == again.semantic_key != failed.semantic_key


@pytest.mark.parametrize(
    "changes",
    [
        {"MessageSid": ""},
        {"MessageSid": "SM1"},
        {"MessageSid": SID + "\n"},
        {"MessageSid": SID.upper()},
        {"MessageStatus": ""},
    ],
)
def test_a_callback_without_its_parts_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        read_status(status(**changes), "", NOW)


def inbound(**changes: str) -> list[tuple[str, str]]:
    """A patient's message as Twilio passes it on."""
    fields = {"MessageSid": SID, "From": "+966500000001", "To": "+15005550006", "Body": "STOP", "NumMedia": "0"}
    return [*(fields | changes).items()]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, ReportKind.STOP),
        ({"Body": "إيقاف"}, ReportKind.STOP),
        ({"Body": "please stop by"}, ReportKind.OTHER),
        ({"Body": "START"}, ReportKind.START),
        ({"Body": "yes"}, ReportKind.OTHER),
        ({"Body": "yes", "OptOutType": "START"}, ReportKind.START),
        ({"Body": "no more of this", "OptOutType": "STOP"}, ReportKind.STOP),
        ({"Body": "STOP", "OptOutType": "HELP"}, ReportKind.OTHER),
        ({"Body": ""}, ReportKind.OTHER),
    ],
)
def test_a_reply_asks_for_what_it_says(changes: dict[str, str], kind: ReportKind) -> None:
    (report,) = read_inbound(inbound(**changes), NOW)
    assert report.kind is kind
    assert report.address == "+966500000001"
    assert report.vendor_id is None


def test_a_reply_by_whatsapp_is_about_whatsapp() -> None:
    (report,) = read_inbound(inbound(From="whatsapp:+966500000001"), NOW)
    assert (report.channel, report.address) == (Channel.WHATSAPP, "+966500000001")


@pytest.mark.parametrize("sender", ["", "Noor Clinic", "whatsapp:", "+9665x"])
def test_a_reply_from_nobody_is_refused(sender: str) -> None:
    with pytest.raises(Malformed):
        read_inbound(inbound(From=sender), NOW)


@given(st.dictionaries(st.sampled_from(["MessageSid", "From", "To", "Body", "MessageStatus", "ErrorCode"]), values))
def test_any_form_is_read_or_refused(fields: dict[str, str]) -> None:
    readers: list[Callable[[Form], list[Report]]] = [
        lambda form: read_status(form, "", NOW),
        lambda form: read_inbound(form, NOW),
    ]
    for read in readers:
        with suppress(Malformed):
            assert read([*({"MessageSid": SID} | fields).items()])
