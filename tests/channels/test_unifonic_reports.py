"""Unifonic's reports by all the names their fields have; the secret in their address; WhatsApp's events."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels.unifonic_reports import FORM, JSON, is_ours, read_fields, read_sms, read_whatsapp
from hub.channels.vendor import AddressFault, Channel, ReportKind
from hub.errors import Malformed

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize("token", ["", "x", "secret ", "Secret", "ü", "\udcff"])
def test_another_secret_is_not_ours(token: str) -> None:
    assert not is_ours(["secret", "older"], token)
    assert not is_ours([], token)
    assert is_ours(["secret", "older"], "older")


@pytest.mark.parametrize(
    "fields",
    [
        {"MessageID": 3200017889310, "DLR": "Delivered", "Recipient": 966500000001},
        {"MessageID": "3200017889310", "DLR": "Delivered", "Recipient": "966500000001"},
        {"messageId": "3200017889310", "Status": "delivered", "To": "+966500000001"},
        {"MESSAGEID": 3200017889310, "MessageStatus": "DELIVERED", "recipient": "00966500000001", "More": [1]},
    ],
)
@pytest.mark.parametrize("kind", [FORM, JSON])
def test_a_report_is_read_by_any_of_its_names(fields: dict[str, Any], kind: str) -> None:
    body = json.dumps(fields) if kind == JSON else urlencode(fields)
    (report,) = read_sms(read_fields(kind, body.encode()), NOW)
    assert (report.vendor_id, report.kind) == ("3200017889310", ReportKind.DELIVERED)
    assert (report.address, report.channel) == ("+966500000001", Channel.SMS)
    assert report.semantic_key == "sms:3200017889310:delivered"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("Queued", ReportKind.OTHER),
        ("Sent", ReportKind.SENT),
        ("Delivered", ReportKind.DELIVERED),
        ("Undelivered", ReportKind.FAILED),
        ("Undeliverable", ReportKind.FAILED),
        ("Rejected", ReportKind.FAILED),
        ("Failed", ReportKind.FAILED),
        ("Pending", ReportKind.OTHER),
        ("Delivery not confirmed", ReportKind.OTHER),
        ("Something new", ReportKind.OTHER),
    ],
)
def test_every_status_has_its_kind(status: str, kind: ReportKind) -> None:
    (report,) = read_sms({"MessageID": 1, "DLR": status}, NOW)
    assert report.kind is kind


def test_a_number_that_cannot_be_is_the_fault_of_the_number() -> None:
    (report,) = read_sms({"MessageID": 1, "DLR": "Undelivered", "ErrorCode": "ER-02"}, NOW)
    assert report.fault is AddressFault.INVALID
    assert read_sms({"MessageID": 1, "DLR": "Delivered", "ErrorCode": "ER-02"}, NOW)[0].fault is None


def test_our_reference_comes_back_with_hyphens_or_without() -> None:
    ours = uuid.uuid4()
    for written in (str(ours), ours.hex):
        assert read_sms({"CorrelationID": written, "DLR": "Sent"}, NOW)[0].reference == ours


@pytest.mark.parametrize("fields", [{}, {"MessageID": 1}, {"DLR": "Sent"}, {"MessageID": None, "DLR": "Sent"}])
def test_a_report_without_its_parts_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_sms(fields, NOW)


def happened(kind: str, **changes: Any) -> bytes:
    """An event of the Conversations API."""
    body = {
        "messageId": "b322a549-0b12-48e8-9d1e-2f5a6c1d0001",
        "eventId": "34aa2adc-c166-4e0b-8348-c67000000e01",
        "eventType": kind,
        "recipient": {"channel": "whatsapp", "contact": "+966500000001"},
        "timestamp": "2026-03-01T08:00:10.000Z",
    }
    return json.dumps(body | changes).encode()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("message.sent_successfully_to_provider", ReportKind.SENT),
        ("message.sent", ReportKind.SENT),
        ("message.delivered", ReportKind.DELIVERED),
        ("message.read", ReportKind.READ),
        ("message.rejected", ReportKind.FAILED),
        ("message.daily_limit_hit", ReportKind.OTHER),
        ("message.invented", ReportKind.OTHER),
    ],
)
def test_every_event_has_its_kind(said: str, kind: ReportKind) -> None:
    (report,) = read_whatsapp(happened(said), NOW)
    assert (report.kind, report.address, report.channel) == (kind, "+966500000001", Channel.WHATSAPP)
    assert report.occurred_at == datetime(2026, 3, 1, 8, 0, 10, tzinfo=UTC)


def test_one_event_id_with_two_types_is_two_facts() -> None:
    (one,), (two,) = read_whatsapp(happened("message.sent"), NOW), read_whatsapp(happened("message.read"), NOW)
    assert one.semantic_key != two.semantic_key


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"type": "text", "text": "إيقاف"}, ReportKind.STOP),
        ({"type": "text", "text": "Start"}, ReportKind.START),
        ({"type": "text", "text": "please stop by"}, ReportKind.OTHER),
        ({"type": "image"}, ReportKind.OTHER),
        ("stop", ReportKind.OTHER),
        (None, ReportKind.OTHER),
    ],
)
def test_a_reply_asks_for_what_it_says(content: Any, kind: ReportKind) -> None:
    sender = {"contact": "966500000001"}
    (report,) = read_whatsapp(happened("message.received", sender=sender, content=content), NOW)
    assert (report.kind, report.address, report.vendor_id) == (kind, "+966500000001", None)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", happened(""), happened("message.sent", messageId=None), happened("message.received", sender=[])],
)
def test_an_event_without_its_parts_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_whatsapp(body, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20), st.lists, max_leaves=5
)


@given(st.dictionaries(st.sampled_from(["MessageID", "DLR", "Recipient", "ErrorCode", "CorrelationID"]), json_values))
def test_any_report_is_read_or_refused(fields: dict[str, Any]) -> None:
    with suppress(Malformed):
        read_sms(read_fields(JSON, json.dumps(fields).encode()), NOW)
