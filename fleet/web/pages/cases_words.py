"""What the pages of cases have in common: which cases a visitor may see, and what is said of what was refused."""

from __future__ import annotations

from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.cases.catalogue import texts
from fleet.cases.opening import Registry
from fleet.errors import DatabaseUnavailable, FleetError, NotFound
from fleet.references.enrol import find_subject
from fleet.store import subjects
from fleet.store.case_queue import is_case_within
from fleet.store.subject_areas import outside_of
from fleet.web.saying import all_said
from fleet.web.visits import Visit, not_found


def office_of(visit: Visit) -> Registry:
    """Return what cases are worked on with."""
    return Registry(visit.cipher, visit.zone)


def demand_within(visit: Visit, connection: Connection, case_id: str, permission: Permission) -> None:
    """Answer a case that lies where the visitor has not a permission like one that does not exist."""
    if not is_within(visit, connection, case_id, permission):
        raise not_found()


def is_within(visit: Visit, connection: Connection, case_id: str, permission: Permission) -> bool:
    """Return whether there is such a case where the visitor has a permission; what lies in no area is the whole fleet's."""
    return visit.visitor.may(permission) and is_case_within(connection, case_id, visit.codes(connection, permission))


def person_within(visit: Visit, connection: Connection, who: str, permission: Permission) -> str:
    """Return the id of somebody within the visitor's areas, named by id or document number.

    Raises:
        NotFound: if there is nobody; that somebody is elsewhere reads the same.
    """
    subject = subjects.find_by_id(connection, find_subject(connection, who, visit.keys))
    codes = visit.codes(connection, permission)
    if subject is None or (codes is not None and outside_of(connection, [subject.subject_id], codes)):
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
