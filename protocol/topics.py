"""Every MQTT topic: who writes it, with which QoS and retain flag, what it carries, how large it may be.

A topic is `lifecert/v1/<fleet>/<terminal>/<up|down>/<kind>`. Topics are built and parsed here only. A publishable topic
(`Topic`) and a topic filter (`TopicFilter`) are different types. Nothing needs more than MQTT 3.1.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from protocol.errors import Malformed
from protocol.wire import MAX_MESSAGE_BYTES

ROOT = "lifecert/v1"
_LEVEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Kind(StrEnum):
    """The last level of a topic."""

    RECORD = "record"
    PRESENCE = "presence"
    ROSTER_REQUEST = "roster-request"
    ATTACHMENT = "attachment"
    RECEIPT = "receipt"
    ROSTER = "roster"
    POLICY = "policy"
    STAFF = "staff"
    ATTESTATION = "attestation"
    CARD_KEYS = "card-keys"
    RULE_PACKS = "rule-packs"
    COMMAND = "command"
    COMMAND_WITHDRAWAL = "command-withdrawal"
    COMMAND_RESULT = "command-result"
    DESIRED = "desired"
    COMMISSIONING = "commissioning"


@dataclass(frozen=True, slots=True)
class TopicRule:
    """One row of the topic table."""

    direction: Literal["up", "down"]
    qos: Literal[0, 1]
    retain: bool
    payload: str
    """The message type inside, and how it is wrapped."""
    max_bytes: int
    purpose: str


TABLE: dict[Kind, TopicRule] = {
    Kind.RECORD: TopicRule(
        "up",
        1,
        False,
        "JWS of certification-record, case-record or terminal-event",
        64 * 1024,
        "one link of the terminal's chain",
    ),
    Kind.PRESENCE: TopicRule(
        "up", 1, True, "JWS of presence", 8 * 1024, "online or offline (will), counters, versions, health"
    ),
    Kind.ROSTER_REQUEST: TopicRule(
        "up", 1, False, "JWS of roster-request", 4 * 1024, "asks for roster changes since a version"
    ),
    Kind.ATTACHMENT: TopicRule(
        "up", 1, False, "JWE of a picture (JPEG)", MAX_MESSAGE_BYTES, "a picture that a case record names by digest"
    ),
    Kind.RECEIPT: TopicRule("down", 1, False, "JWS of receipt", 64 * 1024, "these records are in the fleet's database"),
    Kind.ROSTER: TopicRule(
        "down",
        1,
        False,
        "JWE of JWS of roster-page",
        MAX_MESSAGE_BYTES,
        "references for this terminal, sealed to it",
    ),
    Kind.POLICY: TopicRule("down", 1, True, "JWS of policy", 64 * 1024, "thresholds, paths and timers in force"),
    Kind.STAFF: TopicRule(
        "down", 1, True, "JWE of JWS of staff-list", MAX_MESSAGE_BYTES, "who may sign in on this terminal, sealed to it"
    ),
    Kind.ATTESTATION: TopicRule(
        "down",
        1,
        True,
        "JWS of terminal-attestation",
        4 * 1024,
        "the fleet's statement about this terminal's key, for result slips",
    ),
    Kind.CARD_KEYS: TopicRule(
        "down",
        1,
        True,
        "JWE of JWS of card-keys",
        MAX_MESSAGE_BYTES,
        "what opens reference cards and which are revoked, sealed to this terminal",
    ),
    Kind.RULE_PACKS: TopicRule(
        "down", 1, True, "JWS of rule-packs", MAX_MESSAGE_BYTES, "the rules by which obligations are worked out"
    ),
    Kind.COMMAND: TopicRule(
        "down",
        1,
        False,
        "JWS of command",
        4 * 1024,
        "asks one terminal to do something; given again until it is answered",
    ),
    Kind.COMMAND_WITHDRAWAL: TopicRule(
        "down",
        1,
        False,
        "JWS of command-withdrawal",
        4 * 1024,
        "takes a command back; in its place from then on, until it is answered",
    ),
    Kind.COMMAND_RESULT: TopicRule(
        "up", 1, False, "JWS of command-result", 256 * 1024, "what became of a command; sent until the receipt"
    ),
    Kind.DESIRED: TopicRule(
        "down", 1, True, "JWS of desired", 8 * 1024, "which bundles and settings the office wants this terminal to have"
    ),
    Kind.COMMISSIONING: TopicRule(
        "up",
        1,
        False,
        "JWS of commissioning-report",
        64 * 1024,
        "what was tried before the terminal serves people; sent until the receipt",
    ),
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic one can publish to."""

    fleet_id: str
    terminal_id: str
    kind: Kind

    def __post_init__(self) -> None:
        for level in (self.fleet_id, self.terminal_id):
            if not _LEVEL.fullmatch(level):
                raise Malformed(f"topic level {level!r}: lower-case letters, digits and dashes expected")

    @property
    def rule(self) -> TopicRule:
        """The row of the table that holds for this topic."""
        return TABLE[self.kind]

    def __str__(self) -> str:
        return f"{ROOT}/{self.fleet_id}/{self.terminal_id}/{self.rule.direction}/{self.kind}"

    @classmethod
    def parse(cls, text: str) -> Topic:
        """Read a topic name.

        Raises:
            Malformed: if it is none of ours.
        """
        parts = text.split("/")
        if len(parts) != 6 or "/".join(parts[:2]) != ROOT:
            raise Malformed(f"topic {text[:200]!r}: not under {ROOT}")
        try:
            topic = cls(parts[2], parts[3], Kind(parts[5]))
        except ValueError as error:
            raise Malformed(f"topic {text[:200]!r}: unknown kind") from error
        if topic.rule.direction != parts[4]:
            raise Malformed(f"topic {text[:200]!r}: {topic.kind} goes {topic.rule.direction}")
        return topic


@dataclass(frozen=True, slots=True)
class TopicFilter:
    """A filter one can subscribe with; it cannot be published to."""

    text: str

    def __str__(self) -> str:
        return self.text


def terminal_inbox(fleet_id: str, terminal_id: str) -> TopicFilter:
    """Return the one filter a terminal subscribes to: everything sent down to it."""
    probe = Topic(fleet_id, terminal_id, Kind.RECEIPT)
    return TopicFilter(str(probe).removesuffix(str(Kind.RECEIPT)) + "#")


def fleet_inbox(fleet_id: str, *, shared_group: str | None = None) -> TopicFilter:
    """Return the filter the fleet's ingest subscribes to.

    Args:
        fleet_id: the fleet.
        shared_group: with a name, workers of this group share the messages (`$share`, brokers that offer it).
    """
    text = f"{ROOT}/{fleet_id}/+/up/#"
    return TopicFilter(f"$share/{shared_group}/{text}" if shared_group else text)
