"""The fleet's statement about this terminal's key, kept as the signed bytes that arrived."""

from __future__ import annotations

import logging
from pathlib import Path

from device.errors import AttestationUnavailable
from device.signed_file import SignedFile
from protocol.attestation import SignedStatement, TerminalAttestation, read_attestation
from protocol.errors import NotForUs
from protocol.keys import PublicJwk

logger = logging.getLogger(__name__)


class FileAttestationStore:
    """See `device.ports.AttestationStore` and, for what holds while the file is damaged or cannot be read, `device.signed_file`.

    Args:
        path: where the signed message lies.
        fleet_key: the fleet's public signing key.
        fleet_id: this terminal's fleet.
        terminal_id: this terminal.
        key_id: thumbprint of the key that signs slips; a statement about another one is of no use.
    """

    def __init__(self, path: Path, fleet_key: PublicJwk, *, fleet_id: str, terminal_id: str, key_id: str) -> None:
        self._path = path
        self._fleet_key = fleet_key
        self._address = (fleet_id, terminal_id)
        self._key_id = key_id
        self._file = SignedFile(path, what="attestation", verified=self._verified)

    def current(self) -> SignedStatement | None:
        """Return the statement this terminal has, None when there is none that holds."""
        known = self._file.current()
        return None if known is None else known[1]

    def apply(self, token: bytes) -> SignedStatement:
        """Verify a signed attestation, keep it if it was issued after the one kept and says something else, and return the one then kept.

        Raises:
            ProtocolError: if it does not hold, or is not about this terminal's key.
            AttestationUnavailable: if it cannot be written.
        """
        message, statement = self._verified(token)
        known = self._file.current()
        # The same statement comes with every start of the fleet: a card does not last longer for being written to each time.
        if known is not None and (message.issued_at <= known[0].issued_at or statement.statement == known[1].statement):
            return known[1]
        try:
            self._file.replace(token)
        except OSError as error:
            raise AttestationUnavailable(f"attestation {self._path.name}: {error.strerror}") from error
        logger.info("statement about this terminal's key kept until=%s", statement.statement.valid_until.isoformat())
        return statement

    def _verified(self, token: bytes) -> tuple[TerminalAttestation, SignedStatement]:
        message = read_attestation(token, self._fleet_key)
        statement = message.opened(self._fleet_key)
        if (message.fleet_id, message.terminal_id) != self._address:
            raise NotForUs(f"{message.TYPE}: about another terminal")
        if statement.statement.key.key_id != self._key_id:
            raise NotForUs(f"{message.TYPE}: about another key than this terminal's; was it registered again?")
        return message, statement
