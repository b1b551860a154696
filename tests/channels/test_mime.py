"""Emails as bytes: read here by the RFCs, not by the parser of the same library."""

from __future__ import annotations

import base64
import quopri
import random
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels.mime import html_of, is_address, mailbox, unsubscribe_headers, write_mail
from hub.channels.vendor import Channel, File, Outgoing
from hub.errors import Invalid

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SENDER = "noreply@mail.noor.example"
MAIL = Outgoing(
    reference=uuid.UUID(int=7),
    tenant=uuid.UUID(int=9),
    channel=Channel.EMAIL,
    to="sara@example.org",
    text="Your visit is on Sunday.",
    subject="Your visit",
    html="<p>Your visit is on Sunday.</p>",
    sender_name="Noor Clinic",
)
ARABIC = ("عيادة", "النور", "موعدك", "يوم", "الأحد", "تأكيد", "الحجز", "د.", "سارة", "نتائج", "جاهزة", "رقم", "١٢٣")
LATIN = (
    "Noor",
    "clinic",
    "on",
    "Sunday",
    "10:30",
    "Dr.",
    "O'Neil",
    "(new)",
    "=?odd?",
    "<x>",
    "100%",
    "a_b",
    "\U0001f600",
    "é",
)
LINES = ("a\r\nBcc: x@example.org", "a\nb", "a\rb", "a\0b", "a\tb", "a\x85b", "a\u2028b", "\ud800")
BROKEN: dict[str, Callable[[str], Outgoing]] = {
    "subject": lambda bad: replace(MAIL, subject=bad),
    "sender_name": lambda bad: replace(MAIL, sender_name=bad),
    "to": lambda bad: replace(MAIL, to=f"{bad}@example.org"),
    "unsubscribe_url": lambda bad: replace(MAIL, unsubscribe_url=f"https://{bad}"),
    "files.0.name": lambda bad: replace(MAIL, files=(File(f"{bad}.pdf", "application/pdf", b"x"),)),
}
ENCODED = re.compile(r"=\?utf-8\?b\?([A-Za-z0-9+/=]+)\?=")


def written(mail: Outgoing) -> bytes:
    return write_mail(mail, SENDER, "7@mail.noor.example", AT)


def headers_of(raw: bytes) -> dict[str, str]:
    """The headers, unfolded by RFC 5322: the end of a line goes, the space after it stays."""
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii").replace("\r\n ", " ")
    return dict(line.split(": ", 1) for line in head.split("\r\n"))


def read_words(value: str) -> str:
    """The text of a header by RFC 2047: spaces between encoded words are none."""
    value = re.sub(r"(=\?[^? ]+\?[bq]\?[^? ]*\?=) +(?==\?)", r"\1", value)
    return ENCODED.sub(lambda found: base64.b64decode(found[1]).decode(), value)


def parsed(mail: Outgoing) -> EmailMessage:
    return message_from_bytes(written(mail), policy=policy.default)


def random_title(chance: random.Random) -> str:
    words = [chance.choice(chance.choice((ARABIC, LATIN))) for _ in range(chance.randint(1, 14))]
    return "".join(word + " " * chance.choice((1, 1, 1, 2)) for word in words).strip()


def test_two_thousand_arabic_and_latin_subjects_read_as_they_were_written() -> None:
    chance = random.Random(2047)
    for _ in range(2000):
        title = random_title(chance)
        raw = written(replace(MAIL, subject=title))
        assert read_words(headers_of(raw)["Subject"]) == title
        assert raw.isascii()
        assert max(map(len, raw.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 76


def test_two_thousand_display_names_read_as_they_were_written() -> None:
    chance = random.Random(5322)
    for _ in range(2000):
        name = random_title(chance)
        whole = headers_of(written(replace(MAIL, sender_name=name)))["From"]
        shown, _, address = whole.rpartition(" ")
        assert address == f"<{SENDER}>"
        read = re.sub(r"\\(.)", r"\1", shown[1:-1]) if shown.startswith('"') else read_words(shown)
        assert read == name
        assert mailbox(name, SENDER) == whole


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=200))
def test_any_subject_without_control_characters_reads_as_it_was_written(title: str) -> None:
    raw = written(replace(MAIL, subject=title))
    value = raw.partition(b"Subject:")[2].partition(b"\r\nMessage-ID")[0].decode("ascii").replace("\r\n", "")
    assert read_words(value.removeprefix(" ")) == title


@pytest.mark.parametrize("bad", LINES)
@pytest.mark.parametrize("field", BROKEN)
def test_ends_of_lines_and_control_characters_are_refused_everywhere(field: str, bad: str) -> None:
    with pytest.raises(Invalid) as refused:
        written(BROKEN[field](bad))
    assert [error.field for error in refused.value.errors] == [field]


