"""What may arrive from the broker: opened, verified and addressed to this terminal, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from protocol.commands import COMMAND_TYP, WITHDRAWAL_TYP, CommandWithdrawal, TerminalCommand
from protocol.envelope import unseal, verify
from protocol.errors import Expired, Malformed, NotForUs, ProtocolError, SignatureInvalid
from protocol.keys import PrivateKey, PublicJwk
from protocol.receipts import RECEIPT_TYP, Receipt
from protocol.reference_card import CARD_KEYS_TYP, CardKeys
from protocol.roster import ROSTER_TYP, RosterPage
from protocol.staff import STAFF_TYP, StaffList
from protocol.topics import Kind, Topic

_Addressed = TypeVar("_Addressed", Receipt, RosterPage, CardKeys, StaffList, TerminalCommand, CommandWithdrawal)


@dataclass(frozen=True, slots=True)
class PolicyToken:
    """A signed policy, for the policy store to verify."""

    token: bytes


@dataclass(frozen=True, slots=True)
class RulePacksToken:
    """Signed rule packs, for their store to verify."""

    token: bytes


@dataclass(frozen=True, slots=True)
class AttestationToken:
    """A signed attestation of this terminal's key, for its store to verify."""

    token: bytes


@dataclass(frozen=True, slots=True)
class DesiredToken:
    """A signed statement of what the office wants of this terminal, for its store to verify."""

    token: bytes


Inbound = (
    Receipt
    | RosterPage
    | CardKeys
    | StaffList
    | TerminalCommand
    | CommandWithdrawal
    | PolicyToken
    | RulePacksToken
    | AttestationToken
    | DesiredToken
)
"""What the fleet can send to a terminal."""


def why_refused(error: ProtocolError) -> str:
    """Return in one word why something was refused: `signature`, `other_terminal`, `expired` or `malformed`."""
    match error:
        case SignatureInvalid():
            return "signature"
        case NotForUs():
            return "other_terminal"
        case Expired():
            return "expired"
        case _:
            return "malformed"


class Inbox:
    """Reads messages of the fleet for one terminal.

    Args:
        fleet_id: the terminal's fleet.
        terminal_id: the terminal.
        fleet_key: the fleet's public signing key.
        sealing_key: the terminal's key for sealed messages.
    """

    def __init__(self, *, fleet_id: str, terminal_id: str, fleet_key: PublicJwk, sealing_key: PrivateKey) -> None:
        self._address = (fleet_id, terminal_id)
        self._fleet_key = fleet_key
        self._sealing_key = sealing_key

    def read(self, topic_name: str, payload: bytes) -> Inbound:
        """Return what arrived on a topic.

        Raises:
            ProtocolError: if it is not a message of the fleet for this terminal, whatever the bytes are.
        """
        topic = Topic.parse(topic_name)
        if (topic.fleet_id, topic.terminal_id) != self._address:
            raise NotForUs(f"{topic.kind}: topic of another terminal")
        if len(payload) > topic.rule.max_bytes:
            raise Malformed(f"{topic.kind}: {len(payload)} bytes, at most {topic.rule.max_bytes} are taken")
        if topic.kind is Kind.RECEIPT:
            return self._addressed(Receipt.parse(self._verified(payload, RECEIPT_TYP)))
        if topic.kind is Kind.ROSTER:
            signed = unseal(payload, key=self._sealing_key)
            return self._addressed(RosterPage.parse(self._verified(signed, ROSTER_TYP)))
        if topic.kind is Kind.CARD_KEYS:
            signed = unseal(payload, key=self._sealing_key)
            return self._addressed(CardKeys.parse(self._verified(signed, CARD_KEYS_TYP)))
        if topic.kind is Kind.STAFF:
            signed = unseal(payload, key=self._sealing_key)
            return self._addressed(StaffList.parse(self._verified(signed, STAFF_TYP)))
        if topic.kind is Kind.COMMAND:
            return self._addressed(TerminalCommand.parse(self._verified(payload, COMMAND_TYP)))
        if topic.kind is Kind.COMMAND_WITHDRAWAL:
            return self._addressed(CommandWithdrawal.parse(self._verified(payload, WITHDRAWAL_TYP)))
        if topic.kind is Kind.POLICY:
            return PolicyToken(payload)
        if topic.kind is Kind.RULE_PACKS:
            return RulePacksToken(payload)
        if topic.kind is Kind.ATTESTATION:
            return AttestationToken(payload)
        if topic.kind is Kind.DESIRED:
            return DesiredToken(payload)
        raise Malformed(f"{topic.kind}: is not sent to terminals")

    def _verified(self, token: bytes, typ: str) -> bytes:
        return verify(token, key_of=self._fleet_key.only, typ=typ).payload

    def _addressed(self, message: _Addressed) -> _Addressed:
        if (message.fleet_id, message.terminal_id) != self._address:
            raise NotForUs(f"{message.TYPE}: addressed to another terminal")
        return message
