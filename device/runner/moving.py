"""References for a features network that runs in the shadow, of sessions that certified: what may be made, and on its way to the fleet.

The day on which the new network is the one in use finds references of it for whoever came while it ran beside. All of this is done after
the result was told, and nothing of it can change a decision or its record, which are on the disk by then. That a reference of
one network is never compared with features of another is for `device.vision.comparison` to see to, by type.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from device.errors import DeviceError
from device.ports import Clock, Entropy, PolicyStore, ReferenceStore
from device.runner.claims import choose_reference, known_keys
from device.runner.events import EventLog
from device.runner.making import MadeReference, ReferenceMaker, ReferenceNotMade, seal_reference
from device.runner.orders import EndShadow
from device.runner.records import Identity
from device.vision.features import FeatureVector
from device.vision.shadow import Fate, Move, Moved
from protocol.events import ProposedReference
from protocol.outcomes import Outcome
from protocol.records import CertificationRecord, NetworkUse, Purpose
from protocol.references import CaptureKind, LegalBasis
from protocol.roster import RosterEntry
from protocol.times import agency_day

logger = logging.getLogger(__name__)

_ID_BYTES = 16
_TELLING = frozenset({Fate.NO_THRESHOLDS, Fate.NO_KEY})
"""What somebody at the office can mend; the rest is about single sessions."""


class ReferenceMover:
    """Used by the loop's thread.

    Args:
        network: that which runs in the shadow.
        maker: knows the key of new references.
        references: who is on the roster, with what.
        policies: thresholds.
        clock: of the terminal.
        entropy: ids.
        identity: of the terminal.
        events: where proposals go into the chain.
        order: takes orders to the vision worker.
    """

    def __init__(
        self,
        network: NetworkUse,
        *,
        maker: ReferenceMaker,
        references: ReferenceStore,
        policies: PolicyStore,
        clock: Clock,
        entropy: Entropy,
        identity: Identity,
        events: EventLog,
        order: Callable[[EndShadow], None],
    ) -> None:
        self._network = network
        self._maker = maker
        self._references = references
        self._policies = policies
        self._clock = clock
        self._entropy = entropy
        self._identity = identity
        self._events = events
        self._order = order

    def end(self, record: CertificationRecord | None) -> None:
        """Have the faces of a session that ended looked at by the network in the shadow, if it certified, and forgotten in any case."""
        if record is None or record.decision.outcome is not Outcome.CERTIFIED:
            self._order(EndShadow())
            return
        try:
            move = self._move(record)
        except DeviceError as error:
            logger.warning("no reference for the network in the shadow why=%s", error)
            move = Fate.NOT_ON_ROSTER
        if move in _TELLING:
            logger.warning("no reference for the network in the shadow name=%s why=%s", self._network.name, move)
        self._order(EndShadow(record.record_id, move))

    def take(self, record_id: str, moved: Moved) -> bool:
        """Send a reference on its way to the fleet, sealed, and erase it here; return whether it is in the chain."""
        reader = self._identity.fleet_sealing_key
        try:
            if reader is None:
                return False
            sealed = seal_reference(
                MadeReference(moved.features, moved.quality, moved.samples),
                kind="refresh",
                reader=reader,
                reference_id=self._entropy.token(_ID_BYTES).hex(),
                runtime=self._network.runtime,
                legal_basis=moved.legal_basis,
                captured_at=self._clock.now().wall_clock,
            )
        except ReferenceNotMade as error:
            logger.error("no reference for the network in the shadow why=%s", error)  # noqa: TRY400 - a trace repeats features
            return False
        finally:
            moved.features.erase()
        return self._events.propose(
            ProposedReference(session_record=record_id, network=self._network, reference=sealed)
        )

    def _move(self, record: CertificationRecord) -> Move | Fate:
        """Return how a reference is made of this session, or why none can be.

        Raises:
            DeviceError: if a store does not answer.
        """
        policy, key = self._policies.current(), self._maker.key()
        if policy is None or policy.policy_version != record.decision.policy_version:
            return Fate.OTHER_POLICY
        new, old = (policy.comparison.get(name) for name in (self._network.name, self._identity.features_name))
        if new is None or old is None:
            return Fate.NO_THRESHOLDS
        if key is None:
            return Fate.NO_KEY
        entry = self._references.find(record.claim.token)
        basis = _basis(record, entry)
        if entry is None or entry.removed or basis is None:
            return Fate.NOT_ON_ROSTER
        secrets = known_keys(entry, self._references)
        known = choose_reference(
            entry.references,
            domains=secrets,
            model_sha256=self._network.sha256,
            today=agency_day(self._clock.now()),
        )
        if known is None:
            return Move(key.domain, key.secret, new, old, basis)
        vector = FeatureVector(known.vector().copy(), known.model_sha256, known.key_domain)
        return Move(key.domain, key.secret, new, old, basis, vector, secrets[known.key_domain])


def _basis(record: CertificationRecord, entry: RosterEntry | None) -> LegalBasis | None:
    """Return why a reference of this session may be kept: what allowed the one it was compared with, or what the enrolment said.

    None where neither says so, and of a photograph that nobody has confirmed.
    """
    if record.purpose is Purpose.ENROLMENT:
        return None if record.reference is None else record.reference.legal_basis
    compared = None if record.comparison is None else record.comparison.reference_id
    for reference in () if entry is None else entry.references:
        if reference.reference_id == compared and reference.capture is not CaptureKind.PHOTO:
            return reference.legal_basis
    return None
