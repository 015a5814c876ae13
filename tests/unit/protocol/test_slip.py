from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import base45
from protocol.attestation import KeyStatement, SignedStatement, state_key
from protocol.documents import DocumentKind, MaskedDocument, mask, parse_document
from protocol.envelope import sign
from protocol.errors import Malformed, ProtocolError, SignatureInvalid, UnsupportedVersion
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.outcomes import Outcome, Reason
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.registration import FleetIdentity
from protocol.slip import (
    PREFIX,
    NextStep,
    SlipVerdict,
    check_slip,
    facts_of,
    is_slip,
    make_slip,
    qr_segments,
    read_slip,
)
from protocol.slip_words import LANGUAGES, slip_lines
from protocol.times import ClockSource

FLEET, TERMINAL, STRANGER = PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate()
IDENTITY = FleetIdentity(fleet_id="demo", signing_key=FLEET.public())
DAY = date(2026, 11, 2)
MASKED = MaskedDocument(DocumentKind.RESIDENT_ID, "002X")
DIGEST = "0123456789abcdef" * 4
STATEMENT = KeyStatement("demo", "hall-1", TERMINAL.public(), date(2026, 11, 1), date(2028, 10, 31))
SIGNED = state_key(STATEMENT, FLEET)
GOLDEN = Path(__file__).parents[2] / "golden" / "protocol"
UNSAFE = ' %"<>`'


def record(outcome: Outcome = Outcome.CERTIFIED, until: date | None = None, **changes: object) -> CertificationRecord:
    found = examples()[RECORD_TYP]
    assert isinstance(found, CertificationRecord)
    until = until or (date(2027, 11, 2) if outcome is Outcome.CERTIFIED else None)
    decision = found.decision.model_copy(update={"outcome": outcome, "certified_until": until})
    return found.model_copy(update={"decision": decision, **changes})


def slip(
    of: CertificationRecord | None = None,
    *,
    day: date = DAY,
    masked: MaskedDocument = MASKED,
    key: PrivateKey = TERMINAL,
    attestation: SignedStatement = SIGNED,
) -> str:
    return make_slip(
        of or record(),
        record_sha256=DIGEST,
        masked=masked,
        decided_on=day,
        sign=lambda payload, typ: sign(payload, key=key, typ=typ),
        attestation=attestation,
    )


GENUINE = slip()


def test_a_slip_says_what_the_record_says() -> None:
    found = read_slip(GENUINE, FLEET.public())
    assert found.statement == STATEMENT
    assert found.record_digest == DIGEST[:32]
    assert (found.outcome, found.certified_until) == (Outcome.CERTIFIED, date(2027, 11, 2))
    assert (found.decided_on, found.clock_certain, found.simulated) == (DAY, True, False)
    assert (found.document, found.next_step) == (MASKED, NextStep.NOTHING)


@pytest.mark.parametrize("outcome", Outcome)
def test_what_is_said_of_a_record_is_what_its_slip_says(outcome: Outcome) -> None:
    of = record(outcome, simulated=True)
    said = facts_of(of, record_sha256=DIGEST, masked=MASKED, decided_on=DAY)
    for language in LANGUAGES:
        assert slip_lines(said, language) == slip_lines(read_slip(slip(of), FLEET.public()), language)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_slip_and_a_next_step(outcome: Outcome) -> None:
    found = read_slip(slip(record(outcome)), FLEET.public())
    stated = Outcome.NOT_CERTIFIED if outcome is Outcome.PRESENTATION_ATTACK else outcome
    assert found.outcome is stated
    assert (found.next_step is NextStep.NOTHING) == (outcome is Outcome.CERTIFIED)
    assert (found.certified_until is None) == (outcome is not Outcome.CERTIFIED)


def test_a_slip_accuses_nobody() -> None:
    attack = read_slip(slip(record(Outcome.PRESENTATION_ATTACK)), FLEET.public())
    other = read_slip(slip(record(Outcome.NOT_CERTIFIED)), FLEET.public())
    assert attack == other


@pytest.mark.parametrize("kind", DocumentKind)
def test_every_kind_of_document_can_stand_on_a_slip(kind: DocumentKind) -> None:
    assert read_slip(slip(masked=MaskedDocument(kind, "7A")), FLEET.public()).document.kind is kind


