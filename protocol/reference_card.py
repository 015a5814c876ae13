"""Reference cards: a protected reference that the person carries, as the text of one QR code.

A card is made by the fleet, signed by it and encrypted with a card key that only its terminals hold (`CardKeys`, sealed to each of
them). With the card alone a terminal can compare without roster and network, and the fleet need not keep a reference of the person.
Whoever finds a card learns nothing from it; whoever copies one gains nothing, because the face must still match.

The text is `LCR1:` and base45, so that a QR code stays in its alphanumeric mode and readers that type like a keyboard cannot garble it:

    version (1) | key id (4) | nonce (12) | AES-256-GCM of: ES256 signature (64) | payload, with the tag (16) at its end

The payload is packed (`_FIXED`), not JSON, because JSON would double the code's area. With 192 features the whole is 415 bytes, 628
characters: QR version 16 (81 x 81 modules) at error correction level M, as `segno` makes it.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from pydantic import Field

from protocol import base45, base64url
from protocol.documents import DocumentKind, IdentityDocument
from protocol.envelope import sign, signature_of, verify_detached
from protocol.errors import Malformed, NotForUs, SignatureInvalid, UnsupportedVersion
from protocol.ids import FleetId, ReferenceId, TerminalId
from protocol.keys import PrivateKey, PublicJwk
from protocol.packed import Unpacker, packed_day, packed_text
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features
from protocol.roster import Secret
from protocol.wire import UtcTime, WireMessage, WirePart

CARD_PREFIX: Final = "LCR1:"
CARD_TYP: Final = "lifecert-card"
"""`typ` of the signature inside a card."""
CARD_KEYS_TYP: Final = "lifecert-card-keys"
NUMBER_MARK: Final = "#"
"""Stands between a card's text and a document number that was presented together with it; base45 has no such character."""
MOST_CARD_KEYS: Final = 16
MOST_REVOKED: Final = 10_000
"""Revoked cards in one message: 350 KB of JSON, which signing and sealing grow by 16/9, under the message limit of 1 MiB."""
CARD_RUNTIME: Final = "card"
"""What stands for the runtime in a reference of a card; the fleet's ledger has the true one."""

_VERSION: Final = 1
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_SIGNATURE_BYTES: Final = 64
_CHECK_BYTES: Final = 8
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = 1 + _KEY_ID_BYTES
_FIXED: Final = struct.Struct(">16s32s16s32s8sBBHI")
"""Card id, claim token, subject id, model digest, document check, capture, legal basis, quality in hundredths, capture in seconds since
1970. After them come the last day, the kind of document and the features (`protocol.packed`)."""
_LONGEST_TEXT: Final = 2048
"""Characters; half of what the largest QR code holds, and nothing that is taken apart before this is checked."""
_CAPTURES: Final = (CaptureKind.LIVE, CaptureKind.PHOTO, CaptureKind.PHOTO_CONFIRMED)
_BASES: Final = (LegalBasis.CONSENT, LegalBasis.STATUTE)

CardKeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
"""Random id of one generation of card keys."""


class CardKey(WirePart):
    """One generation of card keys: a secret from which everything else is derived (HKDF-Expand, RFC 5869)."""

    key_id: CardKeyId
    secret: Secret = Field(repr=False)

    @property
    def domain(self) -> str:
        """Name of the key domain of features on cards of this generation."""
        return f"card-{self.key_id}"

    def feature_key(self) -> bytes:
        """Return the secret of that key domain's rotation, 32 bytes."""
        return _derived(self.secret, b"lifecert card features")

    def document_check(self, card_id: str, document: IdentityDocument) -> bytes:
        """Return the 8 bytes by which a card knows the document it was made for; without the key they say nothing."""
        text = f"{card_id}:{document.text}".encode()
        return hmac.digest(_derived(self.secret, b"lifecert card document"), text, "sha256")[:_CHECK_BYTES]

    def cipher(self) -> AESGCM:
        """Return what encrypts cards of this generation."""
        return AESGCM(_derived(self.secret, b"lifecert card text"))


