"""Lines and dates as data."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.lines import load_dates, load_lines, primary, texts_to_speak
from device.session.commands import DateRole

DATES = load_dates()
SPOKEN_YEARS = st.dates(date(2025, 1, 1), date(2059, 12, 31))


def spoken(language: str, day: date, role: str = "until") -> str:
    words = DATES[language]
    return ("" if language == "zh" else " ").join(words.pieces[piece] for piece in words.piece_ids(role, day))


@pytest.mark.parametrize(
    ("day", "chinese", "english"),
    [
        (
            date(2027, 11, 28),
            "有效期到二零二七年十一月二十八日",
            "Certified until the twenty-eighth of November twenty twenty-seven",
        ),
        (date(2030, 1, 1), "有效期到二零三零年一月一日", "Certified until the first of January twenty thirty"),
        (
            date(2028, 2, 29),
            "有效期到二零二八年二月二十九日",
            "Certified until the twenty-ninth of February twenty twenty-eight",
        ),
        (
            date(2045, 10, 20),
            "有效期到二零四五年十月二十日",
            "Certified until the twentieth of October twenty forty-five",
        ),
    ],
)
def test_a_date_is_spoken_as_a_person_says_it(day: date, chinese: str, english: str) -> None:
    assert (spoken("zh", day), spoken("en", day)) == (chinese, english)


@given(SPOKEN_YEARS)
def test_every_date_of_the_terminals_life_has_all_its_pieces_in_both_languages(day: date) -> None:
    for words in DATES.values():
        for role in DateRole:
            assert set(words.piece_ids(role, day)) <= set(words.pieces)


@given(SPOKEN_YEARS, SPOKEN_YEARS)
def test_two_dates_are_never_spoken_alike(one: date, other: date) -> None:
    for language in DATES:
        assert (spoken(language, one) == spoken(language, other)) == (one == other)


@given(st.dates(date(1000, 1, 1)))
def test_every_date_can_be_written(day: date) -> None:
    assert DATES["zh"].write("until", day) == f"有效期至{day.year}年{day.month}月{day.day}日。"
    assert DATES["en"].write("until", day).endswith(f"{day:%B} {day.year}.")


def test_dates_of_different_meaning_are_written_and_spoken_differently() -> None:
    day = date(2026, 9, 15)
    for language, words in DATES.items():
        assert set(words.written) == set(DateRole)
        assert len({words.write(role, day) for role in DateRole}) == len(DateRole)
        assert len({spoken(language, day, role) for role in DateRole}) == len(DateRole)


def test_lines_and_pieces_of_dates_have_different_ids() -> None:
    assert not any(set(load_lines()) & set(words.pieces) for words in DATES.values())


def test_a_dialect_is_recorded_from_the_texts_of_its_language_and_an_unknown_one_from_the_chinese() -> None:
    assert texts_to_speak("zh-yue") == texts_to_speak("zh") == texts_to_speak("bo")
    assert texts_to_speak("EN")["date_until"] == "Certified until"
    assert primary("zh-Hant-HK") == "zh"
