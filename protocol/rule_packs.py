"""The rule packs in force, as the fleet sends them to its terminals: signed, retained, the same for all of them, like the policy."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from protocol.errors import Malformed
from protocol.rules.pack import MAX_PACK_BYTES, RulePack, parse_pack
from protocol.rules.shelf import Shelf
from protocol.wire import UtcTime, WireMessage

RULE_PACKS_TYP = "lifecert-rule-packs"
MOST_PACKS = 256
MAX_SET_BYTES = 600 * 1024
"""Largest set as JSON: signing grows it by a third, which stays under the message limit of 1 MiB. The shipped packs have some 1 KB each."""


class RulePackSet(WireMessage):
    """Every version of a pack that may still be asked for, as TOML."""

    TYPE: ClassVar[str] = "rule-packs"
    VERSION: ClassVar[int] = 1
    MAX_BYTES: ClassVar[int] = MAX_SET_BYTES

    type: Literal["rule-packs"] = "rule-packs"
    version: Literal[1] = 1
    issued_at: UtcTime
    """When the newest of them came into force; of two sets the later one holds."""
    packs: tuple[Annotated[str, StringConstraints(min_length=1, max_length=MAX_PACK_BYTES)], ...] = Field(
        max_length=MOST_PACKS
    )

    def shelf(self, default: RulePack) -> Shelf:
        """Return the packs, over the one that holds where none of them does.

        Raises:
            Malformed: if one of them is no pack, or two have the same id and version; then none of the set holds.
        """
        found = tuple(parse_pack(text) for text in self.packs)
        if len({(pack.pack_id, pack.version) for pack in found}) < len(found):
            raise Malformed("rule-packs: one version of a pack twice")
        return Shelf(found, default)
