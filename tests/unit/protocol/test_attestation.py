from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.attestation import (
    ATTESTATION_TYP,
    STATEMENT_TYP,
    KeyStatement,
    attest,
    parse_statement,
    read_attestation,
    read_statement,
    state_key,
)
from protocol.envelope import sign
from protocol.errors import Malformed, NotForUs, ProtocolError, SignatureInvalid, UnsupportedVersion
from protocol.examples import examples
from protocol.keys import PrivateKey, PublicJwk

FLEET, TERMINAL = PrivateKey.generate(), PrivateKey.generate()
STATEMENT = KeyStatement("demo", "hall-1", TERMINAL.public(), date(2026, 11, 1), date(2028, 10, 31))
NOW = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)


def test_a_statement_is_read_as_it_was_signed() -> None:
    signed = state_key(STATEMENT, FLEET)
    assert read_statement(signed.payload, signed.signature, FLEET.public()) == STATEMENT == signed.statement


def test_the_message_brings_the_statement() -> None:
    message = read_attestation(attest(STATEMENT, FLEET, issued_at=NOW), FLEET.public())
    assert message.opened(FLEET.public()).statement == STATEMENT
    assert message.issued_at == NOW


def test_the_example_is_a_true_statement_of_the_key_it_shows() -> None:
    example = examples()[ATTESTATION_TYP]
    identity = examples()["fleet identity file"]
    found = example.opened(identity.signing_key)  # type: ignore[attr-defined]
    assert found.statement.terminal_id == "hall-1"


def test_another_fleet_cannot_state_anything() -> None:
    signed = state_key(STATEMENT, PrivateKey.generate())
    with pytest.raises(SignatureInvalid):
        read_statement(signed.payload, signed.signature, FLEET.public())
    with pytest.raises(SignatureInvalid):
        read_attestation(attest(STATEMENT, PrivateKey.generate(), issued_at=NOW), FLEET.public())


def test_a_signature_for_another_kind_of_message_states_nothing() -> None:
    payload = state_key(STATEMENT, FLEET).payload
    foreign = sign(payload, key=FLEET, typ="lifecert-policy").rpartition(b".")[2]
    ours = sign(payload, key=FLEET, typ=STATEMENT_TYP)
    assert foreign != ours.rpartition(b".")[2]
    with pytest.raises(SignatureInvalid):
        read_attestation(sign(attest(STATEMENT, FLEET, issued_at=NOW), key=FLEET, typ=STATEMENT_TYP), FLEET.public())


def test_a_message_about_another_terminal_than_its_statement_is_refused() -> None:
    message = read_attestation(attest(STATEMENT, FLEET, issued_at=NOW), FLEET.public())
    turned = message.model_copy(update={"terminal_id": "hall-2"})
    with pytest.raises(NotForUs):
        read_attestation(sign(turned.to_bytes(), key=FLEET, typ=ATTESTATION_TYP), FLEET.public())


@pytest.mark.parametrize(
    "wrong",
    [
        {"valid_until": date(2026, 10, 31)},
        {"fleet_id": "Demo"},
        {"terminal_id": ""},
        {"terminal_id": "halle-ä"},
        {"key": PublicJwk(x="AAAA", y="AAAA")},
    ],
)
def test_a_statement_that_nobody_could_read_is_not_signed(wrong: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        state_key(dataclasses.replace(STATEMENT, **wrong), FLEET)  # type: ignore[arg-type]


def test_another_version_is_named_as_such() -> None:
    payload = state_key(STATEMENT, FLEET).payload
    with pytest.raises(UnsupportedVersion, match="version 2"):
        parse_statement(b"\x02" + payload[1:])


@given(st.binary(max_size=120))
def test_any_bytes_are_a_statement_or_refused(data: bytes) -> None:
    try:
        parse_statement(data)
    except ProtocolError:
        return


@given(st.integers(0, 70), st.integers(1, 255))
def test_a_statement_with_a_changed_byte_does_not_hold(place: int, change: int) -> None:
    signed = state_key(STATEMENT, FLEET)
    payload = bytearray(signed.payload)
    payload[place % len(payload)] ^= change
    with pytest.raises(SignatureInvalid):
        read_statement(bytes(payload), signed.signature, FLEET.public())


def test_a_compressed_key_reads_back_and_what_is_no_point_is_refused() -> None:
    public = TERMINAL.public()
    assert len(public.compressed()) == 33
    assert PublicJwk.from_compressed(public.compressed()) == public
    for wrong in (b"", public.compressed()[:32], b"\x04" + public.compressed()[1:], b"\x02" + b"\xff" * 32):
        with pytest.raises(Malformed):
            PublicJwk.from_compressed(wrong)
