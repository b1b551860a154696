"""What the pages of templates call things: occasions, fields, and what is wrong with a wording."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hub.errors import FieldError

Gettext = Callable[[str], str]


def occasion(_: Gettext, code: str) -> str:
    """What the occasion of a template is called; one of the clinic's own has its code for a name."""
    return _occasions(_).get(code) or code.replace("_", " ").capitalize()


def codes_called(_: Gettext, text: str) -> list[str]:
    """The codes of the occasions whose name holds these words."""
    wanted = text.strip().casefold()
    return [code for code, name in _occasions(_).items() if wanted and wanted in name.casefold()]


def _occasions(_: Gettext) -> dict[str, str]:
    return {
        "appointment_booked": _("Appointment booked"),
        "appointment_confirmed": _("Appointment confirmed"),
        "appointment_rescheduled": _("Appointment moved"),
        "appointment_cancelled": _("Appointment cancelled"),
        "appointment_completed": _("After the appointment"),
        "appointment_no_show": _("Missed appointment"),
        "appointment_reminder_day": _("Reminder a day before"),
        "appointment_reminder_hours": _("Reminder two hours before"),
        "staff_appointment_booked": _("Appointment booked, to the clinician"),
        "staff_appointment_rescheduled": _("Appointment moved, to the clinician"),
        "staff_appointment_cancelled": _("Appointment cancelled, to the clinician"),
        "staff_appointment_no_show": _("Missed appointment, to the clinician"),
        "invoice_issued": _("Invoice issued"),
        "payment_reminder": _("Payment reminder"),
        "payment_received": _("Payment received"),
        "results_ready": _("Results are ready"),
        "announcement": _("Announcement"),
        "preferences": _("Choosing what to get"),
    }


def place(_: Gettext, field: str, names: Sequence[str]) -> str:
    """What a field is called; `names` are those of the variables, in order."""
    kind, _dot, rest = field.partition(".")
    if kind == "variables":
        name = names[int(rest.partition(".")[0])] if re.match(r"\d+", rest) else rest
        return _("Variable %(name)s") % {"name": name} if rest else _("Variables")
    language = {"en": _("English"), "ar": _("Arabic")}.get(rest, "")
    words = {
        "bodies": _("Text"),
        "subjects": _("Subject"),
        "vendor_refs": _("Approved template"),
        "code": _("Code"),
        "topic": _("Topic"),
        "channel": _("Channel"),
        "note": _("What changed"),
    }
    named = words.get(kind, field)
    return _("%(field)s, %(language)s") % {"field": named, "language": language} if language else named


def field_id(field: str, names: Sequence[str]) -> str:
    """Where on the page a field stands."""
    kind, _, rest = field.partition(".")
    if kind == "variables" and rest:
        index, _, part = rest.partition(".")
        number = int(index) if index.isdecimal() else names.index(index) if index in names else -1
        return f"variable-{number + 1}-{part or 'name'}" if number >= 0 else "variables"
    page = {"bodies": "body", "subjects": "subject", "vendor_refs": "ref"}.get(kind, kind)
    return f"{page}-{rest}" if rest else page if kind not in ("bodies", "subjects") else f"{page}-en"


def fault(_: Gettext, error: FieldError) -> str:
    """What is wrong, in the reader's language; what no reader was told yet is told as it is."""
    for pattern, words in _faults(_):
        if found := re.fullmatch(pattern, error.detail):
            return words % found.groupdict()
    accepted = f" ({', '.join(error.accepted)})" if error.accepted else ""
    return f"{error.detail}{accepted}"


def _faults(_: Gettext) -> list[tuple[str, str]]:
    name = r"\{ \$(?P<name>\w+) \}"
    return [
        (r"missing|(line \d+: )?is empty", _("This is still empty.")),
        (r"empty", _("With these values there is nothing left to say.")),
        (r"not declared", _("This is not among the variables below.")),
        (r"not an? (text|number|date|moment|link|money)", _("The example does not fit the type.")),
        (rf"{name} is not declared", _("{ $%(name)s } is not among the variables below.")),
        (rf"{name} is health, too private for this place", _("{ $%(name)s } is about health: too private here.")),
        (
            rf"{name} is personal, too private for this place",
            _("{ $%(name)s } is personal. Only public values may stand in a subject."),
        ),
        (
            r"a choice by \$(?P<name>\w+), which is an? .*",
            _("{ $%(name)s } is no number, so it cannot choose a plural."),
        ),
        (r"(?P<function>\w+)\(\$(?P<name>\w+)\) of an? .*", _("%(function)s does not fit the type of { $%(name)s }.")),
        (r"\$(?P<name>\w+) is a date and has no time", _("{ $%(name)s } is a date and has no time.")),
        (
            r"does not name (?P<names>.*), as another language does",
            _("The other language says %(names)s, and this one does not."),
        ),
        (rf"no text names {name}; .*", _("No text says { $%(name)s }. Use it or remove it.")),
        (r"not a name", _("A name is small letters, digits and _, a letter first.")),
        (r"(?P<name>\w*) is declared twice", _("%(name)s is there twice.")),
        (r"an example of an? .* is needed for previews", _("An example is needed, such as the type has it.")),
        (r"(?P<name>\w+) is an? (?P<type>\w+) everywhere", _("%(name)s comes from the hub and has another type.")),
        (r"(?P<name>\w+) is personal at least", _("%(name)s is personal at least.")),
        (r"(?P<name>\w+) is health at least", _("%(name)s is about health.")),
        (r"not a code", _("A code has 2 to 60 small letters, digits and _, a letter first.")),
        (r"(?P<parts>\d+) parts with the examples", _("%(parts)s parts are too many. Keep it within 6.")),
        (r"(?P<count>\d+) characters", _("%(count)s characters are too many here.")),
        (r"advertising says how to stop it", _("Advertising must say how to stop it: add { $preferences_link }.")),
        (r"not a vendor's id", _("This is no id of a vendor’s template.")),
        (r"not a telephone number", _("This is not a telephone number.")),
        (r"without a country's prefix", _("Begin with the country, for example +966.")),
        (r"too short or too long for its country", _("This number is too short or too long.")),
        (r"not an email address|its domain .*|too long", _("This is not an email address.")),
        (
            r"line (?P<line>\d+): this language has other words for (?P<forms>.*); say them too",
            _("Line %(line)s: the plural forms %(forms)s are missing."),
        ),
        (
            r"line (?P<line>\d+): .*is no variable; write (?P<right>.*)",
            _("Line %(line)s: a variable is written %(right)s."),
        ),
        (
            r"line (?P<line>\d+): a link made of .*",
            _("Line %(line)s: a link must be one whole variable."),
        ),
        (
            r"line (?P<line>\d+): cannot be read.*",
            _("Line %(line)s cannot be read. Look for a brace too many or too few."),
        ),
    ]
