#!/usr/bin/env python3
"""Write `docs/wiring.svg` from the defaults of `[board]` in `device.settings`; with `--check`, say whether the picture is current."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from device.header import FUNCTIONS, IDENTITY, PINS, TAKEN
from device.settings import Board

PICTURE = Path(__file__).resolve().parent / "wiring.svg"

_ROW = 26
_TOP = 96
_LEFT, _RIGHT = 404, 436
"""Centres of the two columns of the header."""
_SUPPLY = {"3V3": "#f2b134", "5V": "#d94f3d", "GND": "#333333"}
_FREE, _OTHER = "#ffffff", "#d9d9d9"


class Lead(NamedTuple):
    """A wire from the header."""

    text: str
    colour: str
    is_optional: bool = False


LEADS = {
    "start_pin": Lead("start button, other side to ground", "#1b7f4d"),
    "repeat_pin": Lead("repeat button, other side to ground", "#1b7f4d"),
    "cancel_pin": Lead("cancel button, other side to ground", "#1b7f4d"),
    "red_pin": Lead("lamp red, circuit B", "#c2185b"),
    "green_pin": Lead("lamp green, circuit B", "#c2185b"),
    "blue_pin": Lead("lamp blue, circuit B", "#c2185b"),
    "ring_left_pin": Lead("ring light, subject's left half, circuit B", "#e07b00"),
    "ring_right_pin": Lead("ring light, subject's right half, circuit B", "#e07b00"),
    "presence_pin": Lead("presence sensor, output (at most 3.3 V)", "#2456a6", is_optional=True),
    "power_fail_pin": Lead("UPS, power-fail output (at most 3.3 V)", "#2456a6", is_optional=True),
}
"""By key of `[board]`."""
_NOTES = {
    1: Lead("3.3 V for the clock module (Pi 4)", "#b98000", is_optional=True),
    2: Lead("5 V for sensor and amplifier", "#b03020"),
    3: Lead("clock module SDA (Pi 4)", "#777777", is_optional=True),
    5: Lead("clock module SCL (Pi 4)", "#777777", is_optional=True),
    12: Lead("sound amplifier, bit clock", "#777777", is_optional=True),
    35: Lead("sound amplifier, word clock", "#777777", is_optional=True),
    40: Lead("sound amplifier, data", "#777777", is_optional=True),
    9: Lead("ground of the buttons", "#333333"),
    39: Lead("ground of the transistors and of the supply", "#333333"),
}
"""By physical number."""


def picture(board: Board | None = None) -> str:
    """Return the whole picture as SVG."""
    board = board or Board()
    leads = dict(_NOTES) | {PINS.index(pin) + 1: LEADS[key] for key, pin in board.pins().items()}
    taken = {pin: name for name in FUNCTIONS if name in board.functions for pin in TAKEN[name]}
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 900" font-family="sans-serif" font-size="13">',
        "<title>Wiring of a Lifecert terminal: the 40-pin header of a Raspberry Pi 4 or 5</title>",
        "<!-- Made by docs/build_wiring.py from [board] in device/settings.py; change those. -->",
        '<rect width="840" height="900" fill="#ffffff"/>',
        _text(420, 28, "The 40-pin header of a Raspberry Pi 4 or 5", size=17, anchor="middle"),
        _text(
            420,
            50,
            "seen from above, pin 1 at the top, at the corner of the board; in the squares: physical number; beside them: BCM number",
            anchor="middle",
            size=11,
        ),
        _text(
            420, 68, "dashed: only where it is fitted; grey: kept free for other functions", anchor="middle", size=11
        ),
        f'<rect x="{_LEFT - 18}" y="{_TOP - 18}" width="68" height="{20 * _ROW + 10}" rx="6" fill="#eeeeee" stroke="#999999"/>',
    ]
    for number, pin in enumerate(PINS, start=1):
        parts += _pin(number, pin, leads.get(number), taken)
    parts += [*_button_circuit(40, 650), *_transistor_circuit(330, 650), "</svg>"]
    return "\n".join(parts) + "\n"


def _pin(number: int, pin: str | int, lead: Lead | None, taken: dict[int, str]) -> list[str]:
    is_left = number % 2 == 1
    x, y = (_LEFT if is_left else _RIGHT), _TOP + (number - 1) // 2 * _ROW
    away = -1 if is_left else 1
    anchor = "end" if is_left else "start"
    name = pin if isinstance(pin, str) else f"GPIO {pin}"
    fill = _SUPPLY[pin] if isinstance(pin, str) else _OTHER if pin in taken or pin in IDENTITY else _FREE
    if lead is not None and isinstance(pin, int) and fill == _FREE:
        fill = lead.colour
    ink = "#ffffff" if fill not in {_FREE, _OTHER, _SUPPLY["3V3"]} else "#222222"
    parts = [
        f'<rect x="{x - 11}" y="{y - 11}" width="22" height="22" rx="3" fill="{fill}" stroke="#555555"/>',
        _text(x, y + 4, str(number), anchor="middle", colour=ink, size=11),
        _text(x + away * 22, y + 4, name, anchor=anchor, size=11),
    ]
    if lead is not None:
        dash = ' stroke-dasharray="5 4"' if lead.is_optional else ""
        begin, end = x + away * 68, x + away * 96
        parts.append(f'<path d="M{begin} {y}H{end}" stroke="{lead.colour}" stroke-width="2.5"{dash}/>')
        parts.append(_text(end + away * 6, y + 4, lead.text, anchor=anchor, colour=lead.colour, size=12))
    elif isinstance(pin, int) and pin in taken:
        parts.append(
            _text(x + away * 70, y + 4, taken[pin].upper().replace("_", "-"), anchor=anchor, colour="#999999", size=11)
        )
    return parts


def _button_circuit(x: int, y: int) -> list[str]:
    """Return circuit A: a button to ground, held high inside the chip."""
    return [
        _text(x, y, "A  Button", size=14),
        *_resistor(x + 60, y + 40, "50 k inside"),
        _text(x + 60, y + 32, "3.3 V", anchor="middle", size=11),
        _wire(f"M{x + 60} {y + 100}H{x + 10}"),
        _text(x, y + 120, "GPIO", size=11),
        _wire(f"M{x + 60} {y + 90}V{y + 116}M{x + 60} {y + 150}V{y + 178}M{x + 60} {y + 150}L{x + 76} {y + 120}"),
        _text(x + 86, y + 138, "button", size=11),
        *_ground(x + 60, y + 178),
        _text(x, y + 222, "Leads longer than half a metre: 1 k in", size=11),
        _text(x, y + 237, "series, 10 k to 3.3 V beside the Pi.", size=11),
    ]


def _transistor_circuit(x: int, y: int) -> list[str]:
    """Return circuit B: light-emitting diodes from 5 V, switched to ground."""
    diode, gate = x + 190, y + 150
    return [
        _text(x, y, "B  Half of the ring light, or colour of the lamp", size=14),
        _text(diode, y + 32, "5 V of the supply, not of a GPIO", anchor="middle", size=11),
        *_resistor(diode, y + 40, "R, see the sums"),
        _wire(
            f"M{diode} {y + 90}V{y + 100}M{diode - 10} {y + 100}H{diode + 10}L{diode} {y + 116}ZM{diode - 10} {y + 116}H{diode + 10}"
        ),
        _text(diode + 18, y + 113, "LED (a half: 10 of R and LED side by side)", size=11),
        _wire(
            f"M{diode} {y + 116}V{gate - 14}H{diode - 16}M{diode - 16} {gate - 20}V{gate + 20}M{diode - 22} {gate - 14}V{gate + 14}"
        ),
        _wire(f"M{diode - 16} {gate + 14}H{diode}V{y + 178}"),
        _text(diode + 18, gate + 5, "N-channel MOSFET, full on at 2.5 V gate", size=11),
        _wire(f"M{diode - 22} {gate}H{diode - 70}M{diode - 120} {gate}H{x + 10}"),
        f'<rect x="{diode - 120}" y="{gate - 7}" width="50" height="14" fill="#ffffff" stroke="#222222" stroke-width="1.6"/>',
        _text(diode - 95, gate - 12, "330", anchor="middle", size=11),
        _text(x, gate - 10, "GPIO", size=11),
        _wire(f"M{diode - 50} {gate}V{gate + 8}"),
        f'<rect x="{diode - 57}" y="{gate + 8}" width="14" height="34" fill="#ffffff" stroke="#222222" stroke-width="1.6"/>',
        _text(diode - 64, gate + 30, "10 k", anchor="end", size=11),
        *_ground(diode - 50, gate + 42),
        *_ground(diode, y + 178),
        _text(x, y + 222, "10 k keeps it dark while the board starts and its pins are inputs.", size=11),
    ]


def _resistor(x: int, y: int, label: str) -> list[str]:
    return [
        _wire(f"M{x} {y - 4}V{y + 6}M{x} {y + 44}V{y + 52}"),
        f'<rect x="{x - 7}" y="{y + 6}" width="14" height="38" fill="#ffffff" stroke="#222222" stroke-width="1.6"/>',
        _text(x + 14, y + 30, label, size=11),
    ]


def _ground(x: int, y: int) -> list[str]:
    return [_wire(f"M{x} {y}V{y + 8}M{x - 12} {y + 8}H{x + 12}M{x - 7} {y + 12}H{x + 7}M{x - 3} {y + 16}H{x + 3}")]


def _wire(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="#222222" stroke-width="1.6"/>'


def _text(x: int, y: int, text: str, *, anchor: str = "start", colour: str = "#222222", size: int = 13) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{escape(text)}</text>'


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        is_current = PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == picture()
        sys.exit(0 if is_current else "docs/wiring.svg is not current: run docs/build_wiring.py")
    PICTURE.write_text(picture(), encoding="utf-8")
