"""Writes emails: ASCII bytes, each header right by RFC 2047, and nothing folded that must stay whole (pure)."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from hub.channels.vendor import AddressFault, Fate, File, Outcome, Outgoing
from hub.errors import FieldError, Invalid

CRLF = "\r\n"
# RFC 2047, 2: no line with an encoded word is longer.
LONGEST_LINE = 76
# In base64 and with `Subject: ` before them, they still fit on such a line.
BYTES_OF_A_WORD = 39
# RFC 5322, 2.1.1 has 998 for a line; the header's name and brackets stand there too.
LONGEST_URL = 900
LONGEST_NAME = 255
LONGEST_TYPE = 78
LONGEST_TOKEN = 60

# Python's own choice would be 8bit, which SES rewrites and some servers refuse.
BODY = policy.SMTP.clone(cte_type="7bit")
ADDRESS = re.compile(r"[!#-'*+\-./-9=?A-Z^-~]{1,64}@(?=.{1,190}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
URL = re.compile(r"https?://[!#-;=?-Z_a-z~]+")
FILE_TYPE = re.compile(r"(application|audio|font|image|text|video)/[A-Za-z0-9][A-Za-z0-9.+-]*")
# Control characters, halves of pairs, and the ends of lines and paragraphs: none is part of any name or title.
UNFIT = frozenset({"Cc", "Cs", "Zl", "Zp"})
RIGHT_TO_LEFT = frozenset({"ar"})

ONE_CLICK = "List-Unsubscribe=One-Click"


def check_mail(outgoing: Outgoing) -> None:
    """Refuse what must not stand in an email; raises Invalid, naming each field that is wrong."""
    wrong = list(_faults(outgoing))
    if wrong:
        raise Invalid("This cannot go out as an email.", wrong)


def refused_here(refused: Invalid) -> Outcome:
    """The outcome of a message that cannot be an email, and was never sent."""
    fields = [error.field for error in refused.errors]
    fault = AddressFault.INVALID if "to" in fields else None
    return Outcome(Fate.PERMANENT, code="refused_here", answer={"fields": fields}, fault=fault)


def is_address(text: str) -> bool:
    """Whether a server takes this as an address: ASCII, the domain in its IDNA form."""
    return ADDRESS.fullmatch(text) is not None


def write_mail(outgoing: Outgoing, sender: str, message_id: str, at: datetime) -> bytes:
    """The whole email: first the text, then the HTML, then the files; raises Invalid.

    `message_id` stands without its angle brackets.
    """
    check_mail(outgoing)
    headers = [
        _line("Date", [f" {format_datetime(at)}"]),
        _line("From", [f" {part}" for part in _mailbox(outgoing.sender_name, sender)]),
        _line("To", [f" {outgoing.to}"]),
        _line("Subject", _parts(outgoing.subject)),
        f"Message-ID: <{message_id}>",
        *(f"{name}: {value}" for name, value in unsubscribe_headers(outgoing)),
    ]
    return "".join(f"{line}{CRLF}" for line in headers).encode("ascii") + _body(outgoing)


def mailbox(name: str, address: str) -> str:
    """An address with its display name, as one line of ASCII."""
    return " ".join(_mailbox(name, address))


def unsubscribe_headers(outgoing: Outgoing) -> list[tuple[str, str]]:
    """What a mailbox provider offers its reader as one click (RFC 8058); nothing where there is nothing to leave."""
    if not outgoing.unsubscribe_url:
        return []
    return [("List-Unsubscribe", f"<{outgoing.unsubscribe_url}>"), ("List-Unsubscribe-Post", ONE_CLICK)]


def html_of(outgoing: Outgoing) -> str:
    """The HTML part; made of the text where a message was written without one."""
    if outgoing.html:
        return outgoing.html
    side = "rtl" if outgoing.language in RIGHT_TO_LEFT else "ltr"
    words = escape(outgoing.text).replace("\r\n", "\n").replace("\n", "<br>\n")
    opening = f'<!doctype html>\n<html lang="{escape(outgoing.language)}" dir="{side}">'
    return f'{opening}\n<body>\n<div dir="{side}">{words}</div>\n</body>\n</html>\n'


def _faults(outgoing: Outgoing) -> Iterable[FieldError]:
    if not is_address(outgoing.to):
        yield FieldError("to", "must be an email address of ASCII letters")
    for field, line in (("subject", outgoing.subject), ("sender_name", outgoing.sender_name)):
        if _is_unfit(line):
            yield FieldError(field, "must be one line without control characters")
    for field, words in (("text", outgoing.text), ("html", outgoing.html)):
        if not _is_whole(words):
            yield FieldError(field, "must be whole characters")
    url = outgoing.unsubscribe_url
    if url and (len(url) > LONGEST_URL or not URL.fullmatch(url)):
        yield FieldError("unsubscribe_url", f"must be an http(s) address of at most {LONGEST_URL} ASCII characters")
    for place, file in enumerate(outgoing.files):
        yield from _faults_of_file(f"files.{place}", file)


def _faults_of_file(field: str, file: File) -> Iterable[FieldError]:
    if not file.name or len(file.name) > LONGEST_NAME or _is_unfit(file.name):
        yield FieldError(f"{field}.name", f"must be 1 to {LONGEST_NAME} characters without control characters")
    if len(file.content_type) > LONGEST_TYPE or not FILE_TYPE.fullmatch(file.content_type):
        yield FieldError(f"{field}.content_type", "must be a type such as application/pdf")


def _is_whole(words: str) -> bool:
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_unfit(line: str) -> bool:
    return any(unicodedata.category(each) in UNFIT for each in line)


def _body(outgoing: Outgoing) -> bytes:
    message = EmailMessage(policy=BODY)
    message.set_content(outgoing.text)
    message.add_alternative(html_of(outgoing), subtype="html")
    for file in outgoing.files:
        kind, _, subtype = file.content_type.partition("/")
        message.add_attachment(file.content, maintype=kind, subtype=subtype, filename=file.name)
    return message.as_bytes()


def _line(name: str, parts: Iterable[str]) -> str:
    """A header, broken between its parts, each of which begins with a space."""
    lines = [f"{name}:"]
    for place, part in enumerate(parts):
        if place and len(lines[-1]) + len(part) > LONGEST_LINE:
            lines.append("")
        lines[-1] += part
    return CRLF.join(lines)


def _parts(text: str) -> list[str]:
    tokens = re.findall(" +[^ ]+", f" {text}")
    return tokens if _goes_as_it_is(text) else [f" {word}" for word in _encoded(text)]


def _mailbox(name: str, address: str) -> list[str]:
    if not name:
        return [address]
    if _goes_as_it_is(name) and len(name) <= LONGEST_TOKEN:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return [f'"{escaped}"', f"<{address}>"]
    return [*_encoded(name), f"<{address}>"]


def _goes_as_it_is(text: str) -> bool:
    """Whether unfolding gives these words again, and nobody takes a part of them for an encoded word."""
    return (
        text.isascii() and text == text.strip() and "=?" not in text and max(map(len, text.split(" "))) <= LONGEST_TOKEN
    )


def _encoded(text: str) -> list[str]:
    """The encoded words of RFC 2047; whatever stands between two of them is nothing to a reader."""
    chunks = [b""]
    for each in text:
        letter = each.encode()
        if len(chunks[-1]) + len(letter) > BYTES_OF_A_WORD:
            chunks.append(b"")
        chunks[-1] += letter
    return [f"=?utf-8?b?{base64.b64encode(chunk).decode()}?=" for chunk in chunks]
