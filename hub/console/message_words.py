"""What states, channels, topics and reasons of messages are called on pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_timezone_location

from hub.channels.vendor import Channel
from hub.console.template_words import occasion
from hub.console.words import who_did
from hub.messages.states import AttemptState, State
from hub.people.choices import Topic

# The hue and the icon of each state; its word says the same.
LOOKS: dict[str, tuple[str, str]] = {
    State.QUEUED: ("", "clock"),
    State.SENDING: ("info", "send"),
    State.SENT: ("info", "send"),
    State.DELIVERED: ("ok", "check"),
    State.READ: ("ok", "read"),
    State.FAILED: ("bad", "error"),
    State.BOUNCED: ("bad", "error"),
    State.HELD: ("warn", "warning"),
    State.UNKNOWN: ("warn", "waiting"),
    State.SKIPPED: ("", "cross"),
    State.CANCELLED: ("", "cross"),
    AttemptState.REFUSED: ("bad", "error"),
    AttemptState.NEVER_SENT: ("", "cross"),
}


@dataclass(frozen=True, slots=True)
class About:
    """What a reason is about: which channel and kind of message, and until when, by whose clock."""

    channel: str | None
    topic: str | None
    until: datetime | None
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Look:
    """A state as a pill."""

    word: str
    hue: str
    icon: str


class Words:
    """The words of messages in one reader's language."""

    def __init__(self, gettext: Callable[[str], str], language: str) -> None:
        self._ = gettext
        self._language = language

    @property
    def channels(self) -> dict[str, str]:
        """What each channel is called."""
        _ = self._
        return {Channel.SMS: _("SMS"), Channel.WHATSAPP: _("WhatsApp"), Channel.EMAIL: _("Email")}

    @property
    def topics(self) -> dict[str, str]:
        """What each kind of message is called."""
        _ = self._
        return {
            Topic.REMINDERS: _("Reminders"),
            Topic.CONFIRMATIONS: _("Confirmations"),
            Topic.RESULTS: _("Results"),
            Topic.BILLING: _("Billing"),
            Topic.MARKETING: _("Marketing"),
        }

    @property
    def states(self) -> dict[str, str]:
        """What each state of a message, or of one request, is called."""
        _ = self._
        return {
            State.QUEUED: _("Waiting"),
            State.SENDING: _("Being sent"),
            State.SENT: _("Sent"),
            State.DELIVERED: _("Delivered"),
            State.READ: _("Read by the patient"),
            State.FAILED: _("Failed"),
            State.BOUNCED: _("Bounced"),
            State.HELD: _("Held"),
            State.UNKNOWN: _("No answer yet"),
            State.SKIPPED: _("Not sent"),
            State.CANCELLED: _("Cancelled"),
            AttemptState.REFUSED: _("Refused"),
            AttemptState.NEVER_SENT: _("Never left"),
        }

    @property
    def values(self) -> dict[str, str]:
        """What the values are called that the hub's own templates name."""
        _ = self._
        return {
            "clinician": _("Clinician"),
            "starts_at": _("Time of the visit"),
            "old_starts_at": _("Time it was before"),
            "reason": _("Reason, as the patient may read it"),
            "link": _("Link"),
            "amount": _("Amount"),
            "due_on": _("Due on"),
            "invoice": _("Invoice number"),
            "days": _("Days"),
            "next_steps": _("Next steps"),
            "announcement": _("Announcement"),
        }

    def occasion(self, code: str | None) -> str:
        """What the occasion of a template is called; words of one's own have none."""
        return occasion(self._, code) if code else ""

    def who(self, kind: str, name: str | None) -> str:
        """Who asked for something."""
        return who_did(self._, kind, name)

    def look(self, state: str) -> Look:
        """A state as a pill."""
        return Look(self.states[state], *LOOKS[state])

    def reason(self, reason: str | None, about: About) -> str:
        """Why, in a sentence; what somebody wrote by hand stays as it is."""
        if not reason:
            return ""
        sentence = (self._with_a_moment().get(reason) if about.until else None) or self._plain().get(reason)
        return sentence % self._told(about) if sentence else reason

    def _told(self, about: About) -> Mapping[str, str]:
        until = about.until.astimezone(about.zone) if about.until else None
        return {
            "channel": self.channels.get(about.channel or "", ""),
            "topic": self.topics.get(about.topic or "", ""),
            "time": format_time(until, "HH:mm", locale=self._language) if until else "",
            "day": format_date(until, "EEEE d MMMM", locale=self._language) if until else "",
            "place": get_timezone_location(about.zone.key, locale=self._language, return_city=True),
        }

    def _plain(self) -> dict[str, str]:
        return self._about_the_patient() | self._about_the_way() | self._reported()

    def _about_the_patient(self) -> dict[str, str]:
        _ = self._
        return {
            "topic_refused": _("The patient refused this kind of message: %(topic)s"),
            "channel_refused": _("The patient refused this channel: %(channel)s"),
            "no_opt_in": _("The patient has not asked for marketing"),
            "no_contact": _("There is no number or address on file for this channel: %(channel)s"),
            "address_flagged": _("The number or address is flagged, and waits for a decision"),
            "quiet_hours": _("After the quiet hours it would have come too late"),
            "expired": _("Its time was over before it could be sent"),
            "withdrawn": _("Taken back: what it says was not true any more"),
            "restored": _("What had made it untrue was taken back: it is sent after all"),
            "person_inactive": _("This person does not work here any more"),
            "invalid_address": _("The provider says that there is no such number or address"),
            "opted_out": _("The patient has asked the provider for no more messages"),
        }

    def _about_the_way(self) -> dict[str, str]:
        _ = self._
        return {
            "no_wording": _("The template says nothing for this channel: %(channel)s"),
            "no_vendor": _("No provider is connected for this channel: %(channel)s"),
            "no_answer": _("The provider did not answer: it is asked what became of the message"),
            "interrupted": _("The hub was interrupted while sending: the provider is asked what became of the message"),
            "never_answered": _("The provider never said what became of it"),
            "vendor_has_it": _("The provider was asked, and has it"),
            "vendor_never_had_it": _("The provider was asked, and never had it: it is sent again"),
            "too_late_to_begin": _("It could not be begun in time, and is tried again"),
            "try_again": _("The provider could not take it, and is tried again"),
            "vendor_account": _("The provider refuses our account: an administrator must look at it"),
            "gave_up": _("The provider could not take it, however often it was tried"),
            "refused": _("The provider refused it for good"),
            "next_channel": _("Goes on over the next channel: %(channel)s"),
            "rate_limit": _("The provider takes only so many at once: it waits for its turn"),
            "fault": _("The hub failed while preparing it; its log says more"),
            "cannot_be_opened": _("It cannot be opened: its key is missing"),
            "wording_does_not_fit": _("The template does not fit its values any more"),
            "wording_is_gone": _("The template is gone"),
            "by_hand": _("By hand"),
            "sent_now_by_hand": _("By hand, without waiting"),
            "scheduled": _("For a set time"),
        }

    def _reported(self) -> dict[str, str]:
        _ = self._
        return {
            "sent": _("The provider reports that it has left"),
            "delivered": _("The provider reports that it has arrived"),
            "read": _("The provider reports that it was read"),
            "delayed": _("The provider reports a delay"),
            "failed": _("The provider reports that it could not be delivered"),
            "bounced": _("The mail server sent it back: there is no such mailbox"),
            "soft_bounced": _("The mail server sent it back for now"),
            "complained": _("It was marked as unwanted"),
            "opened": _("The email was opened"),
            "clicked": _("A link in it was followed"),
            "stop": _("The patient answered STOP"),
            "start": _("The patient answered START"),
            "priced": _("The provider told the price"),
        }

    def _with_a_moment(self) -> dict[str, str]:
        _ = self._
        return {
            "quiet_hours": _("Waits until %(time)s, %(day)s (%(place)s): quiet hours"),
            "try_again": _("The provider could not take it: tried again at %(time)s"),
            "vendor_account": _("The provider refuses our account: tried again at %(time)s"),
            "scheduled": _("To be sent at %(time)s, %(day)s"),
        }
