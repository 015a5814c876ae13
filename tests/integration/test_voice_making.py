"""Voice packs made by the real espeak-ng, and from recordings; at the command line."""

from __future__ import annotations

import hashlib
import io
import json
import shutil

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from device.adapters.voice_alsa.pack import Speed, VoicePack, shipped_folders
from device.adapters.voice_alsa.sound import LOUDNESS_DBFS, decode, finish, loudness_dbfs, seconds
from device.app import voice_making
from device.app.voice_check import check_pack
from device.app.voice_making import languages_to_render, render
from device.cli import app
from device.errors import SynthesiserUnavailable, VoicePackInvalid
from device.lines import texts_to_speak

pytestmark = pytest.mark.integration

ABOUT = ["--name", "hakka", "--language", "zh-hak", "--title-zh", "客家话", "--title-en", "Hakka"]
ABOUT += ["--licence", "CC0-1.0", "--source", "recorded at the town hall"]
SHIPPED = {folder.name: folder for folder in shipped_folders()}


@pytest.fixture
def cli():
    def invoke(*arguments):
        return CliRunner().invoke(app, ["voice", *map(str, arguments)])

    return invoke


@pytest.fixture
def few_lines(monkeypatch):
    """Only some of the texts, so that rendering takes a second."""

    def some(language):
        texts = texts_to_speak(language)
        return {line: texts[line] for line in ("one_moment", "certified", "date_until", "date_month_11", "date_day_28")}

    monkeypatch.setattr(voice_making, "texts_to_speak", some)
    return some("zh")


def recording(seconds_long=1.0, rate=44_100, gain=0.05):
    """Something like speech in a quiet room, with a second of silence around it."""
    random = np.random.default_rng(5)
    time = np.arange(round(seconds_long * rate)) / rate
    voice = gain * np.sin(2 * np.pi * 220 * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))
    around = np.concatenate([np.zeros(rate), voice, np.zeros(rate)]) + random.normal(
        0, gain / 300, rate * 2 + len(time)
    )
    return np.stack([around, around], axis=1)


def write(path, samples, rate=44_100):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


@pytest.mark.parametrize("language", languages_to_render())
def test_rendering_again_gives_the_same_files_and_they_are_what_is_shipped(few_lines, tmp_path, language):
    made = [render(language, tmp_path / name) for name in "ab"]
    assert made[0] == made[1]
    packs = [VoicePack.open(tmp_path / name) for name in "ab"]
    assert packs[0].manifest == packs[1].manifest
    shipped = VoicePack.open(SHIPPED[language])
    assert shipped.manifest.title == packs[0].manifest.title
    for line in few_lines:
        for speed in Speed:
            ours, theirs = seconds(packs[0].sound(line, speed)), seconds(shipped.sound(line, speed))
            # Another version of espeak-ng speaks a little differently.
            assert ours == pytest.approx(theirs, rel=0.25)


