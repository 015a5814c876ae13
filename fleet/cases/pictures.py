"""Pictures of cases: opened for somebody who says who and why, which is written down first; deleted when their time is over."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fleet.errors import FleetError, NotFound, Refused
from fleet.keys import FleetKeys
from fleet.store import cases
from fleet.store.database import Database
from fleet.store.names import cleaned, seal_approver
from protocol.cases import PhotoRole
from protocol.envelope import unseal
from protocol.errors import ProtocolError

_JPEG = b"\xff\xd8\xff"
"""How every JPEG begins. Source: ITU-T T.81, B.1.1.3 (SOI, then the first byte of another marker)."""


@dataclass(frozen=True, slots=True)
class PictureRules:
    """How many sealed pictures are kept, and for how long."""

    unclaimed_bytes: int
    """Most bytes of one terminal that no case names yet; what comes beyond gets no receipt, so that the terminal sends it again."""
    unclaimed: timedelta
    """How long a picture waits for the case that names it."""
    kept: timedelta
    """How long it is kept after its case is closed."""


def open_picture(
    database: Database, keys: FleetKeys, record_id: str, role: PhotoRole, *, reader: str, reason: str, now: datetime
) -> bytes:
    """Return one picture of a case as JPEG, after writing down who looks at it and why.

    Raises:
        NotFound: if there is no such case, no such picture of it, or it is not here (any more).
        Refused: if name or reason cannot be taken.
        KeysMissing: if the fleet has no sealing key.
        FleetError: if what is in the seal is no picture.
    """
    key = keys.sealing_key()
    name, why = seal_approver(keys.cipher, reader, of=record_id), cleaned(reason)
    with database.begin() as connection:
        found = cases.find_case(connection, record_id)
        if found is None:
            raise NotFound(f"case {record_id}: there is none of this id")
        photo = next((photo for photo in found.case.photos if photo.role is role), None)
        if photo is None:
            raise NotFound(f"case {record_id}: has no picture {role}")
        if photo.attachment not in found.here:
            raise NotFound(f"case {record_id}: its picture {role} has not arrived, or was deleted")
        cases.note_view(
            connection,
            record_id,
            role,
            photo.attachment,
            reader=name,
            reason_sealed=keys.cipher.encrypt(why, subject_id=record_id, field_name="view_reason"),
            now=now,
        )
    # Only now, with the ledger on the disk.
    with database.begin() as connection:
        sealed = cases.sealed_picture(connection, found.case.terminal_id, photo.attachment)
    if sealed is None:
        raise NotFound(f"case {record_id}: its picture {role} was deleted")
    try:
        picture = unseal(sealed, key=key)
    except ProtocolError as error:
        raise FleetError(f"case {record_id}: picture {role} does not open with this fleet's sealing key") from error
    if not picture.startswith(_JPEG):
        raise FleetError(f"case {record_id}: what was sealed as picture {role} is no JPEG")
    return picture


def save_picture(picture: bytes, path: Path) -> None:
    """Write a picture, readable by its owner only; an existing file is never replaced.

    Raises:
        Refused: if it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(picture)
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error
