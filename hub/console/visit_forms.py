"""Reading the board's forms: every field at once, each error beside its field and in the reader's language."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from starlette.datastructures import FormData

from hub.api.appointment_shapes import LONGEST_NEXT_STEPS, LONGEST_REASON, LONGEST_VISIT_MINUTES
from hub.api.bodies import printable
from hub.console.board_words import Say
from hub.errors import Invalid
from hub.people.patients import Arriving
from hub.people.tenants import LANGUAGES, Clinic

Read = TypeVar("Read")
FURTHEST = timedelta(days=10 * 366)
LONGEST_NAME = 200
NEW = "new"
OWN = "own"
# Fields as the verbs name them, and as the forms do.
FIELDS = {"clinician_id": "clinician", "name": "who", "starts_at": "time"}


class Filled:
    """What somebody typed into a form. What cannot be read is an error by its field; then `errors` is not empty."""

    def __init__(self, form: FormData, say: Say, clinic: Clinic, now: datetime) -> None:
        self.given = {name: str(value).strip() for name, value in form.items()}
        self.errors: dict[str, str] = {}
        self.say = say
        self._clinic = clinic
        self._today = clinic.today(now)

    def starts_at(self) -> datetime:
        """Day and time by the clinic's clock."""
        return read_moment(self.given, self.errors, self.say, self._clinic, self._today)

    def clinician(self) -> uuid.UUID:
        """Who sees the patient."""
        return self._id("clinician", self.say("Choose a clinician."))

    def minutes(self) -> int:
        """How long it takes."""
        given = self.given.get("minutes", "")
        is_short = len(given) <= len(str(LONGEST_VISIT_MINUTES))
        if is_short and given.isascii() and given.isdecimal() and 1 <= int(given) <= LONGEST_VISIT_MINUTES:
            return int(given)
        self.errors["minutes"] = self.say("Give whole minutes, from 1 to 1440.")
        return 0

    def patient(self) -> Arriving:
        """Somebody known, or a new file: then a name, and what else is known."""
        if self.given.get("patient", "") not in ("", NEW):
            return Arriving(id=self._id("patient", self.say("Choose one of these."), "who"))
        name, language = self.given.get("who", ""), self.given.get("language", "")
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            self.errors["who"] = self.say("Give a name of 1 to 200 characters.")
        return Arriving(
            name,
            language=language if language in LANGUAGES else None,
            phone=self.given.get("phone") or None,
            email=self.given.get("email") or None,
        )

    def reason(self, usual: Mapping[str, str], *, required: bool) -> str:
        """Why, in words of one's own or the usual ones, which `usual` has in the language of who reads them."""
        chosen = self.given.get("why", "")
        if chosen in usual:
            return usual[chosen]
        own = self._text("reason", LONGEST_REASON)
        if required and not own:
            self.errors["reason" if chosen == OWN else "why"] = self.say("Say why.")
        return own

    def next_steps(self) -> str:
        """What the patient is to do next; often nothing."""
        return self._text("next_steps", LONGEST_NEXT_STEPS)

    def refuse(self, error: Invalid) -> None:
        """Take over what a verb says is wrong."""
        say = self.say
        words = {
            "clinician": say("Choose a clinician."),
            "phone": say("This is no telephone number. Write it with its country’s prefix, like +966501234567."),
            "email": say("This is no email address."),
        }
        for each in error.errors:
            name = FIELDS.get(each.field, each.field)
            self.errors[name] = words.get(name, each.detail)
        if not error.errors:
            self.errors[""] = error.detail

    def _text(self, name: str, longest: int) -> str:
        text = self.given.get(name, "").replace("\r\n", "\n")
        try:
            printable(text)
        except ValueError:
            text = ""
            self.errors[name] = self.say("Some of these characters cannot be written. Type it again.")
        if len(text) > longest:
            self.errors[name] = self.say("That is too long: at most %(most)s characters.") % {"most": longest}
        return text

    def _id(self, name: str, otherwise: str, beside: str = "") -> uuid.UUID:
        try:
            return uuid.UUID(self.given.get(name, ""))
        except ValueError:
            self.errors[beside or name] = otherwise
            return uuid.UUID(int=0)


def read_moment(given: Mapping[str, str], errors: dict[str, str], say: Say, clinic: Clinic, today: date) -> datetime:
    """`day` and `time` as a moment by the clinic's clock; what is wrong goes into `errors`."""
    day = _read(date, given.get("day", ""))
    at = _read(time, given.get("time", ""))
    if day is None:
        errors["day"] = say("Choose a day.")
    elif day < today:
        errors["day"] = say("This day is past.")
    elif day > today + FURTHEST:
        errors["day"] = say("Choose a day within the next ten years.")
    if at is None or at.tzinfo is not None:
        errors["time"] = say("Give a time, like 09:30.")
    if day is None or at is None or "day" in errors or "time" in errors:
        return datetime.min.replace(tzinfo=UTC)
    moment = datetime.combine(day, at.replace(second=0, microsecond=0), clinic.zone)
    if moment.astimezone(UTC).astimezone(clinic.zone).replace(tzinfo=None) != moment.replace(tzinfo=None):
        errors["time"] = say("There is no such time on that day: the clocks change. Choose another.")
    return moment


def _read(kind: type[Read], text: str) -> Read | None:
    try:
        found: Read = kind.fromisoformat(text)  # type: ignore[attr-defined]
    except ValueError:
        return None
    return found
