"""Which reference a probe is compared with."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from device.runner.claims import choose_reference, cohort_of, look_up
from device.simulated.stores import MemoryReferences
from protocol.documents import check_digit, claim_token, parse_document
from protocol.errors import Malformed
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features
from protocol.roster import RosterEntry

MODEL, OTHER = "a" * 64, "b" * 64
TODAY = date(2026, 11, 22)
KEY = bytes(32)
NUMBER = "99999919400101001" + check_digit("99999919400101001")
WRONG = NUMBER[:-1] + ("1" if NUMBER[-1] != "1" else "2")


def reference(number: int, **changes) -> Reference:
    fields = {
        "reference_id": f"{number:032x}",
        "features": encode_features(np.arange(8, dtype=np.int8)),
        "model_sha256": MODEL,
        "runtime": "none",
        "key_domain": "d-1",
        "quality": 90.0,
        "capture": CaptureKind.LIVE,
        "legal_basis": LegalBasis.CONSENT,
        "captured_at": datetime(2026, 1, number, tzinfo=UTC),
        "valid_until": date(2027, 1, 1),
    }
    return Reference.model_validate({**fields, **changes})


def choose(*references: Reference) -> str | None:
    chosen = choose_reference(references, domains=["d-1"], model_sha256=MODEL, today=TODAY)
    return chosen and chosen.reference_id


def test_a_live_capture_comes_before_a_newer_photo_and_the_newest_of_a_kind_wins():
    live, newer = reference(1), reference(2)
    photo = reference(3, capture=CaptureKind.PHOTO)
    confirmed = reference(4, capture=CaptureKind.PHOTO_CONFIRMED)
    assert choose(live, photo, confirmed) == live.reference_id
    assert choose(live, newer) == newer.reference_id
    assert choose(photo, confirmed) == confirmed.reference_id


@pytest.mark.parametrize(
    "changes",
    [
        {"model_sha256": OTHER},
        {"key_domain": "unknown"},
        {"valid_until": date(2026, 11, 21)},
        {"features": ""},
    ],
    ids=["other_network", "unknown_key", "expired", "empty"],
)
def test_a_reference_that_cannot_be_used_is_passed_over(changes):
    assert choose(reference(1, **changes)) is None


def test_a_reference_is_valid_on_its_last_day():
    assert choose(reference(1, valid_until=TODAY)) is not None


def roster(*references: Reference, removed: bool = False) -> MemoryReferences:
    token = claim_token(parse_document(NUMBER), KEY)
    entry = RosterEntry(
        roster_version=1, subject_id="5" * 32, claim_token=token, removed=removed, references=references
    )
    return MemoryReferences([entry], claim_key=KEY, feature_keys={"d-1": KEY})


def test_a_claim_is_found_by_its_token_and_shows_no_number():
    claimed = look_up(NUMBER, roster(reference(1)), model_sha256=MODEL, today=TODAY)
    assert claimed is not None
    assert claimed.subject_id == "5" * 32
    assert claimed.features().values.dtype == np.int8
    assert NUMBER not in repr(claimed)


def test_a_tombstone_a_stranger_and_no_roster():
    gone = look_up(NUMBER, roster(removed=True), model_sha256=MODEL, today=TODAY)
    assert gone is not None
    assert (gone.subject_id, gone.features()) == (None, None)
    assert look_up(NUMBER, MemoryReferences(claim_key=None), model_sha256=MODEL, today=TODAY) is None


def test_a_number_with_a_wrong_check_digit_is_refused():
    with pytest.raises(Malformed, match="check digit"):
        look_up(WRONG, roster(), model_sha256=MODEL, today=TODAY)


def crowd(*references: Reference) -> MemoryReferences:
    """The claimed subject, then one other person for each reference."""
    token = claim_token(parse_document(NUMBER), KEY)
    own = RosterEntry(roster_version=1, subject_id="5" * 32, claim_token=token, references=(reference(1),))
    others = [
        RosterEntry(roster_version=2 + n, subject_id=f"{n:032x}", claim_token=f"{n:043d}", references=(other,))
        for n, other in enumerate(references)
    ]
    return MemoryReferences([own, *others], claim_key=KEY, feature_keys={"d-1": KEY, "d-2": KEY})


def test_the_cohort_is_one_reference_of_each_of_the_others_that_can_be_compared():
    store = crowd(
        reference(2),
        reference(3, key_domain="d-2"),
        reference(4, model_sha256=OTHER),
        reference(5, valid_until=date(2026, 11, 21)),
        reference(6, capture=CaptureKind.PHOTO),
        reference(7, capture=CaptureKind.PHOTO_CONFIRMED),
    )
    claimed = look_up(NUMBER, store, model_sha256=MODEL, today=TODAY)
    assert claimed is not None
    found = cohort_of(claimed, store, model_sha256=MODEL, today=TODAY)
    assert [member.subject_id for member in found] == [f"{0:032x}", f"{5:032x}"]
    assert all(member.features.key_domain == "d-1" for member in found)


def test_without_a_reference_there_is_no_cohort():
    claimed = look_up(NUMBER, crowd(reference(2)), model_sha256=OTHER, today=TODAY)
    assert claimed is not None
    assert cohort_of(claimed, crowd(reference(2)), model_sha256=OTHER, today=TODAY) == ()
