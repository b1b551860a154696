"""Everything the pages say is said in Arabic too, in all six plural forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import PoFileError, read_po
from jinja2.ext import babel_extract

from hub.console.words import LANGUAGES, SOURCE, load

ROOT = Path(__file__).parents[2]
CATALOGUES = sorted((ROOT / "web/words").glob("*.po"))
PLACEHOLDER = re.compile(r"%\(\w+\)s")
ARABIC_FORMS = 6

# Translating functions, and which of their arguments are the words. `say` is what the console's routes call it.
IN_PYTHON = {"_": None, "gettext": None, "ngettext": (1, 2), "_word": (2,), "_counted": (2, 3)}
IN_CONSOLE = IN_PYTHON | {"say": None}

# What stays as it is in a form that names its number by a word of its own: "two minutes".
SPELT_OUT = {0, 1, 2}

Key = str | tuple[str, ...]


def used() -> dict[Key, str]:
    """Every message, and a file that says it."""
    return dict([*_in_templates(), *_in_code()])


def _in_templates() -> Iterator[tuple[Key, str]]:
    for path in sorted((ROOT / "web/pages").rglob("*.html")):
        options = {"extensions": "jinja2.ext.do", "silent": "false"}
        with path.open("rb") as file:
            for _, function, message, _ in babel_extract(file, ("_", "gettext", "ngettext"), [], options):
                texts = [str(text) for text in ([message] if isinstance(message, str) else message or ()) if text]
                yield (tuple(texts[:2]) if function == "ngettext" else texts[0]), path.name


def _in_code() -> Iterator[tuple[Key, str]]:
    for path in sorted((ROOT / "hub").rglob("*.py")):
        keywords = IN_CONSOLE if "console" in path.parts else IN_PYTHON
        with path.open("rb") as file:
            for _, message, _, _ in extract("python", file, keywords):
                yield (tuple(message) if isinstance(message, (list, tuple)) else message), path.name


def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.stem, abort_invalid=True)


def messages(path: Path) -> dict[Key, Message]:
    every = [message for message in catalogue(path) if message.id]
    return {message.id if isinstance(message.id, str) else tuple(message.id): message for message in every}


def forms_of(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def test_there_is_a_catalogue_for_each_language_but_the_source() -> None:
    assert {path.stem for path in CATALOGUES} == set(LANGUAGES) - {SOURCE}


def test_what_is_looked_for_is_found() -> None:
    found = used()
    assert "Mark arrived" in found
    assert "Arrivals" in found
    assert ("%(num)s unread", "%(num)s unread") in found
    assert ("%(num)s min", "%(num)s min") in found


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_every_message_is_translated_and_none_is_left_over(path: Path) -> None:
    known, said = messages(path), used()
    assert {key: said[key] for key in said if key not in known} == {}
    assert [key for key in known if key not in said] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_every_form_is_filled_and_sure(path: Path) -> None:
    whole = catalogue(path)
    assert whole.num_plurals == ARABIC_FORMS
    for key, message in messages(path).items():
        forms = forms_of(message)
        assert len(forms) == (ARABIC_FORMS if isinstance(key, tuple) else 1), key
        assert all(form.strip() for form in forms), key
        assert not message.fuzzy, key
    assert not whole.obsolete


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_no_placeholder_is_lost_or_invented(path: Path) -> None:
    for key, message in messages(path).items():
        wanted = set(PLACEHOLDER.findall(key if isinstance(key, str) else " ".join(key)))
        for number, form in enumerate(forms_of(message)):
            found = set(PLACEHOLDER.findall(form))
            spelt_out = isinstance(key, tuple) and number in SPELT_OUT and wanted - found <= {"%(num)s"}
            assert found == wanted or (spelt_out and found <= wanted), (key, form)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "أقل من دقيقة"),
        (1, "دقيقة"),
        (2, "دقيقتان"),
        (3, "3 دقائق"),
        (10, "10 دقائق"),
        (11, "11 دقيقة"),
        (99, "99 دقيقة"),
        (100, "100 دقيقة"),
        (102, "102 دقيقة"),
        (103, "103 دقائق"),
        (111, "111 دقيقة"),
    ],
)
def test_arabic_counts_in_its_own_forms(minutes: int, words: str) -> None:
    arabic = load(ROOT / "web/words")["ar"]
    assert arabic.ngettext("%(num)s min", "%(num)s min", minutes) % {"num": minutes} == words


def test_the_source_language_says_what_is_written() -> None:
    assert load(ROOT / "web/words")[SOURCE].gettext("Mark arrived") == "Mark arrived"


def test_a_broken_catalogue_is_an_error_at_start(tmp_path: Path) -> None:
    (tmp_path / "ar.po").write_text('msgid "Sign in"\nmeaning "no such word"\n', encoding="utf-8")
    with pytest.raises(PoFileError):
        load(tmp_path)


def test_a_missing_catalogue_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path)
