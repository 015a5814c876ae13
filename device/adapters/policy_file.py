"""The policy in force, kept as the signed bytes that arrived, and verified again whenever it is read."""

from __future__ import annotations

import logging
from pathlib import Path

from device.errors import PolicyUnavailable
from device.signed_file import SignedFile
from protocol.envelope import verify
from protocol.keys import PublicJwk
from protocol.policy import POLICY_TYP, Policy

logger = logging.getLogger(__name__)


class FilePolicyStore:
    """See `device.ports.PolicyStore` and, for what holds while the file is damaged or cannot be read, `device.signed_file`.

    Args:
        path: where the signed policy lies.
        fleet_key: the fleet's public signing key.
    """

    def __init__(self, path: Path, fleet_key: PublicJwk) -> None:
        self._path = path
        self._fleet_key = fleet_key
        self._file = SignedFile(path, what="policy", verified=self._verified)

    def current(self) -> Policy | None:
        """Return the policy in force, None when there is none that holds."""
        return self._file.current()

    def apply(self, token: bytes) -> Policy:
        """Verify a signed policy, keep it if it was issued after the one in force, and return the one then in force.

        Raises:
            ProtocolError: if it does not hold.
            PolicyUnavailable: if it cannot be written.
        """
        policy = self._verified(token)
        known = self.current()
        if known is not None and policy.issued_at <= known.issued_at:
            return known
        try:
            self._file.replace(token)
        except OSError as error:
            raise PolicyUnavailable(f"policy {self._path.name}: {error.strerror}") from error
        logger.info("policy in force version=%s issued_at=%s", policy.policy_version, policy.issued_at.isoformat())
        return policy

    def _verified(self, token: bytes) -> Policy:
        found = verify(token, key_of=self._fleet_key.only, typ=POLICY_TYP)
        return Policy.parse(found.payload)
