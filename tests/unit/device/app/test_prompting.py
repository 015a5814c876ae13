"""How the terminal talks, as the settings say."""

from __future__ import annotations

import io
from datetime import date

import pytest

from device.app.prompting import WHOLE_PACK, AllPrompters, make_prompter
from device.session.commands import Dated, DateRole, Line
from device.settings import load_settings
from device.simulated.camera import HeardPrompter

UNTIL = Dated(DateRole.UNTIL, date(2027, 11, 28))


@pytest.fixture
def make_settings(tmp_path):
    def make(voice, voice_dirs=()):
        path = tmp_path / "terminal.toml"
        dirs = ", ".join(f'"{folder}"' for folder in voice_dirs)
        path.write_text(
            f'[terminal]\nfleet_id = "north"\nterminal_id = "t-1"\nlanguages = ["zh"]\nvoice_dirs = [{dirs}]\n[voice]\n{voice}\n'
        )
        return load_settings(path)

    return make


class Remembering:
    """A prompter that remembers what it was told."""

    def __init__(self):
        self.told = []

    def say(self, line, *, dates=()):
        self.told.append((line, dates))

    def length_s(self, line):
        return 2.0

    def use(self, language, *, is_slow):
        self.told.append((language, is_slow))

    def stop(self):
        self.told.append("stop")


def test_all_prompters_are_told_the_same():
    one, other = Remembering(), Remembering()
    both = AllPrompters(one, other)
    both.say(Line.CERTIFIED, dates=(UNTIL,))
    both.use("en", is_slow=True)
    both.stop()
    assert one.told == other.told == [(Line.CERTIFIED, (UNTIL,)), ("en", True), "stop"]


def test_without_a_voice_lines_are_heard_by_the_actor_and_written(make_settings, eventually):
    heard, stream = [], io.StringIO()
    prompter = make_prompter(make_settings('kind = "none"'), stream, HeardPrompter(heard.append))
    prompter.say(Line.CERTIFIED, dates=(UNTIL,))
    prompter.use(None, is_slow=True)
    eventually(lambda: stream.getvalue() == "认证成功，谢谢您。有效期至2027年11月28日。\n")
    assert heard == [Line.CERTIFIED]
    prompter.stop()


def test_a_sound_card_that_is_not_there_leaves_the_text(make_settings, eventually, caplog):
    stream = io.StringIO()
    prompter = make_prompter(make_settings('kind = "alsa"\ndevice = "lifecert-no-such-device"'), stream)
    prompter.say(Line.CERTIFIED, dates=(UNTIL,))
    eventually(lambda: "loudspeaker lost why=aplay: " in caplog.text)
    eventually(lambda: stream.getvalue().startswith("认证成功"))
    prompter.stop()


def test_a_folder_that_is_no_pack_is_left_out_and_reported(make_settings, tmp_path, eventually, caplog):
    missing = []
    settings = make_settings('kind = "alsa"\ndevice = "null"\nslow = true\nlanguages = ["zh-yue"]', [tmp_path / "yue"])
    prompter = make_prompter(settings, io.StringIO(), on_missing=lambda *what: missing.append(what))
    assert missing == [("yue", WHOLE_PACK)]
    assert "voice pack left out why=" in caplog.text
    prompter.say(Line.ONE_MOMENT)
    prompter.stop()
    assert "missing pack" not in caplog.text
