"""Consents and their withdrawal (R1-7, R4-12): recorded with the words that were agreed to; a withdrawal erases and offers another way."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

from fleet.audit import log
from fleet.errors import NotFound, Refused
from fleet.keys import FleetKeys
from fleet.references.enrol import find_subject
from fleet.store import cards, consents, made, rosters, subjects
from fleet.store.consents import NewConsent
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.terminals import find_terminals
from protocol.cases import OtherWay
from protocol.references import LegalBasis

_BASES = frozenset({LegalBasis.CONSENT.value})


class Way(StrEnum):
    """How a consent was given."""

    PAPER = "paper"
    """Signed; the paper is in the file."""
    TERMINAL = "terminal"
    COUNTER = "counter"
    """By word of mouth before a named worker."""
    APP = "app"
    """On the agency's own page or app."""


class ConsentText(BaseModel):
    """What people agree to, in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=r"^[0-9A-Za-z.-]{1,40}$")
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)

    def digest(self, language: str) -> str:
        """Return the SHA-256 of the words in a language."""
        return hashlib.sha256((self.zh if language == "zh" else self.en).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Given:
    """A consent as it was given."""

    text: ConsentText
    language: str
    """`zh` or `en`: the words that the person read or heard."""
    way: Way
    given_at: datetime
    witness: str
    """Before whom, as given."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal did."""

    subject_id: str
    consents: int
    references: int
    waiting: int
    """What terminals had made and nobody had put in use."""
    cards: int
    terminals: int
    """How many were told."""
    left: int
    """References that rest on statute and stay."""


def consent_texts() -> dict[str, ConsentText]:
    """Return all texts that people agreed or agree to, by version, the newest last."""
    found = tomllib.loads(files("fleet.privacy").joinpath("consent_texts.toml").read_text(encoding="utf-8"))
    return {text.version: text for text in (ConsentText.model_validate(each) for each in found["text"])}


def record(
    database: Database, keys: FleetKeys, who: str, given: Given, *, by: str, now: datetime, consent_id: str = ""
) -> str:
    """Record a consent; return its id.

    Args:
        database: where.
        keys: the fleet's.
        who: by id or document number.
        given: the consent.
        by: who records it.
        now: when.
        consent_id: under which id, 32 hexadecimal digits; what is recorded under it already is this very consent. Empty for a new one.

    Raises:
        NotFound: if there is no such subject.
        Refused: if it was given in the future, or a name cannot be taken.
    """
    if given.given_at > now:
        raise Refused("consent: given in the future", code="consent_future")
    consent_id = consent_id or os.urandom(16).hex()
    with database.begin() as connection:
        subject_id = find_subject(connection, who, keys)
        subjects.lock_subjects(connection, [subject_id])
        if consents.is_recorded(connection, consent_id):
            return consent_id
        witness = keys.cipher.encrypt(cleaned(given.witness), subject_id=subject_id, field_name="consent_witness")
        stored = NewConsent(
            consent_id,
            subject_id,
            given.text.version,
            given.text.digest(given.language),
            given.language,
            given.way.value,
            given.given_at,
            witness,
        )
        consents.add_consent(connection, stored, now=now)
        log.note(
            connection,
            keys.cipher,
            actor=by,
            action="consent.recorded",
            object_kind="subject",
            object_id=subject_id,
            detail={"consent_id": consent_id, "text": given.text.version, "way": given.way.value},
            now=now,
        )
    return consent_id


def withdraw(
    database: Database, keys: FleetKeys, who: str, *, other_way: OtherWay, by: str, now: datetime
) -> Withdrawn:
    """Withdraw somebody's consent: references erased here and on terminals, cards revoked, another way recorded as offered.

    Certifications made before stay what they are, and so does what rests on statute.

    Raises:
        NotFound: if there is no such subject, or nothing of theirs rests on consent.
        Refused: if the name cannot be taken.
    """
    with database.begin() as connection:
        # As everything that changes rosters, see `fleet.references.enrol.enrol`.
        find_terminals(connection, lock=True)
        cards.lock_cards(connection)
        subject_id = find_subject(connection, who, keys)
        subjects.lock_subjects(connection, [subject_id])
        held = consents.held_references(connection, subject_id, _BASES)
        in_use = consents.cards_in_use(connection, subject_id, _BASES)
        ended = consents.end_consents(connection, subject_id, now=now)
        waiting = consents.forget_made(connection, subject_id, _BASES)
        if not (held or in_use or ended or waiting):
            raise NotFound(f"subject {subject_id}: nothing rests on consent", code="no_consent")
        for reference_id in held:
            made.erase_seal(connection, reference_id)
            subjects.withdraw_reference(connection, reference_id, now=now)
        for card_id in in_use:
            cards.revoke_card(connection, card_id, now=now)
        told = rosters.touch(connection, subject_id)
        consents.add_withdrawal(
            connection,
            os.urandom(16).hex(),
            subject_id,
            other_way=other_way.value,
            erased=len(held) + waiting,
            revoked=len(in_use),
            officer_sealed=keys.cipher.encrypt(cleaned(by), subject_id=subject_id, field_name="withdrawal_officer"),
            now=now,
        )
        left = len(consents.held_references(connection, subject_id, [LegalBasis.STATUTE.value]))
        log.note(
            connection,
            keys.cipher,
            actor=by,
            action="consent.withdrawn",
            object_kind="subject",
            object_id=subject_id,
            detail={"references": len(held), "cards": len(in_use), "other_way": other_way.value},
            now=now,
        )
    return Withdrawn(subject_id, ended, len(held), waiting, len(in_use), told, left)
