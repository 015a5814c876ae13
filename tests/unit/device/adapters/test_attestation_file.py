from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.attestation_file import FileAttestationStore
from device.errors import AttestationUnavailable
from protocol.attestation import KeyStatement, attest
from protocol.errors import NotForUs, ProtocolError
from protocol.keys import PrivateKey

FLEET, TERMINAL = PrivateKey.generate(), PrivateKey.generate()
T0 = datetime(2026, 3, 1, tzinfo=UTC)
MARCH = KeyStatement("north", "t-1", TERMINAL.public(), date(2026, 3, 1), date(2028, 2, 29))
APRIL = dataclasses.replace(MARCH, valid_from=date(2026, 4, 1), valid_until=date(2028, 3, 31))


def signed(statement: KeyStatement = MARCH, issued_at: datetime = T0, *, key: PrivateKey = FLEET) -> bytes:
    return attest(statement, key, issued_at=issued_at)


def store(folder: Path, key: PrivateKey = TERMINAL) -> FileAttestationStore:
    return FileAttestationStore(
        folder / "data" / "attestation.jws", FLEET.public(), fleet_id="north", terminal_id="t-1", key_id=key.key_id
    )


def kept(of: FileAttestationStore) -> KeyStatement | None:
    found = of.current()
    return None if found is None else found.statement


def test_there_is_none_until_the_fleet_sends_one_and_the_terminal_sees_what_the_uplink_wrote(tmp_path: Path) -> None:
    terminal, uplink = store(tmp_path), store(tmp_path)
    assert terminal.current() is None
    assert uplink.apply(signed()).statement == MARCH
    assert kept(terminal) == MARCH
    uplink.apply(signed(APRIL, T0 + timedelta(days=31)))
    assert kept(terminal) == APRIL


def test_an_older_statement_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    attestations = store(tmp_path)
    attestations.apply(signed(APRIL, T0 + timedelta(days=31)))
    assert attestations.apply(signed()).statement == APRIL
    assert kept(attestations) == APRIL


def test_the_same_statement_again_is_not_written_again(tmp_path: Path) -> None:
    attestations, first = store(tmp_path), signed()
    attestations.apply(first)
    attestations.apply(signed(issued_at=T0 + timedelta(days=1)))
    assert (tmp_path / "data" / "attestation.jws").read_bytes() == first


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (b"", ProtocolError),
        (signed(key=PrivateKey.generate()), ProtocolError),
        (signed(dataclasses.replace(MARCH, terminal_id="t-2")), NotForUs),
        (signed(dataclasses.replace(MARCH, fleet_id="south")), NotForUs),
        (signed(dataclasses.replace(MARCH, key=PrivateKey.generate().public())), NotForUs),
    ],
)
def test_what_does_not_speak_of_this_terminal_s_key_is_refused(
    tmp_path: Path, token: bytes, error: type[ProtocolError]
) -> None:
    attestations = store(tmp_path)
    with pytest.raises(error):
        attestations.apply(token)
    assert attestations.current() is None


def test_a_statement_about_a_replaced_key_counts_as_none(tmp_path: Path) -> None:
    store(tmp_path).apply(signed())
    fresh = PrivateKey.generate()
    attestations = store(tmp_path, fresh)
    assert attestations.current() is None
    replaced = dataclasses.replace(MARCH, key=fresh.public())
    assert attestations.apply(signed(replaced)).statement == replaced


def test_a_disk_that_does_not_take_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(AttestationUnavailable, match=r"attestation\.jws"):
        store(tmp_path).apply(signed())
