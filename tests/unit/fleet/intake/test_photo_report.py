"""The words of the report of a photograph import."""

from __future__ import annotations

from fleet.intake.photo_report import LANGUAGES, photo_texts


def test_every_text_of_the_report_is_there_in_both_languages() -> None:
    for group in photo_texts().values():
        for name, text in group.items():
            assert set(text) == set(LANGUAGES), name
