"""The prompter that speaks, on a loudspeaker that remembers."""

from __future__ import annotations

import threading
from datetime import date

import pytest

from device.adapters.voice_alsa.pack import VoicePack
from device.adapters.voice_alsa.prompter import VoicePrompter
from device.adapters.voice_alsa.sound import RATE_HZ
from device.session.commands import Dated, DateRole, Line
from device.simulated.loudspeaker import SimulatedLoudspeaker

MANDARIN, ENGLISH = ("zh", "zh-CN", 500), ("en", "en", 900)
UNTIL = Dated(DateRole.UNTIL, date(2027, 11, 28))


@pytest.fixture
def speaker():
    return SimulatedLoudspeaker()


@pytest.fixture
def held():
    """A loudspeaker whose sounds go on until they are ended."""
    speaker = SimulatedLoudspeaker(is_held=True)
    yield speaker
    for playing in speaker.played:
        playing.finish()


@pytest.fixture
def missing():
    return []


@pytest.fixture
def make_voice(missing):
    def make(packs, speaker, languages=("zh",), **more):
        return VoicePrompter(packs, speaker, languages, on_missing=lambda *what: missing.append(what), **more)

    return make


def begun(speaker, eventually, number=1):
    """Wait until so many sounds were begun, and return the last one."""
    eventually(lambda: len(speaker.played) >= number, f"sound {number}")
    assert len(speaker.played) == number
    return speaker.played[-1]


def test_a_line_is_spoken_in_the_languages_of_the_terminal_in_their_order(
    open_packs, make_voice, speaker, heard, eventually
):
    packs = open_packs(MANDARIN, ENGLISH)
    make_voice(packs, speaker, ["en", "zh"]).say(Line.OPEN_MOUTH)
    assert heard(begun(speaker, eventually)) == [900, 500]


def test_language_and_speed_change_from_the_next_line_on(make_pack, make_voice, speaker, heard, eventually):
    speeds = ["normal", "slow"]
    packs = [VoicePack.open(make_pack(*pack, speeds=speeds)) for pack in (MANDARIN, ENGLISH)]
    voice = make_voice(packs, speaker)
    voice.say(Line.LIGHT)
    assert heard(begun(speaker, eventually)) == [500]
    voice.use("en", is_slow=True)
    voice.say(Line.LIGHT)
    assert heard(begun(speaker, eventually, 2)) == [1000]
    voice.use(None, is_slow=False)
    voice.say(Line.LIGHT)
    assert heard(begun(speaker, eventually, 3)) == [500]


def test_how_long_a_line_takes_is_known_before_it_is_spoken(open_packs, make_voice, speaker, eventually):
    voice = make_voice(open_packs(MANDARIN, ENGLISH), speaker, ["zh", "en"])
    found = voice.length_s(Line.OPEN_MOUTH)
    voice.say(Line.OPEN_MOUTH)
    assert found == pytest.approx(len(begun(speaker, eventually).pcm) / 2 / RATE_HZ)
    assert found > 2 * 0.3
    voice.use("zh", is_slow=False)
    assert voice.length_s(Line.OPEN_MOUTH) < found / 1.5
    assert make_voice([], speaker).length_s(Line.OPEN_MOUTH) == 0.0


def test_a_language_nobody_speaks_is_left_out_and_changes_nothing_when_it_is_chosen(
    open_packs, make_voice, speaker, heard, eventually
):
    voice = make_voice(open_packs(MANDARIN, ENGLISH), speaker, ["fr", "en"])
    voice.use("fr", is_slow=False)
    voice.say(Line.LIGHT)
    assert heard(begun(speaker, eventually)) == [900]


def test_who_chooses_chinese_hears_the_dialect_that_is_usual_and_who_chooses_english_hears_english(
    open_packs, make_voice, speaker, heard, eventually
):
    voice = make_voice(open_packs(("yue", "zh-yue", 700), MANDARIN, ENGLISH), speaker, ["zh-yue"])
    for number, (language, tones) in enumerate([("zh", [700]), ("en", [900]), ("fr", [900]), (None, [700])], start=1):
        voice.use(language, is_slow=False)
        voice.say(Line.LIGHT)
        assert heard(begun(speaker, eventually, number)) == tones


def test_a_pack_without_slow_speech_speaks_normally_and_nothing_is_reported(
    open_packs, make_voice, speaker, missing, heard, eventually
):
    make_voice(open_packs(MANDARIN), speaker, is_slow=True).say(Line.LIGHT)
    assert heard(begun(speaker, eventually)) == [500]
    assert missing == []


