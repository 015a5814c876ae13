"""Rule packs: what a region's rules say, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RulePack:
    """The rules of one region and scheme."""

    pack_id: str
    months_since_last_pass: int
    """A pass certifies for this many calendar months."""


ROLLING_12_MONTHS = RulePack(pack_id="SX-2018", months_since_last_pass=12)
"""Rolling 12 months since the last pass. Source: R2-5, Shanxi 2018."""
