"""The result slip: what a person takes home, in a text short enough for a small QR code, checkable by anybody who knows the fleet's key.

A slip is `LCS1:` and Base45 of: the fleet's signature and the terminal's signature (64 bytes each), one byte with the length of the
statement, the statement (`protocol.attestation`) and the result. The fleet signed the statement, the key in the statement signed
the result; both signatures are JWS with a header that can be derived and is left out (`protocol.envelope.verify_detached`). With names of
usual length this makes some 320 characters, which a QR code of version 11 holds at error correction level M.

Packed and not JSON, because two JWS in JSON, one around the other, make 1,200 characters, a code that cheap printers and old telephones
fail on. Base45 and not base64url, because a QR code takes 5.5 bits for each of its characters instead of 8.

The result holds no name, no picture, no number. Of the document it has the kind and the last characters; the digest is that of a signed
record, in which the claim is a keyed hash and the signature is random, so that nobody can find a number by trying.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from urllib.parse import quote, unquote

from protocol import base45
from protocol.attestation import SIGNATURE_BYTES, KeyStatement, SignedStatement, parse_statement, read_statement
from protocol.documents import MASK_MOST, DocumentKind, MaskedDocument
from protocol.envelope import signature_of, verify_detached
from protocol.errors import Malformed, ProtocolError, SignatureInvalid, UnsupportedVersion
from protocol.keys import PublicJwk
from protocol.outcomes import Outcome, Reason
from protocol.packed import Unpacker, packed_day, packed_text
from protocol.records import CertificationRecord
from protocol.registration import FleetIdentity
from protocol.times import ClockSource

SLIP_TYP = "lifecert-slip"
PREFIX = "LCS1:"
"""Begins every slip of this version; another version has another digit."""
_ANY_PREFIX = re.compile(r"LCS[0-9]{1,3}:")
DIGEST_BYTES = 16
"""So much of the record's SHA-256 stands on a slip: nobody makes another record with the same 128 bits."""
MAX_CHARACTERS = 2000
"""Longest text that is looked at: the longest names give 493, and a page's address comes before it."""
_VERSION = 1
_CLOCK_CERTAIN, _SIMULATED = 1, 2
_TOMORROW = timedelta(days=1)


class NextStep(StrEnum):
    """What the person does next."""

    NOTHING = "nothing"
    """Nothing; come again before the day until which they are certified."""
    WAIT = "wait"
    """Nothing; the agency works it out and tells them."""
    TRY_AGAIN = "try_again"
    OTHER_WAY = "other_way"
    """Ask a member of staff: there is another way."""
    ENROL = "enrol"
    """Ask a member of staff to be enrolled."""


# Codes on slips. A code once given is never given again.
OUTCOMES = {
    1: Outcome.CERTIFIED,
    2: Outcome.REVIEW,
    3: Outcome.NOT_CERTIFIED,
    4: Outcome.NO_REFERENCE,
    5: Outcome.POOR_SAMPLE,
    6: Outcome.TIME_UNCERTAIN,
    7: Outcome.CANCELLED,
}
STEPS = {
    1: NextStep.NOTHING,
    2: NextStep.WAIT,
    3: NextStep.TRY_AGAIN,
    4: NextStep.OTHER_WAY,
    5: NextStep.ENROL,
}
KINDS = {
    1: DocumentKind.RESIDENT_ID,
    2: DocumentKind.HK_MACAO_PERMIT,
    3: DocumentKind.TAIWAN_PERMIT,
    4: DocumentKind.RESIDENCE_PERMIT,
    5: DocumentKind.PASSPORT,
    6: DocumentKind.FOREIGN_PERMANENT_RESIDENCE,
}
_OUTCOME_CODES = {outcome: code for code, outcome in OUTCOMES.items()}
_STEP_CODES = {step: code for code, step in STEPS.items()}
_KIND_CODES = {kind: code for code, kind in KINDS.items()}
_STEP_AFTER = {
    Outcome.CERTIFIED: NextStep.NOTHING,
    Outcome.REVIEW: NextStep.WAIT,
    Outcome.NOT_CERTIFIED: NextStep.OTHER_WAY,
    Outcome.NO_REFERENCE: NextStep.ENROL,
    Outcome.POOR_SAMPLE: NextStep.TRY_AGAIN,
    Outcome.TIME_UNCERTAIN: NextStep.WAIT,
    Outcome.CANCELLED: NextStep.TRY_AGAIN,
}


