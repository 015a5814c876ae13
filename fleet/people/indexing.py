"""Makes the index of names for whoever has none: after an upgrade, or where an index was dropped to be made anew."""

from __future__ import annotations

import logging

from fleet.errors import FleetError
from fleet.keys import FieldCipher
from fleet.store import subjects
from fleet.store.database import Database
from fleet.store.name_index import tokens_of

logger = logging.getLogger(__name__)

_CHUNK = 1000
"""People of one transaction: a second or less, so that nobody who writes to one of them waits long."""


def index_names(database: Database, cipher: FieldCipher) -> int:
    """Index every name that is not yet; return how many. Killed, it goes on where it was.

    A name that does not open gets an empty entry, so that it is not tried for ever; the log says how many there were.

    Raises:
        DatabaseUnavailable: what was done before stays done.
    """
    total, closed = 0, 0
    while True:
        with database.begin() as connection:
            rows = subjects.names_not_indexed(connection, limit=_CHUNK)
            found: dict[str, list[int]] = {}
            for subject_id, sealed in rows:
                try:
                    name = cipher.decrypt(sealed, subject_id=subject_id, field_name="name")
                except FleetError:
                    closed += 1
                    name = ""
                found[subject_id] = tokens_of(cipher, name)
            if not found:
                break
            subjects.set_name_tokens(connection, found)
            total += len(found)
    if closed:
        logger.error("%d names do not open with this key and cannot be searched for", closed)
    return total
