"""The HTML of an email: blocks found in a filled text, laid out by `web/pages/email/letter.html` (pure).

The layout escapes everything. Only what was marked as a link becomes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from hub.templates.pattern import LINK, LINK_END, URL

PAGES = Path(__file__).resolve().parent.parent.parent / "web" / "pages" / "email"
# A link, or what stands in an isolate.
MARKED = re.compile(f"{LINK}([^{LINK_END}]*){LINK_END}|\u2068([^\u2069]*)\u2069")
# A line that names a link: `Words: link`.
NAMED = re.compile(f"(?P<words>[^{LINK}]*[^{LINK}\\s])\\s*[:：]\\s*{LINK}(?P<link>[^{LINK_END}]*){LINK_END}")


@dataclass(frozen=True, slots=True)
class Span:
    """Some words of a line: plain, isolated, or a link."""

    words: str
    isolated: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph by its lines; a `button` is one line that names the link to go to."""

    lines: tuple[tuple[Span, ...], ...]
    button: bool = False


def lay_out(filled: str, *, language: str, subject: str, clinic: str) -> str:
    """A whole HTML document; it says what the text says, and goes to the same links."""
    return _letter().render(
        blocks=list(_blocks(filled)),
        language=language,
        rtl=language == "ar",
        subject=subject,
        clinic=clinic,
        preheader=PREHEADERS[language].format(f"\u2068{clinic}\u2069"),
    )


# What inboxes show beside the subject, on locked screens too: it says nothing of the patient.
PREHEADERS = {"en": "A message from {}", "ar": "رسالة من {}"}


@cache
def _letter() -> Template:
    environment = Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("letter.html")


def _blocks(filled: str) -> Iterator[Block]:
    """Paragraphs, of which the first that is nothing but a named link is the button."""
    has_button = False
    for paragraph in filled.split("\n\n"):
        lines = paragraph.split("\n")
        is_button = not has_button and len(lines) == 1 and NAMED.fullmatch(lines[0]) is not None
        has_button = has_button or is_button
        yield Block(tuple(tuple(_spans(line)) for line in lines), is_button)


def _spans(line: str) -> Iterator[Span]:
    if (named := NAMED.fullmatch(line)) and URL.fullmatch(named["link"]):
        yield Span(re.sub("[\u2068\u2069]", "", named["words"]), link=named["link"])
        return
    begin = 0
    for found in MARKED.finditer(line):
        if found.start() > begin:
            yield Span(line[begin : found.start()])
        link, isolated = found.groups()
        yield Span(link or isolated, isolated=not link, link=link or "")
        begin = found.end()
    if begin < len(line):
        yield Span(line[begin:])
