"""Words of one's own, as each channel takes them (pure)."""

from __future__ import annotations

import re

from hub.channels.vendor import Channel
from hub.templates.mail import lay_out
from hub.templates.pattern import LINK, LINK_END, UNSEEN, URL
from hub.templates.render import Rendered

_BLANK_LINES = re.compile(r"\n{3,}")


def write_letter(subject: str, text: str, channel: Channel, language: str, clinic: str) -> Rendered:
    """What goes out: the text itself; for email with the clinic's name below it, and laid out as HTML.

    Addresses of pages become links. Without a subject, the clinic's name is one.
    """
    if channel is not Channel.EMAIL:
        return Rendered("", text, "")
    subject = subject or clinic
    said = _BLANK_LINES.sub("\n\n", UNSEEN.sub("", text)).strip()
    marked = URL.sub(lambda found: f"{LINK}{found[0]}{LINK_END}", said)
    html = lay_out(marked, language=language, subject=subject, clinic=clinic)
    return Rendered(subject, f"{said}\n\n-- \n{clinic}", html)