@dataclass(frozen=True, slots=True)
class SlipFacts:
    """What a slip says in words."""

    fleet_id: str
    terminal_id: str
    record_digest: str
    """The first 32 hexadecimal digits of the SHA-256 of the signed record."""
    outcome: Outcome
    """Never `presentation_attack`: a paper that people show around accuses nobody, see `slip_outcome`."""
    certified_until: date | None
    """The last day of the certification; None without one."""
    decided_on: date
    """The day in the agency's time zone."""
    clock_certain: bool
    """Whether something vouched for that day; False: it may be any other."""
    simulated: bool
    """Whether no camera saw anybody: a slip of a demonstration."""
    document: MaskedDocument
    next_step: NextStep


@dataclass(frozen=True, slots=True)
class Slip(SlipFacts):
    """What a genuine slip says."""

    statement: KeyStatement
    """Whose terminal signed it."""


class SlipVerdict(StrEnum):
    """What came of checking a slip on a day."""

    VALID = "valid"
    """Genuine; what it says holds on this day."""
    CERTIFICATION_OVER = "certification_over"
    """Genuine; the day until which it certifies is past."""
    STATEMENT_OVER = "statement_over"
    """Signed by a terminal of this fleet, but the fleet vouches for its key no longer."""
    OUTSIDE_STATEMENT = "outside_statement"
    """Dated on a day on which the fleet did not vouch for the terminal's key."""
    NOT_YET = "not_yet"
    """Dated after the day of the check: one of the two clocks is wrong."""
    OTHER_FLEET = "other_fleet"
    """Names another fleet, whose key is not known here."""
    ALTERED = "altered"
    """A signature does not hold."""
    NEWER = "newer"
    """Made by a newer program."""
    NOT_A_SLIP = "not_a_slip"


@dataclass(frozen=True, slots=True)
class SlipCheck:
    """A verdict, and what the slip says where it is genuine."""

    verdict: SlipVerdict
    slip: Slip | None

    @property
    def is_valid(self) -> bool:
        """Whether the slip is genuine and holds on the day of the check."""
        return self.verdict is SlipVerdict.VALID

    @property
    def is_certified(self) -> bool:
        """Whether the slip is valid and says that somebody is certified, by a terminal with a camera."""
        return (
            self.is_valid
            and self.slip is not None
            and self.slip.outcome is Outcome.CERTIFIED
            and not self.slip.simulated
        )


def slip_outcome(outcome: Outcome) -> Outcome:
    """Return the outcome a slip states: an attack presentation is `not_certified`; the record that the digest names has the rest."""
    return Outcome.NOT_CERTIFIED if outcome is Outcome.PRESENTATION_ATTACK else outcome


def facts_of(record: CertificationRecord, *, record_sha256: str, masked: MaskedDocument, decided_on: date) -> SlipFacts:
    """Return what the slip of a record says; arguments are those of `make_slip`."""
    decided, outcome = record.decided, slip_outcome(record.decision.outcome)
    return SlipFacts(
        fleet_id=record.fleet_id,
        terminal_id=record.terminal_id,
        record_digest=record_sha256[: 2 * DIGEST_BYTES],
        outcome=outcome,
        certified_until=record.decision.certified_until,
        decided_on=decided_on,
        clock_certain=decided.source is not ClockSource.NONE
        and decided.uncertainty_s is not None
        and Reason.CLOCK not in record.decision.reasons,
        simulated=record.simulated,
        document=masked,
        next_step=_STEP_AFTER[outcome],
    )