def test_the_number_cannot_be_read_from_a_slip() -> None:
    document = parse_document("11010519491231002X")
    shown = mask(document)
    assert shown.tail == "002X"
    packed = base45.decode(slip(masked=shown).removeprefix(PREFIX))
    assert document.number[:14].encode() not in packed
    assert document.number[6:14].encode() not in packed


def test_a_slip_of_usual_names_fits_a_small_code() -> None:
    assert len(GENUINE) == 319
    assert len(GENUINE) <= 366, "alphanumeric characters of version 11 at level M (ISO/IEC 18004, table 7)"
    longest = replace(STATEMENT, fleet_id="f" * 63, terminal_id="t" * 63)
    long = slip(record(fleet_id="f" * 63, terminal_id="t" * 63), attestation=state_key(longest, FLEET))
    assert len(long) == 493
    assert read_slip(long, FLEET.public()).statement == longest


@pytest.mark.parametrize(
    ("changes", "certain"),
    [
        ({}, True),
        ({"source": ClockSource.NONE, "uncertainty_s": None}, False),
        ({"source": ClockSource.RTC, "uncertainty_s": None}, False),
        ({"source": ClockSource.RTC, "uncertainty_s": 40.0}, True),
    ],
)
def test_a_slip_says_whether_the_day_is_certain(changes: dict[str, object], certain: bool) -> None:
    decided = record().decided.model_copy(update=changes)
    assert read_slip(slip(record(decided=decided)), FLEET.public()).clock_certain is certain


def test_a_day_the_policy_found_too_uncertain_is_uncertain() -> None:
    of = record(Outcome.TIME_UNCERTAIN)
    of = of.model_copy(update={"decision": of.decision.model_copy(update={"reasons": (Reason.CLOCK,)})})
    assert read_slip(slip(of), FLEET.public()).clock_certain is False


def test_a_slip_of_a_demonstration_says_so() -> None:
    assert read_slip(slip(record(simulated=True)), FLEET.public()).simulated


def test_no_slip_is_made_that_nobody_could_check() -> None:
    with pytest.raises(SignatureInvalid, match="another key"):
        slip(key=STRANGER)
    with pytest.raises(Malformed, match="different terminals"):
        slip(record(terminal_id="hall-2"))


def test_a_slip_is_read_alone_behind_an_address_and_as_a_keyboard_types_it() -> None:
    before, behind = qr_segments(GENUINE, "https://agency.example/slip")
    assert before == "https://agency.example/slip#"
    assert not set(behind.replace("%20", "").replace("%25", "")) & set(UNSAFE)
    assert qr_segments(GENUINE, None) == ("", GENUINE)
    expected = read_slip(GENUINE, FLEET.public())
    for text in (before + behind, f" {GENUINE}\r\n", GENUINE.lower()):
        assert is_slip(text)
        assert read_slip(text, FLEET.public()) == expected


@pytest.mark.parametrize(
    "text", ["", "11010519491231002X", "LC", "https://agency.example/#", "x" * 5000, "LCS:", "lcs"]
)
def test_other_texts_are_no_slips(text: str) -> None:
    assert not is_slip(text)
    assert check_slip(text, IDENTITY, today=DAY).verdict is SlipVerdict.NOT_A_SLIP


def test_a_newer_version_is_named_as_such() -> None:
    newer = GENUINE.replace(PREFIX, "LCS2:")
    assert is_slip(newer)
    with pytest.raises(UnsupportedVersion):
        read_slip(newer, FLEET.public())
    assert check_slip(newer, IDENTITY, today=DAY).verdict is SlipVerdict.NEWER


def test_another_fleet_s_slip_is_told_from_an_altered_one() -> None:
    elsewhere = state_key(replace(STATEMENT, fleet_id="elsewhere"), STRANGER)
    foreign = slip(record(fleet_id="elsewhere"), attestation=elsewhere)
    assert check_slip(foreign, IDENTITY, today=DAY).verdict is SlipVerdict.OTHER_FLEET
    forged = slip(attestation=state_key(STATEMENT, STRANGER))
    assert check_slip(forged, IDENTITY, today=DAY).verdict is SlipVerdict.ALTERED


