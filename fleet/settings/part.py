"""What all parts of the settings are made of."""

from __future__ import annotations

from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """One table of the file: frozen, no key unknown, every key with its reason below it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def is_loopback(host: str) -> bool:
    """Return whether a name or an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
