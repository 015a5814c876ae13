"""Accounts come, change and go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fleet.accounts import registry
from fleet.accounts.granting import Actor, NotAllowed, Objection
from fleet.accounts.roles import Grant, Role
from fleet.accounts.signing_in import Denied, Why
from fleet.errors import NotFound, Refused
from fleet.store import approvals, areas
from fleet.store.areas import Area
from fleet.store.names import AccountName

pytestmark = pytest.mark.integration


@pytest.fixture
def tree(office: Any) -> None:
    with office.database.begin() as connection:
        areas.save_areas(
            connection,
            [
                Area("62", None, 1, "甘肃"),
                Area("6201", "62", 2, "兰州"),
                Area("620102", "6201", 3, "城关"),
                Area("63", None, 1, "青海"),
            ],
        )


def of_area(desk: Any, area: str = "6201") -> Actor:
    account_id = desk.add("Sun Li", Role.AREA_ADMINISTRATOR, area)
    visitor = desk.visitor(desk.arrive(account_id))
    assert visitor is not None
    return registry.signed_in(visitor)


def objections(raised: pytest.ExceptionInfo[NotAllowed]) -> tuple[Objection, ...]:
    return raised.value.objections


def test_a_name_stands_for_one_person_however_it_is_written(desk: Any) -> None:
    desk.add("Wang Fang")
    for name in ("wang fang", " Wang  FANG ", "Ｗａｎｇ Ｆａｎｇ"):
        with pytest.raises(Refused, match="a name stands for one person"):
            desk.add(name)
    desk.add("李建国（兰州）")
    for name in (
        "李 建国（兰州）",
        "李建国(兰州)",
        "李建国 ( 兰州 )",
        "李建国【兰州】",
        "李\u3000建国（兰州）",
        "李建国\u200b（兰州）",
    ):
        with pytest.raises(Refused, match="a name stands for one person"):
            desk.add(name)
    desk.add("李建国（天水）")
    with pytest.raises(Refused, match="name: 1 to 100"):
        desk.add("  ")
    assert len(desk.office.rows("SELECT 1 FROM accounts")) == 3


def test_the_first_account_administers_the_fleet(desk: Any) -> None:
    with pytest.raises(NotAllowed) as raised:
        desk.add("Wang Fang", Role.OPERATOR)
    assert objections(raised) == (Objection.FIRST_ADMINISTERS,)
    # Whoever installs the server gives themselves the first account, and nothing after it.
    registry.add_account(
        desk.office.database,
        desk.office.keys.cipher,
        desk.keyboard("Wang Fang"),
        name="Wang Fang",
        grant=Grant(Role.FLEET_ADMINISTRATOR, None),
        now=desk.now,
    )
    with pytest.raises(NotAllowed) as raised:
        registry.give(
            desk.office.database,
            desk.office.keys.cipher,
            desk.keyboard("WANG fang"),
            desk.office.rows("SELECT account_id FROM accounts")[0][0],
            Grant(Role.VIEWER, None),
            now=desk.now,
        )
    assert objections(raised) == (Objection.OWN_ROLES,)


def test_two_who_take_the_last_administrators_away_at_once_leave_one(desk: Any) -> None:
    ids = [desk.add("Wang Fang"), desk.add("Li Na")]
    actor = desk.keyboard()

    def disable(account_id: str) -> tuple[Objection, ...]:
        try:
            registry.disable(desk.office.database, desk.office.keys.cipher, actor, account_id, now=desk.now)
        except NotAllowed as refused:
            return refused.objections
        return ()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(disable, ids)) == [(), (Objection.LAST_ADMINISTRATOR,)]


@pytest.mark.usefixtures("tree")
def test_an_area_administrator_works_within_their_areas(desk: Any) -> None:
    desk.add("Wang Fang")
    actor, cipher, database = of_area(desk), desk.office.keys.cipher, desk.office.database
    inside = registry.add_account(
        database, cipher, actor, name="Li Na", grant=Grant(Role.OPERATOR, "620102"), now=desk.now
    )
    registry.give(database, cipher, actor, inside, Grant(Role.VIEWER, "6201"), now=desk.now)
    for grant, objection in (
        (Grant(Role.OPERATOR, "63"), Objection.AREA_NOT_YOURS),
        (Grant(Role.OPERATOR, None), Objection.AREA_NOT_YOURS),
        (Grant(Role.AREA_ADMINISTRATOR, "620102"), Objection.ROLE_NOT_YOURS),
    ):
        with pytest.raises(NotAllowed) as raised:
            registry.give(database, cipher, actor, inside, grant, now=desk.now)
        assert objections(raised) == (objection,)
    outside = desk.add("Zhou Jie", Role.OPERATOR, "63")
    for change in (registry.disable, registry.reset):
        with pytest.raises(NotAllowed) as raised:
            change(database, cipher, actor, outside, now=desk.now)
        assert objections(raised) == (Objection.AREA_NOT_YOURS,)
        change(database, cipher, actor, inside, now=desk.now)
    with database.begin() as connection:
        known = registry.accounts_for(connection, cipher, actor)
    assert {each.name for each in known} == {"Sun Li", "Li Na"}
    with pytest.raises(NotAllowed) as raised:
        registry.give(database, cipher, desk.keyboard(), outside, Grant(Role.OPERATOR, "99"), now=desk.now)
    assert objections(raised) == (Objection.AREA_UNKNOWN,)


@pytest.mark.usefixtures("tree")
def test_nobody_signed_in_makes_a_link_that_signs_in_as_somebody_else(desk: Any) -> None:
    desk.add("Wang Fang")
    actor = of_area(desk)
    account_id = desk.add("Li Na", Role.OPERATOR, "620102")
    arguments = (desk.office.database, desk.office.keys.cipher, actor, account_id)
    assert registry.make_link(*arguments, rules=desk.rules, now=desk.now).startswith("http://localhost:8080/sign-in/")
    desk.set_up(account_id)
    with pytest.raises(NotAllowed) as raised:
        registry.make_link(*arguments, rules=desk.rules, now=desk.now)
    assert objections(raised) == (Objection.SIGNS_IN_ALREADY,)


def test_out_of_service_ends_sessions_and_links_at_once_and_back_in_service_everything_is_there(desk: Any) -> None:
    desk.add("Wang Fang")
    account_id = desk.add("Li Na", Role.OPERATOR)
    cookie, _, _ = desk.set_up(account_id)
    link = desk.link(account_id)
    arguments = (desk.office.database, desk.office.keys.cipher, desk.keyboard(), account_id)
    for _ in range(2):
        registry.disable(*arguments, now=desk.now)
    assert desk.visitor(cookie) is None
    assert desk.sign_in.link(link, address=desk.address, now=desk.now) == Denied(Why.EXPIRED)
    with pytest.raises(Refused, match="out of service"):
        registry.make_link(*arguments, rules=desk.rules, now=desk.now)
    for _ in range(2):
        registry.enable(*arguments, now=desk.now)
    assert desk.type_password("Li Na") != Denied(Why.WRONG)
    assert desk.audited().count("account.disabled") == desk.audited().count("account.enabled") == 1


def test_reset_forgets_everything_somebody_signs_in_with(desk: Any) -> None:
    account_id = desk.add("Wang Fang")
    cookie, _, _ = desk.set_up(account_id)
    registry.reset(desk.office.database, desk.office.keys.cipher, desk.keyboard(), account_id, now=desk.now)
    assert desk.visitor(cookie) is None
    assert desk.type_password("Wang Fang") == Denied(Why.WRONG)
    again = desk.arrive(account_id)
    assert desk.visitor(again).must_set_up
    ways = desk.factors.ways(again, now=desk.now)
    assert (ways.has_password, ways.has_generator, ways.recovery_codes_left) == (False, False, 0)


def test_an_account_is_found_by_id_and_by_name(desk: Any) -> None:
    account_id = desk.add("Wang Fang")
    with desk.office.database.begin() as connection:
        for named in (account_id, "wang fang"):
            assert registry.find(connection, desk.office.keys.cipher, named) == account_id
        with pytest.raises(NotFound) as raised:
            registry.find(connection, desk.office.keys.cipher, "Li Na")
    assert "Li Na" not in str(raised.value)


def test_an_approval_says_whether_its_name_is_that_of_somebody_signed_in(office: Any) -> None:
    with office.database.begin() as connection:
        for name in (AccountName("Wang Fang"), "Li Na"):
            approvals.approve(connection, office.keys.cipher, "case", "1", name=name, reason="seen", now=office.now)
    rows = office.rows("SELECT name_source FROM approvals ORDER BY place")
    assert [row.name_source for row in rows] == ["account", "as_given"]
