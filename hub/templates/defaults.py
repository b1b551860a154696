"""The wording that every clinic begins with: one file an occasion in `wordings/`, in English and Arabic."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy.dialects.postgresql import insert

from hub import audit
from hub.channels.vendor import Channel
from hub.templates.catalogue import VARIABLES
from hub.templates.pattern import read_pattern
from hub.templates.render import Variable, Wording
from hub.templates.tables import Template
from hub.templates.versions import Words, version_of
from hub.work import Work

WORDINGS = Path(__file__).resolve().parent / "wordings"
# `== sms, whatsapp / en`: what follows is said over these channels in this language.
HEADING = re.compile(r"^== (?P<channels>[a-z, ]+) / (?P<language>[a-z]{2})$", re.MULTILINE)
SUBJECT = "Subject: "


@dataclass(frozen=True, slots=True)
class Default:
    """One wording, as a clinic finds it."""

    code: str
    channel: Channel
    topic: str
    words: Words

    @property
    def wording(self) -> Wording:
        """As rendering and checking want it."""
        return Wording(
            version_id=uuid.uuid5(uuid.NAMESPACE_OID, f"{self.code} {self.channel}"),
            code=self.code,
            channel=self.channel,
            topic=self.topic,
            subjects=self.words.subjects,
            bodies=self.words.bodies,
            variables=self.words.variables,
        )


@cache
def defaults() -> tuple[Default, ...]:
    """Every default wording, by code and channel."""
    return tuple(default for path in sorted(WORDINGS.glob("*.txt")) for default in _read(path))


async def install_defaults(work: Work) -> int:
    """Give the clinic, published, each default wording for which it has no template; returns how many it lacked."""
    known = {(each.code, each.channel): each for each in defaults()}
    shared = {"tenant_id": work.tenant, "active": True, "created_at": work.now, "updated_at": work.now}
    rows = [
        {"code": code, "channel": channel, "topic": each.topic, **shared} for (code, channel), each in known.items()
    ]
    add = insert(Template).values(rows).on_conflict_do_nothing(index_elements=["tenant_id", "code", "channel"])
    added = (await work.session.execute(add.returning(Template.id, Template.code, Template.channel))).all()
    for row in added:
        words = known[row.code, Channel(row.channel)].words
        version = version_of(work, row.id, 1, words)
        version.state, version.published_at = "published", work.now
        work.session.add(version)
    await work.session.flush()
    if added:
        await audit.record(work, "template.defaults_installed", "template", None, after={"templates": len(added)})
    return len(added)


def _read(path: Path) -> Iterator[Default]:
    head, *rest = HEADING.split(path.read_text(encoding="utf-8"))
    topic = head.strip().removeprefix("topic: ")
    bodies: dict[Channel, dict[str, str]] = {}
    subjects: dict[Channel, dict[str, str]] = {}
    for channels, language, said in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        subject, body = _split(said.strip())
        for name in channels.split(", "):
            bodies.setdefault(Channel(name), {})[language] = body
            if subject:
                subjects.setdefault(Channel(name), {})[language] = subject
    for channel, texts in bodies.items():
        of_channel = subjects.get(channel, {})
        named = _named([*texts.items(), *of_channel.items()])
        yield Default(path.stem, channel, topic, Words(texts, named, of_channel))


def _split(said: str) -> tuple[str, str]:
    if not said.startswith(SUBJECT):
        return "", said
    subject, _, body = said.partition("\n")
    return subject.removeprefix(SUBJECT), body.strip()


def _named(texts: list[tuple[str, str]]) -> tuple[Variable, ...]:
    """The variables that these texts, each with its language, name; in the order of the catalogue."""
    names = {name for language, text in texts for name in read_pattern(text, language).names}
    return tuple(variable for name, variable in VARIABLES.items() if name in names)
