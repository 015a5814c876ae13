"""Who is claimed, and with which of the subject's references the probe can be compared."""

from __future__ import annotations

import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from device.errors import DeviceError
from device.ports import ReferenceStore
from device.session.events import ClaimProblem
from device.vision.features import FeatureVector
from device.vision.normalisation import CohortMember
from protocol.documents import DocumentKind, claim_token, mask, parse_document
from protocol.entitlements import Entitlement
from protocol.errors import Malformed, NotForUs, ProtocolError, SignatureInvalid
from protocol.reference_card import CardKey, CardKeys, ReferenceCard, is_card, read_card, split_number
from protocol.references import CaptureKind, Reference
from protocol.roster import RosterEntry
from protocol.rules.acts import Act
from protocol.slip import is_slip
from protocol.staff import OPERATOR_CODE_PREFIX

COHORT_MOST = 1000
"""Others at most. Source: with LFW's identities the gain grows little from 1,000 on (`protocol.cohort`), and each is a row to decrypt."""
_TRUST = {CaptureKind.LIVE: 2, CaptureKind.PHOTO_CONFIRMED: 1, CaptureKind.PHOTO: 0}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Somebody an operator chose from the name list."""

    document: DocumentKind
    token: str

    def __repr__(self) -> str:
        return "Chosen()"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim the terminal could look up."""

    document: DocumentKind
    token: str
    subject_id: str | None
    """None when the roster has no such subject."""
    reference: Reference | None
    """None when there is none that can be used."""
    key: bytes
    """The secret of the reference's key domain; empty without a reference."""
    tail: str = ""
    """The last characters of the document, which may be shown; empty where none was presented."""
    entitlements: tuple[Entitlement, ...] = ()
    """What the roster tells for the rules; empty for whoever is not on it."""
    acts: tuple[Act, ...] = ()
    """What was certified here and the roster does not tell of yet."""

    def __repr__(self) -> str:
        return f"Claimed(subject {self.subject_id})"

    def features(self) -> FeatureVector | None:
        """Return the protected features of the reference."""
        if self.reference is None:
            return None
        return FeatureVector(self.reference.vector().copy(), self.reference.model_sha256, self.reference.key_domain)


class ClaimUnfit(DeviceError):
    """A claim that is readable and yet begins no session; `problem` says which line the person is told."""

    def __init__(self, problem: ClaimProblem, why: str) -> None:
        super().__init__(why)
        self.problem = problem


def look_up(claim: str | Chosen, references: ReferenceStore, *, model_sha256: str, today: date) -> Claimed | None:
    """Return what there is for a document number, for a reference card, or for somebody chosen; None when there is no roster in force.

    A card needs no roster: it brings its reference along. What it says is believed because the fleet signed it; that the person is who
    it was made for is for the comparison to show.

    Raises:
        Malformed: if it is no valid document number.
        ClaimUnfit: if the roster has expired, or a card cannot be used.
    """
    if isinstance(claim, str) and is_card(claim):
        return _look_up_card(claim, references, model_sha256=model_sha256, today=today)
    document = claim if isinstance(claim, Chosen) else parse_document(claim)
    claim_key = references.claim_key()
    if claim_key is None:
        if references.has_expired():
            raise ClaimUnfit(ClaimProblem.ROSTER_EXPIRED, "roster: has expired")
        return None
    if isinstance(document, Chosen):
        return _find(document.document, document.token, references, model_sha256=model_sha256, today=today)
    token = claim_token(document, claim_key)
    found = _find(document.kind, token, references, model_sha256=model_sha256, today=today)
    return replace(found, tail=mask(document).tail)


def is_garbage(text: str, references: ReferenceStore) -> bool:
    """Say whether a text that was read is nothing that anybody holds before a reader: no document, card, code or slip that is whole.

    Raises:
        DeviceError: if the store does not answer.
    """
    if is_slip(text) or text.startswith(OPERATOR_CODE_PREFIX):
        return False
    card, number = split_number(text) if is_card(text) else (None, text)
    try:
        keys = references.card_keys() if card is not None else None
        if card is not None and keys is not None:
            _opened(card, keys)
        if number is not None:
            parse_document(number)
    except Malformed:
        return True
    except ClaimUnfit as error:
        return error.problem is ClaimProblem.CARD_GARBLED
    return False