@pytest.mark.parametrize(
    "address",
    [
        "sara@example.org", "sara+visits@example.org", "o'neil@xn--mgbx4cd0ab.example", "a@localhost",
        "first.last/x=y@sub.example.org",
    ],
)  # fmt: skip
def test_an_address_is_taken(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "", "sara", "@example.org", "sara@", "a@b@example.org", "سارة@example.org", "sara@مثال.example",
        "a b@example.org", "a@example.org, b@example.org", "Sara <sara@example.org>", "sara@example..org",
        "sara@example.org\n", f"{'a' * 65}@x.org", '"a b"@example.org', "a@[127.0.0.1]",
    ],
)  # fmt: skip
def test_what_is_no_single_ascii_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        written(replace(MAIL, to=address))


@pytest.mark.parametrize("kind", ["", "pdf", "text/html; a=b", "multipart/mixed", "message/rfc822", "a/b\r\nX: y"])
def test_a_file_of_no_usable_type_is_refused(kind: str) -> None:
    with pytest.raises(Invalid):
        written(replace(MAIL, files=(File("a.pdf", kind, b"x"),)))


def test_half_a_character_in_a_body_is_refused() -> None:
    with pytest.raises(Invalid):
        written(replace(MAIL, text="a\ud800"))


def test_arabic_mail_is_ascii_with_the_text_before_the_html() -> None:
    words = "موعدك يوم الأحد.\nنراك قريباً.\n"
    html = '<html lang="ar" dir="rtl"><body><p dir="rtl">موعدك يوم الأحد.</p></body></html>'
    raw = written(replace(MAIL, text=words, html=html, language="ar"))
    assert raw.isascii()
    assert b"8bit" not in raw
    assert b"\n" not in raw.replace(b"\r\n", b"")
    boundary = re.search(rb'multipart/alternative;\s+boundary="([^"]+)"', raw)
    assert boundary
    text, rich = raw.split(b"--" + boundary[1])[1:3]
    assert b"text/plain" in text
    assert b"text/html" in rich
    assert decoded(text) == words.replace("\n", "\r\n")
    assert decoded(rich).strip() == html


def decoded(part: bytes) -> str:
    head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if b"base64" in head:
        return base64.b64decode(body).decode().replace("\r\n", "\n").replace("\n", "\r\n")
    return quopri.decodestring(body.removesuffix(b"\r\n")).decode()


def test_files_come_after_both_bodies_with_their_names() -> None:
    name = "نتائج التحليل " + "طويل جداً " * 10 + "٣.pdf"
    files = (File(name, "application/pdf", bytes(range(256))), File("notes.txt", "text/plain", "نص".encode()))
    mail = parsed(replace(MAIL, files=files))
    assert mail.get_content_type() == "multipart/mixed"
    body, *attached = mail.iter_parts()
    assert [part.get_content_type() for part in body.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_filename() for part in attached] == [name, "notes.txt"]
    assert [part.get_payload(decode=True) for part in attached] == [file.content for file in files]
    assert written(replace(MAIL, files=files)).isascii()


def test_a_long_unsubscribe_address_stands_whole_in_one_header() -> None:
    url = "https://hub.example.com/u/" + "aZ0-_." * 46
    raw = written(replace(MAIL, unsubscribe_url=url))
    assert raw.count(f"\r\nList-Unsubscribe: <{url}>\r\n".encode()) == 1
    assert raw.count(b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n") == 1


@pytest.mark.parametrize("url", ["ftp://x.example", "javascript:alert(1)", "https://x/<b>", f"https://x/{'a' * 900}"])
def test_an_unsubscribe_address_that_cannot_stand_in_a_header_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        written(replace(MAIL, unsubscribe_url=url))


def test_mail_that_nobody_can_leave_has_no_such_header() -> None:
    assert unsubscribe_headers(MAIL) == []
    assert b"List-" not in written(MAIL)


def test_each_header_is_there_once() -> None:
    raw = written(MAIL)
    assert headers_of(raw) == {
        "Date": "Sun, 01 Mar 2026 08:00:00 +0000",
        "From": f'"Noor Clinic" <{SENDER}>',
        "To": "sara@example.org",
        "Subject": "Your visit",
        "Message-ID": "<7@mail.noor.example>",
        "MIME-Version": "1.0",
        "Content-Type": headers_of(raw)["Content-Type"],
    }


def test_a_message_without_html_gets_one_of_its_own_text() -> None:
    made = html_of(replace(MAIL, html="", text="<b>موعد</b>\nغداً", language="ar"))
    assert '<html lang="ar" dir="rtl">' in made
    assert '<div dir="rtl">&lt;b&gt;موعد&lt;/b&gt;<br>\nغداً</div>' in made
    assert 'dir="ltr"' in html_of(replace(MAIL, html=""))
    assert html_of(MAIL) == MAIL.html


def test_a_name_with_quotes_stays_one_name() -> None:
    assert mailbox('Dr. "X" \\ <y@z>', SENDER) == f'"Dr. \\"X\\" \\\\ <y@z>" <{SENDER}>'
    assert mailbox("", SENDER) == SENDER
