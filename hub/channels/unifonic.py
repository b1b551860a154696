"""Unifonic: SMS by its messages API, which keeps our reference; WhatsApp by its conversations API, which does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from hub.channels.foreign import amount_of, fields_of, first_of, items_of, without_case
from hub.channels.http import CONNECT_S, READ_S, Answer, Line, NoAnswer
from hub.channels.unifonic_reports import VENDOR, read_sms
from hub.channels.vendor import AddressFault, Channel, Fate, Outcome, Outgoing, Report
from hub.clock import Clock

SMS_API = "https://el.cloud.unifonic.com"
WHATSAPP_API = "https://apis.unifonic.com"
SEND_SMS, ASK_SMS, SEND_WHATSAPP = "/rest/SMS/messages", "/rest/SMS/Messages/GetMessagesDetails", "/v1/messages"

SUCCESS = "ER-00"
# Also what it answers to a message that it has already: then the patient has it, too.
DUPLICATE = frozenset({"409", "ER-09"})
PASSING = frozenset({"429"})
# No funds, no rate, a sender or an address of ours that is not allowed: no message of ours is taken.
OPERATOR = frozenset({"401", "402", "403", "404", "480", "ER-01", "ER-08"})
FAULTS = dict.fromkeys(("410", "ER-02"), AddressFault.INVALID)
# Its own status for a message that failed for good, above those of a server in trouble.
FAILED_FOR_GOOD = 599

# By then a message that was taken is listed.
SETTLED = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class SmsAccount:
    """What SMS are sent by: the application's id, which is its secret, and the sender's name."""

    app_sid: SecretStr
    sender: str


@dataclass(frozen=True, slots=True)
class WhatsAppAccount:
    """What WhatsApp messages are sent by."""

    public_id: str
    secret: SecretStr


class Unifonic:
    """One Unifonic customer, with SMS, with WhatsApp, or with both."""

    name = VENDOR
    account = VENDOR

    def __init__(
        self,
        sms: SmsAccount | None,
        whatsapp: WhatsAppAccount | None,
        clock: Clock,
        *,
        per_second: float,
        sms_url: str = SMS_API,
        whatsapp_url: str = WHATSAPP_API,
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
    ) -> None:
        accounts = {Channel.SMS: sms, Channel.WHATSAPP: whatsapp}
        self.channels = frozenset(channel for channel, account in accounts.items() if account)
        self.per_second = per_second
        self._clock = clock
        self._app_sid = sms.app_sid.get_secret_value() if sms else ""
        self._sender = sms.sender if sms else ""
        self._sms_line = Line(sms_url, connect_s=connect_s, read_s=read_s)
        headers = {"PublicId": whatsapp.public_id, "Secret": whatsapp.secret.get_secret_value()} if whatsapp else {}
        self._whatsapp_line = Line(whatsapp_url, headers=headers, connect_s=connect_s, read_s=read_s)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Make exactly one request."""
        try:
            if outgoing.channel is Channel.WHATSAPP:
                return _whatsapp_outcome(await self._whatsapp_line.post_json(SEND_WHATSAPP, _conversation(outgoing)))
            return _sms_outcome(await self._sms_line.post_form(SEND_SMS, self._sms_form(outgoing)))
        except NoAnswer as silence:
            return silence.outcome

    async def ask(self, outgoing: Outgoing, vendor_id: str | None, since: datetime) -> Outcome | None:
        """What it has under our reference; nothing is known of WhatsApp, which cannot be asked."""
        if outgoing.channel is not Channel.SMS:
            return None
        form = {"AppSid": self._app_sid, "CorrelationID": outgoing.reference.hex, "responseType": "JSON"}
        if vendor_id:
            form["MessageID"] = vendor_id
        try:
            answer = await self._sms_line.post_form(ASK_SMS, form)
        except NoAnswer:
            return None
        return self._found(outgoing, answer, vendor_id, since)

    async def close(self) -> None:
        """Give the connections back."""
        await self._sms_line.close()
        await self._whatsapp_line.close()

    def _sms_form(self, outgoing: Outgoing) -> dict[str, str]:
        return {
            "AppSid": self._app_sid,
            "SenderID": self._sender,
            "Recipient": outgoing.to.removeprefix("+"),
            "Body": outgoing.text,
            "responseType": "JSON",
            # Without hyphens: it refuses some forms (456), and this one is letters and digits.
            "CorrelationID": outgoing.reference.hex,
        }

    def _found(self, outgoing: Outgoing, answer: Answer, vendor_id: str | None, since: datetime) -> Outcome | None:
        fields = without_case(answer.fields().items())
        if answer.status != 200 or not _is_success(fields):
            return None
        data = without_case(fields_of(fields.get("data")).items())
        if not isinstance(data.get("messages"), list):
            return None
        listed = [without_case(fields_of(each).items()) for each in items_of(data["messages"])]
        ours = [each for each in listed if _is_ours(each, outgoing, vendor_id)]
        if ours:
            return _accepted(ours[0] | _currency(data), self._reports(outgoing, ours[0]))
        # What is listed and not ours shows that it was not looked for by our reference.
        if listed or vendor_id or self._clock() - since < SETTLED:
            return None
        return Outcome(Fate.PASSING, code="not_found")

    def _reports(self, outgoing: Outgoing, message: Mapping[str, Any]) -> tuple[Report, ...]:
        """What its last report would have said."""
        told = {
            "MessageID": first_of(dict(message), "messageid"),
            "CorrelationID": str(outgoing.reference),
            "Status": first_of(dict(message), "dlr", "status"),
            "Recipient": outgoing.to.removeprefix("+"),
        }
        if not told["MessageID"] or not told["Status"]:
            return ()
        return tuple(read_sms(told, self._clock()))


