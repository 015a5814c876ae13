"""The ring light adapter on gpiozero's own fake pins."""

from __future__ import annotations

import sys

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from device.adapters.ring_light_gpiozero import GpiozeroRingLight
from device.errors import RingLightUnavailable
from device.settings import Board, RingLight


@pytest.fixture
def factory():
    made = MockFactory(pin_class=MockPWMPin)
    yield made
    made.close()


def test_the_pins_of_the_settings_are_used_at_their_frequency(factory):
    ring = GpiozeroRingLight(Board(ring_left_pin=5, ring_right_pin=6), RingLight(frequency_hz=400), pin_factory=factory)
    ring.start()
    ring.set(1.0, 0.5)
    assert (factory.pin(5).state, factory.pin(6).state) == (1.0, 0.5)
    assert factory.pin(6).frequency == 400
    ring.stop()


def test_a_light_that_is_open_or_whose_pin_is_taken_cannot_be_opened(factory):
    ring = GpiozeroRingLight(Board(), RingLight(), pin_factory=factory)
    ring.start()
    with pytest.raises(RingLightUnavailable, match="in use"):
        ring.start()
    with pytest.raises(RingLightUnavailable, match="cannot be opened"):
        GpiozeroRingLight(Board(ring_left_pin=4, ring_right_pin=26), RingLight(), pin_factory=factory).start()
    ring.stop()
    ring.start()
    ring.stop()


def test_a_board_that_does_not_answer_is_told_and_the_other_half_goes_off_all_the_same(factory, caplog):
    ring = GpiozeroRingLight(Board(), RingLight(), pin_factory=factory)
    ring.start()
    ring.set(1.0, 1.0)

    class Broken:
        def __setattr__(self, _name, _value):
            raise OSError("input/output error")

        def close(self):
            raise OSError("input/output error")

    left, ring._halves[0] = ring._halves[0], Broken()
    with pytest.raises(RingLightUnavailable, match="input/output"):
        ring.set(0.0, 0.0)
    ring.stop()
    assert not factory.pin(Board().ring_right_pin).state
    assert "did not close cleanly" in caplog.text
    left.close()


def test_without_the_library_the_message_says_where_it_comes_from(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(RingLightUnavailable, match="apt"):
        GpiozeroRingLight(Board(), RingLight()).start()
