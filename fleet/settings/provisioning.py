"""New terminals and their certificates."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from fleet.settings.part import Part


class ProvisioningSettings(Part):
    """The door for new terminals, and what they are told. Needs an authority (`lifecert-fleet pki init`)."""

    host: str = "127.0.0.1"
    """Address the door listens on; `0.0.0.0` or `::` for everybody. It answers with a certificate of the fleet's own authority, and
    only what terminals, and whoever sets them up, ask a door."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """TCP port of the door; 8444 is usual. Without one there is no door."""
    names: tuple[str, ...] = ("localhost",)
    """Names and addresses by which terminals reach the door; the first one stands in claims."""
    broker_host: str = "localhost"
    """Name or address by which terminals reach the broker."""
    broker_port: int = Field(default=8883, ge=1, le=65535)
    """Its port with TLS."""
    broker_dir: Path | None = None
    """Folder that `lifecert-fleet pki broker-config` wrote; there `serve` puts each new revocation list and
    renews the certificates."""
    claim_hours: int = Field(default=72, ge=1, le=720)
    """So long a claim is good for where nothing else is said: a card is written on one day and put in on another."""
    wrong_codes_per_minute: int = Field(default=20, ge=1, le=1000)
    """Most wrong codes and signatures of one address."""
    release_keys: Path | None = None
    """File with the keys that may sign bundles, as `lifecert-provision bundle key` writes it; without one the fleet takes no bundle.
    A relative path starts at the settings file."""
    downloads_per_address: int = Field(default=4, ge=1, le=1000)
    """Most bundles that one address fetches at a time; terminals behind one router share an address."""
