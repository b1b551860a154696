"""Twilio: SMS and WhatsApp by its Messages resource. Our reference stands in the address it reports to."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from hub.channels.foreign import amount_of, fields_of, items_of, text_of
from hub.channels.http import CONNECT_S, READ_S, Answer, Line, NoAnswer
from hub.channels.twilio_reports import REFERENCE, VENDOR, read_status
from hub.channels.vendor import AddressFault, Channel, Fate, Outcome, Outgoing
from hub.clock import Clock
from hub.errors import Malformed
from hub.logs import get_logger

log = get_logger(__name__)

API = "https://api.twilio.com"
# What it may wait for, in seconds.
SHORTEST_VALIDITY, LONGEST_VALIDITY = 1, 36_000
# Five more tries at telling us, after time-outs and whatever we answer but success.
TELL_AGAIN = "#rc=5&rp=all"

# Its error codes. What is not in here is refused for good, with the code kept.
PASSING = frozenset({"20429", "30001", "30022", "30500", "63018"})
OPERATOR = frozenset({"20003", "20008", "20404"})
FAULTS = {
    "21610": AddressFault.OPTED_OUT,
    **dict.fromkeys(("21211", "21217", "21614", "21635"), AddressFault.INVALID),
}
# The sender or the country is not allowed: about this message, and for the operator to see.
CONFIGURATION = frozenset({"21408", "21603", "21606", "21612", "21659"})
FAILED = frozenset({"failed", "undelivered", "canceled"})

# A request reaches it within our time-outs; the rest is the difference between two clocks.
BEFORE, AFTER = timedelta(seconds=60), timedelta(seconds=120)
# Beyond these, the same words to the same number are certainly of another request.
CLOCKS_DIFFER = timedelta(days=1)
# By then a message that was taken is listed.
SETTLED = timedelta(seconds=60)
MOST_LISTED = 300


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs in at Twilio: an API key and its secret, or the account's own id and token."""

    sid: str
    user: str
    password: SecretStr


