"""Messages as they come and go, whatever carries them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from protocol.errors import ProtocolError
from protocol.topics import Topic


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message as it arrived."""

    topic: str
    payload: bytes
    received_at: datetime
    by_stick: bool = False
    """Whether it was carried, and says nothing of the terminal's network."""
    is_released: bool = False
    """Whether it was held, and a person has decided that it is to be taken in."""

    def parsed_topic(self) -> Topic | None:
        """Return the topic, None where it is none of ours."""
        try:
            return Topic.parse(self.topic)
        except ProtocolError:
            return None


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to publish, with the QoS and retain flag of its topic."""

    topic: Topic
    payload: bytes
