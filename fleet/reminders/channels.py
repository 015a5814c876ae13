"""The ways by which messages leave the fleet: one protocol, and the channels that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from fleet.errors import SettingsInvalid
from fleet.reminders.composing import Text

MIN_KEY_BYTES = 16


class Result(StrEnum):
    """What a channel says of one try."""

    ACCEPTED = "accepted"
    """It has the message; whether it arrives is told later, if ever."""
    DELIVERED = "delivered"
    """It arrived."""
    FAILED = "failed"
    """It never will: another channel, or the next step."""
    LATER = "later"
    """Not now; the same message is to be tried again."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one person is sent."""

    message_id: str
    """The same at every try, so that a channel that has it already can tell."""
    address: str = field(repr=False)
    text: Text


@dataclass(frozen=True, slots=True)
class Delivery:
    """The answer to one try."""

    result: Result
    code: str
    """Why, in letters, digits, dashes and underscores; `ok` where all is well."""
    gateway_id: str | None = None
    is_address_wrong: bool = False
    """Whether the channel says that nobody is at this address."""


class Channel(Protocol):
    """Gives messages to something that delivers them."""

    @property
    def name(self) -> str:
        """Name in settings and reports: `sms`, `wechat`, `email`."""

    @property
    def cost_per_part(self) -> int:
        """Price of one short message in hundredths of the currency; 0 where nothing is paid for each."""

    def send(self, message: Message) -> Delivery:
        """Try once to hand over a message; must not raise for anything the other side does.

        At-least-once: a message that was handed over may be handed over again with the same id, after a power cut between the gateway's
        answer and our commit. Whoever is at the other side drops what it has.
        """

    def close(self) -> None:
        """Let go of connections; can be called twice."""


Channels = Mapping[str, Channel]


def read_secret(path: Path, key: str, *, least: int = 1) -> bytes:
    """Return what a file of the settings holds, without white space around it.

    Raises:
        SettingsInvalid: if it cannot be read or is too short; the message names the key, never what is in the file.
    """
    try:
        found = path.read_bytes().strip()
    except OSError as error:
        raise SettingsInvalid([f"{key}: {path}: cannot be read: {error.strerror}"]) from error
    if len(found) < least:
        raise SettingsInvalid([f"{key}: {path}: {len(found)} bytes, at least {least} expected"])
    return found
