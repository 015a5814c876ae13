from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.admission import Bracket, KnownOperator, KnownStaff, covers
from protocol.staff import Role

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
THEN = Bracket(AT, AT + timedelta(minutes=5))
ENROLLER = KnownOperator(
    roles=frozenset({Role.ENROLLER}),
    area="62",
    since=AT - timedelta(days=10),
    expires_at=AT + timedelta(days=10),
    retired_at=None,
)


def staff(operator: KnownOperator | None = ENROLLER, area: str = "620102", since: datetime | None = None) -> KnownStaff:
    return KnownStaff(area, {} if operator is None else {"w-1": operator}, since)


def changed(**changes: object) -> KnownOperator:
    return KnownOperator(**{name: changes.get(name, getattr(ENROLLER, name)) for name in ENROLLER.__slots__})


@pytest.mark.parametrize(
    ("area", "other", "expected"),
    [
        ("", "anything", True),
        ("east", "east", True),
        ("62", "620102", True),
        ("620102", "62", False),
        ("east", "east-village", True),
        ("east-", "east-village", True),
        ("east", "eastern", False),
        ("62", "62-village", True),
        ("6", "6a", False),
        ("north", "south", False),
    ],
)
def test_an_area_has_its_parts_by_their_names(area: str, other: str, expected: bool) -> None:
    assert covers(area, other) is expected


@given(st.text("ab1-/.", max_size=6), st.text("ab1-/.", max_size=6), st.text("ab1-/.", max_size=6))
def test_a_part_of_a_part_of_an_area_is_a_part_of_it_or_of_another_name(one: str, two: str, three: str) -> None:
    assert covers(one, one)
    if covers(one, two) and covers(two, one):
        assert one == two
    if covers(one, two) and covers(two, three):
        assert three.startswith(one)


def test_an_enroller_of_the_area_in_service_may_enrol() -> None:
    assert staff().may_enrol("w-1", THEN)


@pytest.mark.parametrize(
    "operator",
    [
        None,
        changed(roles=frozenset({Role.WORKER, Role.TECHNICIAN})),
        changed(area="63"),
        changed(since=AT + timedelta(days=1)),
        changed(expires_at=AT),
        changed(retired_at=AT + timedelta(minutes=1)),
    ],
    ids=["unknown", "role", "area", "not yet", "expired", "retired meanwhile"],
)
def test_nobody_else_may_enrol(operator: KnownOperator | None) -> None:
    assert not staff(operator).may_enrol("w-1", THEN)
    assert not staff(operator).may_enrol(None, THEN)


def test_who_was_retired_later_could_enrol() -> None:
    assert staff(changed(retired_at=AT + timedelta(minutes=6))).may_enrol("w-1", THEN)


def test_any_witness_vouches_where_there_were_no_operators_yet() -> None:
    assert staff(None).vouches("w-9", THEN)
    assert staff(None, since=AT + timedelta(days=1)).vouches("w-9", THEN)


def test_only_a_known_witness_in_service_vouches_where_there_are_operators() -> None:
    known = staff(changed(roles=frozenset({Role.WORKER}), area="elsewhere"), since=AT - timedelta(days=1))
    assert known.vouches("w-1", THEN)
    assert not known.vouches("w-9", THEN)
    assert not staff(changed(retired_at=AT), since=AT - timedelta(days=1)).vouches("w-1", THEN)
