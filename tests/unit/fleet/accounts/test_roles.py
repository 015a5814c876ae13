from __future__ import annotations

import itertools
import runpy
from pathlib import Path

import pytest

from fleet.accounts.roles import (
    CONFLICTS,
    FLEET_WIDE_ROLES,
    GIVEN_BY_AREA,
    PERMISSIONS,
    Grant,
    Permission,
    Role,
    areas_for,
    conflicts_of,
    permissions_of,
)

DOCS = Path(__file__).parents[4] / "docs"
_CHANGES = {permission for permission in Permission if "." in permission.value} | {Permission.ACCOUNTS}


def test_the_page_of_roles_is_current() -> None:
    made = runpy.run_path(str(DOCS / "build_roles.py"))
    assert (DOCS / "roles.md").read_text(encoding="utf-8") == made["page"](), "run docs/build_roles.py"


def test_every_role_may_something_and_every_permission_is_somebodys() -> None:
    assert set(PERMISSIONS) == set(Role)
    assert all(PERMISSIONS.values())
    assert set().union(*PERMISSIONS.values()) == set(Permission)


def test_who_looks_changes_nothing() -> None:
    for role in (Role.VIEWER, Role.AUDITOR):
        assert not PERMISSIONS[role] & _CHANGES
    assert Permission.PEOPLE not in PERMISSIONS[Role.VIEWER]


@pytest.mark.parametrize(
    ("prepares", "decides"),
    [
        (Permission.CASES_OPEN, Permission.CASES_REVIEW),
        (Permission.STOPS_PREPARE, Permission.STOPS_APPROVE),
        (Permission.PEOPLE_CHANGE, Permission.CONTRADICTIONS_DECIDE),
        (Permission.ACCOUNTS, Permission.CASES_REVIEW),
    ],
)
def test_who_prepares_does_not_decide_with_whatever_roles_together(prepares: Permission, decides: Permission) -> None:
    for number in range(1, len(Role) + 1):
        for held in itertools.combinations(Role, number):
            if not conflicts_of(held):
                may = permissions_of(Grant(role, None) for role in held)
                assert not {prepares, decides} <= may, held


def test_conflicts_are_told_of_any_set_of_roles() -> None:
    assert conflicts_of([Role.REVIEWER, Role.OPERATOR, Role.VIEWER]) == [frozenset({Role.REVIEWER, Role.OPERATOR})]
    assert conflicts_of([Role.VIEWER, Role.AUDITOR]) == []
    assert all(len(pair) == 2 for pair in CONFLICTS)
    assert not FLEET_WIDE_ROLES & GIVEN_BY_AREA


def test_a_permission_holds_where_its_role_does() -> None:
    grants = [Grant(Role.OPERATOR, "3301"), Grant(Role.VIEWER, None)]
    assert areas_for(grants, Permission.PEOPLE) == {"3301"}
    assert areas_for(grants, Permission.FIGURES) is None
    assert areas_for(grants, Permission.AUDIT) == frozenset()
    assert areas_for([], Permission.OVERVIEW) == frozenset()
