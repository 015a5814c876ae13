"""A reference that a session made, on its way to the fleet: protected, sealed, erased here."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import ValidationError

from device.errors import DeviceError
from device.ports import Clock, Entropy, Errand, PolicyStore, ReferenceStore
from device.runner.orders import KeyOf
from device.runner.records import Identity
from device.session.commands import Compare, StoreRecord
from device.vision.features import FeatureVector
from protocol.envelope import seal
from protocol.keys import PublicJwk
from protocol.outcomes import Outcome
from protocol.records import Purpose, SealedReference
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features

logger = logging.getLogger(__name__)

_ID_BYTES = 16
_KEEPS_REFERENCE = (Outcome.CERTIFIED, Outcome.REVIEW, Outcome.TIME_UNCERTAIN)
"""With these outcomes of an enrolment the fleet gets the reference: to use it, or to have a person decide."""
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


class ReferenceNotMade(DeviceError):
    """What a session made is no reference that can be sent. The message says nothing personal."""


class ReferenceMaker:
    """Says which sessions make a reference, under which key, and seals what they made to the fleet. Used by the loop's thread."""

    def __init__(
        self, references: ReferenceStore, policies: PolicyStore, clock: Clock, entropy: Entropy, identity: Identity
    ) -> None:
        self._references = references
        self._policies = policies
        self._clock = clock
        self._entropy = entropy
        self._identity = identity

    def key(self) -> KeyOf | None:
        """Return the key of references made here; None where the fleet wants none, or has not said to whom to seal them."""
        if self._identity.fleet_sealing_key is None:
            return None
        try:
            domain = self._references.enrolment_domain()
            secret = None if domain is None else self._references.feature_key(domain)
        except DeviceError as error:
            logger.warning("no key for references why=%s", error)
            return None
        return None if domain is None or secret is None else KeyOf(domain, secret)

    def wanted(self, command: Compare, known: Reference | None) -> KeyOf | None:
        """Return under which key the probe of a session is wanted as a reference, None where it is not.

        Of an enrolment it is, and of a certification against a reference that has grown old, because people age.
        """
        if command.purpose is Purpose.ENROLMENT:
            return self.key()
        rules = command.policy.refresh
        if rules is None or known is None or known.capture is not CaptureKind.LIVE:
            return None
        is_old = self._clock.now().wall_clock - known.captured_at >= timedelta(days=rules.after_days)
        return self.key() if is_old else None

    def seal(
        self, made: MadeReference | None, draft: StoreRecord, errand: Errand, known: Reference | None
    ) -> SealedReference | None:
        """Return what a session made sealed to the fleet, if its outcome lets it be kept; erase it in any case."""
        if made is None:
            return None
        try:
            kind = self._kind(made, draft)
            reader = self._identity.fleet_sealing_key
            if reader is None or kind is None:
                return None
            return seal_reference(
                made,
                kind=kind,
                reader=reader,
                reference_id=self._entropy.token(_ID_BYTES).hex(),
                runtime=self._identity.features_runtime,
                legal_basis=known.legal_basis if kind == "refresh" and known else errand.legal_basis,
                captured_at=self._clock.now().wall_clock,
            )
        except ReferenceNotMade as error:
            # The decided session is worth its record without it.
            logger.error("record goes without its reference why=%s", error)  # noqa: TRY400 - a trace repeats features
            return None
        finally:
            made.features.erase()

    def _kind(self, made: MadeReference, draft: StoreRecord) -> Literal["enrolment", "refresh"] | None:
        """Return as what the fleet gets the reference; None where the session did not end so that it may be kept."""
        if draft.purpose is Purpose.ENROLMENT:
            return "enrolment" if draft.verdict.outcome in _KEEPS_REFERENCE else None
        policy = self._policies.current()
        rules = policy.refresh if policy is not None else None
        is_good = rules is not None and made.quality >= rules.min_quality
        return "refresh" if is_good and draft.verdict.outcome is Outcome.CERTIFIED else None


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
        ReferenceNotMade: if a value is none that a reference can have; the message repeats none.
        ValueError: if the features are not protected.
    """
    if made.features.key_domain is None or made.features.values.dtype != "int8":
        raise ValueError("a reference of plain features")
    try:
        return _sealed(
            made,
            reader=reader,
            reference_id=reference_id,
            runtime=runtime,
            legal_basis=legal_basis,
            captured_at=captured_at,
            kind=kind,
            capture=capture,
        )
    except ValidationError as error:
        # Its message repeats the values, which are features.
        raise ReferenceNotMade(f"reference: invalid in {error.error_count()} places") from None
    except OverflowError:
        raise ReferenceNotMade("reference: valid until a year no calendar has") from None


def _sealed(
    made: MadeReference,
    *,
    reader: PublicJwk,
    reference_id: str,
    runtime: str,
    legal_basis: LegalBasis,
    captured_at: datetime,
    kind: Literal["enrolment", "refresh", "photo"],
    capture: CaptureKind,
) -> SealedReference:
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
