"""One case as it is shown to staff: what was recorded, what the machine found, what happened, who looked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from fleet.audit.log import UNNAMED
from fleet.audit.log import note as note_audit
from fleet.cases import history
from fleet.cases.machine import UNDER_REVIEW, Case, Step, evidence_until
from fleet.cases.opening import Registry
from fleet.keys import FieldCipher
from fleet.store import case_files, cases
from fleet.store.case_files import FileFacts
from fleet.store.case_numbers import number_of
from fleet.store.cases import StoredCase, View
from fleet.store.records import record_of
from protocol.explain import explain
from protocol.records import CertificationRecord

HIDDEN = "not shown before the case is decided"


@dataclass(frozen=True, slots=True)
class Look:
    """What one sees of a case."""

    facts: dict[str, Any]
    pictures: list[dict[str, Any]]
    history: list[dict[str, Any]]
    views: list[dict[str, Any]]


def look_at(
    connection: Connection, office: Registry, case_id: str, *, by: str | None, kept: timedelta, now: datetime
) -> Look:
    """Return what is to be seen of a case.

    While it is in review nobody is shown what another reviewer said, so that two persons are two opinions. Names and notes are for those
    who say who they are. Every look is in the audit log.

    Args:
        connection: where.
        office: cipher and time zone.
        case_id: which case.
        by: who looks; None for somebody unnamed, who is shown neither names nor notes.
        kept: so long evidence is kept after a case is over.
        now: when.

    Raises:
        NotFound: if there is none of this id.
    """
    case = history.read(connection, case_id)
    found = cases.find_case(connection, case_id)
    record = None if case.first.record_id is None else record_of(connection, case.first.record_id)
    pictures = [] if found is None else [_photo(photo, found) for photo in found.case.photos]
    pictures += [_file(file) for file in case_files.files_of(connection, case_id)]
    until = evidence_until(case, kept)
    deleted = {} if until is None or not pictures else {"evidence_until": until.isoformat(timespec="seconds")}
    facts = {
        "number": number_of(connection, case_id),
        **_of_case(case),
        **deleted,
        **_of_terminal(found),
        **_of_record(record),
    }
    look = Look(
        {name: value for name, value in facts.items() if value not in (None, "", [], {})},
        pictures,
        [_step(told, case, with_words=by is not None) for told in history.told(connection, office.cipher, case_id)],
        [_view(view, office.cipher, case_id) for view in cases.views_of(connection, case_id)],
    )
    _note(connection, office, case, UNNAMED if by is None else by, now)
    return look


def _note(connection: Connection, office: Registry, case: Case, by: str, now: datetime) -> None:
    note_audit(
        connection,
        office.cipher,
        actor=by,
        action="case.viewed",
        object_kind="case",
        object_id=case.case_id,
        detail={"state": case.state.value},
        now=now,
    )


def _of_case(case: Case) -> dict[str, Any]:
    return {
        "case_id": case.case_id,
        "kind": case.kind.value,
        "state": case.state.value,
        "subject_id": case.subject_id,
        "asked_at": case.first.asked_at.isoformat(timespec="seconds"),
        "due_on": case.first.due_on.isoformat(),
        "certifies_from": case.sample_at.isoformat(timespec="seconds"),
        "lacking": sorted(case.lacking),
        "round": case.round_number,
        "records": sorted(source.record_id for source in case.sources if source.record_id is not None),
        "decided_at": None if case.decided_at is None else case.decided_at.isoformat(timespec="seconds"),
        "decided_for": None if case.state in UNDER_REVIEW else case.reason,
        "ways": list(case.ways),
        "planned_on": None if case.planned_on is None else case.planned_on.isoformat(),
        "planned_for": case.planned_for,
        **dict(case.facts),
    }


def _of_terminal(found: StoredCase | None) -> dict[str, Any]:
    if found is None:
        return {}
    fields = found.case.model_dump(mode="json", exclude={"photos", "reference", "type", "version", "previous", "kind"})
    return {
        **fields,
        "received_at": found.received_at.isoformat(),
        "closed_at": None if found.closed_at is None else found.closed_at.isoformat(),
        "chain": found.chain,
        "flags": found.flags,
        "brings_reference": None if found.case.reference is None else found.case.reference.reference_id,
    }


def _of_record(record: CertificationRecord | None) -> dict[str, Any]:
    """Return what a session found, with the scores: what the machine could not decide is what a person looks at."""
    if record is None:
        return {}
    seen = record.comparison
    return {
        "outcome": record.decision.outcome.value,
        "reasons": [reason.value for reason in record.decision.reasons],
        "path": record.decision.path.value,
        "operator": record.operator,
        "witness": record.witness,
        "comparison": None
        if seen is None
        else {
            "zone": seen.zone,
            "score": round(seen.score, 4),
            "match_threshold": seen.match_threshold,
            "grey_threshold": seen.grey_threshold,
            "reference": seen.capture.value,
        },
        "evidence": [explain(result, "en") for result in record.evidence],
        "quality": record.quality,
    }


def _photo(photo: Any, found: StoredCase) -> dict[str, Any]:
    return {**photo.model_dump(mode="json"), "here": photo.attachment in found.here}


def _file(file: FileFacts) -> dict[str, Any]:
    return {
        "role": file.role,
        "media": file.media,
        "image_bytes": file.file_bytes,
        "checks": file.checks,
        "here": file.deleted_at is None,
        "added_at": file.added_at.isoformat(timespec="seconds"),
    }


def _step(told: history.Told, case: Case, *, with_words: bool) -> dict[str, Any]:
    event = told.event
    is_hidden = event.step is Step.VERDICT and case.state in UNDER_REVIEW and event.verdict is not None
    by = told.name if with_words else ("somebody" if told.name else None)
    return {
        "at": event.at.isoformat(timespec="seconds"),
        "step": event.step.value,
        "what": HIDDEN
        if is_hidden
        else " ".join(filter(None, (event.role, event.verdict, event.reason, event.worker))),
        "by": by or "the fleet",
        "note": (HIDDEN if is_hidden else told.note) if with_words and told.note else None,
    }


def _view(view: View, cipher: FieldCipher, case_id: str) -> dict[str, Any]:
    return {
        "role": view.role,
        "reader": cipher.decrypt(view.reader_sealed, subject_id=case_id, field_name="approver"),
        "reason": cipher.decrypt(view.reason_sealed, subject_id=case_id, field_name="view_reason"),
        "viewed_at": view.viewed_at.isoformat(timespec="seconds"),
    }
