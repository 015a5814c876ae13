"""Small plots as SVG text: the same figures give the same bytes, and they can be read on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from models.tools.metrics import Interval

_WIDTH, _HEIGHT = 780.0, 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 226.0, 34.0, 48.0
"""The legend stands to the right of the frame."""
_COLOURS = ("#2f81f7", "#e5734f", "#3fa45b", "#a371f7", "#c69026", "#8b949e")
"""Middling ones, so that they stand out from white and from black."""
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "1 5", "12 4")
_ROW = 24.0
_STYLE = (
    "text{font:12px sans-serif;fill:#57606a}.t{font-size:14px;font-weight:600}.a{stroke:#57606a;fill:none}"
    ".g{stroke:#57606a;stroke-opacity:.25;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#b1bac4}.a,.g{stroke:#b1bac4}}"
)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to `high`, both of which lie above 0 where it is logarithmic."""

    label: str
    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end, 1 at the high one; what lies beyond is put at the end."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return (self._scaled(min(max(value, self.low), self.high)) - low) / (high - low)

    def ticks(self) -> list[float]:
        """Return where the grid lines are: powers of ten, or about five round numbers."""
        if self.is_log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        step = _round_step((self.high - self.low) / 5)
        first_tick = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first_tick, math.floor(self.high / step + 1e-9) + 1)]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value


@dataclass(frozen=True, slots=True)
class Series:
    """A named line through points (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with its interval, one row of a plot."""

    label: str
    rate: float
    interval: Interval


def line_plot(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """Return lines in a frame with a legend; colour and dash tell them apart."""
    parts = [_grid(x, y)]
    for number, line in enumerate(series):
        points = " ".join(f"{_across(x.place(a)):.1f},{_up(y.place(b)):.1f}" for a, b in line.points)
        parts.append(f'<polyline points="{points}" {_pen(number)}/>')
        height = _TOP + 16 + 17 * number
        parts.append(f'<path d="M{_WIDTH - _RIGHT + 10} {height - 4}h28" {_pen(number)}/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 44}" y="{height}">{escape(line.name)}</text>')
    return _drawing(title, _HEIGHT, parts)


def rate_plot(title: str, rates: Sequence[Rate], *, high: float = 1.0) -> str:
    """Return one row for each rate: a dot, and a line over its 95 % interval, from 0 to `high`."""
    axis = Axis("rate, 95 % interval", 0.0, high)
    left, right, height = 260.0, 24.0, _TOP + _ROW * len(rates) + _BOTTOM
    width = _WIDTH - left - right
    base = height - _BOTTOM
    parts = []
    for tick in axis.ticks():
        place = left + axis.place(tick) * width
        parts.append(f'<path class="g" d="M{place:.1f} {_TOP}V{base:.1f}"/>')
        parts.append(f'<text x="{place:.1f}" y="{base + 16:.1f}" text-anchor="middle">{_number(tick)}</text>')
    for number, row in enumerate(rates):
        y = _TOP + _ROW * (number + 0.5)
        low, dot, top = (left + axis.place(value) * width for value in (row.interval[0], row.rate, row.interval[1]))
        parts.append(f'<text x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(row.label)}</text>')
        parts.append(f'<path d="M{low:.1f} {y:.1f}H{top:.1f}" stroke="{_COLOURS[0]}" stroke-width="3" fill="none"/>')
        parts.append(f'<circle cx="{dot:.1f}" cy="{y:.1f}" r="4.5" fill="{_COLOURS[1]}"/>')
    parts.append(f'<text x="{left + width / 2:.1f}" y="{height - 10:.1f}" text-anchor="middle">{axis.label}</text>')
    return _drawing(title, height, parts)


def _grid(x: Axis, y: Axis) -> str:
    parts = []
    for tick in x.ticks():
        place = _across(x.place(tick))
        parts.append(f'<path class="g" d="M{place:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text x="{place:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{_number(tick)}</text>')
    for tick in y.ticks():
        place = _up(y.place(tick))
        parts.append(f'<path class="g" d="M{_LEFT} {place:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    frame = f'<rect class="a" x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT - _TOP - _BOTTOM}"/>'
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    below = f'<text x="{middle}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x.label)}</text>'
    side = (_TOP + _HEIGHT - _BOTTOM) / 2
    beside = f'<text transform="translate(16 {side}) rotate(-90)" text-anchor="middle">{escape(y.label)}</text>'
    return "\n".join([*parts, frame, below, beside])


def _drawing(title: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height:g}" width="{_WIDTH:g}" '
        f'height="{height:g}" role="img">'
    )
    named = (
        f'<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<text class="t" x="10" y="20">{escape(title)}</text>'
    )
    return "\n".join([head, named, *parts, "</svg>", ""])


def _pen(number: int) -> str:
    dash = _DASHES[number % len(_DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke-width="2" stroke="{_COLOURS[number % len(_COLOURS)]}"{dashed}'


def _across(place: float) -> float:
    return _LEFT + place * (_WIDTH - _LEFT - _RIGHT)


def _up(place: float) -> float:
    return _HEIGHT - _BOTTOM - place * (_HEIGHT - _TOP - _BOTTOM)


def _round_step(step: float) -> float:
    """Return 1, 2 or 5 times a power of ten, the first one at or above the step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _number(value: float) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:.10g}" if abs(value) >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")