def test_a_dialect_pack_speaks_what_it_has_and_the_next_pack_the_rest_reported_once(
    make_pack, make_voice, speaker, missing, heard, eventually, caplog
):
    dialect = VoicePack.open(make_pack("hakka", "zh-hak", 700, lines=[Line.WELCOME]))
    voice = make_voice([dialect, VoicePack.open(make_pack(*MANDARIN))], speaker)
    for number, (line, hertz) in enumerate([(Line.WELCOME, 700), (Line.LIGHT, 500), (Line.LIGHT, 500)], 1):
        voice.say(line)
        assert heard(begun(speaker, eventually, number)) == [hertz]
        eventually(lambda: voice._spoken is None)
    assert missing == [("hakka", Line.LIGHT)]
    assert caplog.text.count("voice line missing pack=hakka") == 1


def test_a_damaged_file_is_treated_like_a_missing_one(make_pack, make_voice, speaker, missing, heard, eventually):
    folder = make_pack("hakka", "zh-hak", 700)
    (folder / f"{Line.LIGHT}-normal.opus").write_bytes(b"OggS" + bytes(500))
    voice = make_voice([VoicePack.open(folder), VoicePack.open(make_pack(*MANDARIN))], speaker)
    voice.say(Line.LIGHT)
    assert heard(begun(speaker, eventually)) == [500]
    assert missing == [("hakka", Line.LIGHT)]


def test_a_line_that_no_pack_has_is_silent_and_the_next_one_is_spoken(
    make_pack, make_voice, speaker, missing, heard, eventually
):
    voice = make_voice([VoicePack.open(make_pack("zh", "zh-CN", 500, lines=[Line.WELCOME]))], speaker)
    voice.say(Line.LIGHT)
    eventually(lambda: missing == [("zh", Line.LIGHT)])
    voice.say(Line.WELCOME)
    assert heard(begun(speaker, eventually)) == [500]


def test_until_when_somebody_is_certified_is_said_after_the_line_in_every_language(
    open_packs, make_voice, speaker, heard, eventually
):
    packs = open_packs(MANDARIN, ENGLISH)
    voice = make_voice(packs, speaker, ["zh", "en"])
    voice.say(Line.CERTIFIED)
    plain = begun(speaker, eventually).seconds
    eventually(lambda: voice._spoken is None)
    voice.say(Line.CERTIFIED, dates=(UNTIL,))
    dated = begun(speaker, eventually, 2)
    pieces = 8 + 4
    assert dated.seconds - plain == pytest.approx(pieces * 0.3, abs=1.5)
    assert heard(dated) == [500, 900]


def test_a_date_is_spoken_by_one_voice_alone(make_pack, make_voice, speaker, missing, heard, eventually):
    dialect = VoicePack.open(make_pack("hakka", "zh-hak", 700, lines=[Line.CERTIFIED, "date_until", "date_year"]))
    voice = make_voice([dialect, VoicePack.open(make_pack(*MANDARIN))], speaker)
    voice.say(Line.CERTIFIED, dates=(UNTIL,))
    assert heard(begun(speaker, eventually)) == [700, 500]
    assert ("hakka", "date_month_11") in missing


def test_a_year_that_a_language_does_not_speak_leaves_the_line(
    open_packs, make_voice, speaker, missing, heard, eventually
):
    voice = make_voice(open_packs(ENGLISH), speaker, ["en"])
    voice.say(Line.CERTIFIED, dates=(Dated(DateRole.UNTIL, date(2099, 1, 1)),))
    assert heard(begun(speaker, eventually)) == [900]
    assert missing == []


def test_a_new_line_cuts_off_the_one_being_spoken_and_nothing_queues_up(open_packs, make_voice, held, eventually):
    voice = make_voice(open_packs(MANDARIN), held)
    voice.say(Line.TURN_LEFT)
    first = begun(held, eventually)
    for line in (Line.TURN_RIGHT, Line.LOOK_UP, Line.ONE_MOMENT):
        voice.say(line)
    eventually(lambda: first.is_stopped)
    eventually(
        lambda: voice._spoken is not None and voice._spoken.line == Line.ONE_MOMENT and voice._playing is not first
    )
    last = held.played[-1]
    last.finish()
    eventually(lambda: voice._spoken is None)
    assert held.played[-1] is last
    assert not last.is_stopped


