"""The HTML of a mail: read as a browser would, and compared with its text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels.vendor import Channel
from hub.templates.render import FSI, PDI, Rendered, render
from tests.templates.wordings import RIYADH, wording

BODIES = {
    "en": "Dear { $patient },\n\nReason: { $reason }\nOurs: https://clinic.example/hours.\n\nConfirm: { $link }\n\n"
    "Choose: { $preferences_link }",
    "ar": "مرحبًا { $patient }،\n\nالسبب: { $reason }\nموقعنا: https://clinic.example/hours.\n\nللتأكيد: { $link }\n\n"
    "للاختيار: { $preferences_link }",
}
NAMES = ("patient", "reason", "link", "preferences_link", "clinic")
LINKS = {"link": "https://hub.example/v/1?a=b&c=d", "preferences_link": "http://hub.example/p/2"}


class Page(HTMLParser):
    """What a reader gets of a page: tags with attributes, and words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("p", "br", "td"):
            self.words += "\n"

    def handle_data(self, data: str) -> None:
        self.words += data

    @property
    def links(self) -> list[str | None]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]

    def all_of(self, tag: str, attribute: str) -> set[str | None]:
        return {attributes.get(attribute) for name, attributes in self.tags if name == tag}


def letter(
    language: str = "en", patient: str = "Sara", reason: str = "closed", clinic: str = "Noor & Sons"
) -> Rendered:
    values = {"patient": patient, "reason": reason, **LINKS}
    version = wording(BODIES, *NAMES, channel=Channel.EMAIL)
    return render(version, Channel.EMAIL, language, values, clinic=clinic, zone=RIYADH)


@pytest.mark.parametrize(("language", "direction", "side"), [("en", "ltr", "left"), ("ar", "rtl", "right")])
def test_direction_stands_wherever_a_mail_program_leaves_it(language: str, direction: str, side: str) -> None:
    page = Page(letter(language).html)
    assert page.all_of("html", "lang") == {language}
    for tag in ("html", "table", "p"):
        assert page.all_of(tag, "dir") == {direction}
    assert page.all_of("td", "align") == {"center", side}
    assert f"text-align:{side}" in letter(language).html


def test_styles_are_inline_and_nothing_is_fetched() -> None:
    html = letter().html
    assert not re.search(r"<(style|link|script|img|form|iframe)|src=|url\(|@import", html)


def test_values_of_arabic_stand_apart() -> None:
    html = letter("ar").html
    assert "<bdi>Sara</bdi>" in html
    assert "<bdi>closed</bdi>" in html


@pytest.mark.parametrize("language", ["en", "ar"])
def test_text_and_html_say_the_same_and_lead_to_the_same_places(language: str) -> None:
    mail = letter(language)
    page = Page(mail.html)
    assert page.links == ["https://clinic.example/hours", LINKS["link"], LINKS["preferences_link"]]
    for link in page.links:
        assert link in mail.text.replace("hours.", "hours").split()
    for word in re.split(rf"[\s:{FSI}{PDI}]+", re.sub(r"https?://\S+|-- ", "", mail.text)):
        assert word in page.words


def test_the_first_named_link_is_the_button_and_no_address_is_spelled_out() -> None:
    html = letter().html
    assert re.findall(r"<a href=[^>]*display:inline-block[^>]*>([^<]*)</a>", html) == ["Confirm"]
    assert ">Choose</a>" in html


def test_what_an_inbox_shows_beside_the_subject_is_nobodys_secret() -> None:
    page = Page(letter(patient="Canary").html)
    assert "Canary" not in page.words[: page.words.index("A message from") + 120]
    assert "A message from \u2068Noor & Sons\u2069" in page.words


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(["en", "ar"]))
def test_no_value_brings_markup(patient: str, clinic: str, language: str) -> None:
    plain = Page(letter(language).html)
    hostile = Page(letter(language, f"<b>&{patient}", f"<a href=javascript:1>{patient}", f"c</td>{clinic}").html)
    tags = [tag for tag, _ in hostile.tags if tag not in ("bdi", "br")]
    assert tags == [tag for tag, _ in plain.tags if tag not in ("bdi", "br")]
    assert hostile.links == plain.links
