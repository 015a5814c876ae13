"""What is known of a terminal, as sentences in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.terminals.drift import Alarm, Measure
from fleet.terminals.lists import TerminalItem
from fleet.terminals.standing import Concern, Limits, silent_after
from fleet.web.palette import kind_of
from fleet.web.texts import Texts

_STEPS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a terminal is there, in words."""

    kind: str
    """Of badge: good, bad, warn, plain."""
    word: str
    since: str
    """How long ago its last word was, or it went away or was retired; empty where there was none of these."""
    sentence: str
    """What it means, and what from."""
    concerns: tuple[tuple[str, str], ...]
    """Each with what to do about it."""
    oldest: str
    """How long the oldest record has waited; empty if none does, or nobody knows."""


@dataclass(frozen=True, slots=True)
class AlarmTold:
    """An alarm in words."""

    alarm: Alarm
    advice: str
    sentence: str


def presence_of(texts: Texts, item: TerminalItem, limits: Limits, now: datetime) -> Presence:
    """Return how a terminal stands, told by its own last word and the times of its own link."""
    judged, seen = item.judged, item.seen
    standing = judged.standing
    code = "by_stick" if judged.comes_by_stick else standing.value
    word = str(texts["standings"][code])
    allowed = silent_after(seen, limits)
    sentence = str(texts["presence"][code]).format(
        ago=span(texts, _since(seen.last_word_at, now)),
        stick=span(texts, _since(seen.last_stick_at, now)),
        since=span(texts, _since(judged.since, now)),
        every=span(texts, timedelta(seconds=seen.presence_s or limits.presence_s)),
        allowed=span(texts, allowed),
    )
    oldest = seen.oldest_unconfirmed_at
    return Presence(
        kind="plain" if judged.comes_by_stick else kind_of("terminals", standing),
        word=word,
        since="" if judged.since is None else str(texts["ago"]).format(span=span(texts, now - judged.since)),
        sentence=sentence,
        concerns=tuple(
            (str(texts["concerns"][concern.value]), str(texts["concern_help"][concern.value]))
            for concern in Concern
            if concern in judged.concerns
        ),
        oldest="" if oldest is None or not item.waiting else span(texts, now - oldest),
    )


def alarm_told(texts: Texts, alarm: Alarm) -> AlarmTold:
    """Return what an alarm means: what to do, since when, and from what to what the measure went."""
    code = "ended" if alarm.ended_on else "lasts"
    return AlarmTold(
        alarm,
        str(texts["advice"][alarm.advice.value]),
        str(texts["alarm"][code]).format(
            measure=texts["measures"][alarm.measure.value],
            since=alarm.since.isoformat(),
            raised=alarm.raised_on.isoformat(),
            ended="" if alarm.ended_on is None else alarm.ended_on.isoformat(),
            before=measured(alarm.measure, alarm.before),
            after=measured(alarm.measure, alarm.after),
        ),
    )


def measured(measure: Measure, value: float) -> str:
    """Return a measured value with as many digits as mean something."""
    if measure is Measure.PASS_RATE:
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if measure is Measure.LIGHT_GAIN else f"{value:.1f}"


def span(texts: Texts, length: timedelta | None) -> str:
    """Return a length of time in its largest unit of which there are two at least; empty for none."""
    if length is None:
        return ""
    seconds = max(0, int(length.total_seconds()))
    unit, size = next(((unit, size) for unit, size in _STEPS if seconds >= 2 * size), _STEPS[-1])
    return str(texts["spans"][unit]).format(n=seconds // size)


def _since(moment: datetime | None, now: datetime) -> timedelta | None:
    return None if moment is None else now - moment
