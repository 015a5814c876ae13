"""The policy in force, kept as the signed bytes that arrived, and verified again whenever it is read."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from device.errors import PolicyUnavailable
from device.storage import replace_file
from protocol.envelope import verify
from protocol.errors import ProtocolError
from protocol.keys import PublicJwk
from protocol.policy import POLICY_TYP, Policy

logger = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


class FilePolicyStore:
    """See `device.ports.PolicyStore`: the uplink process writes the file, the terminal sees the change by itself.

    A file that is damaged or was signed by another key counts as no policy, and is reported once. While the file cannot be read, the
    policy that was read last stays in force, and reading is tried again every time.

    Args:
        path: where the signed policy lies.
        fleet_key: the fleet's public signing key.
    """

    def __init__(self, path: Path, fleet_key: PublicJwk) -> None:
        self._path = path
        self._fleet_key = fleet_key
        self._fleet_key_id = fleet_key.key_id
        self._lock = threading.Lock()
        self._stamp: _Stamp | None = None
        self._policy: Policy | None = None
        self._is_unreadable = False

    def current(self) -> Policy | None:
        """Return the policy in force, None when there is none that holds."""
        with self._lock:
            try:
                stamp = self._stamp_on_disk()
                if stamp != self._stamp:
                    # The stamp is noted last: what could not be read now is tried again, and what was read before holds until then.
                    self._policy = None if stamp is None else self._read()
                    self._stamp = stamp
            except OSError as error:
                self._report_unreadable(error)
            else:
                self._is_unreadable = False
            return self._policy

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
            replace_file(self._path, token)
        except OSError as error:
            raise PolicyUnavailable(f"policy {self._path.name}: {error.strerror}") from error
        logger.info("policy in force version=%s issued_at=%s", policy.policy_version, policy.issued_at.isoformat())
        return policy

    def _verified(self, token: bytes) -> Policy:
        found = verify(token, key_of=lambda kid: self._fleet_key if kid == self._fleet_key_id else None, typ=POLICY_TYP)
        return Policy.parse(found.payload)

    def _read(self) -> Policy | None:
        try:
            return self._verified(self._path.read_bytes())
        except ProtocolError as error:
            logger.error(  # noqa: TRY400 - what is wrong stands in the message; a trace adds nothing for a technician
                "policy file cannot be used, there is no policy until the fleet sends one file=%s reason=%s",
                self._path.name,
                error,
            )
            return None

    def _report_unreadable(self, error: OSError) -> None:
        if not self._is_unreadable:
            logger.error("policy file cannot be read now file=%s reason=%s", self._path.name, error.strerror)
        self._is_unreadable = True

    def _stamp_on_disk(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
