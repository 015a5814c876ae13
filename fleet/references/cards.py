"""Reference cards: makes and rotates the card keys, issues and revokes cards, and says what terminals must know of them.

A card can be made of a stored reference, whose features are brought into the domain of the card keys (`protocol.references.rekey`), or
of a picture, of which nothing is then stored. With `forget` the stored references of the person go, so that the card alone has one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

import numpy as np
from sqlalchemy import Connection

from fleet.audit.log import UNNAMED, note
from fleet.clock import day_of
from fleet.errors import FleetError, NotFound, Refused
from fleet.keys import FleetKeys
from fleet.references.domains import feature_keys
from fleet.references.enrol import Enrolment, find_subject
from fleet.store import cards, lives, made, rosters, subjects
from fleet.store.database import Database
from fleet.store.subjects import StoredSubject
from fleet.store.terminals import StoredTerminal, find_terminals
from protocol import base64url
from protocol.capture import FeatureReport
from protocol.documents import parse_document
from protocol.envelope import seal, sign
from protocol.reference_card import (
    CARD_KEYS_TYP,
    CARD_RUNTIME,
    MOST_CARD_KEYS,
    MOST_REVOKED,
    CardKey,
    CardKeys,
    ReferenceCard,
    card_text,
)
from protocol.references import CaptureKind, Reference, encode_features, protect, rekey
from protocol.rules.days import add_months

CARD_KEYS_VALIDITY = timedelta(days=180)
"""How long a terminal may open cards without hearing of its fleet: half of the yearly certification. A roster's two weeks would leave a
mobile unit without anything long before; a revocation that has not come may do harm for so long, and the face must match in any case."""
RESEND_AFTER = timedelta(days=7)
"""Card keys are sent anew to a terminal that asks for its roster, so that their time does not run out on one that is in touch."""
_TRUST = (CaptureKind.LIVE, CaptureKind.PHOTO_CONFIRMED)
"""Kinds of which a card can be made, best first: a photo that nobody has confirmed certifies nobody."""
_KEY_ID_BYTES, _ID_BYTES, _NONCE_BYTES, _SECRET_BYTES = 4, 16, 12, 32


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """A card that was entered into the ledger; its text exists here and nowhere else."""

    card: ReferenceCard
    key_id: str
    text: str
    forgotten: int
    """How many stored references of the person were erased."""

    def __repr__(self) -> str:
        return f"IssuedCard({self.card.card_id})"


@dataclass(frozen=True, slots=True)
class _Source:
    """What a card is made of."""

    reference: Reference
    officer_sealed: bytes | None


def rotate_key(database: Database, keys: FleetKeys, *, now: datetime, by: str = UNNAMED) -> str:
    """Make a new generation of card keys and have it sent to every terminal; return its id. New cards are made with it.

    Raises:
        Refused: if so many generations are in use that terminals would not take more.
    """
    with database.begin() as connection:
        cards.lock_cards(connection)
        if len(cards.keys_in_use(connection)) >= MOST_CARD_KEYS:
            raise Refused(f"card keys: {MOST_CARD_KEYS} generations in use; give the oldest up first: card retire-key")
        key_id = os.urandom(_KEY_ID_BYTES).hex()
        secret = base64url.encode(os.urandom(_SECRET_BYTES))
        sealed = keys.cipher.encrypt(secret, subject_id=key_id, field_name="card_key")
        cards.add_key(connection, key_id, secret_sealed=sealed, now=now)
        _note(connection, keys, by, "card_key.added", key_id, now)
    return key_id


def retire_key(database: Database, keys: FleetKeys, key_id: str, *, now: datetime, by: str = UNNAMED) -> None:
    """Give a generation up: its secret is erased, terminals forget it, and no card of it can be opened any more.

    Raises:
        NotFound: if none of this id is in use.
    """
    with database.begin() as connection:
        cards.lock_cards(connection)
        if not cards.retire_key(connection, key_id, now=now):
            raise NotFound(f"card key {key_id}: not in use")
        _note(connection, keys, by, "card_key.given_up", key_id, now)


def issue_from_store(
    database: Database,
    keys: FleetKeys,
    who: str,
    *,
    fleet_id: str,
    forget: bool,
    now: datetime,
    zone: tzinfo,
    by: str = UNNAMED,
) -> IssuedCard:
    """Make a card of the best stored reference of a subject: the kind that is trusted most, then the newest.

    Raises:
        NotFound: if there is no such subject, or it has no reference in use.
        Refused: if there is no card key yet.
    """
    with database.begin() as connection:
        # As everything that changes rosters, see `fleet.references.enrol.enrol`.
        find_terminals(connection, lock=True)
        subject = _subject(connection, who, keys)
        found = subjects.usable_references(connection, [subject.subject_id], today=day_of(now, zone))
        references = found.get(subject.subject_id, ())
        fit = [reference for reference in references if reference.capture in _TRUST]
        # While terminals change to another network, a card is of the one that the person meets.
        met = made.networks_met(connection, subject.subject_id)
        best = min(
            fit,
            key=lambda r: (r.model_sha256 not in met, _TRUST.index(r.capture), -r.captured_at.timestamp()),
            default=None,
        )
        if best is None:
            raise NotFound(
                f"subject {subject.subject_id}: no live or confirmed reference in use; enrol the person, or give a picture"
                " that an officer has confirmed"
            )
        key = newest_key(connection, keys)
        known = feature_keys(connection, keys)
        if best.key_domain not in known:
            raise FleetError(f"key domain {best.key_domain}: no key; restore the keys from a backup")
        features = rekey(best.vector(), known[best.key_domain], key.feature_key())
        moved = best.model_copy(update={"features": encode_features(features)})
        issued = _issue(connection, keys, subject, _Source(moved, None), key, fleet_id=fleet_id, now=now)
        if forget:
            # Replaced and not withdrawn: what was certified with them before, and has not arrived yet, still counts.
            for reference in references:
                lives.replace(connection, reference.reference_id, by=issued.card.card_id)
            rosters.touch(connection, subject.subject_id)
            issued = replace(issued, forgotten=len(references))
        _note_issued(connection, keys, by, issued, now)
    return issued


def issue_from_picture(
    database: Database,
    keys: FleetKeys,
    who: str,
    report: FeatureReport,
    enrolment: Enrolment,
    *,
    fleet_id: str,
    validity_months: int,
    now: datetime,
    zone: tzinfo,
    by: str = UNNAMED,
) -> IssuedCard:
    """Make a card of the features of a picture; the fleet stores neither picture nor features.

    Raises:
        NotFound: if there is no such subject.
        Refused: if there is no card key yet, or nobody has confirmed the picture.
        FleetError: if the features are unusable.
    """
    if enrolment.capture not in _TRUST:
        raise Refused(
            "a card of a photo that nobody has confirmed would certify nobody: --kind photo-confirmed --officer NAME"
        )
    with database.begin() as connection:
        subject = _subject(connection, who, keys)
        key = newest_key(connection, keys)
        try:
            features = encode_features(protect(report.vector(), key.feature_key()))
        except ValueError as error:
            raise FleetError(f"features of the picture: {error}") from error
        reference = Reference(
            reference_id=os.urandom(_ID_BYTES).hex(),
            features=features,
            model_sha256=report.model_sha256,
            runtime=report.runtime,
            key_domain=key.domain,
            quality=report.overall_quality,
            capture=enrolment.capture,
            legal_basis=enrolment.legal_basis,
            captured_at=now,
            valid_until=add_months(day_of(now, zone), validity_months),
        )
        officer = enrolment.officer
        sealed = (
            None
            if officer is None
            else keys.cipher.encrypt(officer, subject_id=subject.subject_id, field_name="officer")
        )
        issued = _issue(connection, keys, subject, _Source(reference, sealed), key, fleet_id=fleet_id, now=now)
        _note_issued(connection, keys, by, issued, now)
    return issued


def revoke(database: Database, keys: FleetKeys, card_id: str, *, now: datetime, zone: tzinfo, by: str = UNNAMED) -> str:
    """Have a card refused from now on; return its subject.

    Raises:
        NotFound: if no such card is in use.
        Refused: if more cards are revoked than terminals take.
    """
    with database.begin() as connection:
        cards.lock_cards(connection)
        subject_id = cards.revoke_card(connection, card_id, now=now)
        if subject_id is None:
            raise NotFound(f"card {card_id}: not in use")
        if len(cards.revoked_cards(connection, today=day_of(now, zone))) > MOST_REVOKED:
            raise Refused(
                f"cards: more than {MOST_REVOKED} revoked; make new card keys (card rotate-key), hand out new cards and give the old"
                " generation up (card retire-key)"
            )
        _note(connection, keys, by, "card.revoked", card_id, now, subject_id=subject_id)
    return subject_id


def _note_issued(connection: Connection, keys: FleetKeys, by: str, issued: IssuedCard, now: datetime) -> None:
    card = issued.card
    facts = {"subject_id": card.subject_id, "capture": card.reference.capture.value, "forgotten": issued.forgotten}
    _note(connection, keys, by, "card.issued", card.card_id, now, **facts)


def _note(
    connection: Connection, keys: FleetKeys, by: str, action: str, object_id: str, now: datetime, **detail: str | int
) -> None:
    kind, _, _ = action.partition(".")
    note(
        connection,
        keys.cipher,
        actor=by,
        action=action,
        object_kind=kind,
        object_id=object_id,
        detail=detail,
        now=now,
    )


def newest_key(connection: Connection, keys: FleetKeys) -> CardKey:
    """Return the generation with which cards are made now.

    Raises:
        Refused: if there is none.
    """
    found = cards.keys_in_use(connection)
    if not found:
        raise Refused("card keys: there are none yet; make them with `lifecert-fleet card rotate-key`")
    return _opened(found[0], keys)


def sealed_card_keys(
    connection: Connection,
    keys: FleetKeys,
    terminal: StoredTerminal,
    *,
    fleet_id: str,
    now: datetime,
    zone: tzinfo,
) -> bytes:
    """Return the message that brings card keys to a terminal, sealed to it."""
    message = CardKeys(
        fleet_id=fleet_id,
        terminal_id=terminal.terminal_id,
        issued_at=now,
        expires_at=now + CARD_KEYS_VALIDITY,
        signing_keys=(keys.signing.public(),),
        keys=tuple(_opened(stored, keys) for stored in cards.keys_in_use(connection)),
        revoked=tuple(cards.revoked_cards(connection, today=day_of(now, zone))[:MOST_REVOKED]),
    )
    return seal(sign(message.to_bytes(), key=keys.signing, typ=CARD_KEYS_TYP), reader=terminal.sealing_key)


def _subject(connection: Connection, who: str, keys: FleetKeys) -> StoredSubject:
    found = subjects.find_by_id(connection, find_subject(connection, who, keys))
    if found is None:
        raise NotFound("no such subject")
    return found


def _opened(stored: cards.StoredCardKey, keys: FleetKeys) -> CardKey:
    secret = keys.cipher.decrypt(stored.secret_sealed, subject_id=stored.key_id, field_name="card_key")
    return CardKey(key_id=stored.key_id, secret=secret)


def _issue(
    connection: Connection,
    keys: FleetKeys,
    subject: StoredSubject,
    source: _Source,
    key: CardKey,
    *,
    fleet_id: str,
    now: datetime,
) -> IssuedCard:
    number = keys.cipher.decrypt(subject.document_sealed, subject_id=subject.subject_id, field_name="document")
    document = parse_document(number)
    card_id = os.urandom(_ID_BYTES).hex()
    vector = source.reference.vector()
    if not np.any(vector):
        raise FleetError(f"reference {source.reference.reference_id}: its features are empty; make it anew")
    reference = source.reference.model_copy(
        update={
            "reference_id": card_id,
            "key_domain": key.domain,
            "runtime": CARD_RUNTIME,
            # What a card has room for, so that the ledger says the same.
            "captured_at": source.reference.captured_at.replace(microsecond=0),
            "quality": round(source.reference.quality, 2),
        }
    )
    card = ReferenceCard(
        card_id,
        subject.claim_token,
        subject.subject_id,
        document.kind,
        key.document_check(card_id, document),
        reference,
    )
    text = card_text(card, key=key, fleet_id=fleet_id, signing=keys.signing, nonce=os.urandom(_NONCE_BYTES))
    cards.add_card(
        connection,
        subject.subject_id,
        reference,
        key_id=key.key_id,
        runtime=source.reference.runtime,
        officer_sealed=source.officer_sealed,
        now=now,
    )
    return IssuedCard(card, key.key_id, text, 0)
