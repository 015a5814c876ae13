"""Charts of one terminal: its condition hour by hour, and what its sessions measured day by day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, tzinfo

from fleet.store.terminal_health import HealthHour
from fleet.terminals.daily import Series
from fleet.terminals.drift import Alarm, Measure
from fleet.terminals.page import HISTORY
from fleet.terminals.standing import Limits
from fleet.web.charts import Chart
from fleet.web.texts import Texts

_STEP = timedelta(hours=4)
"""Width of a place: a week is 42 of them, which can be told apart and keep the page light."""
_QUALITY = (
    Measure.SHARPNESS,
    Measure.ILLUMINATION_UNIFORMITY,
    Measure.UNDER_EXPOSURE,
    Measure.OVER_EXPOSURE,
    Measure.DYNAMIC_RANGE,
)
_POINTS = 45
"""Newest points of a chart of drift: six weeks at a terminal with ten sessions a day; all four keep within a page of 300 kB."""


def condition_charts(
    texts: Texts, hours: Sequence[HealthHour], limits: Limits, *, zone: tzinfo, now: datetime
) -> list[Chart]:
    """Return the charts of the last week, the worst of every four hours; those of which nothing is known are left out."""
    words = texts["charts"]
    steps = int(HISTORY / _STEP)
    begins = [now - _STEP * (steps - place) for place in range(steps)]
    labels = [begin.astimezone(zone).strftime("%m-%d %H:%M") for begin in begins]

    def worst(
        value: Callable[[HealthHour], float | None], pick: Callable[[Iterable[float]], float]
    ) -> list[float | None]:
        found: list[list[float]] = [[] for _ in begins]
        for hour in hours:
            # An hour belongs to where it ends: the newest one may have begun before the newest place.
            place = int((hour.hour + timedelta(hours=1) - begins[0]) / _STEP)
            known = value(hour)
            if known is not None and place >= 0:
                found[min(place, steps - 1)].append(known)
        return [pick(each) if each else None for each in found]

    made = [
        (str(words["temperature"]), worst(lambda hour: hour.temperature_c, max), {str(words["warm"]): limits.warm_c}),
        (
            str(words["battery"]),
            worst(lambda hour: hour.battery_percent, min),
            {str(words["low"]): float(limits.low_battery_percent)},
        ),
        (str(words["camera"]), worst(lambda hour: hour.camera_rate_hz, min), {}),
        (str(words["waiting"]), worst(lambda hour: hour.waiting, max), {}),
        (
            str(words["oldest"]),
            worst(lambda hour: None if hour.oldest_unconfirmed_s is None else hour.oldest_unconfirmed_s / 3600, max),
            {str(words["old"]): limits.old_outbox / timedelta(hours=1)},
        ),
    ]
    return [
        Chart(title=title, labels=labels, series={title: values}, marks=marks)
        for title, values, marks in made
        if any(value is not None for value in values)
    ]


def drift_charts(texts: Texts, series: Sequence[Series], alarms: Sequence[Alarm]) -> list[Chart]:
    """Return a chart for the pass rate, one for all components of quality, one for the light and one for the time a session takes.

    The level before an alarm that lasts is a line in its chart.
    """
    by_measure = {each.measure: each for each in series}
    groups = (
        (texts["charts"]["passes"], (Measure.PASS_RATE,), 100.0),
        (texts["charts"]["quality"], _QUALITY, 1.0),
        (texts["charts"]["light"], (Measure.LIGHT_GAIN,), 1.0),
        (texts["charts"]["seconds"], (Measure.CAPTURE_S,), 1.0),
    )
    return [
        _drift_chart(texts, title, [by_measure[each] for each in measures if each in by_measure], alarms, factor)
        for title, measures, factor in groups
        if any(each in by_measure for each in measures)
    ]


def _drift_chart(texts: Texts, title: str, found: Sequence[Series], alarms: Sequence[Alarm], factor: float) -> Chart:
    days = sorted({point.last for series in found for point in series.points})[-_POINTS:]
    values: dict[str, list[float | None]] = {}
    marks: dict[str, float] = {}
    for series in found:
        name = str(texts["measures"][series.measure.value])
        by_day = {point.last: point.mean * factor for point in series.points}
        values[name] = [by_day.get(day) for day in days]
        for alarm in alarms:
            if alarm.measure is series.measure and alarm.ended_on is None:
                marks[str(texts["charts"]["before"]).format(measure=name)] = alarm.before * factor
    return Chart(title=title, labels=[day.isoformat() for day in days], series=values, marks=marks)
