"""The clocks of a report, and a person's history in one order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.benefits.reports import report_clocks
from fleet.benefits.timeline import Entry, merged
from fleet.errors import Refused
from protocol.rules.pack import Clocks
from protocol.shipped_packs import shipped_pack

SHANGHAI = ZoneInfo("Asia/Shanghai")
DIED = date(2018, 5, 1)
SX = shipped_pack("SX-2018").clocks


def days(count: int) -> date:
    return DIED + timedelta(days=count)


@pytest.mark.parametrize(("took", "late"), [(0, 0), (7, 0), (8, 1), (30, 23)])
def test_r8_1_the_family_has_seven_days(took: int, late: int) -> None:
    found = report_clocks(DIED, days(took), days(took), is_passed_on=False, clocks=SX)
    assert (found.family.late_days, found.unit) == (late, None)
    assert str(found.family) == (
        f"in time ({took} of 7 days)" if not late else f"late by {late} days ({took} of 7 days)"
    )


@pytest.mark.parametrize(("took", "late"), [(0, 0), (3, 0), (4, 1), (10, 7)])
def test_r8_2_the_unit_has_three_days_from_when_the_family_told_it(took: int, late: int) -> None:
    found = report_clocks(DIED, days(5), days(5 + took), is_passed_on=True, clocks=SX)
    assert found.unit is not None
    assert (found.unit.late_days, found.family.late_days) == (late, 0)


def test_another_pack_may_give_other_days() -> None:
    found = report_clocks(
        DIED, days(8), days(9), is_passed_on=True, clocks=Clocks(family_report_days=10, unit_report_days=1)
    )
    assert found.unit is not None
    assert (found.family.late_days, found.unit.late_days) == (0, 0)


@pytest.mark.parametrize(("reported", "received"), [(-1, 0), (3, 2)])
def test_days_that_go_back_are_refused(reported: int, received: int) -> None:
    with pytest.raises(Refused, match="go forward"):
        report_clocks(DIED, days(reported), days(received), is_passed_on=True, clocks=SX)


ENTRIES = st.builds(
    Entry,
    st.sampled_from(["record", "act", "benefit.restored"]),
    st.text("ab", min_size=1, max_size=3),
    st.datetimes(datetime(2018, 1, 1), datetime(2018, 1, 4)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001 - hypothesis wants naive bounds
    st.none(),
    st.just({}),
)


@given(st.lists(ENTRIES, unique_by=lambda entry: (entry.kind, entry.entry_id)), st.randoms(use_true_random=False))
def test_the_order_of_a_history_does_not_depend_on_the_order_in_which_it_was_found(
    entries: list[Entry], random: object
) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = merged(shuffled, zone=SHANGHAI)
    assert found == merged(entries, zone=SHANGHAI)
    assert [entry.moment(SHANGHAI) for entry in found] == sorted(entry.moment(SHANGHAI) for entry in entries)


def test_what_has_only_a_day_stands_before_the_rest_of_that_day_where_the_agency_is() -> None:
    day = Entry("life_event", "e", None, date(2018, 5, 1), {})
    evening = Entry("record", "r", datetime(2018, 4, 30, 15, 59, tzinfo=UTC), None, {})
    morning = Entry("record", "s", datetime(2018, 4, 30, 16, 1, tzinfo=UTC), None, {})
    assert merged([morning, day, evening], zone=SHANGHAI) == [evening, day, morning]


def test_an_entry_without_any_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="neither a moment nor a day"):
        merged([Entry("act", "a", None, None, {})], zone=SHANGHAI)
