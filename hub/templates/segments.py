"""How many parts a text takes as SMS, and where it is cut (pure).

GSM 03.38 as vendors count it: the basic table, and the extension table at two septets a character. One character of
neither, and the whole text goes out as UCS-2: curly quotes, no-break spaces, every Arabic letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from unicodedata import normalize

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")

# Units in a text that is alone, and in each of several: 140 bytes, of which a concatenated part spends 6 on its header.
GSM_ALONE, GSM_EACH = 160, 153
UCS2_ALONE, UCS2_EACH = 70, 67

Encoding = Literal["gsm7", "ucs2"]


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text costs; `units` are septets (gsm7) or UTF-16 units (ucs2)."""

    encoding: Encoding
    units: int
    parts: int


def count_segments(text: str) -> Segments:
    """The parts a vendor is going to bill for a text, by its composed form (NFC); an empty text takes none.

    A vendor may count one more or less: Twilio replaces some characters, and networks have tables of their own.
    """
    encoding, sizes = _measure(normalize("NFC", text))
    return Segments(encoding, sum(sizes), len(_cut(encoding, sizes)))


def split_parts(text: str) -> list[str]:
    """The text as it is cut into parts; no character is ever cut in two."""
    composed = normalize("NFC", text)
    parts, begin = [], 0
    for end in _cut(*_measure(composed)):
        parts.append(composed[begin:end])
        begin = end
    return parts


def odd_characters(text: str) -> list[str]:
    """The characters for which a text goes out as UCS-2, each once, in order."""
    return list(dict.fromkeys(char for char in normalize("NFC", text) if char not in BASIC | EXTENSION))


def _measure(text: str) -> tuple[Encoding, list[int]]:
    """The encoding of a text, and how many units each of its characters takes."""
    if BASIC.issuperset(text):
        return "gsm7", [1] * len(text)
    if all(char in BASIC or char in EXTENSION for char in text):
        return "gsm7", [2 if char in EXTENSION else 1 for char in text]
    return "ucs2", [2 if char > "\uffff" else 1 for char in text]


def _cut(encoding: Encoding, sizes: list[int]) -> list[int]:
    """Where each part ends, in characters."""
    alone, each = (GSM_ALONE, GSM_EACH) if encoding == "gsm7" else (UCS2_ALONE, UCS2_EACH)
    if sum(sizes) <= alone:
        return [len(sizes)] if sizes else []
    ends, filled = [], 0
    for place, size in enumerate(sizes):
        if filled + size > each:
            ends.append(place)
            filled = 0
        filled += size
    return [*ends, len(sizes)]
