"""Prompts and the reader that types."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from datetime import date

import pytest

from device.adapters.prompter_text import TextPrompter
from device.adapters.reader_lines import LineReader
from device.errors import SettingsInvalid
from device.lines import load_lines
from device.session.commands import Dated, DateRole, Line
from device.vision.quality import COMPONENTS
from protocol.challenge import Action
from protocol.outcomes import Outcome
from protocol.policy import default_policy


def test_every_line_of_the_session_has_a_text_in_both_languages_and_no_text_is_idle():
    lines = load_lines()
    assert set(lines) == set(Line)
    for texts in lines.values():
        assert set(texts) == {"zh", "en"}
        assert all(text.strip() for text in texts.values())
        assert texts["zh"] != texts["en"]


def test_every_outcome_action_and_component_of_quality_can_be_said():
    assert {*Outcome, *Action, *COMPONENTS, *default_policy().quality.minimum} <= set(Line)


def test_what_to_do_about_a_component_is_one_short_sentence_of_its_own():
    said = {name: load_lines()[name] for name in COMPONENTS}
    for language, most in (("zh", 22), ("en", 90)):
        texts = [texts[language] for texts in said.values()]
        assert len(set(texts)) == len(texts)
        assert max(map(len, texts)) <= most


@pytest.fixture
def pipe():
    reader, descriptor = os.pipe()
    writer = os.fdopen(descriptor, "w")
    yield reader, writer
    writer.close()
    with suppress(OSError):
        os.close(reader)


def test_lines_are_written_in_the_languages_of_the_terminal(tmp_path, eventually):
    said = tmp_path / "said"
    with said.open("w", encoding="utf-8") as stream:
        prompter = TextPrompter(stream, ["zh", "en"])
        prompter.say(Line.OPEN_MOUTH)
        prompter.say(Line.CERTIFIED)
        eventually(lambda: said.read_text(encoding="utf-8").count("\n") == 4)
    assert said.read_text(encoding="utf-8").startswith("请张开嘴。\nPlease open your mouth.\n")


def test_until_when_somebody_is_certified_is_written_after_the_line(eventually):
    stream = io.StringIO()
    TextPrompter(stream, ["zh", "en"]).say(Line.CERTIFIED, dates=(Dated(DateRole.UNTIL, date(2027, 11, 8)),))
    eventually(lambda: stream.getvalue().count("\n") == 2)
    assert stream.getvalue() == (
        "认证成功，谢谢您。有效期至2027年11月8日。\nYou are certified. Thank you. Certified until 8 November 2027.\n"
    )


def test_the_language_changes_from_the_next_line_on_and_comes_back_and_one_without_texts_changes_nothing(eventually):
    stream = io.StringIO()
    prompter = TextPrompter(stream, ["zh", "en"])
    for language in ("en", "bo", "zh-yue", None):
        prompter.use(language, is_slow=False)
        prompter.say(Line.OPEN_MOUTH)
    eventually(lambda: stream.getvalue().count("\n") == 5)
    english, chinese = "Please open your mouth.\n", "请张开嘴。\n"
    assert stream.getvalue() == english + english + chinese + chinese + english


def test_what_waits_is_forgotten_when_it_stops(pipe):
    _, writer = pipe
    prompter = TextPrompter(writer, ["zh"])
    prompter.stop()
    prompter.say(Line.OPEN_MOUTH)
    prompter.stop()
    assert prompter._waiting.empty()


def test_a_stream_in_memory_will_do(eventually):
    stream = io.StringIO()
    TextPrompter(stream, ["en"]).say(Line.OPEN_MOUTH)
    eventually(lambda: stream.getvalue() == "Please open your mouth.\n")


def test_a_stream_that_nobody_reads_holds_nothing_up(pipe):
    reader, writer = pipe
    os.set_blocking(writer.fileno(), False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer.fileno(), b"x" * 4096)
    os.set_blocking(writer.fileno(), True)
    prompter = TextPrompter(writer, ["zh", "en"])
    for _ in range(1000):
        prompter.say(Line.OPEN_MOUTH)
    prompter.say(Line.CERTIFIED)
    last, got = load_lines()[Line.CERTIFIED]["en"].encode(), b""
    while last not in got:
        got = got[-1000:] + os.read(reader, 65536)


def test_a_stream_that_is_closed_is_reported_once_and_ends_nothing(pipe, eventually, caplog):
    reader, writer = pipe
    prompter = TextPrompter(writer, ["en"])
    os.close(reader)
    prompter.say(Line.OPEN_MOUTH)
    eventually(lambda: "prompts cannot be written" in caplog.text)
    prompter.say(Line.OPEN_MOUTH)
    writer.close()
    prompter.say(Line.OPEN_MOUTH)
    eventually(prompter._waiting.empty)
    assert caplog.text.count("prompts cannot be written") == 1


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
