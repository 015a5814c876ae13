"""The header is as gpiozero describes it."""

from __future__ import annotations

import pytest
from gpiozero.pins.pi import PiBoardInfo

from device.header import FUNCTIONS, IDENTITY, PINS, TAKEN, physical

PI_4, PI_5 = 0xC03111, 0xC04170


@pytest.mark.parametrize("revision", [PI_4, PI_5])
def test_every_pin_is_where_the_library_of_the_board_says(revision: int) -> None:
    header = PiBoardInfo.from_revision(revision).headers["J8"]
    named = [pin if isinstance(pin, str) else f"GPIO{pin}" for pin in PINS]
    assert named == [header.pins[number].name for number in range(1, 41)]


@pytest.mark.parametrize("revision", [PI_4, PI_5])
def test_functions_are_on_pins_that_can_do_them(revision: int) -> None:
    header = PiBoardInfo.from_revision(revision).headers["J8"]
    for function, interface in (("i2c", "i2c"), ("uart", "uart"), ("spi", "spi"), ("i2s", "pcm")):
        assert all(interface in header.pins[physical(bcm)].interfaces for bcm in TAKEN[function])


def test_no_pin_has_two_functions_and_none_identifies_a_board() -> None:
    taken = [bcm for function in FUNCTIONS for bcm in TAKEN[function]]
    assert len(set(taken)) == len(taken)
    assert IDENTITY.isdisjoint(taken)
    with pytest.raises(ValueError, match="28"):
        physical(28)
