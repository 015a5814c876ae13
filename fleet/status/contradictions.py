"""Where what is known of one person cannot all be so. Pure: it finds and shows, and resolves nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from fleet.status.losses import Reported, Span, spans
from protocol.rules.acts import Act, ActKind
from protocol.rules.life import ENDING, SIGNS_OF_LIFE, SUSPENDING, LifeEventKind


class ContradictionKind(StrEnum):
    """What contradicts what."""

    DEATH_DAYS = "death_days"
    """Two sources say two days of death."""
    DEATH_ORDER = "death_order"
    """Cremated, buried or declared dead before the reported death."""
    ALIVE_AFTER_DEATH = "alive_after_death"
    """A sign of life, or an act that certifies, after a death (R8-5, feature 79)."""
    SEEN_WHILE_MISSING = "seen_while_missing"
    SEEN_IN_CUSTODY = "seen_in_custody"
    """Travelled or crossed a border, or certified at a terminal, in a time of imprisonment."""
    RELEASE_BEFORE_SENTENCE = "release_before_sentence"
    ZERO_REPORT = "zero_report"
    """An area reported no death, and another source one of its people (R8-10)."""
    NAME_DIFFERS = "name_differs"
    """A row has another name than the person of its document number; it has no effect until somebody decides."""


_LOSSES = ENDING | SUSPENDING


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    ref: str
    """`event:<id>`, `act:<id>`, `row:<feed>/<key>`, `delivery:<feed>/<area>/<month>`, `subject:<id>`."""
    what: str
    """What it says: a kind of event or of act."""
    day: date | None
    source: str
    is_loss: bool = False
    """Whether it reports a loss: two persons withdraw it."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two sides that cannot both be so."""

    subject_id: str
    kind: ContradictionKind
    first: Side
    second: Side
    since: date
    """The day from which both were known."""

    @property
    def contradiction_id(self) -> str:
        """Names it; the same two sides have the same id whenever they are looked at."""
        named = f"{self.kind}|{self.first.ref}|{self.second.ref}"
        return hashlib.sha256(named.encode()).hexdigest()[:32]


def find(subject_id: str, reports: Sequence[Reported], acts: Iterable[Act]) -> list[Contradiction]:
    """Return everything that contradicts itself about one person, in order of kind and id.

    Args:
        subject_id: whom.
        reports: what stands about them, from every source.
        acts: what certifies them; silent acts are left aside, for they are made of the reports.
    """
    live = [act for act in acts if act.kind is not ActKind.SILENT]
    found = [
        *_of_deaths(subject_id, reports),
        *_alive_after_death(subject_id, reports, live),
        *_seen_in_between(subject_id, reports, live),
        *_early_releases(subject_id, reports),
    ]
    return sorted(found, key=lambda each: (each.kind, each.contradiction_id))


def _of_deaths(subject_id: str, reports: Sequence[Reported]) -> Iterator[Contradiction]:
    ending = sorted((each for each in reports if each.event.kind in ENDING), key=lambda each: each.event_id)
    deaths = [each for each in ending if each.event.kind is LifeEventKind.DEATH]
    for place, first in enumerate(deaths):
        for second in deaths[place + 1 :]:
            if first.event.since != second.event.since:
                yield _between(subject_id, ContradictionKind.DEATH_DAYS, first, second)
    for death in deaths:
        for other in ending:
            if other.event.kind is not LifeEventKind.DEATH and other.event.since < death.event.since:
                yield _between(subject_id, ContradictionKind.DEATH_ORDER, death, other)


def _alive_after_death(subject_id: str, reports: Sequence[Reported], acts: Sequence[Act]) -> Iterator[Contradiction]:
    for death in (each for each in reports if each.event.kind in ENDING):
        for sign in reports:
            if sign.event.kind in SIGNS_OF_LIFE and sign.event.since > death.event.since:
                yield _between(subject_id, ContradictionKind.ALIVE_AFTER_DEATH, death, sign)
        for act in acts:
            if act.day > death.event.since:
                yield _with_act(subject_id, ContradictionKind.ALIVE_AFTER_DEATH, death, act)


def _seen_in_between(subject_id: str, reports: Sequence[Reported], acts: Sequence[Act]) -> Iterator[Contradiction]:
    by_id = {each.event_id: each for each in reports}
    for span in spans(reports):
        report = by_id[span.event_id]
        if span.kind is LifeEventKind.MISSING:
            kind, seen = ContradictionKind.SEEN_WHILE_MISSING, SIGNS_OF_LIFE
        elif span.kind is LifeEventKind.SENTENCE:
            # In custody somebody may well be treated, or visited by an operator.
            kind, seen = ContradictionKind.SEEN_IN_CUSTODY, _AT_LARGE
        else:
            continue
        for sign in reports:
            if sign.event.kind in seen and _is_within(span, sign.event.since):
                yield _between(subject_id, kind, report, sign)
        for act in acts:
            if act.kind in (ActKind.LIVE, ActKind.ENROLMENT) and _is_within(span, act.day):
                yield _with_act(subject_id, kind, report, act)


_AT_LARGE = frozenset({LifeEventKind.TRAVEL, LifeEventKind.EXIT_ENTRY})


def _is_within(span: Span, day: date) -> bool:
    """Return whether a day is inside; on the first one both may be so."""
    return day > span.since and span.holds_on(day)


def _early_releases(subject_id: str, reports: Sequence[Reported]) -> Iterator[Contradiction]:
    sentences = sorted(
        (each for each in reports if each.event.kind is LifeEventKind.SENTENCE),
        key=lambda each: (each.event.since, each.event_id),
    )
    for release in (each for each in reports if each.event.kind is LifeEventKind.RELEASE):
        if sentences and release.event.since < sentences[0].event.since:
            yield _between(subject_id, ContradictionKind.RELEASE_BEFORE_SENTENCE, sentences[0], release)


def _between(subject_id: str, kind: ContradictionKind, first: Reported, second: Reported) -> Contradiction:
    return Contradiction(subject_id, kind, side_of(first), side_of(second), max(first.received_on, second.received_on))


def _with_act(subject_id: str, kind: ContradictionKind, report: Reported, act: Act) -> Contradiction:
    side = Side(f"act:{act.act_id}", act.kind.value, act.day, act.channel.value)
    return Contradiction(subject_id, kind, side_of(report), side, max(report.received_on, act.day))


def side_of(report: Reported) -> Side:
    """Return a report as one side of a contradiction."""
    event = report.event
    return Side(f"event:{report.event_id}", event.kind.value, event.since, report.source, event.kind in _LOSSES)
