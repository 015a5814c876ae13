"""PURE. What each role may do, and where. One table; pages and commands ask here and nowhere else.

A grant gives a role in an area and all areas below it, or in the whole fleet. What somebody may do is the union of their grants; what
keeps two duties in two hands is in `CONFLICTS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What somebody is for the agency."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    REVIEWER = "reviewer"
    AREA_ADMINISTRATOR = "area_administrator"
    FLEET_ADMINISTRATOR = "fleet_administrator"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """What a page or an action asks for."""

    OVERVIEW = "overview"
    PEOPLE = "people"
    """Look at people, one by one and in lists."""
    PEOPLE_CHANGE = "people.change"
    """Report a loss or a life event, note an attempt to reach somebody, take in lists and photographs."""
    PEOPLE_IMPORT = "people.import"
    """Take in lists of who is paid, which make people and move them."""
    STOPS = "stops"
    """Look at stops of benefits, proposed and in force."""
    STOPS_PREPARE = "stops.prepare"
    """Steps of the stop guard that are nobody's decision: notice, attempts."""
    STOPS_APPROVE = "stops.approve"
    TERMINALS = "terminals"
    TERMINALS_COMMAND = "terminals.command"
    CASES = "cases"
    CASES_OPEN = "cases.open"
    CASES_REVIEW = "cases.review"
    """Decide cases, and open their sealed pictures to do so."""
    RULES = "rules"
    RULES_PROPOSE = "rules.propose"
    RULES_APPROVE = "rules.approve"
    FIGURES = "figures"
    DUPLICATES = "duplicates"
    DUPLICATES_DECIDE = "duplicates.decide"
    REMINDERS = "reminders"
    REMINDERS_SEND = "reminders.send"
    EXCHANGE = "exchange"
    EXCHANGE_DELIVER = "exchange.deliver"
    CONTRADICTIONS_DECIDE = "contradictions.decide"
    AUDIT = "audit"
    PRIVACY = "privacy"
    PRIVACY_ERASE = "privacy.erase"
    ACCOUNTS = "accounts"
    """Give and take roles, within one's own areas."""


_P = Permission
_LOOK = {_P.OVERVIEW, _P.PEOPLE, _P.TERMINALS, _P.RULES, _P.FIGURES}
_ADMINISTER = {
    *_LOOK,
    *{
        _P.PEOPLE_CHANGE,
        _P.PEOPLE_IMPORT,
        _P.STOPS,
        _P.STOPS_PREPARE,
        _P.TERMINALS_COMMAND,
        _P.CASES,
        _P.CASES_OPEN,
        _P.REMINDERS,
        _P.REMINDERS_SEND,
    },
    *{_P.EXCHANGE, _P.EXCHANGE_DELIVER, _P.ACCOUNTS},
}
PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.VIEWER: frozenset({_P.OVERVIEW, _P.TERMINALS, _P.RULES, _P.FIGURES}),
        Role.OPERATOR: frozenset(
            _LOOK
            | {_P.PEOPLE_CHANGE, _P.STOPS, _P.STOPS_PREPARE, _P.CASES, _P.CASES_OPEN, _P.REMINDERS, _P.REMINDERS_SEND}
        ),
        Role.REVIEWER: frozenset(
            _LOOK
            | {_P.CASES, _P.CASES_REVIEW, _P.STOPS, _P.STOPS_APPROVE, _P.DUPLICATES, _P.DUPLICATES_DECIDE, _P.EXCHANGE}
            | {_P.CONTRADICTIONS_DECIDE}
        ),
        Role.AREA_ADMINISTRATOR: frozenset(_ADMINISTER),
        Role.FLEET_ADMINISTRATOR: frozenset(
            _ADMINISTER | {_P.RULES_PROPOSE, _P.RULES_APPROVE, _P.AUDIT, _P.PRIVACY, _P.PRIVACY_ERASE}
        ),
        Role.AUDITOR: frozenset(
            _LOOK | {_P.STOPS, _P.CASES, _P.DUPLICATES, _P.REMINDERS, _P.EXCHANGE, _P.AUDIT, _P.PRIVACY}
        ),
    }
)
"""Who may do what. A viewer sees figures and terminals, no person; an auditor sees everything and changes nothing."""

CONFLICTS: frozenset[frozenset[Role]] = frozenset(
    {
        # Who decides about a case does not take in what is decided, and gives nobody roles.
        frozenset({Role.REVIEWER, Role.OPERATOR}),
        frozenset({Role.REVIEWER, Role.AREA_ADMINISTRATOR}),
        frozenset({Role.REVIEWER, Role.FLEET_ADMINISTRATOR}),
        # Who audits does nothing that is audited.
        *(frozenset({Role.AUDITOR, role}) for role in Role if role not in (Role.AUDITOR, Role.VIEWER)),
    }
)
"""Pairs of roles that nobody holds at once, in whatever areas."""

FLEET_WIDE_ROLES = frozenset({Role.FLEET_ADMINISTRATOR})
"""Roles that exist in the whole fleet only."""
GIVEN_BY_AREA = frozenset({Role.VIEWER, Role.OPERATOR, Role.REVIEWER})
"""Roles that an area's administrator may give, in areas of their own."""
DECISIVE_ROLES = frozenset({Role.REVIEWER, Role.AREA_ADMINISTRATOR, Role.FLEET_ADMINISTRATOR})
"""Roles whose holders are the persons of a decision by two, or make such holders: two administrators give them."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role somewhere."""

    role: Role
    area: str | None
    """Code of the area, those below it included; None for the whole fleet."""


def permissions_of(grants: Iterable[Grant]) -> frozenset[Permission]:
    """Return what somebody with these grants may do somewhere."""
    return frozenset(permission for grant in grants for permission in PERMISSIONS[grant.role])


def areas_for(grants: Iterable[Grant], permission: Permission) -> frozenset[str] | None:
    """Return at the top of which areas somebody has a permission; None for the whole fleet, empty for nowhere."""
    having = [grant.area for grant in grants if permission in PERMISSIONS[grant.role]]
    if None in having:
        return None
    return frozenset(area for area in having if area is not None)


def conflicts_of(roles: Iterable[Role]) -> list[frozenset[Role]]:
    """Return which pairs of these roles must not be in one hand."""
    held = set(roles)
    return sorted((pair for pair in CONFLICTS if pair <= held), key=sorted)
