"""Twilio and Unifonic in one process: they take messages, remember them, and misbehave when they are told to."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.channels.fakes.server import Answer, Request, serving

CONTROL = "/control/"


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done with a request instead of taking it and saying so.

    With a `status`, `body` and `headers` are the answer. `takes` says whether the message is taken all the same, so
    that a patient has it; one that only waits is always taken.
    """

    status: int | None = None
    body: str | Mapping[str, Any] = ""
    headers: Mapping[str, str] | None = None
    delay_s: float = 0.0
    hangs: bool = False
    cut_before: bool = False
    cut_midway: bool = False
    takes: bool = False

    @property
    def only_waits(self) -> bool:
        """Whether it is as if nothing had been told, but later."""
        return self.status is None and not (self.hangs or self.cut_before or self.cut_midway)

    def answer(self, usual: Answer) -> Answer:
        """What to answer where `usual` would have been said."""
        if self.status is not None:
            body = self.body if isinstance(self.body, str) else json.dumps(self.body)
            usual = Answer(self.status, body.encode(), self.headers or {})
        return replace(
            usual, delay_s=self.delay_s, hangs=self.hangs, cut_before=self.cut_before, cut_midway=self.cut_midway
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that a patient has. `reference` is ours, where the vendor was given it; `at` is the system's time."""

    vendor: str
    id: str
    to: str
    words: str
    reference: str
    at: float
    sender: str = ""


class FakeVendors:
    """What was asked of them, what they took, and what they are told to do next.

    A request's deed is the first there is: the `next_deeds`, that of its number in `numbers`, one by its share in
    `chances` (drawn from a seeded generator), or else `always`.
    """

    def __init__(self, keeps_requests: bool = True, seed: int = 0) -> None:
        self.url = ""
        self.keeps_requests = keeps_requests
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.requests: list[Request] = []
        self.asked = 0
        self.taken: list[Taken] = []
        self.next_deeds: deque[Deed] = deque()
        self.numbers: dict[str, Deed] = {}
        self.chances: list[tuple[float, Deed]] = []
        self.always = Deed()
        self._by_number: dict[str, list[Taken]] = defaultdict(list)
        self._by_id: dict[str, Taken] = {}
        self._by_reference: dict[str, list[Taken]] = defaultdict(list)
        self._random = random.Random(self._seed)
        self._numbers = itertools.count(3_200_017_889_310)

    def then(self, *deeds: Deed) -> None:
        """Do these with the next requests."""
        self.next_deeds.extend(deeds)

    @property
    def twice(self) -> dict[str, list[str]]:
        """References, and words to one number, that were taken more than once."""
        references = Counter(each.reference for each in self.taken if each.reference)
        words = Counter(f"{each.to} {each.words}" for each in self.taken)
        return {
            "references": [key for key, count in references.items() if count > 1],
            "words": [key for key, count in words.items() if count > 1],
        }

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        if request.path.startswith(CONTROL):
            return self._control(request)
        self.asked += 1
        if self.keeps_requests:
            self.requests.append(request)
        if request.path.startswith("/2010-04-01/Accounts/"):
            return self._twilio(request)
        if request.path.lower().startswith("/rest/sms/messages"):
            return self._unifonic_sms(request)
        if request.path == "/v1/messages":
            return self._unifonic_whatsapp(request)
        return Answer(404)

    def _take(self, usual: Answer, message: Taken) -> Answer:
        deed = self._deed(message.to)
        if deed.takes or deed.only_waits:
            self.taken.append(message)
            self._by_number[message.to].append(message)
            self._by_id[message.id] = message
            self._by_reference[message.reference].append(message)
        return deed.answer(usual)

    def _deed(self, to: str) -> Deed:
        if self.next_deeds:
            return self.next_deeds.popleft()
        if to in self.numbers:
            return self.numbers[to]
        drawn = self._random.random() if self.chances else 0.0
        for share, deed in self.chances:
            if drawn < share:
                return deed
            drawn -= share
        return self.always

    def _twilio(self, request: Request) -> Answer:
        if not request.headers.get("authorization", "").startswith("Basic "):
            return _twilio_error(401, 20003)
        last = request.path.rpartition("/")[2].removesuffix(".json")
        if request.method == "GET" and last != "Messages":
            found = self._by_id.get(last)
            return Answer.of(200, _twilio_message(found)) if found else _twilio_error(404, 20404)
        if request.method == "GET":
            deed = self.next_deeds.popleft() if self.next_deeds else Deed()
            theirs = self._by_number[request.query["To"]][::-1]
            size = int(request.query.get("PageSize", "50"))
            page = {
                "messages": [_twilio_message(each) for each in theirs[:size]],
                "next_page_uri": f"{request.path}?Page=1" if len(theirs) > size else None,
            }
            return deed.answer(Answer.of(200, page))
        form = request.form()
        sender = form.get("From") or form.get("MessagingServiceSid")
        words = form.get("Body") or form.get("ContentSid")
        if not form.get("To") or not sender or not words:
            return _twilio_error(400, 21604 if sender and words else 21603 if words else 21619)
        reference = parse_qs(urlsplit(form.get("StatusCallback", "")).query).get("m", [""])[0]
        message = Taken("twilio", f"SM{uuid.uuid4().hex}", form["To"], words, reference, request.at, sender)
        return self._take(Answer.of(201, _twilio_message(message)), message)

    def _unifonic_sms(self, request: Request) -> Answer:
        form = request.form()
        if not form.get("AppSid"):
            return _unifonic_error(402, "ER-01")
        if request.path.lower().endswith("/getmessagesdetails"):
            deed = self.next_deeds.popleft() if self.next_deeds else Deed()
            return deed.answer(Answer.of(200, self._unifonic_list(form)))
        if not form.get("Recipient") or not form.get("Body"):
            return _unifonic_error(422 if form.get("Body") else 449, "ER-06")
        number = str(next(self._numbers))
        reference = form.get("CorrelationID", "")
        message = Taken("unifonic", number, form["Recipient"], form["Body"], reference, request.at, form["SenderID"])
        said = {"success": True, "message": "", "errorCode": "ER-00", "data": _unifonic_message(message)}
        return self._take(Answer.of(200, said), message)

    def _unifonic_list(self, form: Mapping[str, str]) -> dict[str, Any]:
        found = self._by_reference[form["CorrelationID"]]
        data = {"messages": [_unifonic_message(each) for each in found], "CurrencyCode": "SAR"}
        return {"success": "true", "message": "", "errorCode": "ER-00", "data": data}

    def _unifonic_whatsapp(self, request: Request) -> Answer:
        if not request.headers.get("publicid") or not request.headers.get("secret"):
            return Answer.of(401, {"message": "unauthorized"})
        said = request.json()
        content = said["content"]
        words = content.get("text") or content.get("name")
        to = said["recipient"]["contact"]
        message = Taken("unifonic-whatsapp", str(uuid.uuid4()), to, words, "", request.at)
        return self._take(Answer.of(200, {"messageId": message.id}), message)

    def _control(self, request: Request) -> Answer:
        """How another process looks and tells: `counts`, `taken`, `script`, `reset`."""
        match request.path.removeprefix(CONTROL):
            case "counts":
                return Answer.of(200, {"asked": self.asked, "taken": len(self.taken), "twice": self.twice})
            case "taken":
                start = int(request.query.get("from", "0"))
                return Answer.of(200, [asdict(each) for each in self.taken[start:]])
            case "script":
                self._follow(request.json())
                return Answer.of(200, {})
            case "reset":
                self.reset()
                return Answer.of(200, {})
        return Answer(404)

    def _follow(self, script: Mapping[str, Any]) -> None:
        self.next_deeds.extend(Deed(**deed) for deed in script.get("next", ()))
        self.numbers |= {number: Deed(**deed) for number, deed in script.get("numbers", {}).items()}
        if "chances" in script:
            self.chances = [(share, Deed(**deed)) for share, deed in script["chances"]]
        if "always" in script:
            self.always = Deed(**script["always"])


@asynccontextmanager
async def fake_vendors(port: int = 0, *, keeps_requests: bool = True, seed: int = 0) -> AsyncIterator[FakeVendors]:
    """Fakes that answer on this machine while the block runs."""
    fakes = FakeVendors(keeps_requests, seed)
    async with serving(fakes.handle, port) as fakes.url:
        yield fakes


def _twilio_error(status: int, code: int) -> Answer:
    return Answer.of(status, {"code": code, "message": "as told", "more_info": "", "status": status})


def _twilio_message(message: Taken) -> dict[str, Any]:
    with_service = message.sender.startswith("MG")
    at = format_datetime(datetime.fromtimestamp(message.at, UTC))
    return {
        "sid": message.id,
        "status": "accepted" if with_service else "queued",
        "direction": "outbound-api",
        "to": message.to,
        "from": None if with_service else message.sender,
        "body": message.words,
        "num_segments": "0" if with_service else "1",
        "price": None,
        "price_unit": "USD",
        "error_code": None,
        "error_message": None,
        "date_created": at,
        "date_sent": None,
    }


def _unifonic_error(status: int, code: str) -> Answer:
    return Answer.of(status, {"success": False, "message": "as told", "errorCode": code, "data": None})


def _unifonic_message(message: Taken) -> dict[str, Any]:
    return {
        "MessageID": int(message.id),
        "CorrelationID": message.reference,
        "Status": "Queued",
        "NumberOfUnits": 1,
        "Cost": 0.04,
        "Balance": 120.5,
        "Recipient": message.to,
        "TimeCreated": "2026-03-01 08:00:00.237",
        "CurrencyCode": "SAR",
    }