def _look_up_card(text: str, references: ReferenceStore, *, model_sha256: str, today: date) -> Claimed | None:
    keys = references.card_keys()
    if keys is None:
        return None
    card_text, number = split_number(text)
    card = _opened(card_text, keys)
    key = keys.key_of(card.reference.key_domain.removeprefix("card-"))
    if card.card_id in keys.revoked:
        raise ClaimUnfit(ClaimProblem.CARD_REVOKED, f"card {card.card_id}: revoked")
    if card.reference.valid_until < today:
        raise ClaimUnfit(ClaimProblem.CARD_EXPIRED, f"card {card.card_id}: expired on {card.reference.valid_until}")
    if key is None or (number is not None and not _is_of(card, key, number)):
        raise ClaimUnfit(
            ClaimProblem.CARD_OF_ANOTHER, f"card {card.card_id}: presented with a document of somebody else"
        )
    usable = choose_reference(
        [card.reference], domains=[card.reference.key_domain], model_sha256=model_sha256, today=today
    )
    # Who is on the roster as well is told of there.
    entry = references.find(card.claim_token)
    return Claimed(
        card.document,
        card.claim_token,
        card.subject_id,
        usable,
        key.feature_key() if usable else b"",
        entitlements=() if entry is None else entry.entitlements,
        acts=tuple(references.acts(card.claim_token)),
    )


def _opened(text: str, keys: CardKeys) -> ReferenceCard:
    try:
        return read_card(text, keys)
    except (NotForUs, SignatureInvalid) as error:
        raise ClaimUnfit(ClaimProblem.CARD_FOREIGN, str(error)) from error
    except ProtocolError as error:
        raise ClaimUnfit(ClaimProblem.CARD_GARBLED, str(error)) from error


def _is_of(card: ReferenceCard, key: CardKey, number: str) -> bool:
    """Say whether a document number is the one the card was made for.

    Raises:
        Malformed: if it is no valid document number.
    """
    return hmac.compare_digest(key.document_check(card.card_id, parse_document(number)), card.document_check)


def _find(document: DocumentKind, token: str, references: ReferenceStore, *, model_sha256: str, today: date) -> Claimed:
    entry = references.find(token)
    if entry is None or entry.removed:
        return Claimed(document, token, None, None, b"")
    known = known_keys(entry, references)
    chosen = choose_reference(entry.references, domains=known, model_sha256=model_sha256, today=today)
    return Claimed(
        document,
        token,
        entry.subject_id,
        chosen,
        known[chosen.key_domain] if chosen else b"",
        entitlements=entry.entitlements,
        acts=tuple(references.acts(token)),
    )


def known_keys(entry: RosterEntry, references: ReferenceStore) -> dict[str, bytes]:
    """Return the secrets of the key domains of somebody's references, as far as the roster has them.

    Raises:
        DeviceError: if the store does not answer.
    """
    domains = {reference.key_domain: references.feature_key(reference.key_domain) for reference in entry.references}
    return {domain: key for domain, key in domains.items() if key is not None}


def cohort_of(
    claimed: Claimed, references: ReferenceStore, *, model_sha256: str, today: date
) -> tuple[CohortMember, ...]:
    """Return one reference of each of other people on the roster, of the claimed reference's key domain and this network.

    A photograph that nobody has confirmed may show anybody, the claimed subject too, and is left out.
    """
    if claimed.reference is None:
        return ()
    domain = claimed.reference.key_domain
    if references.feature_key(domain) is None:
        # The domain of a reference card, in which nobody of a roster is.
        return ()
    found = []
    for entry in references.others(claimed.token, COHORT_MOST):
        chosen = choose_reference(entry.references, domains=(domain,), model_sha256=model_sha256, today=today)
        if chosen is not None and chosen.capture is not CaptureKind.PHOTO and entry.subject_id != claimed.subject_id:
            vector = FeatureVector(chosen.vector().copy(), chosen.model_sha256, chosen.key_domain)
            found.append(CohortMember(entry.subject_id, vector))
    return tuple(found)


def choose_reference(
    references: Iterable[Reference], *, domains: Iterable[str], model_sha256: str, today: date
) -> Reference | None:
    """Return the reference to compare with: of this network and a known key, not expired; best kind first, then the newest.

    A reference is valid on its last day. A live capture comes before a confirmed photograph, and that before one nobody confirmed.
    """
    known = set(domains)
    usable = [
        reference
        for reference in references
        if reference.model_sha256 == model_sha256
        and reference.key_domain in known
        and reference.valid_until >= today
        and _is_usable(reference)
    ]
    return max(usable, key=lambda reference: (_TRUST[reference.capture], reference.captured_at), default=None)


def _is_usable(reference: Reference) -> bool:
    """Say whether the features can be read and are not zero; a page with broken ones must not stop a terminal."""
    try:
        return bool(np.any(reference.vector()))
    except (binascii.Error, ValueError):
        return False