def test_a_shipped_pack_passes_its_check_and_one_in_a_wheel_would_be_whole(cli):
    for folder in SHIPPED.values():
        result = cli("check", folder, "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.output)
        assert report["passed"]
        assert report["covered"] == report["lines"]


def test_rendering_replaces_a_pack_and_nothing_else(few_lines, tmp_path, cli):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("important")
    result = cli("render", "--language", "zh", "--out", folder)
    assert (result.exit_code, folder / "thesis.txt" in list(folder.iterdir())) == (1, True)
    assert "not empty and no voice pack" in result.output
    (folder / "thesis.txt").unlink()
    for _ in range(2):
        result = cli("render", "--language", "zh", "--out", folder)
        assert result.exit_code == 0, result.output
        assert f"{len(few_lines)} lines, {2 * len(few_lines)} files" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_language_that_cannot_be_rendered_is_a_usage_error(cli, tmp_path):
    result = cli("render", "--language", "yue", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "expected one of zh, en" in result.output


def test_a_computer_without_espeak_is_told_what_to_install(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = cli("render", "--language", "zh", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "espeak-ng: not installed; install the Debian package espeak-ng" in result.output
    assert not (tmp_path / "out").exists()


def test_an_espeak_that_fails_leaves_the_pack_that_was_there(few_lines, tmp_path, monkeypatch):
    render("zh", tmp_path / "pack")
    program = tmp_path / "bin" / "espeak-ng"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'the voice does not exist' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    with pytest.raises(SynthesiserUnavailable, match="the voice does not exist"):
        render("zh", tmp_path / "pack")
    assert VoicePack.open(tmp_path / "pack").sound("certified", Speed.SLOW).any()
    assert not list(tmp_path.glob(".*"))


def test_the_script_of_a_recording_lists_every_line(cli):
    rows = dict(row.split("\t") for row in cli("lines", "--language", "zh-hak").output.splitlines())
    assert rows == texts_to_speak("zh")
    assert json.loads(cli("lines", "--language", "en", "--json").output) == texts_to_speak("en")


def test_recordings_become_a_pack_that_passes_as_a_partial_one(cli, tmp_path):
    recordings = tmp_path / "recordings"
    write(recordings / "welcome.wav", recording())
    write(recordings / "slow" / "welcome.wav", recording(1.5))
    write(recordings / "certified.flac", recording(gain=0.4))
    result = cli("import", recordings, "--out", tmp_path / "hakka", *ABOUT)
    assert result.exit_code == 0, result.output
    assert "2 lines, 3 files" in result.output
    pack = VoicePack.open(tmp_path / "hakka")
    assert pack.manifest.speeds == (Speed.NORMAL, Speed.SLOW)
    for line in ("welcome", "certified"):
        sound = pack.sound(line, Speed.NORMAL)
        assert loudness_dbfs(sound) == pytest.approx(LOUDNESS_DBFS, abs=1)
        assert seconds(sound) == pytest.approx(1.06, abs=0.1)
    assert cli("check", tmp_path / "hakka", "--partial").exit_code == 0
    whole = cli("check", tmp_path / "hakka")
    assert whole.exit_code == 1
    assert "light: not in the pack: 请看着灯光" in whole.output


def test_recordings_that_cannot_be_used_are_named_and_the_others_kept(cli, tmp_path):
    recordings = tmp_path / "recordings"
    write(recordings / "welcome.wav", recording())
    write(recordings / "wellcome.wav", recording())
    write(recordings / "light.wav", np.zeros((44_100, 2)))
    (recordings / "watch.wav").write_bytes(b"RIFF")
    (recordings / "slow").mkdir()
    (recordings / "slow" / "welcome.m4a").write_bytes(b"ftyp")
    (recordings / "script.txt").write_text("welcome")
    result = cli("import", recordings, "--out", tmp_path / "hakka", *ABOUT)
    assert result.exit_code == 1
    for problem in (
        "wellcome.wav: no line has this id, left out; `voice lines` lists them",
        "light.wav: silent, left out",
        "watch.wav: no sound file that can be read (Ogg Opus, FLAC or WAV), left out",
        "slow/welcome.m4a: cannot be read, left out; save it as WAV, FLAC or Opus",
    ):
        assert problem in result.output
    assert "script.txt" not in result.output
    assert list(VoicePack.open(tmp_path / "hakka").manifest.lines) == ["welcome"]


def test_an_import_without_recordings_or_with_a_bad_name_makes_nothing(cli, tmp_path):
    assert cli("import", tmp_path / "none", "--out", tmp_path / "out", *ABOUT).exit_code == 2
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "welcome.mp3").write_bytes(b"ID3")
    result = cli("import", tmp_path / "empty", "--out", tmp_path / "out", *ABOUT)
    assert (result.exit_code, "no line could be used" in result.output) == (1, True)
    assert "welcome.mp3: cannot be read" in result.output
    write(tmp_path / "some" / "welcome.wav", recording())
    result = cli(
        "import", tmp_path / "some", "--out", tmp_path / "out", *["Hakka!" if a == "hakka" else a for a in ABOUT]
    )
    assert (result.exit_code, "name: " in result.output) == (1, True)
    assert not (tmp_path / "out").exists()


def test_a_whole_pack_at_normal_speed_is_in_order_and_one_that_means_to_be_slow_too_is_not(tmp_path, cli):
    for line in texts_to_speak("zh-hak"):
        write(tmp_path / "recordings" / f"{line}.wav", recording())
    assert cli("import", tmp_path / "recordings", "--out", tmp_path / "hakka", *ABOUT).exit_code == 0
    whole = cli("check", tmp_path / "hakka")
    assert (whole.exit_code, "normal speed only" in whole.output) == (0, True)
    write(tmp_path / "recordings" / "slow" / "one_moment.wav", recording())
    assert cli("import", tmp_path / "recordings", "--out", tmp_path / "hakka", *ABOUT).exit_code == 0
    slow = cli("check", tmp_path / "hakka")
    assert (slow.exit_code, "light: not in the pack at slow speed" in slow.output) == (1, True)


def test_a_check_names_what_is_wrong(few_lines, tmp_path, cli):
    folder = tmp_path / "pack"
    render("zh", folder)
    manifest = (folder / "pack.toml").read_text()
    digest = VoicePack.open(folder).manifest.lines["one_moment"].text_sha256
    manifest = manifest.replace(digest, "0" * 64).replace("[lines.date_until]", "[lines.good_bye]")
    (folder / "pack.toml").write_text(manifest)
    (folder / "slow" / "certified.opus").unlink()
    damaged = bytearray((folder / "normal" / "date_day_28.opus").read_bytes())
    damaged[-1] ^= 1
    (folder / "normal" / "date_day_28.opus").write_bytes(damaged)
    report = "\n".join(check_pack(folder).problems)
    assert "one_moment: the text has changed since, it is now: 请稍等。" in report
    assert "good_bye: the terminal has no such line" in report
    assert "certified: slow/certified.opus: cannot be read: No such file or directory (slow speed)" in report
    assert "date_day_28: normal/date_day_28.opus: SHA-256 is " in report
    assert cli("check", folder, "--partial").exit_code == 1
    (folder / "pack.toml").unlink()
    result = cli("check", folder)
    assert (result.exit_code, "pack.toml: cannot be read" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda sound: sound * 0.2, "loudness -34 dB"),
        (lambda sound: np.clip(sound * 30, -1, 1), "clipped"),
        (lambda sound: np.tile(sound, 30), "s long"),
        (lambda sound: sound[:1200], "s long"),
    ],
)
def test_a_recording_that_is_too_quiet_clipped_or_of_a_strange_length_is_named(tmp_path, change, problem):
    file = io.BytesIO()
    soundfile.write(file, recording(), 44_100, format="WAV")
    sound = change(finish(decode(file.getvalue())))
    soundfile.write(tmp_path / "one_moment.wav", sound, 24_000)
    digest = hashlib.sha256((tmp_path / "one_moment.wav").read_bytes()).hexdigest()
    (tmp_path / "pack.toml").write_text(
        'name = "x"\nlanguage = "zh"\ntitle.zh = "x"\ntitle.en = "x"\nlicence = "x"\nsource = "x"\nspeeds = ["normal"]\n'
        f'[lines.one_moment]\nnormal = {{ file = "one_moment.wav", sha256 = "{digest}" }}\n'
    )
    assert problem in "\n".join(check_pack(tmp_path).problems)


def test_a_folder_that_cannot_be_written_is_one_clear_message(few_lines, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VoicePackInvalid, match="cannot be written: Not a directory"):
        render("zh", tmp_path / "file" / "pack")
    with pytest.raises(VoicePackInvalid, match="no voice pack"):
        render("zh", tmp_path / "file")


def test_the_shipped_voices_can_be_copied_and_changed_line_by_line(tmp_path, cli):
    shutil.copytree(SHIPPED["en"], tmp_path / "en")
    (tmp_path / "en" / "normal" / "light.opus").unlink()
    result = cli("check", tmp_path / "en")
    assert result.exit_code == 1
    assert "light: normal/light.opus: cannot be read" in result.output