@pytest.mark.parametrize("outcome", [Line.CERTIFIED, Line.REVIEW, Line.NOT_STORED, Line.CANCELLED])
def test_welcome_waits_for_the_end_of_an_outcome(open_packs, make_voice, held, eventually, outcome):
    voice = make_voice(open_packs(MANDARIN), held)
    voice.say(outcome)
    told = begun(held, eventually)
    voice.say(Line.WELCOME)
    assert not told.is_stopped
    told.finish()
    begun(held, eventually, 2)
    assert not told.is_stopped
    voice.say(Line.LOOK_HERE)
    begun(held, eventually, 3)
    assert held.played[1].is_stopped, "nothing waits for the end of welcome"


def test_the_next_person_does_not_wait_for_the_outcome_of_the_one_before(open_packs, make_voice, held, eventually):
    voice = make_voice(open_packs(MANDARIN), held)
    voice.say(Line.CERTIFIED)
    told = begun(held, eventually)
    voice.say(Line.WELCOME)
    voice.say(Line.LOOK_HERE)
    begun(held, eventually, 2).finish()
    assert told.is_stopped
    eventually(lambda: voice._spoken is None)
    assert len(held.played) == 2, "the welcome that waited is forgotten"


def test_advice_is_heard_to_its_end_and_only_the_newest_follows(open_packs, make_voice, held, eventually):
    voice = make_voice(open_packs(MANDARIN), held)
    voice.say(Line.INTER_EYE_DISTANCE)
    first = begun(held, eventually)
    for line in (Line.SHARPNESS, Line.EYES_OPEN):
        voice.say(line)
    first.finish()
    begun(held, eventually, 2)
    assert not first.is_stopped
    assert voice._spoken.line == Line.EYES_OPEN
    voice.say(Line.EYES_OPEN)
    voice.say(Line.TURN_LEFT)
    begun(held, eventually, 3)
    assert held.played[1].is_stopped


def test_stop_silences_at_once_and_forgets_what_waits(open_packs, make_voice, held, eventually):
    voice = make_voice(open_packs(MANDARIN), held)
    voice.stop()
    voice.say(Line.CERTIFIED)
    told = begun(held, eventually)
    voice.say(Line.WELCOME)
    voice.stop()
    voice.stop()
    assert told.is_stopped
    eventually(lambda: voice._playing is None)
    voice.say(Line.LIGHT)
    begun(held, eventually, 2)


def test_a_loudspeaker_that_is_gone_is_told_once_and_once_when_it_is_back(
    open_packs, make_voice, speaker, eventually, caplog
):
    caplog.set_level("INFO")
    voice = make_voice(open_packs(MANDARIN), speaker)
    speaker.unplug()
    for _ in range(3):
        voice.say(Line.LIGHT)
        eventually(lambda: voice._spoken is None and voice._next is None)
    assert caplog.text.count("loudspeaker lost why=simulated loudspeaker: unplugged") == 1
    speaker.plug_in()
    voice.say(Line.LIGHT)
    eventually(lambda: "loudspeaker is back" in caplog.text)


def test_volume_scales_the_samples(open_packs, make_voice, speaker, eventually):
    packs = open_packs(MANDARIN)
    for number, volume in enumerate((1.0, 0.25), 1):
        make_voice(packs, speaker, volume=volume).say(Line.LIGHT)
        begun(speaker, eventually, number)
    loud, quiet = (max(memoryview(playing.pcm).cast("h")) for playing in speaker.played)
    assert quiet == pytest.approx(loud / 4, rel=0.02)


def test_lines_from_many_threads_leave_the_last_one_spoken(open_packs, make_voice, held, eventually):
    voice = make_voice(open_packs(MANDARIN), held)
    threads = [threading.Thread(target=lambda: [voice.say(Line.LIGHT) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    voice.say(Line.CERTIFIED)
    eventually(lambda: voice._playing is not None and voice._spoken.line == Line.CERTIFIED and voice._next is None)
    assert all(playing.is_stopped for playing in held.played[:-1])


def test_without_any_pack_nothing_is_spoken_and_nothing_raised(make_voice, speaker, eventually):
    voice = make_voice([], speaker)
    voice.say(Line.WELCOME, dates=(UNTIL,))
    eventually(lambda: voice._spoken is None and voice._next is None)
    assert speaker.played == []
