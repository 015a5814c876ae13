"""Months that are paid, withheld, paid back and claimed back, on the sources' own dates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.benefits.months import (
    Months,
    account,
    arrears,
    fine_bounds,
    is_claim_in_time,
    is_without_trace,
    losses,
    mismatches,
    month_of_stop,
    overpaid_months,
    unpaid_months,
)
from protocol.rules.life import LifeEvent, LifeEventKind
from protocol.rules.pack import Recovery
from protocol.shipped_packs import shipped_pack


def month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def months(*texts: str) -> tuple[date, ...]:
    return tuple(month(text) for text in texts)


@pytest.mark.parametrize(
    ("pack_id", "stop_day", "first_unpaid"),
    [
        ("LZ-2019", date(2019, 12, 21), "2020-01"),
        ("SJZ-2017", date(2017, 12, 1), "2017-12"),
        ("GZ-2018", date(2018, 7, 1), "2018-07"),
    ],
)
def test_r7_1_r7_3_r7_4_the_first_unpaid_month_of_a_stop_day(pack_id: str, stop_day: date, first_unpaid: str) -> None:
    found = shipped_pack(pack_id).stop.from_day
    assert found is not None
    assert found.in_year(stop_day.year) == stop_day
    assert month_of_stop(stop_day) == month(first_unpaid)


def test_r7_4_r7_5_stopped_from_july_2018_and_back_in_october_three_months_are_paid_back() -> None:
    stop = Months(month("2018-07"), month("2018-10"))
    assert arrears([stop], month("2018-10"), []) == months("2018-07", "2018-08", "2018-09")


def test_r7_6_back_in_the_month_of_the_stop_nothing_is_left_to_pay_back() -> None:
    assert arrears([Months(month("2017-12"), month("2017-12"))], month("2017-12"), []) == ()


def test_r7_7_months_in_prison_are_not_paid_back() -> None:
    lost = losses([LifeEvent(LifeEventKind.SENTENCE, date(2019, 2, 10), date(2019, 5, 15))])
    assert lost == (Months(month("2019-03"), month("2019-05")),)
    stop = Months(month("2019-02"), month("2019-07"))
    assert arrears([stop], month("2019-07"), lost) == months("2019-02", "2019-05", "2019-06")


def test_r7_7_a_release_that_is_reported_apart_ends_the_prison_term_before_it() -> None:
    term = LifeEvent(LifeEventKind.SENTENCE, date(2019, 2, 10))
    before = LifeEvent(LifeEventKind.RELEASE, date(2019, 2, 10))
    after = LifeEvent(LifeEventKind.RELEASE, date(2019, 5, 15))
    later = LifeEvent(LifeEventKind.RELEASE, date(2021, 1, 1))
    assert losses([later, term, after, before]) == (Months(month("2019-03"), month("2019-05")),)
    assert losses([term, before]) == (Months(month("2019-03"), None),)
    again = LifeEvent(LifeEventKind.SENTENCE, date(2020, 1, 1))
    assert losses([again, term, after]) == (Months(month("2020-02"), None), Months(month("2019-03"), month("2019-05")))


def test_r7_8_months_of_a_missing_person_are_not_paid_back_and_a_short_loss_costs_none() -> None:
    lost = losses([LifeEvent(LifeEventKind.MISSING, date(2019, 2, 28))])
    stop = Months(month("2019-02"), month("2019-04"))
    assert arrears([stop], month("2019-04"), lost) == months("2019-02")
    assert losses([LifeEvent(LifeEventKind.MISSING, date(2019, 2, 3), date(2019, 3, 31))]) == ()


def test_r7_9_payment_ends_from_the_month_after_the_loss() -> None:
    lost = losses([LifeEvent(LifeEventKind.DEATH, date(2020, 12, 31))])
    assert lost == (Months(month("2021-01"), None),)
    assert losses([LifeEvent(LifeEventKind.HOSPITAL, date(2020, 12, 31))]) == ()


def test_r7_10_months_paid_after_the_month_of_the_death_are_overpaid() -> None:
    lost = losses([LifeEvent(LifeEventKind.DEATH, date(2020, 3, 5))])
    stop = [Months(month("2020-07"), None)]
    found = overpaid_months(month("2010-01"), month("2020-12"), stop, lost)
    assert found == months("2020-04", "2020-05", "2020-06")


def test_r7_12_a_claim_is_in_time_within_the_month_of_death() -> None:
    assert is_claim_in_time(date(2018, 5, 1), date(2018, 5, 31))
    assert not is_claim_in_time(date(2018, 5, 31), date(2018, 6, 1))


def test_r7_14_stopped_for_more_than_three_months_without_a_trace() -> None:
    rules, stopped = shipped_pack("SJZ-2017").recovery, date(2017, 12, 1)
    assert rules.no_trace_months == 3
    assert not is_without_trace(stopped, None, date(2018, 3, 1), rules)
    assert is_without_trace(stopped, None, date(2018, 3, 2), rules)
    assert is_without_trace(stopped, date(2017, 11, 30), date(2018, 3, 2), rules)
    assert not is_without_trace(stopped, date(2017, 12, 1), date(2018, 3, 2), rules)


def test_r7_15_data_that_disagree_are_named_and_what_one_side_lacks_is_not() -> None:
    certified = {"birth_date": "1940-01-01", "sex": "male", "region": None}
    paid = {"birth_date": "1941-01-01", "sex": "male", "region": "620102", "scheme": "pension"}
    assert mismatches(certified, paid) == ("birth_date",)
    assert mismatches(paid, certified) == ("birth_date",)


def test_r7_18_a_fine_is_two_to_five_times_the_sum() -> None:
    assert fine_bounds(Decimal("1200.50"), Recovery()) == (Decimal("2401.00"), Decimal("6002.50"))
    with pytest.raises(ValueError, match="above 0"):
        fine_bounds(Decimal(0), Recovery())


def test_unpaid_months_of_overlapping_spans_count_once() -> None:
    spans = [Months(month("2019-01"), month("2019-04")), Months(month("2019-03"), None)]
    assert unpaid_months(spans, month("2019-06")) == months("2019-01", "2019-02", "2019-03", "2019-04", "2019-05")


INDEXES = st.integers(0, 60)


def at(index: int) -> date:
    return date(2017 + index // 12, index % 12 + 1, 1)


SPANS = st.tuples(INDEXES, st.none() | st.integers(0, 30)).map(
    lambda found: Months(at(found[0]), None if found[1] is None else at(found[0] + found[1]))
)
LOSSES = st.builds(
    lambda kind, index, day, length: LifeEvent(
        kind, at(index).replace(day=day), None if length is None else at(index + length).replace(day=day)
    ),
    st.sampled_from(LifeEventKind),
    INDEXES,
    st.integers(1, 28),
    st.none() | st.integers(0, 20),
)


@given(INDEXES, st.integers(0, 60), st.lists(SPANS, max_size=4), st.lists(LOSSES, max_size=3))
def test_r7_5_paid_withheld_and_paid_back_months_are_all_months_each_once(
    first: int, length: int, unpaid: list[Months], events: list[LifeEvent]
) -> None:
    lost = losses(events)
    found = account(at(first), at(first + length), unpaid, lost)
    everything = sorted([*found.paid, *found.paid_back, *found.withheld])
    assert everything == [at(index) for index in range(first, first + length)]
    assert set(found.overpaid) <= set(found.paid)
    assert all(any(span.has(each) for span in lost) for each in found.overpaid)
    closed = [span for span in unpaid if span.until is not None]
    if len(closed) == len(unpaid):
        back = [each for each in arrears(closed, at(first + length), lost) if each >= at(first)]
        assert list(found.paid_back) == back
