"""What the pages of cases have in common: which cases a visitor may see, and what is said of what was refused."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.cases.catalogue import texts
from fleet.cases.desk import RequestRefused
from fleet.cases.opening import Registry
from fleet.errors import DatabaseUnavailable, FleetError, ImportRefused
from fleet.store.case_queue import area_of
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


def refusals(visit: Visit, error: FleetError) -> list[str]:
    """Return why something was refused, in the visitor's language; no reason is lost.

    Raises:
        DatabaseUnavailable: if that is what it is; it has an answer of its own.
    """
    if isinstance(error, DatabaseUnavailable):
        raise error
    if isinstance(error, ImportRefused | RequestRefused):
        return [_sentence(visit, getattr(each, "code", ""), getattr(each, "facts", {})) for each in error.problems]
    return [_sentence(visit, error.code or type(error).__name__, error.facts)]


def words(visit: Visit, table: str, codes: Sequence[str]) -> str:
    """Return the words for codes, in one line."""
    known = visit.texts["cases"][table]
    return str(visit.texts["cases"]["and"]).join(str(known[code]) if code in known else code for code in codes)


def letter_words(visit: Visit, table: str, code: str) -> str:
    """Return a word of the catalogue of cases, which letters and lists use as well."""
    return str(texts(visit.language)[table].get(code, code))


def _sentence(visit: Visit, code: str, facts: object) -> str:
    known = visit.texts["cases"]["refused"]
    if code not in known:
        return str(known["unknown"]).format(code=code)
    said = {
        name: words(visit, "roles", value) if isinstance(value, list | tuple) else value
        for name, value in dict(facts).items()  # type: ignore[call-overload]
    }
    return str(known[code]).format(**said)
