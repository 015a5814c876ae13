"""Silent certification: which identified scenes certify somebody unnoticed (R4-27, R8-5). Pure.

The answer is a function of everything that is known, whatever the order in which it came: it is worked out anew after every change, and
what was said before and is not said any more is withdrawn. An act of a person counts for each of their packs, so one is made only where
every pack that takes silent acts has its points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from fleet.status.losses import Reported, spans
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.days import add_months
from protocol.rules.life import ENDING, SIGNS_OF_LIFE, LifeEventKind
from protocol.rules.obligations import Entitled, obligation
from protocol.rules.pack import Rolling, RulePack


@dataclass(frozen=True, slots=True, order=True)
class Scene:
    """Somebody was identified on a day."""

    day: date
    kind: LifeEventKind
    source: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Held:
    """One benefit under one pack."""

    pack: RulePack
    entitled: Entitled


def certifying_scenes(held: Iterable[Held], reports: Iterable[Reported]) -> list[Scene]:
    """Return the scenes at which somebody is certified, in order of their days.

    Nobody is certified against a report of an ending, or of an interruption of which no end is known; nor by a scene during one that
    ended. Scenes of one kind on one day are one scene, whoever reports them. Points begin anew after each act.

    Args:
        held: the person's benefits with the packs that hold for them.
        reports: everything that stands about the person.
    """
    known = list(reports)
    judged = [each for each in held if _takes_silent(each.pack)]
    interruptions = spans(known)
    if (
        not judged
        or any(each.event.kind in ENDING for each in known)
        or any(span.until is None for span in interruptions)
    ):
        return []
    first = min(each.entitled.started for each in judged)
    taken: list[Scene] = []
    counted: list[Scene] = []
    served: set[tuple[int, date]] = set()
    for scene in _scenes(known):
        if scene.day < first or any(span.holds_on(scene.day) for span in interruptions):
            continue
        counted.append(scene)
        periods = [_period(each, scene.day) for each in judged]
        if all((index, period) in served for index, period in enumerate(periods)):
            continue
        if all(_points(each, counted, scene) >= _needed(each.pack) for each in judged):
            taken.append(scene)
            served |= set(enumerate(periods))
            counted = []
    return taken


def _scenes(reports: Iterable[Reported]) -> list[Scene]:
    found: dict[tuple[date, LifeEventKind], Scene] = {}
    signs = (each for each in reports if each.confirmed and each.event.kind in SIGNS_OF_LIFE)
    for scene in sorted(Scene(e.event.since, e.event.kind, e.source, e.source_id) for e in signs):
        found.setdefault((scene.day, scene.kind), scene)
    return list(found.values())


def _takes_silent(pack: RulePack) -> bool:
    return pack.silent is not None and (not pack.channels or Channel.DATA in pack.channels)


def _needed(pack: RulePack) -> int:
    return pack.silent.needed if pack.silent is not None else 0


def _points(held: Held, counted: Sequence[Scene], scene: Scene) -> int:
    """Return the points of the scenes that are in one period with the last of them."""
    worth = held.pack.silent.points if held.pack.silent is not None else {}
    if isinstance(held.pack.cycle, Rolling):
        after = add_months(scene.day, -held.pack.cycle.months)
        return sum(worth.get(each.kind, 0) for each in counted if each.day > after)
    period = _period(held, scene.day)
    return sum(worth.get(each.kind, 0) for each in counted if _period(held, each.day) == period)


def _period(held: Held, day: date) -> date:
    """Return what names the period of a pack into which a day falls.

    Rolling packs have none: there one act a month is enough, because benefits are paid by the month. For the others it is the due day of
    the period that follows.
    """
    if isinstance(held.pack.cycle, Rolling):
        return day.replace(day=1)
    act = Act(act_id="", day=day, kind=ActKind.SILENT, channel=Channel.DATA)
    return obligation(held.pack, held.entitled, [act]).due