def test_a_result_under_another_terminal_s_statement_is_refused() -> None:
    other = PrivateKey.generate()
    theirs = base45.decode(
        slip(key=other, attestation=state_key(replace(STATEMENT, key=other.public()), FLEET)).removeprefix(PREFIX)
    )
    ours = base45.decode(GENUINE.removeprefix(PREFIX))
    start = 129 + ours[128]
    mixed = PREFIX + base45.encode(ours[:64] + theirs[64:128] + ours[128:start] + theirs[start:])
    assert check_slip(mixed, IDENTITY, today=DAY).verdict is SlipVerdict.ALTERED


@pytest.mark.parametrize(
    ("text", "today", "verdict"),
    [
        (GENUINE, DAY, SlipVerdict.VALID),
        (GENUINE, DAY - timedelta(days=1), SlipVerdict.VALID),
        (GENUINE, DAY - timedelta(days=2), SlipVerdict.NOT_YET),
        (GENUINE, date(2027, 11, 2), SlipVerdict.VALID),
        (GENUINE, date(2027, 11, 3), SlipVerdict.CERTIFICATION_OVER),
        (GENUINE, date(2028, 11, 1), SlipVerdict.STATEMENT_OVER),
        (slip(day=date(2026, 10, 31)), DAY, SlipVerdict.OUTSIDE_STATEMENT),
        (slip(day=date(2028, 11, 1)), DAY, SlipVerdict.OUTSIDE_STATEMENT),
        (slip(record(Outcome.REVIEW)), date(2028, 10, 31), SlipVerdict.VALID),
    ],
)
def test_a_genuine_slip_holds_for_its_days(text: str, today: date, verdict: SlipVerdict) -> None:
    found = check_slip(text, IDENTITY, today=today)
    assert found.verdict is verdict
    assert found.is_valid is (verdict is SlipVerdict.VALID)
    assert found.slip == read_slip(text, FLEET.public())


def test_a_terminal_that_lost_the_date_still_makes_checkable_slips() -> None:
    lost = record(Outcome.TIME_UNCERTAIN)
    lost = lost.model_copy(
        update={"decided": lost.decided.model_copy(update={"source": ClockSource.NONE, "uncertainty_s": None})}
    )
    for day in (date(1970, 1, 1), date(2100, 1, 1), date(9999, 1, 1)):
        assert check_slip(slip(lost, day=day), IDENTITY, today=DAY).verdict is SlipVerdict.VALID


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_slip_with_a_changed_byte_is_never_genuine(place: int, change: int) -> None:
    packed = bytearray(base45.decode(GENUINE.removeprefix(PREFIX)))
    packed[place % len(packed)] ^= change
    check = check_slip(PREFIX + base45.encode(bytes(packed)), IDENTITY, today=DAY)
    assert check.slip is None
    assert check.verdict in {SlipVerdict.ALTERED, SlipVerdict.OTHER_FLEET, SlipVerdict.NOT_A_SLIP, SlipVerdict.NEWER}


@given(st.binary(max_size=400) | st.text(max_size=400))
def test_any_text_is_refused(data: bytes | str) -> None:
    text = data if isinstance(data, str) else PREFIX + base45.encode(data)
    with pytest.raises(ProtocolError):
        read_slip(text, FLEET.public())
    assert check_slip(text, IDENTITY, today=DAY).slip is None


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_a_terminal_signed_are_a_slip_or_refused(result: bytes) -> None:
    signature = signature_over(result)
    packed = SIGNED.signature + signature + bytes([len(SIGNED.payload)]) + SIGNED.payload + result
    text = PREFIX + base45.encode(packed)
    try:
        read_slip(text, FLEET.public())
    except ProtocolError:
        assert check_slip(text, IDENTITY, today=DAY).slip is None


def signature_over(result: bytes) -> bytes:
    from protocol.envelope import signature_of
    from protocol.slip import SLIP_TYP

    token = sign(result, key=TERMINAL, typ=SLIP_TYP)
    return signature_of(token, payload=result, key_id=TERMINAL.key_id, typ=SLIP_TYP)


def test_a_slip_of_version_1_is_still_read() -> None:
    text = (GOLDEN / "v1-slip.txt").read_text(encoding="ascii")
    fleet = FleetIdentity.parse((GOLDEN / "v1-slip.fleet.json").read_bytes())
    check = check_slip(text, fleet, today=date(2027, 1, 1))
    assert check.verdict is SlipVerdict.VALID
    assert check.slip is not None
    assert (check.slip.outcome, check.slip.document.tail) == (Outcome.CERTIFIED, "002X")
    assert check.slip.record_digest == "ab" * 16
