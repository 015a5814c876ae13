"""What the pages of cases have in common: which cases a visitor may see, and what is said of what was refused."""

from __future__ import annotations

from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.cases.catalogue import texts
from fleet.cases.opening import Registry
from fleet.errors import DatabaseUnavailable, FleetError, NotFound
from fleet.references.enrol import find_subject
from fleet.store import subjects
from fleet.store.case_queue import area_of
from fleet.web.saying import all_said
from fleet.web.visits import Visit, not_found


def office_of(visit: Visit) -> Registry:
    """Return what cases are worked on with."""
    return Registry(visit.cipher, visit.zone)


def demand_within(visit: Visit, connection: Connection, case_id: str, permission: Permission) -> str | None:
    """Return the area of a case in which the visitor has a permission; what lies elsewhere is answered like what does not exist."""
    exists, area = area_of(connection, case_id)
    codes = visit.codes(connection, permission)
    if not exists or (codes is not None and area not in codes):
        raise not_found()
    return area


def is_within(visit: Visit, connection: Connection, area: str | None, permission: Permission) -> bool:
    """Return whether the visitor has a permission in an area; what lies in none is the whole fleet's."""
    if not visit.visitor.may(permission):
        return False
    codes = visit.codes(connection, permission)
    return codes is None or area in codes


def person_within(visit: Visit, connection: Connection, who: str, permission: Permission) -> str:
    """Return the id of somebody within the visitor's areas, named by id or document number.

    Raises:
        NotFound: if there is nobody; that somebody is elsewhere reads the same.
    """
    subject = subjects.find_by_id(connection, find_subject(connection, who, visit.keys))
    if subject is None or not is_within(visit, connection, subject.area, permission):
        raise NotFound("nobody within the visitor's areas", code="nobody")
    return subject.subject_id


def refusals(visit: Visit, error: FleetError) -> list[str]:
    """Return why something was refused, in the visitor's language; no reason is lost.

    Raises:
        DatabaseUnavailable: if that is what it is; it has an answer of its own.
    """
    if isinstance(error, DatabaseUnavailable):
        raise error
    return all_said(visit.texts["cases"], error)


def letter_words(visit: Visit, table: str, code: str) -> str:
    """Return a word of the catalogue of cases, which letters and lists use as well."""
    return str(texts(visit.language)[table].get(code, code))