class Twilio:
    """One Twilio account. `senders` are its number, name or service (MG…) for each channel."""

    name = VENDOR

    def __init__(
        self,
        account: Account,
        senders: Mapping[Channel, str],
        clock: Clock,
        *,
        report_url: str | None,
        per_second: float,
        base_url: str = API,
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
    ) -> None:
        self.account = f"{VENDOR}:{account.sid}"
        self.channels = frozenset(senders)
        self.per_second = per_second
        self._senders = senders
        self._clock = clock
        self._report_url = report_url
        self._messages = f"/2010-04-01/Accounts/{account.sid}/Messages"
        auth = (account.user, account.password.get_secret_value())
        self._line = Line(base_url, auth=auth, connect_s=connect_s, read_s=read_s)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Make exactly one request."""
        try:
            answer = await self._line.post_form(f"{self._messages}.json", self._form(outgoing))
        except NoAnswer as silence:
            return silence.outcome
        outcome = _outcome(answer)
        if outcome.code in CONFIGURATION:
            log.warning("twilio: a sender or a country is not allowed", account=self.account, code=outcome.code)
        return outcome

    async def ask(self, outgoing: Outgoing, vendor_id: str | None, since: datetime) -> Outcome | None:
        """What Twilio has: by its id, or else by number, words and time; it cannot be searched for our reference."""
        try:
            if vendor_id:
                answer = await self._line.get(f"{self._messages}/{quote(vendor_id, safe='')}.json", {})
                return self._known(outgoing, answer.fields()) if answer.status == 200 else None
            query = {"To": _party(outgoing.channel, outgoing.to), "PageSize": str(MOST_LISTED)}
            answer = await self._line.get(f"{self._messages}.json", query)
        except NoAnswer:
            return None
        return self._found(outgoing, answer, since) if answer.status == 200 else None

    async def close(self) -> None:
        """Give the connections back."""
        await self._line.close()

    def _form(self, outgoing: Outgoing) -> dict[str, str]:
        sender = self._senders[outgoing.channel]
        form = {"To": _party(outgoing.channel, outgoing.to)}
        if sender.startswith("MG"):
            form["MessagingServiceSid"] = sender
        else:
            form["From"] = _party(outgoing.channel, sender)
        if outgoing.approved:
            form["ContentSid"] = outgoing.approved
            form["ContentVariables"] = json.dumps(dict(outgoing.approved_values), ensure_ascii=False)
        else:
            form["Body"] = outgoing.text
        if self._report_url:
            form["StatusCallback"] = f"{self._report_url}?{REFERENCE}={outgoing.reference}{TELL_AGAIN}"
        if outgoing.valid_until is not None and outgoing.channel is Channel.SMS:
            seconds = int((outgoing.valid_until - self._clock()).total_seconds())
            form["ValidityPeriod"] = str(min(max(seconds, SHORTEST_VALIDITY), LONGEST_VALIDITY))
        return form

    def _found(self, outgoing: Outgoing, answer: Answer, since: datetime) -> Outcome | None:
        """Ours among the messages to its number: certain, or None."""
        page = answer.fields()
        if "messages" not in page:
            return None
        sent = list(_sent_by_us(page))
        if page.get("next_page_uri") and not any(made and made < since - CLOCKS_DIFFER for _, made in sent):
            return None
        same = [(message, made) for message, made in sent if _says(outgoing, message) and _is_near(made, since)]
        if len(same) == 1 and _is_at_once(same[0][1], since):
            return self._known(outgoing, same[0][0])
        if same or any(_is_at_once(made, since, True) and _hides_its_words(message) for message, made in sent):
            return None
        return Outcome(Fate.PASSING, code="not_found") if self._clock() - since >= SETTLED else None

    def _known(self, outgoing: Outgoing, message: dict[str, Any]) -> Outcome | None:
        """A message that Twilio has, with what its last report would have said."""
        sid, status = text_of(message.get("sid")), text_of(message.get("status"))
        if not sid or not status:
            return None
        form = [
            ("MessageSid", sid),
            ("MessageStatus", status),
            ("ErrorCode", text_of(message.get("error_code"))),
            ("To", _party(outgoing.channel, outgoing.to)),
        ]
        try:
            return _accepted(message, tuple(read_status(form, str(outgoing.reference), self._clock())))
        except Malformed:
            return None


def _party(channel: Channel, number: str) -> str:
    return f"whatsapp:{number}" if channel is Channel.WHATSAPP and ":" not in number else number


def _outcome(answer: Answer) -> Outcome:
    """What an answer means, by the table of its codes."""
    fields = answer.fields()
    if 200 <= answer.status < 300:
        if not text_of(fields.get("sid")):
            return Outcome(Fate.UNKNOWN, code="unreadable", answer={"http": answer.status})
        if text_of(fields.get("status")) in FAILED:
            return _refused(answer, text_of(fields.get("error_code")), text_of(fields["sid"]))
        return _accepted(fields)
    return _refused(answer, text_of(fields.get("code")), None)


def _refused(answer: Answer, code: str, sid: str | None) -> Outcome:
    return Outcome(
        _fate(answer.status, code),
        vendor_id=sid,
        code=code or f"http_{answer.status}",
        answer={"http": answer.status},
        retry_after_s=answer.retry_after_s,
        fault=FAULTS.get(code),
    )


def _fate(status: int, code: str) -> Fate:
    if status == 429 or status >= 500 or code in PASSING:
        return Fate.PASSING
    # Another address than the API's redirects, or does not know the account.
    if code in OPERATOR or status in {401, 403} or 300 <= status < 400 or (status == 404 and not code):
        return Fate.OPERATOR
    return Fate.PERMANENT


def _accepted(message: dict[str, Any], foretold: tuple[Any, ...] = ()) -> Outcome:
    segments = text_of(message.get("num_segments"))
    cost = amount_of(message.get("price"))
    return Outcome(
        Fate.ACCEPTED,
        vendor_id=text_of(message.get("sid")),
        answer={"status": text_of(message.get("status"))},
        # A service counts none before it has chosen a sender.
        segments=int(segments) if segments.isdecimal() and int(segments) else None,
        cost=cost,
        currency=(text_of(message.get("price_unit")).upper() or None) if cost is not None else None,
        foretold=foretold,
    )


def _sent_by_us(page: dict[str, Any]) -> Iterator[tuple[dict[str, Any], datetime | None]]:
    for message in map(fields_of, items_of(page["messages"])):
        if not text_of(message.get("direction")).startswith("inbound"):
            try:
                made = parsedate_to_datetime(text_of(message.get("date_created")))
            except ValueError:
                made = None
            yield message, made if made is not None and made.tzinfo else None


def _is_near(made: datetime | None, since: datetime) -> bool:
    return made is None or abs(made - since) <= CLOCKS_DIFFER


def _is_at_once(made: datetime | None, since: datetime, otherwise: bool = False) -> bool:
    """Whether it was made when our request was; `otherwise` is the answer where that is not known."""
    return otherwise if made is None else since - BEFORE <= made <= since + AFTER


def _hides_its_words(message: dict[str, Any]) -> bool:
    """Whether it could be ours with other words: approved ones on WhatsApp, or discarded ones."""
    return text_of(message.get("to")).startswith("whatsapp:") or not message.get("body")


def _says(outgoing: Outgoing, message: dict[str, Any]) -> bool:
    theirs = str(message.get("body") or "")
    if ours := _letters(outgoing.text):
        return ours in _letters(theirs)
    return outgoing.text.strip() in theirs


def _letters(text: str) -> str:
    """Letters and digits alone: Twilio may replace quotes and dashes, and writes something before a trial's words."""
    return "".join(each for each in unicodedata.normalize("NFKC", text).casefold() if each.isalnum())
