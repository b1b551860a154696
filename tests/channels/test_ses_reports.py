"""SES's events by both of their shapes: each type's own object, each bounce's class, one report a recipient."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels.ses_reports import read_event
from hub.channels.vendor import Channel, Report, ReportKind

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
AT = "2026-03-01T08:00:02.480Z"
MESSAGE = "0100019aa1-77c0-example-000000"
OURS = uuid.UUID("0192d7a0-0000-7000-8000-000000000001")

OWN: dict[str, dict[str, Any]] = {
    "Send": {"send": {}},
    "Delivery": {"delivery": {"timestamp": AT, "recipients": ["p1@example.org"], "smtpResponse": "250 OK"}},
    "Bounce": {
        "bounce": {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "timestamp": AT,
            "feedbackId": "0100019aa1-9b1e-example-000000",
            "bouncedRecipients": [
                {"emailAddress": "p1@example.org", "status": "5.1.1", "diagnosticCode": "smtp; 550 p1@example.org"}
            ],
        }
    },
    "Complaint": {
        "complaint": {
            "complainedRecipients": [{"emailAddress": "p1@example.org"}],
            "timestamp": AT,
            "feedbackId": "0100019aa1-c0de-example-000000",
            "complaintSubType": None,
            "complaintFeedbackType": "abuse",
        }
    },
    "Reject": {"reject": {"reason": "Bad content"}},
    "Open": {"open": {"ipAddress": "192.0.2.7", "timestamp": AT, "userAgent": "Mozilla/5.0"}},
    "Click": {"click": {"timestamp": AT, "link": "https://portal.example.com/a/1", "linkTags": None}},
    "Rendering Failure": {"failure": {"templateName": "reminder", "errorMessage": "no name"}},
    "DeliveryDelay": {
        "deliveryDelay": {
            "timestamp": AT,
            "delayType": "MailboxFull",
            "delayedRecipients": [{"emailAddress": "p1@example.org", "status": "4.2.2"}],
        }
    },
    "Subscription": {
        "subscription": {
            "timestamp": AT,
            "newTopicPreferences": {"unsubscribeAll": True, "topicSubscriptionStatus": []},
        }
    },
}


def event(kind: str, name: str = "eventType", **changes: Any) -> dict[str, Any]:
    """An event of this type, with changes to its own object."""
    own = {key: value | changes for key, value in OWN[kind].items()}
    mail = {
        "timestamp": "2026-03-01T08:00:00.120Z",
        "messageId": MESSAGE,
        "destination": ["p1@example.org"],
        "tags": {"ses:configuration-set": ["hub"], "hub_message_id": [str(OURS)]},
    }
    return {name: kind, "mail": mail, **own}


def read(body: Any, transport: str = "t1") -> list[Report]:
    return read_event(json.dumps(body), transport, NOW)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Send", ReportKind.SENT),
        ("Delivery", ReportKind.DELIVERED),
        ("Bounce", ReportKind.BOUNCED),
        ("Complaint", ReportKind.COMPLAINED),
        ("Reject", ReportKind.FAILED),
        ("Open", ReportKind.OPENED),
        ("Click", ReportKind.CLICKED),
        ("Rendering Failure", ReportKind.FAILED),
        ("DeliveryDelay", ReportKind.DELAYED),
        ("Subscription", ReportKind.STOP),
    ],
)
@pytest.mark.parametrize("name", ["eventType", "notificationType"])
def test_every_type_is_read_by_either_name(kind: str, said: ReportKind, name: str) -> None:
    (report,) = read(event(kind, name))
    assert report.kind is said
    assert report.vendor_id == MESSAGE
    assert report.reference == OURS
    assert report.channel is Channel.EMAIL
    if said not in (ReportKind.OPENED, ReportKind.CLICKED):
        assert report.address == "p1@example.org"


@pytest.mark.parametrize(
    ("of", "under", "said"),
    [
        ("Permanent", "General", ReportKind.BOUNCED),
        ("Permanent", "NoEmail", ReportKind.BOUNCED),
        ("Permanent", "Suppressed", ReportKind.BOUNCED),
        ("Permanent", "OnAccountSuppressionList", ReportKind.BOUNCED),
        ("Permanent", "SomethingNew", ReportKind.BOUNCED),
        ("Transient", "General", ReportKind.SOFT_BOUNCED),
        ("Transient", "MailboxFull", ReportKind.SOFT_BOUNCED),
        ("Transient", "SomethingNew", ReportKind.SOFT_BOUNCED),
        ("Transient", "MessageTooLarge", ReportKind.FAILED),
        ("Transient", "ContentRejected", ReportKind.FAILED),
        ("Transient", "AttachmentRejected", ReportKind.FAILED),
        ("Undetermined", "Undetermined", ReportKind.FAILED),
        ("SomethingNew", "General", ReportKind.FAILED),
        (None, None, ReportKind.FAILED),
    ],
)
def test_every_bounce_has_its_class(of: str | None, under: str | None, said: ReportKind) -> None:
    (report,) = read(event("Bounce", bounceType=of, bounceSubType=under))
    assert report.kind is said


def test_who_says_it_is_no_spam_complains_of_nothing() -> None:
    assert read(event("Complaint", complaintFeedbackType="not-spam"))[0].kind is ReportKind.OTHER
    assert read(event("Complaint", complaintFeedbackType=None))[0].kind is ReportKind.COMPLAINED


def test_leaving_one_topic_is_not_leaving_all() -> None:
    assert read(event("Subscription", newTopicPreferences={"unsubscribeAll": False}))[0].kind is ReportKind.OTHER


def test_those_who_bounced_are_named_by_the_bounce() -> None:
    addresses = ["Sara Doe <p2@example.org>", "p3@example.org"]
    reports = read(event("Bounce", bouncedRecipients=[{"emailAddress": each} for each in addresses]))
    assert [report.address for report in reports] == ["p2@example.org", "p3@example.org"]
    assert len({report.semantic_key for report in reports}) == len({report.transport_id for report in reports}) == 2


@pytest.mark.parametrize("kind", OWN)
def test_the_same_event_by_two_deliveries_is_one_fact(kind: str) -> None:
    (one,), (two,) = read(event(kind), "t1"), read(event(kind, "notificationType"), "t2")
    assert one.semantic_key == two.semantic_key
    assert one.transport_id != two.transport_id


def test_facts_differ_by_type_time_feedback_and_link() -> None:
    bodies = [
        *(event(kind) for kind in OWN),
        event("Bounce", feedbackId="another"),
        event("Delivery", timestamp="2026-03-01T08:00:03.480Z"),
        event("Click", link="https://portal.example.com/a/2"),
    ]
    facts = [read(body)[0].semantic_key for body in bodies]
    assert len(set(facts)) == len(facts)


@pytest.mark.parametrize("kind", OWN)
def test_no_report_tells_an_address_a_subject_or_a_link_where_it_is_not_sealed(kind: str) -> None:
    (report,) = read(event(kind))
    told = f"{report.transport_id} {report.semantic_key} {report.code} {dict(report.detail)}"
    assert "@" not in told
    assert "portal" not in told


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-03-01T03:00:02-05:00", datetime(2026, 3, 1, 8, 0, 2, tzinfo=UTC)),
        ("2026-03-01T08:00:02 +0000", datetime(2026, 3, 1, 8, 0, 2, tzinfo=UTC)),
        ("2026-03-01T08:00:02", datetime(2026, 3, 1, 8, 0, 2, tzinfo=UTC)),
        ("soon", NOW),
        (5, NOW),
        ("2199-01-01T00:00:00Z", NOW),
    ],
)
def test_times_are_read_and_never_lie_ahead(written: Any, at: datetime) -> None:
    assert read(event("Delivery", timestamp=written))[0].occurred_at == at


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        "",
        "[]",
        "null",
        "[" * 100_000,
        '{"eventType": "Invented", "mail": {}}',
        '{"eventType": "Bounce"}',
        '{"eventType": ["Bounce"], "mail": "x", "bounce": 7}',
        '{"eventType": "Bounce", "mail": {"messageId": "\\u0000", "tags": []}, "bounce": {"bouncedRecipients": [1]}}',
    ],
)
def test_what_is_not_understood_is_kept(message: str) -> None:
    assert [report.kind for report in read_event(message, "t1", NOW)] in ([ReportKind.OTHER], [ReportKind.FAILED])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
spoiled = st.fixed_dictionaries(
    {"eventType": st.sampled_from([*OWN, "x"]) | json_values},
    optional={
        "mail": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("messageId", "destination", "tags", "timestamp"), json_values)
        )
        | json_values,
        **{
            key: json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(own[key], json_values))
            for own in OWN.values()
            for key in own
        },
    },
)


@given(spoiled)
def test_any_event_is_read(body: Any) -> None:
    for report in read(body):
        assert report.occurred_at <= NOW + timedelta(0)
        assert report.semantic_key
