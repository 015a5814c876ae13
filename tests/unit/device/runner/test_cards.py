"""Reference cards as claims: what they bring along, and what is refused with which line."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime

import numpy as np
import pytest

from device.runner.claims import ClaimUnfit, cohort_of, is_garbage, look_up
from device.session.acquiring import refuse
from device.session.events import ClaimProblem, ClaimRefused
from device.session.machine import Session
from device.simulated.stores import MemoryReferences
from device.vision.comparison import compare
from device.vision.features import FeatureVector
from protocol.documents import check_digit, parse_document
from protocol.errors import Malformed
from protocol.keys import PrivateKey
from protocol.reference_card import NUMBER_MARK, CardKey, CardKeys, ReferenceCard, card_text
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features, protect

MODEL = "a" * 64
TODAY = date(2026, 11, 22)
NUMBER = "99999919400101001" + check_digit("99999919400101001")
OTHER_NUMBER = "99999919400101002" + check_digit("99999919400101002")
SIGNING = PrivateKey.generate()
SECRET = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
KEY = CardKey(key_id="00000001", secret=SECRET)
TOKEN = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()


def keys(**changes: object) -> CardKeys:
    fields = {
        "fleet_id": "north",
        "terminal_id": "t-1",
        "issued_at": datetime(2026, 11, 1, tzinfo=UTC),
        "expires_at": datetime(2027, 5, 1, tzinfo=UTC),
        "signing_keys": (SIGNING.public(),),
        "keys": (KEY,),
    }
    return CardKeys.model_validate({**fields, **changes})


def person() -> np.ndarray:
    found = np.random.default_rng(1).normal(size=192)
    return (found / np.linalg.norm(found)).astype(np.float32)


def card(signing: PrivateKey = SIGNING, key: CardKey = KEY, **changes: object) -> str:
    fields = {
        "reference_id": "7" * 32,
        "features": encode_features(protect(person(), key.feature_key())),
        "model_sha256": MODEL,
        "runtime": "card",
        "key_domain": key.domain,
        "quality": 90.0,
        "capture": CaptureKind.LIVE,
        "legal_basis": LegalBasis.CONSENT,
        "captured_at": datetime(2026, 1, 1, tzinfo=UTC),
        "valid_until": TODAY,
    }
    reference = Reference.model_validate({**fields, **changes})
    document = parse_document(NUMBER)
    check = key.document_check("7" * 32, document)
    made = ReferenceCard("7" * 32, TOKEN, "5" * 32, document.kind, check, reference)
    return card_text(made, key=key, fleet_id="north", signing=signing, nonce=bytes(12))


def bare(card_keys: CardKeys | None) -> MemoryReferences:
    """A terminal without any roster."""
    return MemoryReferences(claim_key=None, card_keys=card_keys)


def look(text: str, store: MemoryReferences | None = None):
    return look_up(text, store or bare(keys()), model_sha256=MODEL, today=TODAY)


def test_a_card_brings_claim_and_reference_to_a_terminal_without_a_roster() -> None:
    claimed = look(card())
    assert claimed is not None
    assert (claimed.subject_id, claimed.token, claimed.document) == ("5" * 32, TOKEN, "resident_id")
    assert claimed.reference is not None
    assert claimed.reference.reference_id == "7" * 32
    reference = claimed.features()
    assert reference is not None
    probe = FeatureVector(protect(person(), claimed.key), MODEL, reference.key_domain)
    assert compare(probe, reference).similarity > 0.999


def test_a_card_has_no_cohort_whatever_roster_there_is() -> None:
    store = MemoryReferences(claim_key=bytes(32), feature_keys={"d-1": bytes(32)}, card_keys=keys())
    claimed = look(card(), store)
    assert claimed is not None
    assert cohort_of(claimed, store, model_sha256=MODEL, today=TODAY) == ()


def test_a_card_of_another_network_has_no_reference_that_can_be_used() -> None:
    claimed = look(card(model_sha256="b" * 64))
    assert claimed is not None
    assert (claimed.subject_id, claimed.reference, claimed.key) == ("5" * 32, None, b"")


def test_a_document_number_presented_with_it_must_be_the_one_it_was_made_for() -> None:
    assert look(f"{card()}#{NUMBER}") is not None
    with pytest.raises(ClaimUnfit) as refused:
        look(f"{card()}#{OTHER_NUMBER}")
    assert refused.value.problem is ClaimProblem.CARD_OF_ANOTHER
    with pytest.raises(Malformed):
        look(f"{card()}#12")


@pytest.mark.parametrize(
    ("text", "store", "problem"),
    [
        (card(valid_until=date(2026, 11, 21)), bare(keys()), "card_expired"),
        (card(), bare(keys(revoked=("7" * 32,))), "card_revoked"),
        (card(), bare(keys(keys=())), "card_foreign"),
        (card(), bare(keys(fleet_id="south")), "card_garbled"),
        (card(PrivateKey.generate()), bare(keys()), "card_foreign"),
        (card()[:-9], bare(keys()), "card_garbled"),
        ("LCR1:nonsense", bare(keys()), "card_garbled"),
        ("LCR1:", bare(keys()), "card_garbled"),
    ],
    ids=["expired", "revoked", "other_generation", "other_fleet", "unsigned", "cut_off", "nonsense", "empty"],
)
def test_a_card_that_cannot_be_used_is_refused_with_a_line_of_its_own(
    text: str, store: MemoryReferences, problem: str
) -> None:
    with pytest.raises(ClaimUnfit) as refused:
        look(text, store)
    assert refused.value.problem == problem
    assert text not in str(refused.value)
    _, commands = refuse(Session(), ClaimRefused(0, refused.value.problem))
    assert [command.line for command in commands] == [problem]


def test_a_card_is_valid_on_its_last_day() -> None:
    assert look(card(valid_until=TODAY)) is not None


def test_without_card_keys_the_terminal_is_not_ready_for_cards() -> None:
    assert look(card(), bare(None)) is None


def test_an_expired_roster_is_told_apart_from_none() -> None:
    assert look(NUMBER, bare(None)) is None
    with pytest.raises(ClaimUnfit) as refused:
        look(NUMBER, MemoryReferences(claim_key=None, has_expired=True))
    assert refused.value.problem is ClaimProblem.ROSTER_EXPIRED
    assert look(card(), MemoryReferences(claim_key=None, has_expired=True, card_keys=keys())) is not None


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (card(), False),
        (card()[:-9], True),
        (card(PrivateKey.generate()), False),
        (card() + NUMBER_MARK + NUMBER, False),
        (card() + NUMBER_MARK + "1", True),
        (NUMBER, False),
        (NUMBER[:-1], True),
        ("LCS1:anything", False),
        ("https://example.org/", True),
        ("", True),
    ],
)
def test_what_is_no_whole_document_or_card_is_a_readers_garbage(text: str, is_one: bool) -> None:
    assert is_garbage(text, bare(keys())) is is_one


def test_a_card_that_nobody_gave_the_keys_of_is_not_known_to_be_garbage() -> None:
    assert not is_garbage(card()[:-9], bare(None))
