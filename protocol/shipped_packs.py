"""The packs that come with the program."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from protocol.rules.pack import RulePack, parse_pack

SHIPPED = ("LZ-2019", "SJZ-2017", "HZ-2020", "GZ-2018", "SX-2018")
DEFAULT = "SX-2018"
"""Holds for whom no pack in force covers: rolling twelve months, the mildest of them (R2-5)."""


def shipped_text(pack_id: str) -> str:
    """Return the file of a shipped pack; raises KeyError for any other."""
    if pack_id not in SHIPPED:
        raise KeyError(pack_id)
    return files("protocol.rules").joinpath("packs", f"{pack_id}.toml").read_text(encoding="utf-8")


@cache
def shipped_pack(pack_id: str) -> RulePack:
    """Return a shipped pack; raises KeyError for any other."""
    return parse_pack(shipped_text(pack_id))


def default_pack() -> RulePack:
    """Return the pack that holds where no other does."""
    return shipped_pack(DEFAULT)
