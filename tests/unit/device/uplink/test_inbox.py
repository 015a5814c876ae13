from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.uplink.inbox import AttestationToken, Inbox, PolicyToken, RulePacksToken
from protocol.envelope import seal, sign
from protocol.errors import Malformed, NotForUs, ProtocolError, SignatureInvalid
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.receipts import RECEIPT_TYP, Receipt, ReceiptItem, Verdict
from protocol.reference_card import CARD_KEYS_TYP, CardKeys
from protocol.roster import ROSTER_TYP, RosterPage
from protocol.topics import Kind, Topic

FLEET_KEY, SEALING, STRANGER = PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate()
INBOX = Inbox(fleet_id="north", terminal_id="t-1", fleet_key=FLEET_KEY.public(), sealing_key=SEALING)
NOW = datetime.fromtimestamp(time.time(), UTC)


def topic(kind: Kind, terminal: str = "t-1") -> str:
    return str(Topic("north", terminal, kind))


def receipt(terminal: str = "t-1", fleet: str = "north") -> Receipt:
    item = ReceiptItem(sha256="0" * 64, verdict=Verdict.STORED)
    return Receipt(fleet_id=fleet, terminal_id=terminal, fleet_time=NOW, items=(item,))


def page(terminal: str = "t-1") -> RosterPage:
    return RosterPage(
        fleet_id="north",
        terminal_id=terminal,
        issued_at=NOW,
        expires_at=NOW + timedelta(days=1),
        after=0,
        upto=0,
        complete=True,
        claim_key="A" * 43,
        feature_keys={},
        entries=(),
    )


def card_keys(terminal: str = "t-1") -> CardKeys:
    made = examples()[CARD_KEYS_TYP]
    assert isinstance(made, CardKeys)
    return made.model_copy(update={"fleet_id": "north", "terminal_id": terminal})


def signed(message: Receipt | RosterPage | CardKeys, typ: str, key: PrivateKey = FLEET_KEY) -> bytes:
    return sign(message.to_bytes(), key=key, typ=typ)


def test_a_receipt_of_the_fleet_for_this_terminal_is_read() -> None:
    assert INBOX.read(topic(Kind.RECEIPT), signed(receipt(), RECEIPT_TYP)) == receipt()


def test_a_page_sealed_to_this_terminal_is_read() -> None:
    token = seal(signed(page(), ROSTER_TYP), reader=SEALING.public())
    assert INBOX.read(topic(Kind.ROSTER), token) == page()


def test_policy_and_attestation_are_handed_on_as_they_are() -> None:
    assert INBOX.read(topic(Kind.POLICY), b"anything") == PolicyToken(b"anything")
    assert INBOX.read(topic(Kind.RULE_PACKS), b"anything") == RulePacksToken(b"anything")
    assert INBOX.read(topic(Kind.ATTESTATION), b"anything") == AttestationToken(b"anything")


@pytest.mark.parametrize(
    ("name", "payload", "error"),
    [
        (topic(Kind.RECEIPT), signed(receipt(), RECEIPT_TYP, STRANGER), SignatureInvalid),
        (topic(Kind.RECEIPT), signed(receipt(), ROSTER_TYP), SignatureInvalid),
        (topic(Kind.RECEIPT), signed(receipt("t-2"), RECEIPT_TYP), NotForUs),
        (topic(Kind.RECEIPT), signed(receipt(fleet="south"), RECEIPT_TYP), NotForUs),
        (topic(Kind.RECEIPT, "t-2"), signed(receipt("t-2"), RECEIPT_TYP), NotForUs),
        (topic(Kind.RECEIPT), b"x" * 70_000, Malformed),
        (topic(Kind.RECORD), b"", Malformed),
        (topic(Kind.ROSTER), signed(page(), ROSTER_TYP), Malformed),
        (topic(Kind.ROSTER), seal(signed(page(), ROSTER_TYP), reader=STRANGER.public()), NotForUs),
        (topic(Kind.ROSTER), seal(signed(page(), ROSTER_TYP, STRANGER), reader=SEALING.public()), SignatureInvalid),
        (topic(Kind.ROSTER), seal(signed(page("t-2"), ROSTER_TYP), reader=SEALING.public()), NotForUs),
        ("", b"", Malformed),
        ("other/topic", b"", Malformed),
    ],
    ids=range(13),
)
def test_everything_else_is_refused(name: str, payload: bytes, error: type[ProtocolError]) -> None:
    with pytest.raises(error):
        INBOX.read(name, payload)


@given(st.sampled_from([topic(Kind.RECEIPT), topic(Kind.ROSTER)]), st.binary(max_size=400))
def test_any_bytes_are_refused_as_a_protocol_error(name: str, payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        INBOX.read(name, payload)


@given(st.text(max_size=80))
def test_any_topic_is_refused_as_a_protocol_error(name: str) -> None:
    with pytest.raises(ProtocolError):
        INBOX.read(name, b"")


@given(st.data())
def test_a_changed_byte_is_never_believed(data: st.DataObject) -> None:
    token = bytearray(signed(receipt(), RECEIPT_TYP))
    place = data.draw(st.integers(0, len(token) - 1))
    token[place] ^= data.draw(st.integers(1, 255))
    try:
        found = INBOX.read(topic(Kind.RECEIPT), bytes(token))
    except ProtocolError:
        return
    assert found == receipt(), "base64url has spare bits: other characters, the same signed bytes"
