"""A reference that a session made, on its way to the fleet: protected, sealed, erased here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from device.vision.features import FeatureVector
from protocol.envelope import seal
from protocol.keys import PublicJwk
from protocol.records import SealedReference
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features

_PROPOSED_DAYS = 3653
"""How long the terminal proposes to keep it: ten years, after which no face is the same; the fleet sets its own end."""


@dataclass(frozen=True, slots=True)
class MadeReference:
    """The fused probe of a session as a protected reference."""

    features: FeatureVector
    """int8 (D,)."""
    quality: float
    """Unified quality of the probe, 0..100."""
    samples: int

    def __repr__(self) -> str:
        return f"MadeReference({self.samples} samples)"


def seal_reference(
    made: MadeReference,
    *,
    reader: PublicJwk,
    reference_id: str,
    runtime: str,
    legal_basis: LegalBasis,
    captured_at: datetime,
    kind: Literal["enrolment", "refresh", "photo"] = "enrolment",
    capture: CaptureKind = CaptureKind.LIVE,
) -> SealedReference:
    """Return the reference sealed to the fleet.

    Raises:
        ValueError: if the features are not protected.
    """
    if made.features.key_domain is None or made.features.values.dtype != "int8":
        raise ValueError("a reference of plain features")
    reference = Reference(
        reference_id=reference_id,
        features=encode_features(made.features.values.astype("int8", copy=False)),
        model_sha256=made.features.model_digest,
        runtime=runtime,
        key_domain=made.features.key_domain,
        quality=made.quality,
        capture=capture,
        legal_basis=legal_basis,
        captured_at=captured_at,
        valid_until=_ten_years_after(captured_at),
    )
    return SealedReference(
        kind=kind,
        reference_id=reference_id,
        legal_basis=legal_basis,
        sealed=seal(reference.model_dump_json().encode(), reader=reader).decode(),
    )


def _ten_years_after(moment: datetime) -> date:
    return (moment + timedelta(days=_PROPOSED_DAYS)).date()