def make_slip(
    record: CertificationRecord,
    *,
    record_sha256: str,
    masked: MaskedDocument,
    decided_on: date,
    sign: Callable[[bytes, str], bytes],
    attestation: SignedStatement,
) -> str:
    """Return the slip for a stored record.

    Args:
        record: the record.
        record_sha256: digest of its JWS, as the outbox gave it.
        masked: the document of the claim, from `protocol.documents.mask`.
        decided_on: the day of the decision in the agency's time zone.
        sign: the terminal's `Signer.sign`.
        attestation: the fleet's statement about the terminal's key.

    Returns:
        Text of the characters of Base45, for `qr_segments` and for `read_slip`.

    Raises:
        SignatureInvalid: if the statement is about another key than the one that signs: nobody could check such a slip.
        Malformed: if the record is of another terminal than the statement.
    """
    statement = attestation.statement
    if (record.fleet_id, record.terminal_id) != (statement.fleet_id, statement.terminal_id):
        raise Malformed("slip: the record and the statement about the key name different terminals")
    said = facts_of(record, record_sha256=record_sha256, masked=masked, decided_on=decided_on)
    flags = (_CLOCK_CERTAIN if said.clock_certain else 0) | (_SIMULATED if said.simulated else 0)
    result = (
        bytes([_VERSION])
        + bytes.fromhex(said.record_digest)
        + bytes([_OUTCOME_CODES[said.outcome], flags])
        + packed_day(said.decided_on)
        + packed_day(said.certified_until)
        + bytes([_STEP_CODES[said.next_step], _KIND_CODES[masked.kind]])
        + packed_text(masked.tail)
    )
    key_id = statement.key.key_id
    try:
        signature = signature_of(sign(result, SLIP_TYP), payload=result, key_id=key_id, typ=SLIP_TYP)
    except Malformed as error:
        raise SignatureInvalid("slip: the fleet's statement is about another key than this terminal's") from error
    packed = attestation.signature + signature + bytes([len(attestation.payload)]) + attestation.payload + result
    return PREFIX + base45.encode(packed)


def is_slip(text: str) -> bool:
    """Return whether a scanned text presents itself as a slip, of whatever version, alone or behind the address of a page."""
    return len(text) <= MAX_CHARACTERS and _ANY_PREFIX.match(bare_slip(text)) is not None


def bare_slip(text: str) -> str:
    """Return the slip in a scanned text, without the address of a page before it; whether it is one is for `read_slip` to say."""
    found = text.strip()
    _, separator, fragment = found.partition("#")
    if separator:
        found = unquote(fragment, errors="replace")
    # Readers that work as a keyboard write small letters when somebody pressed a key; Base45 has none.
    return found.upper() if found.isascii() else found


def read_slip(text: str, fleet_key: PublicJwk) -> Slip:
    """Return what a slip says, checked with the fleet's public key alone; days are not looked at (`check_slip`).

    Args:
        text: the text of the code, alone or behind the address of a page and `#`.
        fleet_key: the fleet's public signing key.

    Raises:
        UnsupportedVersion: if a newer program made it.
        Malformed: if it is no slip.
        SignatureInvalid: if it was altered or another fleet's terminal made it.
    """
    fleet_signature, signature, stated, result = _parts(text)
    statement = read_statement(stated, fleet_signature, fleet_key)
    verify_detached(result, signature, key=statement.key, typ=SLIP_TYP)
    return _result(result, statement)


def check_slip(text: str, fleet: FleetIdentity, *, today: date) -> SlipCheck:
    """Return whether a slip is genuine and holds on a day; never raises, whatever the text is.

    A slip whose terminal was not certain of the day is not held against the days of the statement.
    """
    try:
        slip = read_slip(text, fleet.signing_key)
    except UnsupportedVersion:
        return SlipCheck(SlipVerdict.NEWER, None)
    except SignatureInvalid:
        return SlipCheck(SlipVerdict.OTHER_FLEET if _names_another(text, fleet.fleet_id) else SlipVerdict.ALTERED, None)
    except ProtocolError:
        return SlipCheck(SlipVerdict.NOT_A_SLIP, None)
    return SlipCheck(_standing(slip, today), slip)


