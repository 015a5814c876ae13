"""PURE. Has a terminal changed against its own past: CUSUM charts over its days.

A camera whose lens grows dirty does not fail; it passes fewer people week by week. Each measured value of a terminal is compared with
what it was at this terminal before, by a self-starting CUSUM: what is known of the past is what came before, and grows day by day.

Sources: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954); D. M. Hawkins, "Self-starting CUSUM charts for location and
scale", The Statistician 36 (1987); D. C. Montgomery, "Introduction to Statistical Quality Control", chapter on CUSUM charts: k = 1/2 for a
shift of one standard deviation, h = 4 or 5 deviations where one chart is watched. A fleet watches a hundred thousand charts, so h is
higher here (`fleet.settings.TerminalSettings.drift_h`); `average_run_length` says what that costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

K: Final = 0.5
"""Slack in standard deviations: half the least shift that is to be found. Source: Montgomery."""
LEAST_SESSIONS: Final = 10
"""Days are taken together until they have so many sessions: the mean of fewer is more the people than the terminal."""
LEARNING: Final = 15
"""Points before the first alarm. Chosen: two to three weeks; the past of fewer says little about its spread."""
_BACK_POINTS: Final = 5
_BACK_SPREADS: Final = 1.0
"""An alarm is over when the mean of so many points is so near to what it was before. Chosen: a week after the lens was cleaned."""
_USUAL_POINTS: Final = 60
"""A level that stays for so many points is the terminal's usual one from then on; it may have been moved to another room."""


class Measure(StrEnum):
    """What is watched, of each day."""

    PASS_RATE = "pass_rate"  # noqa: S105 - passes, no password
    """Of sessions that looked at a person: how many certified."""
    SHARPNESS = "sharpness"
    ILLUMINATION_UNIFORMITY = "illumination_uniformity"
    UNDER_EXPOSURE = "under_exposure_prevention"
    OVER_EXPOSURE = "over_exposure_prevention"
    DYNAMIC_RANGE = "dynamic_range"
    """Components of capture quality, 0..100, larger = better (`device.vision.quality`)."""
    LIGHT_GAIN = "light_gain"
    """How much brighter the face is under the ring light (evidence of illumination)."""
    CAPTURE_S = "capture_s"
    """Seconds from the start of a session to its decision."""


class Advice(StrEnum):
    """What somebody should do about it."""

    CLEAN_THE_LENS = "clean_the_lens"
    LAMP_MOVED = "lamp_moved"
    """Light in the room or the lamp has changed: look at it."""
    FEWER_PASS = "fewer_pass"  # noqa: S105 - as above
    SLOWER = "slower"


@dataclass(frozen=True, slots=True)
class Watch:
    """How a measure is watched."""

    advice: Advice
    least_spread: float
    """Standard deviation below which a change would be of no account, in units of the measure; keeps a value that never moves from giving
    an alarm over nothing."""
    is_fall: bool = True
    """Whether a fall gives an alarm."""
    is_rise: bool = False
    """Whether a rise does."""


WATCHED: Final = {
    Measure.PASS_RATE: Watch(Advice.FEWER_PASS, 0.03),
    Measure.SHARPNESS: Watch(Advice.CLEAN_THE_LENS, 1.5),
    Measure.ILLUMINATION_UNIFORMITY: Watch(Advice.LAMP_MOVED, 1.5),
    Measure.UNDER_EXPOSURE: Watch(Advice.LAMP_MOVED, 1.5),
    Measure.OVER_EXPOSURE: Watch(Advice.LAMP_MOVED, 1.5),
    Measure.DYNAMIC_RANGE: Watch(Advice.LAMP_MOVED, 1.5),
    Measure.LIGHT_GAIN: Watch(Advice.LAMP_MOVED, 0.05, is_rise=True),
    Measure.CAPTURE_S: Watch(Advice.SLOWER, 1.0, is_fall=False, is_rise=True),
}
"""Every measure. The least spreads are chosen: points of a hundred; seconds; of the gain its twentieth part; and for the pass rate radians
of its arcsine, 0.03 being about one and a half in a hundred at 95 of 100."""


@dataclass(frozen=True, slots=True)
class Day:
    """One measure of one day."""

    day: date
    sessions: int
    total: float
    """Sum over the sessions; of the pass rate, how many passed."""


@dataclass(frozen=True, slots=True)
class Point:
    """One or several days in a row with enough sessions."""

    first: date
    last: date
    sessions: int
    mean: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """A measure has left its past."""

    measure: Measure
    advice: Advice
    is_rise: bool
    since: date
    """When the change probably began: after the last point at which the sum was nought."""
    raised_on: date
    ended_on: date | None
    """When it was back, or had become usual; None as long as it lasts."""
    before: float
    """Mean until then."""
    after: float
    """Mean since then, until it was raised."""


def points(days: Sequence[Day], *, least: int = LEAST_SESSIONS) -> list[Point]:
    """Take days together, in order, until they have enough sessions; what is left at the end waits for more."""
    found: list[Point] = []
    first: date | None = None
    sessions, total = 0, 0.0
    for day in days:
        if not day.sessions:
            continue
        first = first or day.day
        sessions, total = sessions + day.sessions, total + day.total
        if sessions >= least:
            found.append(Point(first, day.day, sessions, total / sessions))
            first, sessions, total = None, 0, 0.0
    return found


def alarms(measure: Measure, series: Sequence[Point], *, h: float, k: float = K) -> list[Alarm]:
    """Return every alarm in a terminal's series of a measure, the oldest first; at most the last one goes on.

    Args:
        measure: what it is.
        series: its points in order.
        h: height of the sum, in standard deviations, at which there is an alarm.
        k: slack, in standard deviations.
    """
    chart = _Chart(measure, WATCHED[measure], h=h, k=k)
    for point in series:
        chart.take(point)
    return chart.alarms()


