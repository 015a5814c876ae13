from __future__ import annotations

import numpy as np

from device.vision.evidence.stimulus import StimulusLog


def times(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def test_a_command_holds_until_the_next() -> None:
    log = StimulusLog()
    log.light_set(1.0, 0.0, monotonic_ns=100)
    log.light_set(0.2, 0.6, monotonic_ns=200)
    light = log.light_at(times(99, 100, 199, 200, 900))
    assert np.isnan(light[0]).all()
    assert light[1:].tolist() == [[1.0, 0.0], [1.0, 0.0], [0.2, 0.6], [0.2, 0.6]]


def test_exposure_is_unknown_before_the_lock_and_after_the_release() -> None:
    log = StimulusLog()
    log.exposure_set(0.6, monotonic_ns=100)
    log.exposure_released(monotonic_ns=200)
    factors = log.exposure_at(times(50, 100, 150, 200))
    assert np.isnan(factors[[0, 3]]).all()
    assert factors[1:3].tolist() == [0.6, 0.6]


def test_moves_are_the_change_of_light_within_a_span() -> None:
    log = StimulusLog()
    log.light_set(0.0, 0.0, monotonic_ns=100)
    log.light_set(0.0, 1.0, monotonic_ns=200)
    moves = log.light_moves(times(110, 150, 210), times(190, 250, 290))
    assert moves.tolist() == [0.0, 1.0, 0.0]


def test_an_empty_log_knows_nothing() -> None:
    log = StimulusLog()
    log.light_set(1.0, 1.0, monotonic_ns=1)
    log.exposure_set(1.0, monotonic_ns=1)
    log.forget()
    assert np.isnan(log.light_at(times(5))).all()
    assert np.isnan(log.exposure_at(times(5))).all()
    assert log.light_moves(times(1), times(9)).tolist() == [0.0]