class CardKeys(WireMessage):
    """All that a terminal needs to read reference cards; it replaces what the terminal had."""

    TYPE: ClassVar[str] = "card-keys"
    VERSION: ClassVar[int] = 1

    type: Literal["card-keys"] = "card-keys"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    issued_at: UtcTime
    expires_at: UtcTime
    """After this moment the terminal deletes them; far later than a roster's, because cards are for days without network."""
    signing_keys: tuple[PublicJwk, ...] = Field(min_length=1, max_length=4)
    """Whose signatures on cards hold."""
    keys: tuple[CardKey, ...] = Field(max_length=MOST_CARD_KEYS)
    """The generations in use."""
    revoked: tuple[ReferenceId, ...] = Field(default=(), max_length=MOST_REVOKED)
    """Ids of cards of these generations that are not to be taken any more and whose last day has not passed."""

    def key_of(self, key_id: str) -> CardKey | None:
        """Return one generation, None if the terminal does not hold it."""
        return next((key for key in self.keys if key.key_id == key_id), None)


@dataclass(frozen=True, slots=True)
class ReferenceCard:
    """What a card says; nothing of it is in its repr but the card's id."""

    card_id: str
    """Random; also the id of the reference on it."""
    claim_token: str
    subject_id: str
    document: DocumentKind
    document_check: bytes = field(repr=False)
    """See `CardKey.document_check`."""
    reference: Reference
    """In the key domain of the card's generation; valid as long as the card."""

    def __repr__(self) -> str:
        return f"ReferenceCard({self.card_id})"


def is_card(text: str) -> bool:
    """Say whether a text that was read is meant to be a reference card, whatever it is worth."""
    return text.lstrip()[: len(CARD_PREFIX)].upper() == CARD_PREFIX


def split_number(text: str) -> tuple[str, str | None]:
    """Return a card's text, and the document number that was presented with it, if one was (`NUMBER_MARK`)."""
    card, mark, number = text.partition(NUMBER_MARK)
    return card, number if mark else None


def card_text(card: ReferenceCard, *, key: CardKey, fleet_id: str, signing: PrivateKey, nonce: bytes) -> str:
    """Sign and encrypt a card and return the text for its QR code.

    Args:
        card: what it says.
        key: the generation of card keys; the reference must be in its domain.
        fleet_id: whose card it is.
        signing: the fleet's signing key.
        nonce: 12 random bytes, never used twice with a key. Source: NIST SP 800-38D, section 8.2.2.

    Raises:
        ValueError: if the card cannot be packed: another key domain, a moment or day out of range, another id of the reference.
    """
    reference = card.reference
    if reference.key_domain != key.domain or reference.reference_id != card.card_id:
        raise ValueError(f"card {card.card_id}: its reference must have this id and the key domain {key.domain}")
    if len(nonce) != _NONCE_BYTES:
        raise ValueError(f"nonce: {len(nonce)} bytes, {_NONCE_BYTES} expected")
    head = bytes([_VERSION]) + bytes.fromhex(key.key_id)
    payload = _packed(card)
    signed = _signed_bytes(fleet_id, head, payload)
    token = sign(signed, key=signing, typ=CARD_TYP)
    signature = signature_of(token, payload=signed, key_id=signing.key_id, typ=CARD_TYP)
    sealed = key.cipher().encrypt(nonce, signature + payload, _bound(fleet_id, head))
    return CARD_PREFIX + base45.encode(head + nonce + sealed)


