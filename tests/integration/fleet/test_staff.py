"""Operators and places, and the staff lists that terminals get."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fleet.errors import NotFound, Refused
from fleet.ingest.messages import Outbound
from fleet.intake.places import import_places
from fleet.staff import lists, registry
from fleet.staff.registry import Given
from fleet.store import operators, rosters, terminals
from fleet.store.operators import StaffBook, StoredPlace
from protocol.envelope import sign, unseal, verify
from protocol.roster import ROSTER_REQUEST_TYP, RosterRequest
from protocol.staff import STAFF_TYP, Role, StaffList
from protocol.topics import Kind
from protocol.visits import Place

pytestmark = pytest.mark.integration


def add(office: Any, name: str = "甲", **changes: Any) -> Given:
    fields: dict[str, Any] = {
        "roles": [Role.WORKER],
        "area": "east",
        "valid_until": date(2027, 11, 20),
        "now": office.now - timedelta(days=1),
    }
    return registry.add_operator(office.database, office.keys, name, **{**fields, **changes})


def opened(office: Any, terminal: Any, answers: Iterable[Outbound]) -> StaffList | None:
    """The one staff list among these for this terminal."""
    public = office.keys.signing.public()
    found = [
        StaffList.parse(verify(unseal(a.payload, key=terminal.sealing), key_of=lambda _: public, typ=STAFF_TYP).payload)
        for a in answers
        if a.topic.kind is Kind.STAFF and a.topic.terminal_id == terminal.terminal_id
    ]
    assert len(found) <= 1
    return found[0] if found else None


def ask(office: Any, terminal: Any, have: int = 1) -> list[Outbound]:
    request = RosterRequest(fleet_id="north", terminal_id=terminal.terminal_id, have=have, asked_at=office.now)
    return office.send(
        terminal, sign(request.to_bytes(), key=terminal.signing, typ=ROSTER_REQUEST_TYP), kind=Kind.ROSTER_REQUEST
    )


def test_a_terminal_gets_the_operators_and_places_of_its_area(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any]
) -> None:
    far = make_fleet_terminal(terminal_id="t-2")
    office.register(far, area="west")
    given = add(office, "甲乙", roles=[Role.ENROLLER, Role.WORKER], pin="482913", with_code=True)
    everywhere = add(office, "Example", area="", operator_id="tech-1", roles=[Role.TECHNICIAN])
    places = [StoredPlace("e1", "East village", "east-1"), StoredPlace("w1", "West village", "west")]
    import_places(office.database, office.keys, places, now=office.now)
    answers = office.handler.push_staff()
    here, there = opened(office, terminal, answers), opened(office, far, answers)
    assert here is not None
    assert there is not None
    assert {o.operator_id for o in here.operators} == {given.operator_id, "tech-1"}
    assert [o.operator_id for o in there.operators] == ["tech-1"]
    assert [place.code for place in here.places] == ["e1"]
    assert [place.code for place in there.places] == ["w1"]
    assert here.expires_at == office.now + lists.STAFF_VALIDITY
    (mine,) = (o for o in here.operators if o.operator_id == given.operator_id)
    assert mine.name == "甲乙"
    assert mine.roles == (Role.WORKER, Role.ENROLLER)
    assert mine.pin is not None
    assert mine.pin.fits("482913")
    assert given.code is not None
    assert mine.code_sha256 == given.code.sha256()
    assert everywhere.pin is not None


def test_names_and_pins_lie_encrypted(office: Any) -> None:
    given = add(office, "甲乙丙")
    (row,) = office.rows("SELECT name_sealed, pin_sealed FROM operators")
    assert "甲乙丙".encode() not in bytes(row.name_sealed)
    assert b"digest" not in bytes(row.pin_sealed)
    assert given.pin is not None
    assert given.pin not in repr(given)


def test_a_list_is_sent_when_it_changed_and_before_it_runs_out(office: Any, terminal: Any) -> None:
    given = add(office)
    assert opened(office, terminal, office.handler.push_staff()) is not None
    assert office.handler.push_staff() == []
    registry.new_pin(office.database, office.keys, given.operator_id, pin="112233", now=office.now)
    changed = opened(office, terminal, office.handler.push_staff())
    assert changed is not None
    assert changed.operators[0].pin is not None
    assert changed.operators[0].pin.fits("112233")
    office.now += lists.RESEND_AFTER - timedelta(minutes=1)
    assert office.handler.push_staff() == []
    office.now += timedelta(minutes=1)
    assert opened(office, terminal, office.handler.push_staff()) is not None


def test_a_terminal_that_asks_for_its_roster_gets_a_list_that_is_due(office: Any, terminal: Any) -> None:
    add(office)
    assert opened(office, terminal, ask(office, terminal)) is not None
    assert opened(office, terminal, ask(office, terminal)) is None
    assert opened(office, terminal, ask(office, terminal, have=0)) is not None, "it may have lost everything"
    assert opened(office, terminal, office.handler.standing("t-1")) is not None
    office.now += lists.RESEND_AFTER
    assert opened(office, terminal, ask(office, terminal)) is not None


def test_who_is_retired_or_expired_is_on_no_list_any_more(office: Any, terminal: Any) -> None:
    leaving, expiring = add(office), add(office, valid_until=date(2026, 11, 20))
    office.handler.push_staff()
    registry.retire_operator(office.database, office.keys, leaving.operator_id, now=office.now)
    assert office.rows("SELECT pin_sealed, code_sha256 FROM operators WHERE retired_at IS NOT NULL") == [(None, None)]
    after = opened(office, terminal, office.handler.push_staff())
    assert after is not None
    assert [o.operator_id for o in after.operators] == [expiring.operator_id]
    office.now = datetime(2026, 11, 20, 16, 1, tzinfo=UTC)
    last = opened(office, terminal, office.handler.push_staff())
    assert last is not None
    assert last.operators == ()


def test_a_fleet_without_operators_sends_no_lists(office: Any, terminal: Any) -> None:
    assert office.handler.push_staff(anew=True) == []


def test_a_retired_terminal_gets_no_list(office: Any, terminal: Any) -> None:
    add(office)
    with office.database.begin() as connection:
        assert terminals.retire(connection, "t-1", now=office.now)
    assert office.handler.push_staff() == []


def test_a_terminal_that_is_moved_gets_the_list_of_its_new_area(office: Any, terminal: Any) -> None:
    add(office)
    assert opened(office, terminal, office.handler.push_staff()) is not None
    with office.database.begin() as connection:
        terminals.set_area(connection, "t-1", "west", now=office.now)
    after = opened(office, terminal, office.handler.push_staff())
    assert after is not None
    assert after.operators == ()


def test_where_a_terminal_stood_then_decides_who_could_be_there(office: Any, terminal: Any) -> None:
    given = add(office)
    with office.database.begin() as connection:
        terminals.set_area(connection, "t-1", "west", now=office.now + timedelta(days=1))
        book = StaffBook(connection, [given.operator_id], ["t-1"], zone=office.settings.zone())
        before, after = (book.staff_at("t-1", office.now + timedelta(days=days)) for days in (0, 2))
    assert (before.area, before.since) == ("east", office.now - timedelta(days=1))
    assert (after.area, after.since) == ("west", None)
    assert before.operators[given.operator_id].expires_at == datetime(2027, 11, 20, 16, tzinfo=UTC)


def test_ids_are_never_given_twice(office: Any) -> None:
    add(office, operator_id="204")
    registry.retire_operator(office.database, office.keys, "204", now=office.now)
    with pytest.raises(Refused, match="taken"):
        add(office, operator_id="204")


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"pin": "12345"}, "6 to 12 digits"), ({"operator_id": "a b"}, "operator id"), ({"name": " "}, "name")],
)
def test_what_is_no_pin_id_or_name_is_refused(office: Any, changes: dict[str, Any], why: str) -> None:
    fields = {"name": "甲", **changes}
    with pytest.raises(Refused, match=why):
        add(office, **fields)


def test_an_area_never_gets_more_operators_than_a_list_takes(
    office: Any, terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MOST_OPERATORS", 2)
    add(office)
    add(office)
    add(office, area="west")
    with pytest.raises(Refused, match="area east: would have 3 operators"):
        add(office)
    with office.database.begin() as connection:
        assert len(operators.all_operators(connection)) == 3


def test_nobody_can_be_retired_or_given_a_pin_who_is_not_in_service(office: Any) -> None:
    with pytest.raises(NotFound):
        registry.retire_operator(office.database, office.keys, "w-9", now=office.now)
    with pytest.raises(NotFound):
        registry.new_pin(office.database, office.keys, "w-9", now=office.now)


def test_the_witness_of_a_case_is_looked_up_and_kept_with_it(office: Any, terminal: Any) -> None:
    long_ago = office.now - timedelta(days=600)
    enroller = add(office, roles=[Role.ENROLLER], now=long_ago).operator_id
    witness = add(office, "乙", now=long_ago).operator_id
    place = Place(code="620102001", source="chosen")
    for who in (witness, "w-9", None):
        answers = office.send(terminal, terminal.next_case(operator=enroller, witness=who, place=place))
        assert office.verdicts(answers) == [("stored", None)]
    found = office.rows(
        "SELECT payload ->> 'witness' AS witness, payload -> 'place' ->> 'code' AS place, flags"
        " FROM case_records ORDER BY CAST(payload ->> 'counter' AS integer)"
    )
    assert [(row.witness, row.place, row.flags) for row in found] == [
        (witness, "620102001", []),
        ("w-9", "620102001", ["witness_unknown"]),
        (None, "620102001", []),
    ]


def test_places_are_imported_again_without_harm(office: Any) -> None:
    places = [StoredPlace("e1", "East", "east"), StoredPlace("e2", "East 2", "east")]
    first = import_places(office.database, office.keys, places, now=office.now)
    other = [*places[:1], StoredPlace("e2", "Other", "east")]
    again = import_places(office.database, office.keys, other, now=office.now)
    assert (first.new, first.changed, first.unchanged) == (2, 0, 0)
    assert (again.new, again.changed, again.unchanged) == (0, 1, 1)


def entries(office: Any, terminal: Any) -> list[Any]:
    pages = [office.page(a.payload, terminal) for a in office.handler.push_rosters() if a.topic.kind is Kind.ROSTER]
    return [entry for page in pages for entry in page.entries]


def test_a_terminal_of_an_area_can_look_people_up_by_name(office: Any, terminal: Any) -> None:
    office.import_people(2)
    import_places(office.database, office.keys, [StoredPlace("east", "East", "east")], now=office.now)
    office.assign_area("t-1")
    labels = [entry.label for entry in entries(office, terminal)]
    assert sorted((label.name, label.born, label.place, label.document.value) for label in labels) == [
        ("甲1", 1940, "east", "resident_id"),
        ("甲2", 1940, "east", "resident_id"),
    ]


def test_a_terminal_for_everybody_is_told_no_names_unless_somebody_says_so(office: Any, terminal: Any) -> None:
    office.import_people(2)
    office.assign_all("t-1")
    assert [entry.label for entry in entries(office, terminal)] == [None, None]
    with office.database.begin() as connection, rosters.renewing(connection, "t-1"):
        rosters.set_names(connection, "t-1", True)
    assert all(entry.label is not None for entry in entries(office, terminal))
    # The roster goes out anew, so that names do not stay where they are no longer wanted.
    with office.database.begin() as connection, rosters.renewing(connection, "t-1"):
        rosters.set_names(connection, "t-1", None)
    assert [(entry.label, entry.roster_version) for entry in entries(office, terminal)] == [(None, 5), (None, 6)]
    with office.database.begin() as connection, rosters.renewing(connection, "t-1"):
        rosters.set_names(connection, "t-1", False)
    assert entries(office, terminal) == []
