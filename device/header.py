"""The 40-pin header of a Raspberry Pi: which pin is where, and which pins other functions take.

It is the same on a Pi 4 and on a Pi 5. Source: the board descriptions of gpiozero (`gpiozero.pins.data`), with which a test compares it.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

HeaderFunction = Literal["i2c", "uart", "spi", "i2s", "one_wire"]
"""What the header can carry besides plain inputs and outputs, and a device-tree overlay claims pins for."""

PINS: Final[tuple[str | int, ...]] = (
    *("3V3", "5V", 2, "5V", 3, "GND", 4, 14, "GND", 15),
    *(17, 18, 27, "GND", 22, 23, "3V3", 24, 10, "GND"),
    *(9, 25, 11, 8, "GND", 7, 0, 1, 5, "GND"),
    *(6, 12, 13, "GND", 19, 16, 26, 20, "GND", 21),
)
"""By physical number less 1: the BCM number of a GPIO, or the name of a supply. Odd numbers are the row away from the board's edge."""

TAKEN: Final[dict[HeaderFunction, frozenset[int]]] = {
    "i2c": frozenset({2, 3}),
    "uart": frozenset({14, 15}),
    "spi": frozenset({7, 8, 9, 10, 11}),
    "i2s": frozenset({18, 19, 20, 21}),
    "one_wire": frozenset({4}),
}
"""BCM numbers that a function takes with the overlays' usual pins."""

IDENTITY: Final = frozenset({0, 1})
"""BCM numbers that the firmware asks for the memory of an add-on board at every start; nothing else belongs there."""

FUNCTIONS: Final[tuple[HeaderFunction, ...]] = get_args(HeaderFunction)


def physical(bcm: int) -> int:
    """Return the physical number, 1..40, of a GPIO by its BCM number, 0..27.

    Raises:
        ValueError: if the header has no such GPIO.
    """
    if bcm not in PINS:
        raise ValueError(f"the header has no GPIO {bcm}")
    return PINS.index(bcm) + 1