def average_run_length(h: float, *, k: float = K, shift: float = 0.0) -> float:
    """Return after how many points, on average, a one-sided chart gives an alarm.

    Without a shift that is a false alarm: in n points of a well-behaved series at most about n divided by this.

    Source: D. Siegmund's approximation as given by Montgomery: (exp(-2 d b) + 2 d b - 1) / (2 d^2), d = shift - k, b = h + 1.166.

    Args:
        h: height.
        k: slack.
        shift: of the mean, in standard deviations.
    """
    d, b = shift - k, h + 1.166
    return b * b if abs(d) < 1e-9 else (math.exp(-2 * d * b) + 2 * d * b - 1) / (2 * d * d)


def standardised(value: float, *, known: int, mean: float, spread: float) -> float:
    """Return how far a value is from its past, as a standard normal deviate whatever the length of that past.

    Source: Hawkins 1987; Student's t is turned into a normal deviate by D. L. Wallace's approximation (1959).

    Args:
        value: the new one.
        known: how many there were before, 2 at least.
        mean: of these.
        spread: their standard deviation.
    """
    freedom = known - 1
    t = math.sqrt(known / (known + 1)) * (value - mean) / spread
    size = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return math.copysign(size, t)


class _Past:
    """Mean and spread of what came before, point by point (Welford)."""

    def __init__(self) -> None:
        self.known = 0
        self.mean = 0.0
        self._squares = 0.0

    def take(self, value: float) -> None:
        self.known += 1
        step = value - self.mean
        self.mean += step / self.known
        self._squares += step * (value - self.mean)

    def spread(self, least: float) -> float:
        return max(least, math.sqrt(self._squares / (self.known - 1)) if self.known > 1 else 0.0)


class _Chart:
    def __init__(self, measure: Measure, watch: Watch, *, h: float, k: float) -> None:
        self._measure = measure
        self._watch = watch
        self._h = h
        self._k = k
        self._found: list[Alarm] = []
        self._past = _Past()
        self._sums = {True: 0.0, False: 0.0}
        self._recent: list[Point] = []
        """Since either sum was last nought, and all while an alarm lasts."""
        self._open: Alarm | None = None

    def alarms(self) -> list[Alarm]:
        return [*self._found, *([self._open] if self._open is not None else [])]

    def take(self, point: Point) -> None:
        if self._open is not None:
            self._recent.append(point)
            self._follow(self._open)
            return
        value = _transformed(self._measure, point)
        if self._past.known >= 2:
            spread = self._past.spread(self._watch.least_spread)
            self._add(standardised(value, known=self._past.known, mean=self._past.mean, spread=spread), point)
        if self._open is None:
            self._past.take(value)

    def _add(self, deviate: float, point: Point) -> None:
        watched = {True: self._watch.is_rise, False: self._watch.is_fall}
        for is_rise, is_watched in watched.items():
            step = (deviate if is_rise else -deviate) - self._k
            self._sums[is_rise] = max(0.0, self._sums[is_rise] + step) if is_watched else 0.0
        self._recent = [*self._recent, point] if any(self._sums.values()) else []
        raised = next((is_rise for is_rise, value in self._sums.items() if value > self._h), None)
        if raised is not None and self._past.known >= LEARNING:
            self._raise(point, is_rise=raised)

    def _raise(self, point: Point, *, is_rise: bool) -> None:
        after = sum(p.mean * p.sessions for p in self._recent) / sum(p.sessions for p in self._recent)
        self._open = Alarm(
            self._measure,
            self._watch.advice,
            is_rise=is_rise,
            since=self._recent[0].first,
            raised_on=point.last,
            ended_on=None,
            before=_plain(self._measure, self._past.mean),
            after=after,
        )
        self._recent = []

    def _follow(self, alarm: Alarm) -> None:
        """See whether what changed is back, or has become usual."""
        values = [_transformed(self._measure, point) for point in self._recent]
        if len(values) < _BACK_POINTS:
            return
        newest = sum(values[-_BACK_POINTS:]) / _BACK_POINTS
        away = (newest - self._past.mean) * (1 if alarm.is_rise else -1)
        is_back = away <= _BACK_SPREADS * self._past.spread(self._watch.least_spread)
        if not is_back and len(values) < _USUAL_POINTS:
            return
        if not is_back:
            self._past = _Past()
        for value in values[-_BACK_POINTS:] if is_back else values:
            self._past.take(value)
        last = self._recent[-1].last
        self._found.append(Alarm(**{name: getattr(alarm, name) for name in _KEPT}, ended_on=last))
        self._open, self._recent, self._sums = None, [], {True: 0.0, False: 0.0}


_LEAST_GAIN = 1e-3
"""Less cannot be told from none; the default policy asks for 0.02."""
_KEPT = ("measure", "advice", "is_rise", "since", "raised_on", "before", "after")


def _transformed(measure: Measure, point: Point) -> float:
    """Return a value whose spread does not depend on its height; of a share, by Anscombe's arcsine (Biometrika 35, 1948)."""
    if measure is Measure.LIGHT_GAIN:
        # A part of the room's light, which goes by factors.
        return math.log(max(point.mean, _LEAST_GAIN))
    if measure is not Measure.PASS_RATE:
        return point.mean
    passed = point.mean * point.sessions
    return math.asin(math.sqrt(min(1.0, max(0.0, (passed + 0.375) / (point.sessions + 0.75)))))


def _plain(measure: Measure, value: float) -> float:
    if measure is Measure.LIGHT_GAIN:
        return math.exp(value)
    return math.sin(value) ** 2 if measure is Measure.PASS_RATE else value
