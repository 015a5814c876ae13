"""From loudspeaker to microphone: the real `aplay` and `arecord` on ALSA's file device, and programs that are not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device.adapters.voice_alsa.microphone import ArecordMicrophone
from device.commissioning.judging import judge_loop
from device.commissioning.sound import RATE_HZ, found_in, sweep
from device.errors import MicrophoneUnavailable

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]


def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound: np.ndarray) -> None:
    """Let ALSA's device `room` record what lies in a file."""
    (tmp_path / "heard.raw").write_bytes(sound.astype("<i2").tobytes())
    settings = tmp_path / "asound.conf"
    settings.write_text(
        "</usr/share/alsa/alsa.conf>\n"
        f'pcm.room {{ type file slave.pcm null file "/dev/null" infile "{tmp_path}/heard.raw" format raw }}\n'
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(settings))


@pytest.mark.parametrize(("level", "is_heard"), [(0.05, True), (0.0, False)])
def test_what_is_in_the_room_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: float, is_heard: bool
) -> None:
    sound = np.random.default_rng(3).normal(0, 200, 2 * RATE_HZ)
    sound[5000 : 5000 + len(sweep())] += level * sweep()
    room(tmp_path, monkeypatch, sound)
    heard = np.frombuffer(ArecordMicrophone("room").record(1.6, RATE_HZ), "<i2")
    assert len(heard) == round(1.6 * RATE_HZ)
    assert (judge_loop(found_in(heard)) is not None) == is_heard


def test_a_microphone_that_is_not_there_is_named() -> None:
    with pytest.raises(MicrophoneUnavailable, match="arecord"):
        ArecordMicrophone("lifecert-no-such-device").record(0.1, RATE_HZ)
    with pytest.raises(MicrophoneUnavailable, match="alsa-utils"):
        ArecordMicrophone("null", program="lifecert-no-such-program").record(0.1, RATE_HZ)
