"""What a terminal is told suffices for the fleet's own answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.entitlements import Entitlement, Rule, entitlement, rules_of, strictest_of
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.days import MonthDay
from protocol.rules.obligations import Entitled, Obligation, obligation, strictest
from protocol.rules.pack import AnnualWindow, BirthMonth, HalfYears, KeyDate, Rolling, RulePack, Stop
from protocol.rules.shelf import Shelf
from protocol.shipped_packs import SHIPPED, default_pack, shipped_pack

TODAY = date(2019, 8, 1)
DAYS = st.dates(date(2015, 1, 1), date(2024, 12, 31))
YEAR_DAYS = st.builds(lambda day: MonthDay(day.month, day.day), DAYS)
CYCLES = st.one_of(
    st.builds(
        HalfYears,
        kind=st.just("half_years"),
        gap_months=st.integers(0, 5),
        gap_reading=st.sampled_from(["date", "month"]),
    ),
    st.builds(Rolling, kind=st.just("rolling"), months=st.integers(1, 60)),
    st.builds(AnnualWindow, kind=st.just("annual_window"), opens=YEAR_DAYS, closes=YEAR_DAYS),
    st.builds(
        BirthMonth,
        kind=st.just("birth_month"),
        months_after=st.integers(0, 6),
        early_months=st.integers(0, 3),
    ),
)


@st.composite
def packs(draw: st.DrawFn) -> RulePack:
    """Any pack that can be written: cycles, kinds and channels taken, key dates, stops, clocks."""
    shipped = shipped_pack(draw(st.sampled_from(SHIPPED)))
    counts = draw(st.sets(st.sampled_from([kind for kind in ActKind if kind is not ActKind.SILENT]), min_size=1))
    changes = {
        "pack_id": draw(st.sampled_from(["AA-2018", "BB-2019"])),
        "valid_from": draw(DAYS),
        "valid_until": None,
        "cycle": draw(CYCLES),
        "key_date": draw(
            st.none() | st.builds(KeyDate, day=YEAR_DAYS, basis=st.sampled_from(["benefit_started", "pay_list"]))
        ),
        "counts": tuple(sorted(counts)),
        "channels": tuple(draw(st.sets(st.sampled_from(list(Channel)), max_size=3))),
        "silent": None,
        "forbids": (),
        "stop": draw(
            st.builds(Stop, months_after_due=st.integers(1, 12), missed=st.sampled_from(["period", "calendar_year"]))
            | st.builds(Stop, from_day=YEAR_DAYS, missed=st.sampled_from(["period", "calendar_year"]))
        ),
        "clocks": shipped.clocks.model_copy(update={"grace_days": draw(st.integers(0, 60))}),
    }
    return RulePack.model_validate(shipped.model_dump() | changes)


ACTS = st.lists(
    st.builds(
        Act,
        act_id=st.uuids().map(str),
        day=DAYS,
        kind=st.sampled_from(list(ActKind)),
        channel=st.sampled_from(list(Channel)),
    ),
    max_size=8,
)
ENTITLED = st.builds(Entitled, started=DAYS, birth_date=st.none() | st.dates(date(1920, 1, 1), date(1970, 12, 31)))


def days_of(found: Obligation) -> Obligation:
    """An obligation, of its last act the day alone: of two on one day either may stand for the other."""
    last = None if found.last is None else Act("", found.last.day, ActKind.LIVE, Channel.TERMINAL)
    return replace(found, last=last)


def told(pack: RulePack, entitled: Entitled, acts: list[Act]) -> Entitlement:
    return entitlement(pack, entitled, obligation(pack, entitled, acts).last)


@settings(max_examples=600, deadline=None)
@given(
    found=st.lists(packs(), min_size=1, max_size=3, unique_by=lambda pack: pack.pack_id),
    entitled=ENTITLED,
    acts=ACTS,
    after=st.integers(0, 800),
    kind=st.sampled_from([ActKind.LIVE, ActKind.ENROLMENT]),
    channel=st.sampled_from([Channel.TERMINAL, Channel.HOME_VISIT]),
)
def test_r2_1_to_r2_5_a_terminal_gives_the_obligations_that_the_fleet_gives_for_the_same_acts(
    found: list[RulePack], entitled: Entitled, acts: list[Act], after: int, kind: ActKind, channel: Channel
) -> None:
    day = max((act.day for act in acts), default=date(2019, 1, 1)) + timedelta(days=after)
    today = Act("today", day, kind, channel)
    on_terminal = rules_of(
        [told(pack, entitled, acts) for pack in found], Shelf(tuple(found), default_pack()), today=day
    )
    before = [obligation(pack, entitled, acts) for pack in found]
    assert [days_of(rule.obligation()) for rule in on_terminal] == [days_of(each) for each in before]
    fleets = [obligation(pack, entitled, [*acts, today]) for pack in found]
    assert [days_of(rule.obligation(today)) for rule in on_terminal] == [days_of(each) for each in fleets]
    ours, theirs = strictest_of(on_terminal, today), strictest(fleets)
    assert ours is not None
    assert theirs is not None
    assert (ours.pack_id, ours.due, ours.opens, ours.stop_from) == (
        theirs.pack_id,
        theirs.due,
        theirs.opens,
        theirs.stop_from,
    )


@settings(max_examples=200, deadline=None)
@given(pack=packs(), entitled=ENTITLED, acts=ACTS, more=st.lists(st.integers(0, 200), min_size=2, max_size=4))
def test_acts_made_on_the_terminal_since_then_stand_in_for_those_the_fleet_has_not_told_of_yet(
    pack: RulePack, entitled: Entitled, acts: list[Act], more: list[int]
) -> None:
    day = max((act.day for act in acts), default=date(2019, 1, 1))
    own = []
    for number, after in enumerate(more):
        day += timedelta(days=after)
        own.append(Act(f"own-{number}", day, ActKind.LIVE, Channel.TERMINAL))
    (rule,) = rules_of([told(pack, entitled, acts)], Shelf((pack,), default_pack()), today=day)
    assert days_of(rule.obligation(*own)) == days_of(obligation(pack, entitled, [*acts, *own]))


@pytest.mark.parametrize("pack_id", SHIPPED)
def test_a_birth_date_is_told_only_where_the_pack_goes_by_it(pack_id: str) -> None:
    born = Entitled(date(2010, 1, 1), date(1938, 5, 6))
    pack = shipped_pack(pack_id)
    assert entitlement(pack, born, None).birth_date is None
    by_birth = pack.model_copy(update={"cycle": BirthMonth(kind="birth_month")})
    said = entitlement(by_birth, born, None)
    assert said.birth_date == date(1938, 5, 6)
    assert "1938" not in repr(said)


def test_who_is_not_told_of_is_held_to_the_default_pack_and_so_is_a_pack_that_is_not_here() -> None:
    shelf = Shelf((), default_pack())
    assert rules_of((), shelf, today=TODAY) == (Rule(default_pack(), Entitled(TODAY)),)
    unknown = Entitlement(pack_id="LZ-2019", pack_version=7, started=date(2012, 1, 1))
    assert rules_of([unknown], shelf, today=TODAY) == (Rule(default_pack(), Entitled(date(2012, 1, 1))),)
