"""Parts of a text message, against vectors and against an independent counter."""

from __future__ import annotations

import unicodedata

import pytest
import smsutil  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.templates.segments import BASIC, EXTENSION, count_segments, odd_characters, split_parts

EMOJI = "😀🕌👩🏽‍⚕️🇸🇦"
ARABIC = "موعدك يوم الأحد ٢٢ نوفمبر، الساعة 16:30؟ شكرًا\u200f\u0640"
GSM = "".join(sorted(BASIC | EXTENSION))
# Whatever there is, and long ones of each alphabet and of mixtures, so that borders of parts are met: a few characters,
# again and again, and a few behind them.
ALPHABETS = st.sampled_from([GSM, "a€", ARABIC, ARABIC + EMOJI, GSM + ARABIC + EMOJI])
FEW = ALPHABETS.flatmap(lambda alphabet: st.tuples(st.text(alphabet, max_size=12), st.text(alphabet, max_size=12)))
TEXTS = st.one_of(
    st.builds(lambda few, times: few[0] * times + few[1], FEW, st.integers(0, 40)),
    st.text(max_size=40),
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 0),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("ع" * 70, 1),
        ("ع" * 71, 2),
        ("ع" * 134, 2),
        ("ع" * 135, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("a" * 152 + "€" + "a" * 10, 2),
        ("ع" * 66 + "😀" + "ع" * 10, 2),
        # A pair that a border would cut goes to the next part whole, here three times and four.
        (("a" * 152 + "€") * 3, 4),
        (("ع" * 66 + "😀") * 4, 5),
    ],
)
def test_parts_are_counted_as_vendors_count_them(text: str, parts: int) -> None:
    assert count_segments(text).parts == parts


@pytest.mark.parametrize(
    "text", ["“quoted”", "long — dash", "no\u00a0break", "back`tick", "a\ttab", "mark\u200f", "façade", "16:30\u202fPM"]
)
def test_one_odd_character_makes_the_whole_text_ucs2(text: str) -> None:
    assert count_segments(text).encoding == "ucs2"
    assert len(odd_characters(text)) == len(set(text) - BASIC)


def test_text_is_counted_in_its_composed_form() -> None:
    assert count_segments("e\u0301" * 160) == count_segments("é" * 160)
    assert count_segments("é" * 160).parts == 1


def test_escape_and_nothing_are_where_the_other_counter_is_wrong() -> None:
    assert count_segments("\x1b").encoding == "ucs2"
    assert (count_segments("").encoding, count_segments("").parts) == ("gsm7", 0)


@settings(max_examples=10_000)
@given(TEXTS.map(lambda text: unicodedata.normalize("NFC", text)).filter(lambda text: text and "\x1b" not in text))
def test_counts_equal_those_of_an_independent_library(text: str) -> None:
    theirs = smsutil.split(text)
    ours = count_segments(text)
    is_gsm = theirs.encoding == "gsm0338"
    assert ours.encoding == ("gsm7" if is_gsm else "ucs2")
    assert ours.units == (theirs.total_bytes if is_gsm else theirs.total_bytes // 2)
    assert ours.parts == len(theirs.parts)
    assert split_parts(text) == [part.content for part in theirs.parts]
