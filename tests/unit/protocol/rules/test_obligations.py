"""What holds of the evaluator for every pack, whatever people do and whenever it is heard of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.days import add_months
from protocol.rules.obligations import SEVERITY, CertificationState, Entitled, obligation, state_on
from protocol.rules.pack import RulePack
from protocol.shipped_packs import SHIPPED, shipped_pack

DAY = timedelta(days=1)
DAYS = st.dates(date(2016, 1, 1), date(2026, 12, 31))
ACTS = st.lists(
    st.builds(
        Act,
        act_id=st.integers(0, 10_000).map(str),
        day=DAYS,
        kind=st.sampled_from(ActKind),
        channel=st.sampled_from(Channel),
    ),
    max_size=12,
    unique_by=lambda act: act.act_id,
)
ENTITLED = st.builds(
    Entitled,
    started=st.dates(date(1990, 1, 1), date(2024, 12, 31)),
    birth_date=st.one_of(st.none(), st.dates(date(1920, 1, 1), date(1975, 12, 31))),
    listed=st.one_of(st.none(), st.dates(date(2017, 1, 1), date(2026, 12, 31))),
)
MONTH_DAY = st.dates(date(2020, 1, 1), date(2020, 12, 31)).map(lambda day: f"{day:%m-%d}")


def _window(opens: str, length: int) -> dict[str, Any]:
    first = date.fromisoformat(f"2020-{opens}")
    return {"kind": "annual_window", "opens": opens, "closes": f"{first + timedelta(days=length):%m-%d}"}


CYCLES = st.one_of(
    st.builds(
        lambda gap, reading: {"kind": "half_years", "gap_months": gap, "gap_reading": reading},
        st.integers(0, 5),
        st.sampled_from(["date", "month"]),
    ),
    st.builds(lambda months: {"kind": "rolling", "months": months}, st.integers(1, 36)),
    st.builds(_window, MONTH_DAY, st.integers(0, 200)),
    st.builds(
        lambda after, early: {"kind": "birth_month", "months_after": after, "early_months": early},
        st.integers(0, 3),
        st.integers(0, 3),
    ),
)


@st.composite
def packs(draw: st.DrawFn) -> RulePack:
    """Give shipped packs and packs with cycles, key dates and stops of every kind."""
    base = shipped_pack(draw(st.sampled_from(SHIPPED))).model_dump(mode="json", exclude_none=True)
    base["forbids"] = []
    base["cycle"] = draw(CYCLES)
    base["stop"] = draw(
        st.one_of(
            st.builds(lambda day: {"from_day": day, "missed": "calendar_year"}, MONTH_DAY),
            st.builds(lambda day: {"from_day": day}, MONTH_DAY),
            st.builds(lambda months: {"months_after_due": months}, st.integers(1, 6)),
        )
    )
    if draw(st.booleans()):
        base["key_date"] = {"day": draw(MONTH_DAY), "basis": "benefit_started"}
    base["clocks"] = {"expiring_days": draw(st.integers(1, 90)), "grace_days": draw(st.integers(0, 60))}
    return RulePack.model_validate(base)


@given(packs(), ENTITLED, ACTS, st.randoms(use_true_random=False))
def test_the_order_in_which_acts_arrive_changes_nothing(
    pack: RulePack, who: Entitled, acts: list[Act], random: Any
) -> None:
    shuffled = list(acts)
    random.shuffle(shuffled)
    assert obligation(pack, who, acts) == obligation(pack, who, shuffled)


@given(packs(), ENTITLED, ACTS)
def test_the_same_act_twice_is_one_act(pack: RulePack, who: Entitled, acts: list[Act]) -> None:
    assert obligation(pack, who, acts) == obligation(pack, who, [*acts, *reversed(acts)])


@given(packs(), ENTITLED, ACTS, DAYS, st.integers(0, 800))
def test_time_alone_never_makes_a_state_better(
    pack: RulePack, who: Entitled, acts: list[Act], today: date, later: int
) -> None:
    found = obligation(pack, who, acts)
    now, then = state_on(found, today), state_on(found, today + timedelta(days=later))
    assert SEVERITY[now] <= SEVERITY[then]


@given(packs(), ENTITLED, ACTS)
def test_the_days_of_an_obligation_are_in_order(pack: RulePack, who: Entitled, acts: list[Act]) -> None:
    found = obligation(pack, who, acts)
    assert found.opens <= found.asked <= found.expiring
    # A gap can leave no day at all in the next period; its last day stays where the calendar has it.
    assert found.due < found.overdue
    assert found.stop_from > date(1990, 1, 1)
    if found.last is not None:
        assert found.last.day <= found.opens


@given(packs(), ENTITLED, ACTS)
def test_an_act_that_a_pack_does_not_take_changes_nothing(pack: RulePack, who: Entitled, acts: list[Act]) -> None:
    taken = [act for act in acts if act.kind in pack.counts and (not pack.channels or act.channel in pack.channels)]
    assert obligation(pack, who, acts) == obligation(pack, who, taken)


@given(packs(), ENTITLED, ACTS)
def test_who_comes_on_the_day_from_which_the_next_act_counts_is_served_for_longer(
    pack: RulePack, who: Entitled, acts: list[Act]
) -> None:
    before = obligation(pack, who, acts)
    latest = max((act.day for act in acts), default=date.min)
    if before.opens < latest:
        # Acts that counted for nothing lie after that day; the new one would come between them.
        return
    kind, channel = pack.counts[0], (pack.channels or (Channel.TERMINAL,))[0]
    after = obligation(pack, who, [*acts, Act("new", before.opens, kind, channel)])
    assert after.last is not None
    assert after.last.act_id == "new"
    assert after.due >= before.due
    assert after.stop_from >= before.stop_from


@given(ENTITLED, ACTS, DAYS)
def test_without_a_gap_one_act_more_never_certifies_for_less(who: Entitled, acts: list[Act], day: date) -> None:
    for pack_id in ("SX-2018", "HZ-2020", "GZ-2018", "SJZ-2017"):
        pack = shipped_pack(pack_id)
        more = [*acts, Act("more", day, ActKind.LIVE, Channel.TERMINAL)]
        before, after = obligation(pack, who, acts), obligation(pack, who, more)
        if before.last is not None:
            assert after.due >= before.due


@given(ACTS)
def test_r2_3_acts_that_count_are_three_months_apart(acts: list[Act]) -> None:
    pack = shipped_pack("LZ-2019")
    who = Entitled(date(2015, 1, 1))
    counted: list[Act] = []
    ordered = sorted(acts, key=lambda act: (act.day, act.act_id))
    for index in range(len(ordered)):
        last = obligation(pack, who, ordered[: index + 1]).last
        if last is not None and (not counted or counted[-1] != last):
            counted.append(last)
    for first, second in pairwise(counted):
        assert second.day >= add_months(first.day, 3)
        assert (first.day.year, first.day.month > 6) < (second.day.year, second.day.month > 6)


@pytest.mark.parametrize(
    ("born", "day", "opens", "due"),
    [
        # In the month of birth.
        ("1950-05-31", "2024-05-10", "2025-05-01", "2025-05-31"),
        ("1950-02-10", "2023-02-10", "2024-02-01", "2024-02-29"),
        # From 80 years on a month earlier, also over New Year.
        ("1940-05-31", "2024-05-10", "2025-04-01", "2025-05-31"),
        ("1940-01-15", "2024-01-10", "2024-12-01", "2025-01-31"),
        # Reaches 80 only during the window: not earlier yet.
        ("1945-05-02", "2024-05-10", "2025-05-01", "2025-05-31"),
    ],
)
def test_birth_month_with_an_early_window_from_80(
    born: str, day: str, opens: str, due: str, act: Callable[..., Act], varied: Callable[..., RulePack]
) -> None:
    pack = varied("SX-2018", forbids=[], cycle={"kind": "birth_month", "early_from_age": 80, "early_months": 1})
    found = obligation(pack, Entitled(date(2010, 1, 1), date.fromisoformat(born)), [act(day)])
    assert (str(found.opens), str(found.due)) == (opens, due)


def test_who_has_no_known_birthday_has_the_whole_year(act: Callable[..., Act], varied: Callable[..., RulePack]) -> None:
    pack = varied("SX-2018", forbids=[], cycle={"kind": "birth_month"})
    found = obligation(pack, Entitled(date(2010, 1, 1)), [act("2024-05-10")])
    assert (found.opens, found.due) == (date(2025, 1, 1), date(2025, 12, 31))


def test_a_window_over_new_year_is_one_window(act: Callable[..., Act], varied: Callable[..., RulePack]) -> None:
    pack = varied(
        "SJZ-2017", cycle={"kind": "annual_window", "opens": "12-01", "closes": "01-31"}, stop={"months_after_due": 1}
    )
    found = obligation(pack, Entitled(date(2010, 1, 1)), [act("2024-01-20")])
    assert (found.opens, found.due, found.stop_from) == (date(2024, 12, 1), date(2025, 1, 31), date(2025, 2, 1))


@pytest.mark.parametrize(
    ("today", "state"),
    [
        ("2024-06-15", CertificationState.EXPIRING),
        ("2024-06-16", CertificationState.EXPIRING),
        ("2024-06-25", CertificationState.EXPIRING),
        ("2024-06-26", CertificationState.OVERDUE),
    ],
)
def test_grace_days_keep_somebody_from_being_overdue(
    today: str, state: CertificationState, act: Callable[..., Act], varied: Callable[..., RulePack]
) -> None:
    pack = varied("SX-2018", clocks={"grace_days": 10})
    found = obligation(pack, Entitled(date(2010, 1, 1)), [act("2023-06-15")])
    assert state_on(found, date.fromisoformat(today)) is state


def test_a_stop_never_comes_before_the_grace_is_over(act: Callable[..., Act], varied: Callable[..., RulePack]) -> None:
    pack = varied("SX-2018", clocks={"grace_days": 40})
    found = obligation(pack, Entitled(date(2010, 1, 1)), [act("2023-06-15")])
    assert (found.overdue, found.stop_from) == (date(2024, 7, 26), date(2024, 8, 1))


@given(ENTITLED, ACTS)
def test_no_shipped_pack_of_one_period_stops_anybody_who_is_not_overdue(who: Entitled, acts: list[Act]) -> None:
    for pack_id in ("SX-2018", "HZ-2020", "GZ-2018", "SJZ-2017"):
        found = obligation(shipped_pack(pack_id), who, acts)
        assert found.stop_from >= found.overdue


@pytest.mark.parametrize(
    ("pack_id", "listed", "due", "stop"),
    [
        ("SX-2018", "2026-11-20", "2027-11-20", "2027-12-01"),
        ("SJZ-2017", "2026-09-20", "2026-10-31", "2026-12-01"),
        ("SJZ-2017", "2026-11-20", "2027-10-31", "2027-12-01"),
        # Not asked for the whole of 2026, so not stopped in its December.
        ("LZ-2019", "2026-11-20", "2026-12-31", "2027-12-21"),
        ("LZ-2019", "2026-01-01", "2026-06-30", "2026-12-21"),
    ],
)
def test_nobody_is_overdue_for_what_was_before_these_lists(pack_id: str, listed: str, due: str, stop: str) -> None:
    found = obligation(shipped_pack(pack_id), Entitled(date(2010, 1, 1), listed=date.fromisoformat(listed)), [])
    assert (str(found.due), str(found.stop_from)) == (due, stop)
    assert found.overdue > date.fromisoformat(listed)


def test_r9_2_who_has_no_certification_yet_is_asked_at_once(act: Callable[..., Act]) -> None:
    pack = shipped_pack("SX-2018")
    who = Entitled(date(2010, 1, 1), listed=date(2026, 11, 20))
    found = obligation(pack, who, [])
    assert (found.asked, found.expiring, found.due) == (date(2026, 11, 20), date(2027, 10, 21), date(2027, 11, 20))
    after = obligation(pack, who, [act("2026-12-01")])
    assert (after.asked, after.due) == (date(2027, 11, 1), date(2027, 12, 1))
