"""Labels: by what an operator finds a subject in the name list of a terminal. They leave the fleet only inside a terminal's seal."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from fleet.keys import FieldCipher
from fleet.store import operators, subjects
from fleet.store.subjects import StoredSubject
from protocol.documents import birth_year, parse_document
from protocol.roster import SubjectLabel


def labels_of(connection: Connection, cipher: FieldCipher, subject_ids: Collection[str]) -> dict[str, SubjectLabel]:
    """Return the labels of these subjects.

    Raises:
        FleetError: if a name was stored under another key.
    """
    known = subjects.find_by_ids(connection, subject_ids)
    places = operators.place_codes(connection, {subject.area for subject in known})
    return {subject.subject_id: _label(subject, cipher, places) for subject in known}


def _label(subject: StoredSubject, cipher: FieldCipher, places: Collection[str]) -> SubjectLabel:
    who = subject.subject_id
    document = parse_document(cipher.decrypt(subject.document_sealed, subject_id=who, field_name="document"))
    return SubjectLabel(
        name=cipher.decrypt(subject.name_sealed, subject_id=who, field_name="name"),
        born=birth_year(document),
        place=subject.area if subject.area in places else None,
        document=document.kind,
    )
