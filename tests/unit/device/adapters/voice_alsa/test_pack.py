"""Voice packs on the disk, and those that are shipped."""

from __future__ import annotations

import hashlib

import pytest

from device.adapters.voice_alsa.pack import Speed, VoicePack, packs_for, shipped_folders
from device.errors import VoiceLineMissing, VoicePackInvalid
from device.lines import texts_to_speak
from device.session.commands import Line

GOOD = """
name = "yue"
language = "zh-yue"
title.zh = "粤语"
title.en = "Cantonese"
licence = "CC0-1.0"
source = "recorded at the town hall"
speeds = ["normal"]
[lines.welcome]
normal = { file = "welcome.opus", sha256 = "%s" }
""" % ("0" * 64)
SHIPPED = {folder.name: folder for folder in shipped_folders()}


def test_a_voice_is_shipped_for_each_language_and_together_they_stay_small():
    assert set(SHIPPED) == {"zh", "en"}
    size = sum(path.stat().st_size for folder in SHIPPED.values() for path in folder.rglob("*"))
    assert size < 3_000_000


@pytest.mark.parametrize("language", ["zh", "en"])
def test_r5_1_every_line_of_the_session_and_every_piece_of_a_date_can_be_heard_at_both_speeds(language):
    pack = VoicePack.open(SHIPPED[language])
    assert set(Line) <= set(pack.manifest.lines)
    assert set(pack.manifest.lines) == set(texts_to_speak(language)), "make voices renders them anew"
    for line in pack.manifest.lines:
        normal, slow = (len(pack.sound(line, speed)) for speed in Speed)
        assert 0 < normal < slow * 1.05, line


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_text_that_changed_since_it_was_rendered_is_noticed(language):
    lines = VoicePack.open(SHIPPED[language]).manifest.lines
    stale = [
        line
        for line, text in texts_to_speak(language).items()
        if lines[line].text_sha256 != hashlib.sha256(text.encode()).hexdigest()
    ]
    assert not stale, "make voices renders them anew"


def test_no_file_lies_in_a_shipped_pack_that_its_manifest_does_not_name():
    for folder in SHIPPED.values():
        lines = VoicePack.open(folder).manifest.lines
        named = {clip.file for line in lines.values() for speed in Speed if (clip := line.at(speed))}
        assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == {*named, "pack.toml"}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('name = "yue"', 'name = "Yue!"', "name: "),
        ('language = "zh-yue"', 'language = "Cantonese"', "language: "),
        ('title.en = "Cantonese"', "", r"title\.en: Field required"),
        ('licence = "CC0-1.0"', "", "licence: Field required"),
        ('licence = "CC0-1.0"', 'license = "CC0-1.0"', "license: Extra inputs"),
        ('speeds = ["normal"]', "speeds = []", "speeds: "),
        ('speeds = ["normal"]', 'speeds = ["fast"]', r"speeds\.0: .*'normal' or 'slow'"),
        ('speeds = ["normal"]', 'speeds = ["slow"]', r"lines\.welcome\.normal: not among the speeds of the pack, slow"),
        ('"welcome.opus"', '"../welcome.opus"', r"lines\.welcome\.normal\.file: a path inside the pack"),
        ('"welcome.opus"', '"/etc/welcome.opus"', "a path inside the pack"),
        ('"welcome.opus"', '"welcome.mp3"', r"a file ending in \.opus, \.ogg, \.flac, \.wav"),
        ("000", "xyz", r"lines\.welcome\.normal\.sha256: "),
        ("[lines.welcome]", "[lines.welcome", "not TOML"),
        ("[lines.welcome]", "[lines.Welcome]", r"lines\.Welcome"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused_with_file_and_key(tmp_path, before, after, message):
    (tmp_path / "pack.toml").write_text(GOOD.replace(before, after), encoding="utf-8")
    with pytest.raises(VoicePackInvalid, match=message) as raised:
        VoicePack.open(tmp_path)
    assert str(tmp_path / "pack.toml") in str(raised.value)


def test_all_problems_of_a_manifest_are_told_together(tmp_path):
    (tmp_path / "pack.toml").write_text("", encoding="utf-8")
    with pytest.raises(VoicePackInvalid) as raised:
        VoicePack.open(tmp_path)
    assert len(str(raised.value).splitlines()) == 7


def test_a_folder_that_is_not_there_and_one_without_a_manifest_are_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(VoicePackInvalid, match="cannot be read: No such file"):
            VoicePack.open(folder)


def test_a_missing_and_a_damaged_file_are_told_apart_and_neither_is_played(make_pack):
    folder = make_pack("zh", "zh-CN", 500, lines=["welcome", "light", "watch"])
    pack = VoicePack.open(folder)
    (folder / "welcome-normal.opus").unlink()
    (folder / "light-normal.opus").write_bytes((folder / "light-normal.opus").read_bytes()[:-1])
    (folder / "watch-normal.opus").write_bytes(b"0" * 9_000_000)
    for line, why in (
        ("welcome", "welcome-normal.opus: cannot be read: No such file"),
        ("light", "light-normal.opus: SHA-256 is .*expected"),
        ("watch", "watch-normal.opus: larger than"),
        ("again", "again: not in the pack at normal speed"),
    ):
        with pytest.raises(VoiceLineMissing, match=why):
            pack.sound(line, Speed.NORMAL)


def test_a_file_that_is_what_the_manifest_names_and_no_sound_counts_as_missing(make_pack):
    folder = make_pack("zh", "zh-CN", 500, lines=["welcome"])
    content = b"no sound"
    manifest = folder / "pack.toml"
    old = hashlib.sha256((folder / "welcome-normal.opus").read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(old, hashlib.sha256(content).hexdigest()))
    (folder / "welcome-normal.opus").write_bytes(content)
    with pytest.raises(VoiceLineMissing, match="no sound file that can be read"):
        VoicePack.open(folder).sound("welcome", Speed.NORMAL)


def test_a_language_is_spoken_by_its_own_packs_first_and_then_by_those_it_belongs_to(open_packs):
    mandarin, english, cantonese, tibetan = open_packs(
        ("zh", "zh-CN", 500), ("en", "en", 900), ("yue", "zh-yue", 600), ("bo", "bo", 700)
    )
    packs = [mandarin, english, cantonese, tibetan]
    assert packs_for(packs, "zh") == (mandarin, cantonese)
    assert packs_for(packs, "zh-yue") == (cantonese, mandarin)
    assert packs_for(packs, "bo") == (tibetan,)
    assert packs_for(packs, "b") == packs_for(packs, "fr") == ()
