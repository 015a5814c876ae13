"""Prompts and the reader that types."""

from __future__ import annotations

import io

import pytest

from device.adapters.prompter_text import TextPrompter, load_lines
from device.adapters.reader_lines import LineReader
from device.errors import SettingsInvalid
from device.session.commands import Line
from device.session.events import Advice
from protocol.challenge import Action
from protocol.outcomes import Outcome


def test_every_line_of_the_session_has_a_text_in_both_languages_and_no_text_is_idle():
    lines = load_lines()
    assert set(lines) == set(Line)
    for texts in lines.values():
        assert set(texts) == {"zh", "en"}
        assert all(text.strip() for text in texts.values())
        assert texts["zh"] != texts["en"]


def test_every_outcome_action_and_advice_can_be_said():
    assert {*Outcome, *Action, *Advice} <= set(Line)


def test_lines_are_written_in_the_languages_of_the_terminal():
    stream = io.StringIO()
    TextPrompter(stream, ["zh", "en"]).say(Line.OPEN_MOUTH)
    assert stream.getvalue() == "请张开嘴。\nPlease open your mouth.\n"


def test_a_language_without_texts_is_a_bad_setting():
    with pytest.raises(SettingsInvalid, match="xx"):
        TextPrompter(io.StringIO(), ["zh", "xx"])


def test_a_reader_gives_each_line_once_and_no_empty_ones(eventually):
    heard = []
    reader = LineReader(io.StringIO(" 12 \n\n34\n"))
    reader.start(heard.append)
    eventually(lambda: len(heard) == 2)
    reader.stop()
    assert heard == ["12", "34"]
