"""Certifications of other systems: stored as they were posted, and acts of kind `accepted` where they show somebody alive.

Which of them count is the rule packs' word alone (R4-23, R8-13): a pack that does not accept other systems, or not by this channel, leaves
the person where they were, and the answer says so. What shows nothing (no liveness, no match) is kept and becomes no act.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from sqlalchemy import Connection

from fleet.benefits.acts import take_acts
from fleet.clock import day_of
from fleet.keys import FieldCipher
from fleet.status.projection import ask, facts_of, project
from fleet.store import certifications as store
from fleet.store.acts import NewAct, withdraw_act
from fleet.store.certifications import ComparisonDecision, Modality, StoredCertification
from fleet.store.packs import shelf_of
from fleet.store.partners import Partner
from fleet.store.subjects import lock_subjects
from protocol.rules.acts import ActKind, Channel


class Why(StrEnum):
    """Why a certification changes nothing."""

    NO_LIVENESS = "no_liveness"
    """It does not show that the person was alive."""
    NO_MATCH = "no_match"
    """The other system did not know the person."""
    WITHDRAWN = "withdrawn"
    """It was taken back."""
    NOT_ACCEPTED = "not_accepted"
    """The pack takes no word of other systems."""
    CHANNEL_NOT_ACCEPTED = "channel_not_accepted"
    """The pack does not take this channel."""
    NOT_NEEDED = "not_needed"
    """Another act counts for this period already, or a later one does."""


@dataclass(frozen=True, slots=True)
class PackVerdict:
    """What one pack makes of a certification."""

    scheme: str
    pack_id: str
    pack_version: int
    why_not: Why | None
    """None if it counts."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a certification."""

    certification: StoredCertification
    packs: tuple[PackVerdict, ...]
    is_repeated: bool = False

    @property
    def counts(self) -> bool:
        """Whether it certifies the person by one pack at least."""
        return any(pack.why_not is None for pack in self.packs)


@dataclass(frozen=True, slots=True)
class Posted:
    """One certification as it comes, its person found already."""

    source_id: str
    subject_id: str
    modality: Modality
    channel: Channel
    certified_at: datetime
    liveness: bool
    comparison: ComparisonDecision


class Conflict(StrEnum):
    """Why one cannot be stored."""

    OTHER_CONTENT = "other_content"
    """The same id stands for another certification."""


def take(
    connection: Connection,
    cipher: FieldCipher,
    partner: Partner,
    posted: Sequence[Posted],
    *,
    now: datetime,
    zone: tzinfo,
) -> list[Verdict | Conflict]:
    """Store certifications, make acts of them, and return what became of each, in order.

    The same id with the same content is the same certification, however often it comes.

    Args:
        connection: a transaction, in which nothing is locked yet.
        cipher: the fleet's.
        partner: who posts them.
        posted: what.
        now: the present moment.
        zone: where a day ends.
    """
    store.lock_partner(connection, partner.partner_id)
    known = store.find_certifications(connection, partner.partner_id, [each.source_id for each in posted])
    before = set(known)
    fresh: list[StoredCertification] = []
    answers: list[str | Conflict] = []
    for each in posted:
        made = _stored(each, partner, _digest(cipher, partner, each), now)
        found = known.setdefault(each.source_id, made)
        if found is made:
            fresh.append(made)
        answers.append(each.source_id if found.digest == made.digest else Conflict.OTHER_CONTENT)
    store.add_certifications(connection, fresh)
    take_acts(connection, [_act(each, partner) for each in fresh if each.is_assured], now=now, zone=zone)
    stored = store.find_certifications(connection, partner.partner_id, list(known))
    verdicts = _verdicts(connection, list(stored.values()), now=now, zone=zone)
    found_by: dict[str, Verdict] = {verdict.certification.source_id: verdict for verdict in verdicts}
    return [
        answer if isinstance(answer, Conflict) else replace(found_by[answer], is_repeated=answer in before)
        for answer in answers
    ]


def look_up(
    connection: Connection, partner: Partner, certification_id: str, *, now: datetime, zone: tzinfo
) -> Verdict | None:
    """Return what a certification is worth now; None if the partner has none of this id."""
    found = store.find_certification(connection, partner.partner_id, certification_id)
    return None if found is None else _verdicts(connection, [found], now=now, zone=zone)[0]


def withdraw(
    connection: Connection, partner: Partner, certification_id: str, *, now: datetime, zone: tzinfo
) -> Verdict | None:
    """Take a certification back, once or again; return what it is worth then, or None if the partner has none of this id."""
    store.lock_partner(connection, partner.partner_id)
    found = store.find_certification(connection, partner.partner_id, certification_id)
    if found is None:
        return None
    # Subjects before what hangs on them.
    lock_subjects(connection, [found.subject_id])
    store.mark_withdrawn(connection, certification_id, now=now)
    changed = withdraw_act(connection, partner.source, found.source_id, now=now)
    project(connection, sorted(changed), zone=zone, today=day_of(now, zone))
    return look_up(connection, partner, certification_id, now=now, zone=zone)


def _verdicts(
    connection: Connection, found: Sequence[StoredCertification], *, now: datetime, zone: tzinfo
) -> list[Verdict]:
    shelf = shelf_of(connection)
    facts = facts_of(connection, sorted({each.subject_id for each in found}), zone=zone)
    asked = ask(facts, shelf, day_of(now, zone))
    verdicts = []
    for each in found:
        packs = []
        for one in asked:
            if one.subject_id != each.subject_id:
                continue
            pack = shelf.find(one.obligation.pack_id, one.obligation.pack_version)
            why = _own_reason(each)
            if why is None and pack is not None and ActKind.ACCEPTED not in pack.counts:
                why = Why.NOT_ACCEPTED
            elif why is None and pack is not None and pack.channels and Channel(each.channel) not in pack.channels:
                why = Why.CHANNEL_NOT_ACCEPTED
            elif why is None and (one.obligation.last is None or one.obligation.last.act_id != each.act_id):
                why = Why.NOT_NEEDED
            packs.append(PackVerdict(one.scheme, one.obligation.pack_id, one.obligation.pack_version, why))
        verdicts.append(Verdict(each, tuple(packs)))
    return verdicts


def _own_reason(found: StoredCertification) -> Why | None:
    if found.withdrawn_at is not None:
        return Why.WITHDRAWN
    if not found.liveness:
        return Why.NO_LIVENESS
    return Why.NO_MATCH if found.comparison is ComparisonDecision.NON_MATCH else None


def _stored(posted: Posted, partner: Partner, digest: bytes, now: datetime) -> StoredCertification:
    return StoredCertification(
        store.new_id(),
        partner.partner_id,
        posted.source_id,
        posted.subject_id,
        digest,
        posted.modality,
        posted.channel.value,
        posted.certified_at,
        posted.liveness,
        posted.comparison,
        now,
        None,
        None,
    )


def _act(found: StoredCertification, partner: Partner) -> NewAct:
    return NewAct(
        found.subject_id,
        ActKind.ACCEPTED,
        Channel(found.channel),
        found.certified_at,
        partner.source,
        found.source_id,
    )


def _digest(cipher: FieldCipher, partner: Partner, posted: Posted) -> bytes:
    content = json.dumps(
        [
            posted.subject_id,
            posted.modality.value,
            posted.channel.value,
            posted.certified_at.astimezone(UTC).isoformat(),
            posted.liveness,
            posted.comparison.value,
        ]
    )
    return cipher.digest(content, subject_id=partner.source, field_name="certification")
