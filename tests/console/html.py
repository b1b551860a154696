"""Reads a page as a browser would, as far as tests want to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx

# Attributes whose value a browser fetches, follows or posts to.
ADDRESSES = {"href", "src", "action", "formaction", "poster", "data", "cite", "background", "ping", "manifest"}


@dataclass(frozen=True)
class Tag:
    """One element."""

    name: str
    attributes: dict[str, str]


@dataclass
class Html(HTMLParser):
    """The elements of a page, and its words."""

    tags: list[Tag] = field(default_factory=list)
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(Tag(tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, name: str) -> list[Tag]:
        return [tag for tag in self.tags if tag.name == name]

    def with_attribute(self, name: str) -> list[Tag]:
        return [tag for tag in self.tags if name in tag.attributes]

    @property
    def links(self) -> list[str]:
        """Where one can go from here, without the place on the page."""
        found = [tag.attributes["href"].partition("#")[0] for tag in self.all("a") if "href" in tag.attributes]
        return list(dict.fromkeys(link for link in found if link))

    @property
    def fetched(self) -> list[str]:
        """What comes with the page."""
        found = [
            tag.attributes.get("href" if tag.name == "link" else "src", "")
            for tag in self.tags
            if tag.name in ("link", "script", "img")
        ]
        found += [tag.attributes["href"].partition("#")[0] for tag in self.all("use")]
        return list(dict.fromkeys(each for each in found if each))


def read(answer: httpx.Response, status: int = 200) -> Html:
    """The page in an answer."""
    assert answer.status_code == status, f"{answer.url}: {answer.status_code} {answer.text[:300]}"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Html()
    page.feed(answer.text)
    page.close()
    return page


def breaches(page: Html) -> list[str]:
    """What the strict policy of this house forbids in a page."""
    found = []
    for tag in page.tags:
        if tag.name == "style" or (tag.name == "script" and "src" not in tag.attributes):
            found.append(f"inline <{tag.name}>")
        for name, value in tag.attributes.items():
            if name == "style" or name.startswith("on"):
                found.append(f"{name} on <{tag.name}>")
            if name in ADDRESSES and not is_own(value):
                found.append(f"{name}={value!r} on <{tag.name}>")
    return found


def is_own(address: str) -> bool:
    """Whether an address stays on the hub."""
    parts = urlsplit(address)
    return not parts.scheme and not parts.netloc and address.startswith(("/", "#", "?")) and "\\" not in address
