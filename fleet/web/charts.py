"""Charts: drawn here by pygal as pictures without scripts, each beside the table of its numbers, which says the same without the picture.

A chart is data until it is drawn: `Chart` goes into a page, `figure` of `macros.html` shows it.
"""

from __future__ import annotations

import base64
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree as ET

from fleet.web.palette import Hatch, Tone
from fleet.web.palette import series as other_tones
from fleet.web.rendering import NOTHING

with warnings.catch_warnings():
    # pygal finds plugins by an import hook of a form that Python has given up: every import after it would warn. There are no plugins.
    warnings.simplefilter("ignore", ImportWarning)
    import pygal
    from pygal.style import Style

    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != pygal.__name__]

_FONT = "system-ui, 'Noto Sans CJK SC', 'Source Han Sans SC', 'WenQuanYi Micro Hei', 'Microsoft YaHei', sans-serif"
_DASHES = ("", "12, 4", "5, 4", "12, 4, 2, 4", "5, 2, 2, 2", "16, 3", "8, 2, 2, 2, 2, 2", "3, 3")
"""Of lines, by which each is known without its colour; a line that marks a limit is dotted."""
_DOTTED = "2, 6"
_LINE_PX = 2
_LABEL_PX = 14
_WIDE_FROM = 0x2E80
"""Characters from here on are as wide as they are high. Source: Unicode, CJK Radicals Supplement is the first such block."""
_STYLE = dict(  # noqa: C408 - names as pygal's
    background="#ffffff",
    plot_background="#ffffff",
    foreground="#1a1f26",
    foreground_strong="#1a1f26",
    foreground_subtle="#56606c",
    # Paler, a fill would not stand out from white as far as it should.
    opacity="1",
    opacity_hover="1",
    font_family=_FONT,
    label_font_size=_LABEL_PX,
    major_label_font_size=_LABEL_PX,
    legend_font_size=15,
    value_font_size=14,
)


