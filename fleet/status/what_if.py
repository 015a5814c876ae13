"""What a rule pack would do to everybody, before it does."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from typing import Literal

from fleet.status.projection import Asked, BenefitFacts, ask, facts_of, subject_chunks
from fleet.store.database import Database
from fleet.store.packs import shelf_of
from fleet.store.statistics import BANDS, band_names
from protocol.errors import Problem
from protocol.rules.days import age_on
from protocol.rules.obligations import CertificationState, Obligation, state_on, strictest
from protocol.rules.pack import RulePack
from protocol.rules.shelf import Shelf

Cut = Literal["area", "scheme", "age"]
"""By what people are counted. By area and age a person is counted once, by the strictest of what is asked; by scheme once for each."""
Move = Literal["due earlier", "due later", "stop earlier", "stop later"]
"""What moves for somebody who stays in the same state."""
_MOST_WORDS = 20
"""Of schemes and categories in a sentence."""


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody whom the pack would bring into another state, or to whom it would give another last day or stop day."""

    subject_id: str
    area: str
    before: CertificationState
    after: CertificationState
    due_before: date
    due_after: date
    stop_before: date
    stop_after: date


@dataclass(slots=True)
class WhatIf:
    """What came of it."""

    people: int = 0
    """Everybody who was looked at."""
    covered: int = 0
    """Of them, whom the pack would hold for."""
    by_area: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    """For each area how many would go from one state to another; those who stay are not counted."""
    moved: dict[str, Counter[Move]] = field(default_factory=dict)
    """For each area how many would stay in their state with other days; by each day that moves."""
    changes: list[Change] = field(default_factory=list)
    in_region: int = 0
    """Benefits of people, ended or not, that an area of the pack's region pays; people without one count by where they live."""
    of_region: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Of them, how many of each scheme and category; people without a benefit stand under two empty words."""
    newly_stoppable: int = 0
    """For whom a stop could be proposed on that day, and could not be without the pack."""
    changed: int = 0
    """How many would go to another state, or stay with other days."""
    states: dict[Cut, dict[str, Counter[tuple[str, str]]]] = field(default_factory=dict)
    """By cut and key: how many would go from one state to another, those who stay in theirs included."""
    stoppable: dict[Cut, dict[str, list[int]]] = field(default_factory=dict)
    """By cut and key: for how many a stop could be proposed on that day, before and after."""


def what_if(
    database: Database,
    draft: RulePack,
    *,
    on: date,
    zone: tzinfo,
    keeps_changes: bool = True,
    progress: Callable[[int], None] = lambda _people: None,
) -> WhatIf:
    """Return what everybody's state would be on a day with a pack and without it. Nothing is stored.

    Args:
        database: the fleet's.
        draft: the pack, in force or not; a version of it that is in force is looked at as if it were not there.
        on: the day.
        zone: where a day ends.
        keeps_changes: whether everybody who would change is listed; of a million people that is a lot of memory.
        progress: told after every part how many people were looked at.

    Raises:
        DatabaseUnavailable: as any transaction.
    """
    done = WhatIf()
    with database.begin() as connection:
        now = shelf_of(connection)
    without = Shelf(
        tuple(p for p in now.packs if (p.pack_id, p.version) != (draft.pack_id, draft.version)), now.default
    )
    then = Shelf((*without.packs, draft), now.default)
    for chunk in subject_chunks(database):
        with database.begin() as connection:
            facts = facts_of(connection, chunk, zone=zone)
        local = Counter((each.scheme, each.category) for each in facts if draft.region in each.regions)
        done.of_region.update(local)
        done.in_region += local.total()
        before, after = ask(facts, without, on), ask(facts, then, on)
        changes = _compare(done, draft, before, after, on)
        done.changed += len(changes)
        if keeps_changes:
            done.changes += changes
        _count(done, facts, before, after, on)
        progress(done.people)
    return done


def why_nobody(draft: RulePack, done: WhatIf, on: date) -> Problem | None:
    """Return in a sentence why a pack holds for nobody on a day; None if it holds for somebody."""
    if done.covered:
        return None
    if not done.people:
        return Problem("there are no people yet: `lifecert-fleet import-subjects` first", "no_people")
    if not done.in_region:
        return Problem(
            f"no benefit is paid by, and nobody lives in, an area of region {draft.region} (`lifecert-fleet areas list`)",
            "nobody_in_region",
            region=draft.region,
        )
    if not draft.holds_on(on):
        until = "" if draft.valid_until is None else f" until {draft.valid_until}"
        return Problem(
            f"it holds from {draft.valid_from}{until}, and not on {on}: give `--on` with a day on which it does",
            "holds_not_on_day",
            begins=draft.valid_from,
            day=on,
        )
    fits = sum(count for (scheme, category), count in done.of_region.items() if _asks(draft, scheme, category))
    if fits:
        return Problem("a later version of it holds on that day", "later_version")
    schemes, categories = (sorted({each[place] for each in done.of_region if each[place]}) for place in (0, 1))
    has = _listed("scheme", schemes) + (f" with {_listed('category', categories)}" if schemes else "")
    asks = _listed("scheme", draft.schemes)
    if draft.categories:
        asks += f" with {_listed('category', draft.categories)}"
    return Problem(
        f"in region {draft.region} the lists have {has}; the pack asks for {asks}",
        "other_words",
        region=draft.region,
        has=_words(*schemes, *categories),
        asks=_words(*draft.schemes, *draft.categories),
    )


def _asks(draft: RulePack, scheme: str, category: str) -> bool:
    return draft.covers(scheme, category, frozenset({draft.region}))


def _words(*words: str) -> str:
    return " ".join([*words[:_MOST_WORDS], *(["…"] if len(words) > _MOST_WORDS else [])]) or "–"


def _listed(what: str, words: Sequence[str]) -> str:
    if not words:
        return f"no {what}"
    shown = [*words[:_MOST_WORDS], *(["..."] if len(words) > _MOST_WORDS else [])]
    return f"{what} {', '.join(shown)}"


def _compare(done: WhatIf, draft: RulePack, before: Iterable[Asked], after: Iterable[Asked], on: date) -> list[Change]:
    changes: list[Change] = []
    old, new = _by_subject(before), _by_subject(after)
    for subject_id, (area, asked) in new.items():
        done.people += 1
        done.covered += any((found.pack_id, found.pack_version) == (draft.pack_id, draft.version) for found in asked)
        was, becomes = strictest(old[subject_id][1]), strictest(asked)
        if was is None or becomes is None:
            continue
        states = state_on(was, on), state_on(becomes, on)
        is_newly_stoppable = becomes.stop_from <= on < was.stop_from
        done.newly_stoppable += is_newly_stoppable
        if states[0] is not states[1]:
            done.by_area.setdefault(area, Counter())[states[0].value, states[1].value] += 1
        moves = _moves(was, becomes)
        if states[0] is states[1] and moves:
            done.moved.setdefault(area, Counter()).update(moves)
        if states[0] is not states[1] or moves:
            changes.append(Change(subject_id, area, *states, was.due, becomes.due, was.stop_from, becomes.stop_from))
    return changes


def _count(
    done: WhatIf, facts: Iterable[BenefitFacts], before: Iterable[Asked], after: Iterable[Asked], on: date
) -> None:
    """Count everybody by area and age, and every benefit by scheme, with and without the pack."""
    bands = {each.subject_id: _band(each.entitled.birth_date, on) for each in facts}
    was, becomes = ({key: strictest(found) for key, found in _by_scheme(asked).items()} for asked in (before, after))
    for (_, scheme), found in becomes.items():
        _add(done, "scheme", scheme, was.get((_, scheme)), found, on)
    old, new = _by_subject(before), _by_subject(after)
    for subject_id, (area, asked) in new.items():
        pair = strictest(old[subject_id][1]), strictest(asked)
        _add(done, "area", area, *pair, on)
        _add(done, "age", bands[subject_id], *pair, on)


def _add(done: WhatIf, cut: Cut, key: str, was: Obligation | None, becomes: Obligation | None, on: date) -> None:
    if was is None or becomes is None:
        return
    states = state_on(was, on).value, state_on(becomes, on).value
    done.states.setdefault(cut, {}).setdefault(key, Counter())[states] += 1
    counts = done.stoppable.setdefault(cut, {}).setdefault(key, [0, 0])
    counts[0] += was.stop_from <= on
    counts[1] += becomes.stop_from <= on


def _band(birth_date: date | None, on: date) -> str:
    names = band_names()
    if birth_date is None:
        return names[-1]
    return names[max(bisect_right(BANDS, age_on(birth_date, on)) - 1, 0)]


def _by_scheme(asked: Iterable[Asked]) -> dict[tuple[str, str], list[Obligation]]:
    found: dict[tuple[str, str], list[Obligation]] = {}
    for each in asked:
        found.setdefault((each.subject_id, each.scheme), []).append(each.obligation)
    return found


def _moves(was: Obligation, becomes: Obligation) -> list[Move]:
    found: list[Move] = []
    if was.due != becomes.due:
        found.append("due earlier" if becomes.due < was.due else "due later")
    if was.stop_from != becomes.stop_from:
        found.append("stop earlier" if becomes.stop_from < was.stop_from else "stop later")
    return found


def _by_subject(asked: Iterable[Asked]) -> dict[str, tuple[str, list[Obligation]]]:
    found: dict[str, tuple[str, list[Obligation]]] = {}
    for each in asked:
        found.setdefault(each.subject_id, (each.area, []))[1].append(each.obligation)
    return found
