"""Which references of a person are in use."""

from __future__ import annotations

from datetime import UTC, date, datetime

from fleet.references.refresh import anchor_of, choose_active
from fleet.store.lives import KeptReference
from protocol.references import CaptureKind, LegalBasis, Reference


def kept(year: int, *, capture: CaptureKind = CaptureKind.LIVE, is_refresh: bool = True) -> KeptReference:
    reference = Reference(
        reference_id=f"{year:032x}",
        features="AAAA",
        model_sha256="d" * 64,
        runtime="test",
        key_domain="d1",
        quality=80,
        capture=capture,
        legal_basis=LegalBasis.CONSENT,
        captured_at=datetime(year, 1, 1, tzinfo=UTC),
        valid_until=date(2040, 1, 1),
    )
    return KeptReference("5" * 32, reference, "active", 0, "a" * 32 if is_refresh else None, None, None)


def years(found: tuple[KeptReference, ...]) -> list[int]:
    return [one.reference.captured_at.year for one in found]


def test_the_anchor_stays_and_the_newest_fill_what_is_left() -> None:
    all_of_them = [kept(2020, is_refresh=False), kept(2023), kept(2021), kept(2022)]
    assert years(choose_active(all_of_them, 3)) == [2023, 2022, 2020]
    assert years(choose_active(all_of_them, 1)) == [2020]
    assert years(choose_active(all_of_them[:1], 3)) == [2020]
    assert choose_active([], 3) == ()


def test_the_anchor_is_the_oldest_that_somebody_made_live_before_photo() -> None:
    photo = kept(2019, capture=CaptureKind.PHOTO_CONFIRMED, is_refresh=False)
    live, later = kept(2021, is_refresh=False), kept(2022, is_refresh=False)
    assert anchor_of([photo, later, live, kept(2018)]) is live
    assert anchor_of([photo, kept(2018)]) is photo
    assert anchor_of([kept(2018)]) is None
