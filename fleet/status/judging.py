"""Judges what is stored, as often as there is a reason to: a record came, a policy was put back, an earlier enrolment arrived late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo

from sqlalchemy import Connection

from fleet.admission import Judgement, Known, KnownMade, judge
from fleet.status.background import background_of
from fleet.store import made
from fleet.store.made import LiveSpan, Made
from fleet.store.records import ClaimedPass, claimed_passes, set_judgements
from protocol.records import Purpose

_NEVER = datetime.max.replace(tzinfo=UTC)
"""The end of a reference that is only about to be stored."""


def judge_subjects(connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo, accept_simulated: bool) -> None:
    """Judge every record of these subjects that says it is a pass, by what is known now.

    Enrolments are judged in the order in which they were made, whatever the order they arrived in, because each that counts is a reference
    which the next must have been compared with.
    """
    stored = claimed_passes(connection, subject_ids)
    background = background_of(connection, [claimed.record for claimed in stored], zone=zone)
    earlier = _Earlier(connection, subject_ids, zone=zone)
    judgements: dict[str, Judgement] = {}
    for claimed in sorted(stored, key=lambda claimed: claimed.place):
        record = claimed.record
        known = background.known(record, claimed.received_at)
        if record.purpose is Purpose.ENROLMENT:
            known = earlier.asked(claimed, known)
        judgement = judge(record, known, accept_simulated=accept_simulated, received_at=claimed.received_at)
        judgements[record.record_id] = judgement
        if record.purpose is Purpose.ENROLMENT and judgement.pass_at is not None and claimed.is_good:
            earlier.add(claimed)
    set_judgements(connection, judgements)


class _Earlier:
    """What was made of each subject before a moment, as far as it can be compared with."""

    def __init__(self, connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo) -> None:
        spans = made.live_spans(connection, subject_ids, zone=zone)
        # What an enrolment made counts from that enrolment on if it counts, which is being found out.
        self._spans = {
            subject: [span for span in found if span.made_by_record is None] for subject, found in spans.items()
        }
        self._by_record = {
            span.made_by_record: span for found in spans.values() for span in found if span.made_by_record is not None
        }
        self._made: dict[str, Made] = {found.record_id: found for found in made.of_subjects(connection, subject_ids)}

    def asked(self, claimed: ClaimedPass, known: Known) -> Known:
        """Return what is known of an enrolment, with what it made and whether there was something to compare with."""
        found = self._made.get(claimed.record.record_id)
        model_sha256 = None if found is None or found.problem is not None else found.model_sha256
        spans = self._spans.get(claimed.record.claim.subject_id or "", [])
        has_earlier = any(
            span.model_sha256 == model_sha256 and span.since <= claimed.event_at < span.until for span in spans
        )
        return replace(known, made=KnownMade(model_sha256, has_earlier))

    def add(self, claimed: ClaimedPass) -> None:
        """Take an enrolment that counts as one that the next must have been compared with."""
        record_id, subject_id = claimed.record.record_id, claimed.record.claim.subject_id or ""
        stored = self._by_record.get(record_id)
        found = self._made.get(record_id)
        if found is None or found.model_sha256 is None:
            return
        span = stored or LiveSpan(found.reference_id, found.model_sha256, claimed.event_at, _NEVER, None)
        self._spans.setdefault(subject_id, []).append(span)
