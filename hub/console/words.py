"""The wording of the pages: English is the key, every other language is a gettext catalogue in web/words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

# Language code to the name its own readers give it.
LANGUAGES: Mapping[str, str] = {"en": "English", "ar": "العربية"}
SOURCE = "en"


def load(folder: Path) -> dict[str, NullTranslations]:
    """Read every catalogue once, at start; a missing or broken one is an error then and not on a page."""
    words: dict[str, NullTranslations] = {SOURCE: NullTranslations()}
    for language in LANGUAGES:
        if language != SOURCE:
            words[language] = _catalogue(folder / f"{language}.po", language)
    return words


def who_did(_: Callable[[str], str], kind: str, name: str | None) -> str:
    """Who did something, for a reader: by name, or as what they are; a patient is never named by what they did."""
    return name or {"patient": _("The patient"), "system": _("The hub")}.get(kind, _("Somebody"))


def _catalogue(path: Path, language: str) -> Translations:
    with path.open("rb") as text:
        catalogue = read_po(text, locale=language, abort_invalid=True)
    binary = BytesIO()
    write_mo(binary, catalogue)
    binary.seek(0)
    return Translations(binary)