class Form(StrEnum):
    """How a chart shows its numbers."""

    LINE = "line"
    BAR = "bar"
    STACKED = "stacked"
    """Bars of which the parts make a whole."""
    SIDEWAYS = "sideways"
    """Bars from left to right, for names that are long."""
    POINTS = "points"
    """Pairs of numbers, joined in order: error rates against each other."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Numbers to be shown."""

    title: str
    labels: Sequence[str]
    """Names of the places along the axis; of `POINTS` none."""
    series: Mapping[str, Sequence[float | None] | Sequence[tuple[float, float]]]
    """By name; None is a gap. Of `POINTS` pairs."""
    form: Form = Form.LINE
    x_title: str = ""
    y_title: str = ""
    logarithmic: bool = False
    intervals: Mapping[str, Sequence[tuple[float, float] | None]] = field(default_factory=dict)
    """Low and high end of an interval around each number, by name of the series."""
    marks: Mapping[str, float] = field(default_factory=dict)
    """Horizontal lines with a name each, of `LINE` and `POINTS`: a limit, a target."""
    tones: Sequence[Tone] = ()
    """Of series that mean something everywhere, in their order, or of the places of a chart with one series; others are as they come."""

    @property
    def picture(self) -> str:
        """The chart as an address that holds it (`data:`), for an `img`."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg()).decode()

    def svg(self) -> bytes:
        """Return the chart as an SVG picture."""
        tones = self._of_series()
        drawn = _KINDS[self.form](style=Style(**_STYLE, colors=tuple(tone.fill for tone in tones)), **self._options())
        # A picture is a document of its own: it needs no name that no other has, and the same numbers are the same bytes.
        drawn.uuid = "0"
        # Sideways the first place would be the lowest; it is to stand where it does in the table.
        step = -1 if self.form is Form.SIDEWAYS else 1
        if self.form is not Form.POINTS:
            drawn.x_labels = list(self.labels)[::step]
        elif self.logarithmic:
            drawn.x_labels, drawn.y_labels = self._decades(0), self._decades(1)
        for place, (name, values) in enumerate(self.series.items()):
            more = {"stroke_style": _stroke(_DASHES[place % len(_DASHES)])} if self._is_of_lines else {}
            drawn.add(name, self._with_colours(self._with_intervals(name, values))[::step], **more)
        for name, value in self.marks.items():
            places = [(x, value) for x in self._reach()] if self.form is Form.POINTS else [value] * len(self.labels)
            drawn.add(name, places, stroke_style=_stroke(_DOTTED), show_dots=False)
        root = drawn.render_tree()
        if not self._is_of_lines and len(self.series) > 1:
            _hatch(root, [tone.hatch for tone in tones])
        return _without_scripts(root)

    @property
    def _is_of_lines(self) -> bool:
        return self.form in (Form.LINE, Form.POINTS)

    @property
    def _is_by_place(self) -> bool:
        """Whether the tones are of the places, not of the series."""
        return bool(self.tones) and len(self.series) == 1 and len(self.tones) == len(self.labels)

    def _of_series(self) -> list[Tone]:
        others = other_tones()
        if self.tones and not self._is_by_place:
            return list(self.tones)
        return [others[place % len(others)] for place in range(len(self.series) + len(self.marks))]

    def _with_colours(self, values: list[Any]) -> list[Any]:
        if not self._is_by_place:
            return values
        return [{"value": value, "color": tone.fill} for value, tone in zip(values, self.tones, strict=True)]

    def _decades(self, axis: int) -> list[float]:
        """Return the powers of ten around all points: on a logarithmic axis each has its line, and nothing else has."""
        found = [float(pair[axis]) for values in self.series.values() for pair in values if isinstance(pair, tuple)]
        low, high = min(found, default=1.0), max(found, default=1.0)
        return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]

    def _left(self) -> int:
        """Return how far names of wide characters reach beyond the room that pygal leaves them, in pixels."""
        wide = max((sum(ord(letter) > _WIDE_FROM for letter in label) for label in self.labels), default=0)
        return round(wide * _LABEL_PX * 0.5) if self.form is Form.SIDEWAYS else 0

    def _with_intervals(self, name: str, values: Sequence[Any]) -> list[Any]:
        around = self.intervals.get(name)
        if around is None:
            return list(values)
        return [
            value if ends is None else {"value": value, "ci": {"low": ends[0], "high": ends[1]}}
            for value, ends in zip(values, around, strict=True)
        ]

    def _highest(self) -> float:
        return max((ends[1] for around in self.intervals.values() for ends in around if ends is not None), default=1.0)

    def _reach(self) -> tuple[float, float]:
        across = [float(pair[0]) for values in self.series.values() for pair in values if isinstance(pair, tuple)]
        return (min(across, default=0.0), max(across, default=1.0))

    def _height(self) -> int:
        if self.form is Form.SIDEWAYS:
            return 120 + 28 * max(4, len(self.labels))
        return 440 if self.form is Form.POINTS else 320

    def _options(self) -> dict[str, Any]:
        return {
            "js": (),
            "width": 880,
            "height": self._height(),
            "margin_left": 20 + self._left(),
            **(
                {"value_formatter": "{:g}".format, "x_value_formatter": "{:g}".format}
                if self.form is Form.POINTS
                else {}
            ),
            "x_title": self.x_title or None,
            "y_title": self.y_title or None,
            "logarithmic": self.logarithmic,
            "show_legend": len(self.series) + len(self.marks) > 1,
            "legend_at_bottom": True,
            "truncate_legend": -1,
            "truncate_label": -1,
            "x_label_rotation": 35 if len(self.labels) > 10 and self.form is not Form.SIDEWAYS else 0,
            "x_labels_major_count": 16 if len(self.labels) > 24 else None,
            "show_minor_x_labels": len(self.labels) <= 24,
            "include_x_axis": not self.logarithmic,
            # Without it the drawing ends at the highest number and cuts its interval off.
            **({"range": (0, self._highest())} if self.intervals else {}),
            "dots_size": 3,
            "allow_interruptions": True,
            "no_data_text": NOTHING,
        }


def _stroke(dashes: str) -> dict[str, Any]:
    return {"width": _LINE_PX, "dasharray": dashes or "none"}


_LINES: Mapping[Hatch, str] = {
    Hatch.NONE: "",
    Hatch.RISING: "M-2,2 L2,-2 M0,8 L8,0 M6,10 L10,6",
    Hatch.FALLING: "M-2,6 L2,10 M0,0 L8,8 M6,-2 L10,2",
    Hatch.LEVEL: "M0,4 L8,4",
    Hatch.UPRIGHT: "M4,0 L4,8",
    Hatch.GRID: "M0,4 L8,4 M4,0 L4,8",
    Hatch.DOTS: "M3,4 L5,4",
}
"""White, on a square of 8 by 8 that is repeated; the fill goes on covering most of it."""


def _hatch(root: ET.Element, hatches: Sequence[Hatch]) -> None:
    """Lay the hatching of each series over its bars and its square in the legend, as a fill of their own."""
    by_place = {f"color-{place}": hatch for place, hatch in enumerate(hatches)}
    for parent in root.iter():
        name = next((each for each in parent.get("class", "").split() if each in by_place), "")
        if name and by_place[name] is not Hatch.NONE:
            for bar in parent.iter("rect"):
                bar.set("style", f"fill: url(#hatch-{name})")
    defs = ET.SubElement(root, "defs")
    for name, hatch in by_place.items():
        square = ET.SubElement(
            defs, "pattern", id=f"hatch-{name}", width="8", height="8", patternUnits="userSpaceOnUse"
        )
        ET.SubElement(square, "rect", {"class": name, "width": "8", "height": "8", "style": "stroke: none"})
        ET.SubElement(square, "path", d=_LINES[hatch], style="stroke: #fff; stroke-width: 1.5; fill: none")


def _without_scripts(root: ET.Element) -> bytes:
    """Return a drawing without the settings for pygal's own script, which is not loaded, and without comments."""
    for parent in root.iter():
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] == "script":
                parent.remove(child)
    drawn: bytes = ET.tostring(root, encoding="utf-8")
    return drawn


_KINDS: Mapping[Form, Any] = {
    Form.LINE: pygal.Line,
    Form.BAR: pygal.Bar,
    Form.STACKED: pygal.StackedBar,
    Form.SIDEWAYS: pygal.HorizontalBar,
    Form.POINTS: pygal.XY,
}
