from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.vision.evidence.capture_path import CapturePathRecorder
from device.vision.evidence.stimulus import StimulusLog
from device.vision.frame import CaptureMetadata, Frame
from protocol.evidence import EvidenceResult, EvidenceStatus
from protocol.policy import CapturePathPolicy

RULES = CapturePathPolicy(max_exposure_error=0.05, min_exposure_response=0.5, max_repeated_frames=1, min_regular=0.8)
RATE, CHIP, CHIPS = 15, 6, 12
"""Frames a second, frames of a step, steps."""


@dataclass
class Sensor:
    """A sensor with noise, a clock, and an exposure that takes effect some frames after the command."""

    obeys: float = 1.0
    """Part of the commanded change that the picture follows; the metadata always claim all of it."""
    reports: float = 1.0
    delay: int = 3
    lamp: float = 0.3
    brightness: float = 0.2
    window: float = 0.0
    """Part of the picture, from the left, that is six times as bright."""
    tell: Callable[[int, CaptureMetadata], CaptureMetadata | None] = lambda _, metadata: metadata
    see: Callable[[int, Frame], Frame] = lambda _, frame: frame
    factors: tuple[float, ...] = (1.0, 0.6, 0.6, 1.0, 0.6, 1.0, 1.0, 0.6, 1.0, 0.6, 0.6, 1.0)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def play(
        self, expected: str | None = None, *, doubled: tuple[int, ...] = (), afterwards: int = 0
    ) -> EvidenceResult:
        """Play all steps; some frames are given twice, and frames that nothing is asked of come afterwards."""
        recorder, log = CapturePathRecorder(expected), StimulusLog()
        scene = self.brightness * (1 + 0.3 * self.rng.random((48, 64, 1)))
        scene[:, : round(64 * self.window)] *= 6
        for index in range(CHIP * CHIPS):
            now = round(index * 1e9 / RATE)
            if index % CHIP == 0:
                log.exposure_set(self.factors[index // CHIP], monotonic_ns=now)
                log.light_set(float(index // CHIP % 3 == 1), 0.0, monotonic_ns=now)
            wanted = self.factors[max(index - self.delay, 0) // CHIP]
            shown = 1 + self.obeys * (wanted - 1)
            light = scene * shown * (1 + self.lamp * (index // CHIP % 3 == 1))
            pixels = np.clip(light + self.rng.normal(0, 0.02, (48, 64, 3)), 0, 1) ** (1 / 2.2) * 255
            metadata = self.tell(
                index, CaptureMetadata("imx708", now + 5_000, 8_000 * (1 + self.reports * (wanted - 1)), 2)
            )
            frame = self.see(index, Frame(pixels.astype(np.uint8), index, now, metadata))
            for _ in range(1 + (index in doubled)):
                recorder.observe(frame)
        log.exposure_released(monotonic_ns=now + 1)
        for index in range(CHIP * CHIPS, CHIP * CHIPS + afterwards):
            now = round(index * 1e9 / RATE)
            noise = self.rng.integers(60, 120, (48, 64, 3), np.uint8)
            recorder.observe(Frame(noise, index, now, CaptureMetadata("imx708", now + 5_000, 8_000, 2)))
        return recorder.assess(RULES, log)


def test_a_sensor_answers() -> None:
    result = Sensor().play(expected="imx708")
    assert (result.status, result.reason) == (EvidenceStatus.PASSED, "sensor_answers")
    assert result.score == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("window", [0.2, 0.5])
def test_a_window_that_saturates_with_the_longer_exposure_does_not_hide_the_answer(window: float) -> None:
    result = Sensor(window=window).play()
    assert result.status is EvidenceStatus.PASSED
    assert result.score == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("delay", [0, 1, 2, 4])
def test_the_delay_of_the_pipeline_is_found(delay: int) -> None:
    result = Sensor(delay=delay).play()
    assert result.status is EvidenceStatus.PASSED
    assert result.measures["exposure_delay_ms"] == pytest.approx(1000 * delay / RATE, abs=40)


def test_a_film_whose_metadata_are_forged_does_not_get_brighter() -> None:
    result = Sensor(obeys=0.0).play()
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "picture_disobeyed")
    assert result.score == pytest.approx(0.0, abs=0.15)


def test_metadata_that_do_not_follow_the_command_fail() -> None:
    assert Sensor(obeys=0.0, reports=0.0).play().reason == "exposure_disobeyed"
    inverted = Sensor(tell=lambda _, metadata: replace(metadata, exposure_us=64e6 / metadata.exposure_us))
    assert inverted.play().reason == "exposure_disobeyed"


def test_exposure_that_is_no_number_never_passes() -> None:
    result = Sensor(tell=lambda _, metadata: replace(metadata, exposure_us=float("nan"))).play()
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "exposure_disobeyed")


def test_frames_without_metadata_are_not_judged() -> None:
    result = Sensor(tell=lambda *_: None).play()
    assert (result.status, result.reason) == (EvidenceStatus.NOT_RUN, "no_metadata")


def test_frames_of_which_some_have_no_metadata_fail() -> None:
    result = Sensor(tell=lambda index, metadata: metadata if index < 40 else None).play()
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "sensor_changed")


def test_it_is_written_down_whether_the_sensor_could_be_another_than_the_terminals_own() -> None:
    assert Sensor().play().measures["sensor_known"] == 0.0
    assert Sensor().play(expected="imx708").measures["sensor_known"] == 1.0


def test_another_sensor_fails() -> None:
    swapped = Sensor(tell=lambda index, metadata: replace(metadata, sensor_id="ov5647") if index > 40 else metadata)
    assert swapped.play().reason == "sensor_changed"
    assert Sensor().play(expected="imx219").reason == "unexpected_sensor"


@pytest.mark.parametrize("index", [1, 30, CHIP * CHIPS - 1])
@pytest.mark.parametrize("step_ns", [0, -1, -10_000_000_000])
def test_a_clock_that_stands_or_runs_backwards_fails(index: int, step_ns: int) -> None:
    def tell(at: int, metadata: CaptureMetadata) -> CaptureMetadata:
        previous = round((index - 1) * 1e9 / RATE) + 5_000
        return replace(metadata, sensor_ns=previous + step_ns) if at == index else metadata

    assert Sensor(tell=tell).play().reason == "time_backwards"


def test_a_frame_that_comes_twice_is_a_repeated_one_and_no_clock_that_stands() -> None:
    result = Sensor().play(doubled=(30,))
    assert (result.status, result.measures["repeated"]) == (EvidenceStatus.PASSED, 1)
    assert Sensor().play(doubled=(30, 31)).reason == "repeated"


def test_the_same_time_on_another_picture_fails() -> None:
    stands = Sensor(
        tell=lambda index, metadata: replace(metadata, sensor_ns=metadata.sensor_ns - 66_666_667 * (index == 9))
    )
    assert stands.play().reason == "time_backwards"


def test_a_slow_person_does_not_push_out_the_frames_of_the_code() -> None:
    assert Sensor().play(afterwards=4_000).status is EvidenceStatus.PASSED


def test_a_clock_that_does_not_tick_fails() -> None:
    uneven = np.cumsum(np.random.default_rng(3).exponential(7e7, CHIP * CHIPS)).astype(int)
    result = Sensor(tell=lambda index, metadata: replace(metadata, sensor_ns=int(uneven[index]) + index)).play()
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "irregular_time")


def test_dropped_frames_are_no_attack() -> None:
    recorder, log = CapturePathRecorder(), StimulusLog()
    rng = np.random.default_rng(2)
    for index in range(40):
        if index % 4:
            pixels = rng.integers(30, 90, (48, 64, 3), np.uint8)
            recorder.observe(Frame(pixels, index, index, CaptureMetadata("s", index * 33_000_000, 1000, 1)))
    assert recorder.assess(RULES, log).reason == "not_commanded"


def test_a_frozen_picture_fails_even_without_metadata() -> None:
    still = np.random.default_rng(5).integers(0, 255, (48, 64, 3), np.uint8)
    frozen = Sensor(see=lambda _, frame: replace(frame, pixels=still))
    assert frozen.play().reason == "repeated"
    assert Sensor(see=lambda _, frame: replace(frame, pixels=still, metadata=None)).play().reason == "repeated"


def test_a_film_in_a_loop_repeats_itself() -> None:
    loop = [np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8) for seed in range(20)]
    result = Sensor(see=lambda index, frame: replace(frame, pixels=loop[index % 20])).play()
    assert (result.status, result.reason) == (EvidenceStatus.FAILED, "repeated")


@pytest.mark.parametrize("brightness", [0.0, 30.0], ids=["black", "saturated"])
def test_a_picture_without_shades_is_not_judged_and_does_not_count_as_repeated(brightness: float) -> None:
    levels = np.full((48, 64, 3), 255 if brightness else 0, np.uint8)
    result = Sensor(see=lambda _, frame: replace(frame, pixels=levels)).play()
    assert (result.status, result.reason) == (EvidenceStatus.NOT_RUN, "no_brightness")


def test_without_a_varied_command_nothing_is_judged() -> None:
    assert Sensor(factors=(1.0,) * CHIPS).play().reason == "not_commanded"


def test_too_few_frames_and_no_policy() -> None:
    recorder = CapturePathRecorder()
    assert recorder.assess(None, StimulusLog()).reason == "not_in_policy"
    assert recorder.assess(RULES, StimulusLog()).reason == "no_metadata"
    recorder.observe(Frame(np.zeros((8, 8, 3), np.uint8), 1, 1, CaptureMetadata("s", 1, 1, 1)))
    assert recorder.assess(RULES, StimulusLog()).reason == "too_few_frames"
    recorder.forget()
    assert recorder.assess(RULES, StimulusLog()).reason == "no_metadata"


@settings(max_examples=20, deadline=None)
@given(
    obeys=st.floats(-1.0, 0.3),
    lamp=st.floats(0.0, 1.0),
    brightness=st.floats(0.02, 3.0),
    factors=st.lists(st.sampled_from([1.0, 0.6]), min_size=CHIPS, max_size=CHIPS),
)
def test_no_picture_passes_that_does_not_answer(
    obeys: float, lamp: float, brightness: float, factors: list[float]
) -> None:
    result = Sensor(obeys=obeys, lamp=lamp, brightness=brightness, factors=tuple(factors)).play()
    assert result.status is not EvidenceStatus.PASSED
