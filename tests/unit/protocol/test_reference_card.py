"""Reference cards: what they hold, how large they are, and what is refused."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
from datetime import UTC, date, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import base45
from protocol.documents import DocumentKind, IdentityDocument
from protocol.errors import Malformed, NotForUs, ProtocolError, SignatureInvalid, UnsupportedVersion
from protocol.keys import PrivateKey
from protocol.reference_card import (
    CARD_PREFIX,
    CardKey,
    CardKeys,
    ReferenceCard,
    card_text,
    is_card,
    read_card,
    split_number,
)
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features, protect, rekey

NOW = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
SIGNING = PrivateKey.generate()
DOCUMENT = IdentityDocument(DocumentKind.RESIDENT_ID, "no number at all")


def key(number: int = 1) -> CardKey:
    secret = base64.urlsafe_b64encode(bytes([number]) * 32).rstrip(b"=").decode()
    return CardKey(key_id=f"{number:08x}", secret=secret)


def keys(*generations: CardKey, fleet_id: str = "north", signers: tuple[PrivateKey, ...] = (SIGNING,)) -> CardKeys:
    return CardKeys(
        fleet_id=fleet_id,
        terminal_id="t-1",
        issued_at=NOW,
        expires_at=datetime(2027, 5, 1, tzinfo=UTC),
        signing_keys=tuple(signer.public() for signer in signers),
        keys=generations or (key(),),
    )


def features(size: int = 192) -> np.ndarray:
    found = np.random.default_rng(size).normal(size=size)
    return (found / np.linalg.norm(found)).astype(np.float32)


def card(made_with: CardKey | None = None, *, size: int = 192, **changes: object) -> ReferenceCard:
    generation = made_with or key()
    fields: dict[str, object] = {
        "reference_id": "7" * 32,
        "features": encode_features(protect(features(size), generation.feature_key())),
        "model_sha256": "ab" * 32,
        "runtime": "card",
        "key_domain": generation.domain,
        "quality": 71.25,
        "capture": CaptureKind.LIVE,
        "legal_basis": LegalBasis.STATUTE,
        "captured_at": NOW,
        "valid_until": date(2029, 11, 1),
    }
    reference = Reference.model_validate({**fields, **changes})
    check = generation.document_check("7" * 32, DOCUMENT)
    token = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
    return ReferenceCard("7" * 32, token, "5" * 32, DOCUMENT.kind, check, reference)


def text(of: ReferenceCard | None = None, *, generation: CardKey | None = None, fleet_id: str = "north") -> str:
    return card_text(of or card(), key=generation or key(), fleet_id=fleet_id, signing=SIGNING, nonce=bytes(12))


@pytest.mark.parametrize("size", [128, 192, 512])
def test_a_card_reads_back(size: int) -> None:
    made = card(size=size)
    assert read_card(text(made), keys(key(2), key())) == made


def test_a_card_reads_back_after_a_reader_with_another_case_and_blanks_around() -> None:
    assert read_card(f" {text().lower()}\r\n", keys()) == card()


def test_a_card_with_the_terminals_features_fits_a_qr_code_of_81_modules_and_a_camera_reads_it(tmp_path: Path) -> None:
    # No two cards have one signature, and OpenCV's reader fails on a code now and then; a reader in service looks again.
    read = 0
    for _ in range(12):
        made = text()
        assert len(made) == 628
        code = segno.make(made, error="m", boost_error=False, micro=False)
        assert code.designator == "16-M"
        code.save(str(tmp_path / "card.png"), scale=6)
        picture = cv2.imread(str(tmp_path / "card.png"))
        noisy = cv2.GaussianBlur(picture, (0, 0), 1.5)
        read += cv2.QRCodeDetectorAruco().detectAndDecode(noisy)[0] == made
    assert read >= 8


def test_what_is_on_a_card_cannot_be_read_without_the_card_key() -> None:
    data = base45.decode(text().removeprefix(CARD_PREFIX))
    made = card()
    for secret in (made.subject_id, made.card_id, made.reference.model_sha256):
        assert bytes.fromhex(secret) not in data
    assert made.reference.vector().tobytes()[:16] not in data
    assert b"resident" not in data
    assert "features" not in repr(made)
    assert made.claim_token not in repr(made)
    assert key().secret not in repr(key())


def test_cards_of_two_generations_cannot_be_linked() -> None:
    one, other = card(key(1)).reference.vector().astype(float), card(key(2)).reference.vector().astype(float)
    assert abs(one @ other / np.linalg.norm(one) / np.linalg.norm(other)) < 0.3
    again = rekey(card(key(1)).reference.vector(), key(1).feature_key(), key(2).feature_key()).astype(float)
    assert again @ other / np.linalg.norm(again) / np.linalg.norm(other) > 0.999


def test_a_card_of_a_generation_that_the_terminal_lacks_is_foreign() -> None:
    with pytest.raises(NotForUs, match="card key 00000001"):
        read_card(text(), keys(key(2)))


def test_another_fleets_card_is_refused_even_under_the_same_keys() -> None:
    with pytest.raises(Malformed, match="another fleet"):
        read_card(text(fleet_id="south"), keys())


def test_a_card_that_the_fleet_did_not_sign_is_refused() -> None:
    with pytest.raises(SignatureInvalid):
        read_card(text(), keys(signers=(PrivateKey.generate(), PrivateKey.generate())))
    assert read_card(text(), keys(signers=(PrivateKey.generate(), SIGNING))) == card()


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_card_with_any_byte_altered_is_refused(place: int, flip: int) -> None:
    data = bytearray(base45.decode(text().removeprefix(CARD_PREFIX)))
    data[place % len(data)] ^= flip
    with pytest.raises(ProtocolError):
        read_card(CARD_PREFIX + base45.encode(bytes(data)), keys())


@settings(max_examples=60)
@given(st.text(max_size=80) | st.binary(max_size=600).map(lambda data: CARD_PREFIX + base45.encode(data)))
def test_any_text_is_a_card_or_refused(found: str) -> None:
    with contextlib.suppress(ProtocolError):
        read_card(found, keys())


def test_texts_cut_short_or_far_too_long_are_refused() -> None:
    for bad in (text()[:-3], text()[:100], CARD_PREFIX, text() + "0" * 5000):
        with pytest.raises(ProtocolError):
            read_card(bad, keys())


def test_a_version_to_come_is_named_as_such() -> None:
    data = b"\x02" + base45.decode(text().removeprefix(CARD_PREFIX))[1:]
    with pytest.raises(UnsupportedVersion, match="version 2"):
        read_card(CARD_PREFIX + base45.encode(data), keys())


@pytest.mark.parametrize(
    "changes",
    [{"captured_at": datetime(1960, 1, 1, tzinfo=UTC)}, {"key_domain": "d1"}],
    ids=["captured_before_1970", "other_domain"],
)
def test_what_a_card_cannot_hold_is_refused_when_it_is_made(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="card 7777"):
        text(card(**changes))
    with pytest.raises(ValueError, match="this id"):
        text(dataclasses.replace(card(), card_id="8" * 32))
    with pytest.raises(ValueError, match="12 expected"):
        card_text(card(), key=key(), fleet_id="north", signing=SIGNING, nonce=b"")


def test_a_number_presented_with_a_card_is_taken_apart_and_known_by_the_card() -> None:
    assert split_number("LCR1:ABC") == ("LCR1:ABC", None)
    assert split_number("LCR1:ABC#110") == ("LCR1:ABC", "110")
    made = card()
    assert key().document_check(made.card_id, DOCUMENT) == made.document_check
    other = IdentityDocument(DocumentKind.RESIDENT_ID, "another")
    assert key().document_check(made.card_id, other) != made.document_check


def test_only_a_text_with_the_prefix_is_meant_to_be_a_card() -> None:
    assert is_card(" lcr1:x")
    assert not is_card("11010119400101001X")
