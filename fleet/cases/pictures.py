"""Pictures of cases: opened for somebody who says who and why, which is written down first; deleted when their time is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from fleet.audit.log import note as note_audit
from fleet.cases import history
from fleet.cases.machine import demand_other
from fleet.cases.scans import PDF
from fleet.errors import FleetError, NotFound
from fleet.keys import FleetKeys
from fleet.store import case_events, case_files, cases
from fleet.store.database import Database
from fleet.store.names import cleaned, seal_approver
from protocol.envelope import unseal
from protocol.errors import ProtocolError
from protocol.keys import PrivateKey

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
    database: Database,
    keys: FleetKeys,
    case_id: str,
    role: str,
    *,
    reader: str,
    reason: str,
    is_for_review: bool = False,
    now: datetime,
) -> bytes:
    """Return one picture of a case, after writing down who looks at it and why, in the ledger and in the audit log.

    What was handed in at the agency may be a scan (PDF); everything else is a JPEG. Of several in one role the newest is given. Where it
    is for a review, who took the case in is refused.

    Raises:
        NotAllowed: if this person may not review the case.
        NotFound: if there is no such case, no such picture of it, or it is not here (any more).
        Refused: if name or reason cannot be taken.
        KeysMissing: if the fleet has no sealing key.
        FleetError: if what is in the seal is no picture.
    """
    key = keys.sealing_key()
    name, why = seal_approver(keys.cipher, reader, of=case_id), cleaned(reason)
    with database.begin() as connection:
        found = _find(connection, case_id, role)
        if is_for_review:
            demand_other(history.read(connection, case_id), name.digest.hex())
        cases.note_view(
            connection,
            case_id,
            role,
            found.digest,
            reader=name,
            reason_sealed=keys.cipher.encrypt(why, subject_id=case_id, field_name="view_reason"),
            now=now,
        )
        note_audit(
            connection,
            keys.cipher,
            actor=reader,
            action="picture.viewed",
            object_kind="case",
            object_id=case_id,
            detail={"role": role, "picture": found.digest},
            about=_people(connection, case_id),
            reason=why,
            now=now,
        )
    # Only now, with the ledger on the disk.
    with database.begin() as connection:
        sealed = _sealed(connection, found)
    if sealed is None:
        raise NotFound(f"case {case_id}: its picture {role} was deleted", code="picture_gone")
    return _opened(sealed, key, case_id, role, may_be_scan=found.terminal_id is None)


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a picture is."""

    digest: str
    """Digest of the attachment, or id of the file."""
    terminal_id: str | None
    """None for a file of the agency."""


def _people(connection: Connection, case_id: str) -> list[str]:
    case = case_events.find(connection, case_id)
    return [] if case is None or case.subject_id is None else [case.subject_id]


def _sealed(connection: Connection, found: _Found) -> bytes | None:
    if found.terminal_id is None:
        return case_files.sealed_file(connection, found.digest)
    return cases.sealed_picture(connection, found.terminal_id, found.digest)


def _opened(sealed: bytes, key: PrivateKey, case_id: str, role: str, *, may_be_scan: bool) -> bytes:
    try:
        picture = unseal(sealed, key=key)
    except ProtocolError as error:
        raise FleetError(
            f"case {case_id}: picture {role} does not open with this fleet's sealing key", code="picture_damaged"
        ) from error
    if not picture.startswith(_JPEG) and not (may_be_scan and picture.startswith(PDF)):
        raise FleetError(f"case {case_id}: what was sealed as picture {role} is no JPEG", code="picture_damaged")
    return picture


def _find(connection: Connection, case_id: str, role: str) -> _Found:
    files = [file for file in case_files.files_of(connection, case_id) if file.role == role]
    if files:
        if files[-1].deleted_at is not None:
            raise NotFound(f"case {case_id}: its picture {role} was deleted", code="picture_gone")
        return _Found(files[-1].file_id, None)
    found = cases.find_case(connection, case_id)
    if found is None and case_events.find(connection, case_id) is None:
        raise NotFound(f"case {case_id}: there is none of this id")
    photo = None if found is None else next((photo for photo in found.case.photos if photo.role == role), None)
    if found is None or photo is None:
        raise NotFound(f"case {case_id}: has no picture {role}", code="picture_gone")
    if photo.attachment not in found.here:
        raise NotFound(f"case {case_id}: its picture {role} has not arrived, or was deleted", code="picture_gone")
    return _Found(photo.attachment, found.case.terminal_id)