def read_card(text: str, keys: CardKeys) -> ReferenceCard:
    """Open and verify a card; whether it has expired or was revoked is for the caller to see.

    Raises:
        NotForUs: if it was made with a card key that is not among `keys`: another fleet's, or of a generation given up.
        SignatureInvalid: if no key of the fleet signed it.
        UnsupportedVersion: if it is of a kind, or names a kind of document, that this program does not know.
        Malformed: if it is damaged, or no card at all.
    """
    data = _decoded(text)
    if data[0] != _VERSION:
        raise UnsupportedVersion(f"reference card: version {data[0]}, this program knows {_VERSION}")
    head, nonce, sealed = data[:_HEAD_BYTES], data[_HEAD_BYTES:][:_NONCE_BYTES], data[_HEAD_BYTES + _NONCE_BYTES :]
    key = keys.key_of(head[1:].hex())
    if key is None:
        raise NotForUs(f"reference card: made with card key {head[1:].hex()}, which this terminal does not have")
    try:
        opened = key.cipher().decrypt(nonce, sealed, _bound(keys.fleet_id, head))
    except (InvalidTag, ValueError) as error:
        raise Malformed("reference card: damaged, or made for another fleet") from error
    signature, payload = opened[:_SIGNATURE_BYTES], opened[_SIGNATURE_BYTES:]
    _verify(signature, _signed_bytes(keys.fleet_id, head, payload), keys.signing_keys)
    return _unpacked(payload, key)


def _decoded(text: str) -> bytes:
    found = text.strip().upper()
    if not found.startswith(CARD_PREFIX) or len(found) > _LONGEST_TEXT:
        raise Malformed("reference card: not a text of this kind")
    data = base45.decode(found.removeprefix(CARD_PREFIX))
    if len(data) <= _HEAD_BYTES + _NONCE_BYTES + _SIGNATURE_BYTES + _FIXED.size + _TAG_BYTES:
        raise Malformed(f"reference card: {len(data)} bytes are too few")
    return data


def _verify(signature: bytes, signed: bytes, signers: tuple[PublicJwk, ...]) -> None:
    # A card has no room to name its signer; there is one, and for a while two when the fleet's key is replaced.
    for tried, signer in enumerate(signers, start=1):
        try:
            verify_detached(signed, signature, key=signer, typ=CARD_TYP)
        except SignatureInvalid:
            if tried == len(signers):
                raise
        else:
            return


def _packed(card: ReferenceCard) -> bytes:
    reference = card.reference
    try:
        fixed = _FIXED.pack(
            bytes.fromhex(card.card_id),
            base64url.decode(card.claim_token),
            bytes.fromhex(card.subject_id),
            bytes.fromhex(reference.model_sha256),
            card.document_check,
            _CAPTURES.index(reference.capture),
            _BASES.index(reference.legal_basis),
            round(reference.quality * 100),
            int(reference.captured_at.timestamp()),
        )
    except struct.error as error:
        raise ValueError(f"card {card.card_id}: cannot be packed: {error}") from error
    rest = packed_day(reference.valid_until) + packed_text(card.document.value)
    return fixed + rest + reference.vector().tobytes()


def _unpacked(payload: bytes, key: CardKey) -> ReferenceCard:
    # The fleet signed it, so what does not fit was made by a newer program.
    fields = Unpacker(payload, "reference card")
    card_id, token, subject, model, check, capture, basis, quality, captured = _FIXED.unpack(fields.take(_FIXED.size))
    until, kind = fields.day(), fields.text()
    if until is None:
        raise Malformed("reference card: without a last day")
    try:
        document = DocumentKind(kind)
        reference = Reference(
            reference_id=card_id.hex(),
            features=encode_features(np.frombuffer(fields.rest(), dtype=np.int8)),
            model_sha256=model.hex(),
            runtime=CARD_RUNTIME,
            key_domain=key.domain,
            quality=quality / 100,
            capture=_CAPTURES[capture],
            legal_basis=_BASES[basis],
            captured_at=datetime.fromtimestamp(captured, UTC),
            valid_until=until,
        )
    except (ValueError, IndexError) as error:
        raise UnsupportedVersion("reference card: holds what this program does not know; update it") from error
    return ReferenceCard(card_id.hex(), base64url.encode(token), subject.hex(), document, check, reference)


def _signed_bytes(fleet_id: str, head: bytes, payload: bytes) -> bytes:
    return fleet_id.encode() + b"\0" + head + payload


def _bound(fleet_id: str, head: bytes) -> bytes:
    return CARD_PREFIX.encode() + head + fleet_id.encode()


def _derived(secret: str, purpose: bytes) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=32, info=purpose).derive(base64url.decode(secret))
