"""A reply that is nothing but a word for stop, or for start, in English or Arabic, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels.replies import START_WORDS, STOP_WORDS, asked_for
from hub.channels.vendor import ReportKind

STOP, START, OTHER = ReportKind.STOP, ReportKind.START, ReportKind.OTHER


@pytest.mark.parametrize(
    "text",
    [
        *STOP_WORDS,
        "STOP",
        "stop ",
        "\n Stop.\n",
        "Stop!",
        "ＳＴＯＰ",
        "إيقاف",
        "ايقاف",
        "إِيقَاف",
        "إيـــقاف",
        "\u200fإيقاف\u200f",
        "إيقاف",
        "الغاء  الاشتراك",
    ],
)
def test_words_for_stop(text: str) -> None:
    assert asked_for(text) is STOP


@pytest.mark.parametrize("text", [*START_WORDS, "START", " Unstop ", "إبدأ", "ابدا"])
def test_words_for_start(text: str) -> None:
    assert asked_for(text) is START


@pytest.mark.parametrize(
    "text",
    ["please stop by", "stop it", "don't stop", "", " ", "yes", "ok", "توقف عن ذلك", "لا توقف", "1", "🛑", "bus stop"],
)
def test_more_than_the_word_is_an_ordinary_message(text: str) -> None:
    assert asked_for(text) is OTHER


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert asked_for(text) in (STOP, START, OTHER)


@given(st.sampled_from(STOP_WORDS), st.sampled_from(["", " ", "\t", "\u200f", "\u064b"]), st.booleans())
def test_what_makes_no_difference_to_a_reader_makes_none_here(word: str, around: str, loud: bool) -> None:
    assert asked_for(around + (word.upper() if loud else word) + around) is STOP