def qr_segments(slip: str, page_url: str | None) -> tuple[str, str]:
    """Return what stands in the code: the text before the slip, and the slip as it stands behind it.

    With the address of a page, the slip is its fragment, which a browser sends to nobody; the two characters of Base45 that an address
    cannot hold are escaped, and the escapes are characters of the code's dense mode as well.

    Args:
        slip: from `make_slip`.
        page_url: address of the fleet's page, without a fragment; None for the slip alone.
    """
    if page_url is None:
        return "", slip
    return f"{page_url}#", quote(slip, safe="$*+-./:")


def _standing(slip: Slip, today: date) -> SlipVerdict:
    statement = slip.statement
    if slip.clock_certain and not statement.valid_from <= slip.decided_on <= statement.valid_until:
        return SlipVerdict.OUTSIDE_STATEMENT
    # A day's grace: who checks may live where it is still yesterday.
    if slip.clock_certain and slip.decided_on > today + _TOMORROW:
        return SlipVerdict.NOT_YET
    if today > statement.valid_until:
        return SlipVerdict.STATEMENT_OVER
    if slip.certified_until is not None and today > slip.certified_until:
        return SlipVerdict.CERTIFICATION_OVER
    return SlipVerdict.VALID


def _names_another(text: str, fleet_id: str) -> bool:
    try:
        return parse_statement(_parts(text)[2]).fleet_id != fleet_id
    except ProtocolError:
        return False


def _parts(text: str) -> tuple[bytes, bytes, bytes, bytes]:
    if len(text) > MAX_CHARACTERS:
        raise Malformed(f"slip: {len(text)} characters, at most {MAX_CHARACTERS} are looked at")
    bare = bare_slip(text)
    if not bare.startswith(PREFIX):
        if found := _ANY_PREFIX.match(bare):
            raise UnsupportedVersion(f"slip: begins with {found[0]}, this program knows {PREFIX}")
        raise Malformed(f"slip: does not begin with {PREFIX}")
    fields = Unpacker(base45.decode(bare.removeprefix(PREFIX)), "slip")
    fleet_signature, signature = fields.take(SIGNATURE_BYTES), fields.take(SIGNATURE_BYTES)
    return fleet_signature, signature, fields.take(fields.number()), fields.rest()


def _result(data: bytes, statement: KeyStatement) -> Slip:
    fields = Unpacker(data, "slip")
    if (version := fields.number()) != _VERSION:
        raise UnsupportedVersion(f"slip: version {version} of the result, this program knows {_VERSION}")
    digest = fields.take(DIGEST_BYTES).hex()
    outcome, flags = fields.number(), fields.number()
    decided_on, certified_until = fields.day(), fields.day()
    step, kind, tail = fields.number(), fields.number(), fields.text()
    fields.end()
    if outcome not in OUTCOMES or step not in STEPS or kind not in KINDS or flags > _CLOCK_CERTAIN | _SIMULATED:
        raise UnsupportedVersion("slip: a code this program does not know")
    if decided_on is None or (certified_until is not None and OUTCOMES[outcome] is not Outcome.CERTIFIED):
        raise Malformed("slip: the days do not fit the outcome")
    if len(tail) > MASK_MOST or not tail.isalnum():
        raise Malformed("slip: no masked document")
    return Slip(
        statement=statement,
        fleet_id=statement.fleet_id,
        terminal_id=statement.terminal_id,
        record_digest=digest,
        outcome=OUTCOMES[outcome],
        certified_until=certified_until,
        decided_on=decided_on,
        clock_certain=bool(flags & _CLOCK_CERTAIN),
        simulated=bool(flags & _SIMULATED),
        document=MaskedDocument(KINDS[kind], tail),
        next_step=STEPS[step],
    )
