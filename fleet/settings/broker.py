"""The MQTT broker."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from fleet.settings.part import Part, is_loopback


class BrokerSettings(Part):
    """Where the MQTT broker is."""

    mode: Literal["embedded", "external"] = "embedded"
    """`embedded` starts a broker inside `serve`: for a laptop or a single office."""
    host: str = "127.0.0.1"
    """Name or address; the embedded broker listens there."""
    port: int = Field(default=1883, ge=1, le=65535)
    """TCP port; 8883 is usual with TLS."""
    ca_file: Path | None = None
    """CA certificates that vouch for the broker; with it the connection is TLS."""
    certificate_file: Path | None = None
    """This client's certificate."""
    key_file: Path | None = None
    """This client's private key."""
    client_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,60}$")
    """MQTT client identifier; workers of one fleet need different ones. Default: `<fleet_id>-ingest`."""
    shared_group: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,40}$")
    """Workers that name the same group share the messages; the broker must offer `$share`."""
    batch_messages: int = Field(default=200, ge=1, le=500)
    """Most messages that share one database transaction."""
    batch_wait_s: float = Field(default=0.05, ge=0, le=5)
    """Longest a message waits for others to share its transaction."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        if self.certificate_file is not None and self.ca_file is None:
            raise ValueError("certificate_file needs ca_file")
        if self.mode == "external" and self.ca_file is None and not is_loopback(self.host):
            raise ValueError("an external broker on another machine needs TLS: set ca_file")
        if self.mode == "embedded" and self.ca_file is not None:
            raise ValueError("the embedded broker has no TLS; use an external broker")
        if self.mode == "embedded" and not is_loopback(self.host):
            # Without TLS and without client certificates anybody on the network could read along.
            raise ValueError("the embedded broker has no TLS and serves this machine only: host 127.0.0.1")
        return self