def _conversation(outgoing: Outgoing) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "text", "text": outgoing.text}
    if outgoing.approved:
        values = sorted(outgoing.approved_values.items(), key=lambda item: (len(item[0]), item[0]))
        parameters = [{"type": "text", "text": value} for _, value in values]
        content = {
            "type": "template",
            "name": outgoing.approved,
            "language": {"code": outgoing.language},
            "components": [{"type": "body", "parameters": parameters}] if parameters else [],
        }
    return {"recipient": {"contact": outgoing.to, "channel": "whatsapp"}, "content": content}


def _sms_outcome(answer: Answer) -> Outcome:
    fields = without_case(answer.fields().items())
    code = first_of(fields, "errorcode").upper()
    if answer.status != 200:
        return _refused(answer, str(answer.status), code)
    data = without_case(fields_of(fields.get("data")).items())
    if _is_success(fields) and code == SUCCESS and first_of(data, "messageid"):
        return _accepted(data)
    if not fields or (_is_success(fields) and code in {"", SUCCESS}):
        return Outcome(Fate.UNKNOWN, code="unreadable", answer={"http": answer.status})
    return _refused(answer, code, code)


def _whatsapp_outcome(answer: Answer) -> Outcome:
    fields = without_case(answer.fields().items())
    if not 200 <= answer.status < 300:
        return _refused(answer, str(answer.status), first_of(fields, "errorcode", "code"))
    message_id = first_of(fields, "messageid") or first_of(
        without_case(fields_of(fields.get("data")).items()), "messageid"
    )
    if not message_id:
        return Outcome(Fate.UNKNOWN, code="unreadable", answer={"http": answer.status})
    return Outcome(Fate.ACCEPTED, vendor_id=message_id, answer={"http": answer.status})


def _refused(answer: Answer, rule: str, code: str) -> Outcome:
    """A refusal by its rule (the HTTP status, or the code where that says success), under the code there is."""
    kept = {"http": answer.status}
    if rule in DUPLICATE:
        return Outcome(Fate.ACCEPTED, code=code or rule, answer=kept | {"status": "duplicate"})
    return Outcome(
        _fate(answer.status, rule),
        code=code or f"http_{answer.status}",
        answer=kept,
        retry_after_s=answer.retry_after_s,
        fault=FAULTS.get(rule),
    )


def _fate(status: int, rule: str) -> Fate:
    if rule in PASSING or 500 <= status < FAILED_FOR_GOOD:
        return Fate.PASSING
    if rule in OPERATOR or 300 <= status < 400:
        return Fate.OPERATOR
    return Fate.PERMANENT


def _is_success(fields: Mapping[str, Any]) -> bool:
    """It writes it as a boolean, and now and then as a text."""
    return str(fields.get("success")).strip().lower() == "true"


def _is_ours(message: dict[str, Any], outgoing: Outgoing, vendor_id: str | None) -> bool:
    reference = first_of(message, "correlationid").replace("-", "").lower()
    return reference == outgoing.reference.hex or (
        vendor_id is not None and first_of(message, "messageid") == vendor_id
    )


def _accepted(message: Mapping[str, Any], foretold: tuple[Report, ...] = ()) -> Outcome:
    fields = dict(message)
    units, cost = first_of(fields, "numberofunits"), amount_of(fields.get("cost"))
    return Outcome(
        Fate.ACCEPTED,
        vendor_id=first_of(fields, "messageid"),
        answer={"status": first_of(fields, "status")},
        segments=int(units) if units.isdecimal() and int(units) else None,
        cost=cost,
        currency=(first_of(fields, "currencycode").upper() or None) if cost is not None else None,
        foretold=foretold,
    )


def _currency(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"currencycode": data["currencycode"]} if "currencycode" in data else {}
