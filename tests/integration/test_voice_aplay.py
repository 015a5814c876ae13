"""The loudspeaker: the real `aplay` on ALSA's devices without a card, and programs that stand in for a broken one."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from device.adapters.voice_alsa.player import AplayLoudspeaker
from device.errors import LoudspeakerUnavailable

pytestmark = pytest.mark.integration

RATE = 24_000


def sound(seconds: float) -> bytes:
    return (np.arange(round(seconds * RATE)) % 1000).astype("<i2").tobytes()


@pytest.fixture
def make_program(tmp_path):
    """Write a script that stands in for aplay: `make_program("sleep 60")`."""

    def make(script):
        path = tmp_path / "player"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_aplay_takes_the_whole_sound():
    AplayLoudspeaker("null").play(sound(0.2), RATE).wait()


def test_every_sample_reaches_the_card(tmp_path, monkeypatch):
    played = tmp_path / "played.raw"
    settings = tmp_path / "asound.conf"
    settings.write_text(f'pcm.disk {{ type file slave.pcm null file "{played}" format raw }}\n')
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(settings))
    settings.write_text("</usr/share/alsa/alsa.conf>\n" + settings.read_text())
    AplayLoudspeaker("disk").play(sound(0.3), RATE).wait()
    assert played.read_bytes()[: len(sound(0.3))] == sound(0.3)


def test_a_device_that_is_not_there_is_named_by_aplay_and_no_more_than_unavailable():
    playing = AplayLoudspeaker("lifecert-no-such-device").play(sound(2), RATE)
    with pytest.raises(LoudspeakerUnavailable, match="audio open error"):
        playing.wait()


def test_a_program_that_is_not_installed_says_what_to_install():
    with pytest.raises(LoudspeakerUnavailable, match="alsa-utils"):
        AplayLoudspeaker("null", program="lifecert-no-such-player").play(sound(0.1), RATE)


def test_stopping_kills_the_child_at_once(make_program, eventually):
    playing = AplayLoudspeaker("null", program=make_program("exec sleep 60")).play(sound(30), RATE)
    waiting = threading.Thread(target=playing.wait)
    waiting.start()
    begin = time.monotonic()
    playing.stop()
    waiting.join(30)
    assert not waiting.is_alive()
    assert time.monotonic() - begin < 30
    assert playing._process.returncode == -9
    playing.stop()


def test_a_program_that_fails_is_reported_with_its_own_words(make_program):
    program = make_program("echo 'first' >&2; echo 'card is busy' >&2; exit 1")
    with pytest.raises(LoudspeakerUnavailable, match="aplay: card is busy"):
        AplayLoudspeaker("null", program=program).play(sound(5), RATE).wait()
    with pytest.raises(LoudspeakerUnavailable, match="ended with status 3"):
        AplayLoudspeaker("null", program=make_program("exit 3")).play(sound(5), RATE).wait()


def test_a_card_that_hangs_is_given_up(make_program, monkeypatch):
    monkeypatch.setattr("device.adapters.voice_alsa.player._PATIENCE_S", 0.2)
    with pytest.raises(LoudspeakerUnavailable, match="status -9"):
        AplayLoudspeaker("null", program=make_program("exec sleep 60")).play(sound(0.1), RATE).wait()
