"""What a list of people would change, looked at before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from fleet.intake.comparison import Comparison, Known, compare, with_known_schemes
from fleet.intake.people_table import PeopleList, SubjectRow
from fleet.keys import FleetKeys
from fleet.store import subjects
from fleet.store.packs import shelf_of
from fleet.store.subjects import PHONE_FIELD
from protocol.documents import claim_token

_ALL = "*"


def look(connection: Connection, keys: FleetKeys, people: PeopleList) -> tuple[PeopleList, Comparison]:
    """Return a list with its schemes as they are called here, and what it would change."""
    used = subjects.words_in_use(connection)
    shelf = shelf_of(connection)
    named = {scheme for pack in (*shelf.packs, shelf.default) for scheme in pack.schemes}
    schemes = (named - {_ALL}) | {scheme for scheme, _category in used}
    read = replace(people, rows=with_known_schemes(people.rows, schemes))
    return read, compare(read.rows, _known(connection, keys, read.rows), schemes=schemes, used=used)


def _known(connection: Connection, keys: FleetKeys, rows: Sequence[SubjectRow]) -> list[Known | None]:
    tokens = [claim_token(row.document, keys.claim_key) for row in rows]
    stored = subjects.find_by_tokens(connection, tokens)
    ids = [each.subject_id for each in stored.values()]
    benefits, phones = subjects.benefits_of(connection, ids), subjects.phones_of(connection, ids)

    def opened(sealed: bytes | None, subject_id: str, field_name: str) -> str | None:
        return None if sealed is None else keys.cipher.decrypt(sealed, subject_id=subject_id, field_name=field_name)

    found: Mapping[str, Known] = {
        token: Known(
            opened(each.name_sealed, each.subject_id, "name") or "",
            each.area,
            benefits.get(each.subject_id, {}),
            opened(phones.get(each.subject_id), each.subject_id, PHONE_FIELD),
        )
        for token, each in stored.items()
    }
    return [found.get(token) for token in tokens]
