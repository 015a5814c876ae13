"""The rule packs in force, kept as the signed bytes that arrived, and verified again whenever they are read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from device.errors import RulePacksUnavailable
from device.signed_file import SignedFile
from protocol.envelope import verify
from protocol.keys import PublicJwk
from protocol.rule_packs import RULE_PACKS_TYP, RulePackSet
from protocol.rules.shelf import Shelf
from protocol.shipped_packs import default_pack

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    issued_at: datetime
    shelf: Shelf


class FileRulePackStore:
    """See `device.ports.RulePackStore` and, for what holds while the file is damaged or cannot be read, `device.signed_file`.

    Args:
        path: where the signed packs lie.
        fleet_key: the fleet's public signing key.
    """

    def __init__(self, path: Path, fleet_key: PublicJwk) -> None:
        self._path = path
        self._fleet_key = fleet_key
        self._file = SignedFile(path, what="rule packs", verified=self._verified)

    def shelf(self) -> Shelf:
        """Return the packs in force; the default one alone when there are none that hold."""
        kept = self._file.current()
        return Shelf((), default_pack()) if kept is None else kept.shelf

    def issued_at(self) -> datetime | None:
        """Return when the newest of the packs came into force; None when there are none that hold."""
        kept = self._file.current()
        return None if kept is None else kept.issued_at

    def apply(self, token: bytes) -> Shelf:
        """Verify signed packs, keep them if they came into force after those here, and return what then holds.

        Raises:
            ProtocolError: if one of them does not hold.
            RulePacksUnavailable: if they cannot be written.
        """
        found = self._verified(token)
        known = self._file.current()
        if known is not None and found.issued_at <= known.issued_at:
            return known.shelf
        try:
            self._file.replace(token)
        except OSError as error:
            raise RulePacksUnavailable(f"rule packs {self._path.name}: {error.strerror}") from error
        logger.info("rule packs in force count=%d issued_at=%s", len(found.shelf.packs), found.issued_at.isoformat())
        return found.shelf

    def _verified(self, token: bytes) -> _Kept:
        found = verify(token, key_of=self._fleet_key.only, typ=RULE_PACKS_TYP)
        packs = RulePackSet.parse(found.payload)
        return _Kept(packs.issued_at, packs.shelf(default_pack()))
