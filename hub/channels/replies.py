"""What a patient's reply asks for, in English and Arabic: only a message that is nothing but the word counts (pure)."""

from __future__ import annotations

import unicodedata

from hub.channels.vendor import ReportKind

# Arabic is written with or without its vowel signs, stretched or not, and hamza is often left out.
ONE_FORM = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ؤ": "و", "ئ": "ي", "ى": "ي", "ة": "ه", "ـ": None})

STOP_WORDS = (
    *("stop", "stop all", "stopall", "unsubscribe", "end", "quit", "revoke", "optout", "opt out", "cancel"),
    *("إيقاف", "أوقف", "توقف", "قف", "إلغاء", "إلغاء الاشتراك", "إيقاف الرسائل", "ستوب"),
)
# `yes` is no word of these: it may answer a question of ours. Where a vendor takes it as one, it says so.
START_WORDS = ("start", "unstop", "subscribe", "ابدأ", "بدء", "اشتراك", "اشترك", "تفعيل", "استئناف")


def plain(text: str) -> str:
    """The text without what does not make a difference: case, vowel signs, hamza, marks, spaces around."""
    # Composed first, so that a hamza written on its own is one with its letter.
    composed = unicodedata.normalize("NFKC", text).translate(ONE_FORM)
    kept = (
        " " if each.isspace() else each for each in composed if unicodedata.category(each) not in ("Mn", "Cf", "Cc")
    )
    return " ".join("".join(kept).casefold().split()).strip(" .!،؛\"'")


STOP = frozenset(map(plain, STOP_WORDS))
START = frozenset(map(plain, START_WORDS))


def asked_for(text: str) -> ReportKind:
    """STOP, START, or OTHER."""
    word = plain(text)
    if word in STOP:
        return ReportKind.STOP
    return ReportKind.START if word in START else ReportKind.OTHER
