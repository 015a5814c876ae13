"""A link's place in its terminal's chain, and why a message is refused. Holds for links of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.admission.conflicts import Effect, Facts, conflicts, worst
from fleet.admission.moments import AnyLink, Bracket, bracket_of, moment_of

MAX_COUNTER = 2**53
"""Largest counter taken: the largest integer all readers of JSON agree on (RFC 8259 section 6); a terminal never gets near it."""


class Refusal(StrEnum):
    """Why a message has no effect."""

    TOPIC = "topic"
    TOO_LARGE = "too_large"
    UNKNOWN_TERMINAL = "unknown_terminal"
    SIGNATURE = "signature"
    MALFORMED = "malformed"
    UNSUPPORTED_VERSION = "unsupported_version"
    WRONG_FLEET = "wrong_fleet"
    WRONG_TERMINAL = "wrong_terminal"
    RETIRED_TERMINAL = "retired_terminal"
    SUSPENDED_TERMINAL = "suspended_terminal"
    """Its records are held and not refused, unless somebody decides so; everything else has no effect while it lasts."""
    FORK = "fork"
    """Another link with this counter is stored: two programs sign with one key, or a disk was put back."""
    RECORD_ID_REUSED = "record_id_reused"
    OUT_OF_RANGE = "out_of_range"
    NOT_STORABLE = "not_storable"
    """The database does not take its text (a NUL character, for one)."""
    NOT_HANDLED = "not_handled"
    """A fault of the fleet's own programs with this one message; it got no receipt, so the terminal sends it again."""


class Chain(StrEnum):
    """How a link joins the one before it."""

    LINKED = "linked"
    GAP = "gap"
    """The link before it has not arrived."""
    BROKEN = "broken"
    """The link before it is not the one it names."""


@dataclass(frozen=True, slots=True)
class Position:
    """What is stored around a link's place in its terminal's chain, by digest."""

    here: str | None
    """The link with the same counter."""
    before: str | None
    """The link with the counter before."""
    record_id_sha256: str | None
    """The link with the same record id, of whatever terminal."""


def chain_of(counter: int, previous: str | None, before: str | None) -> Chain:
    """Return how a link joins the one before it.

    Args:
        counter: the link's counter.
        previous: the digest it names.
        before: the digest of the stored link with the counter before; None if there is none.
    """
    if counter == 1:
        return Chain.LINKED if previous is None else Chain.BROKEN
    if previous is None:
        return Chain.BROKEN
    if before is None:
        return Chain.GAP
    return Chain.LINKED if previous == before else Chain.BROKEN


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of one link."""

    refusal: Refusal | None
    repeated: bool
    chain: Chain
    bracket: Bracket
    is_held: bool = False
    """Whether a person must say if it counts."""


def admit(
    link: AnyLink,
    *,
    sha256: str,
    fleet_id: str,
    terminal_id: str,
    retired_at: datetime | None,
    position: Position,
    received_at: datetime,
) -> Admission:
    """Say what becomes of a link whose signature holds.

    Args:
        link: the parsed link.
        sha256: digest of the signed bytes.
        fleet_id: this fleet.
        terminal_id: whose key signed it and on whose topic it came.
        retired_at: when that terminal was retired, if it was; what certainly happened before still counts.
        position: what is stored around it.
        received_at: when it arrived, by the fleet's clock.
    """
    bracket = bracket_of(moment_of(link), received_at)
    effect = worst(conflicts(bracket, Facts(terminal_retired_at=retired_at)))
    refusal, repeated = _refusal(link, sha256, fleet_id, terminal_id, effect is Effect.REFUSED, position)
    is_held = effect is Effect.HELD and refusal is None and not repeated
    return Admission(refusal, repeated, chain_of(link.counter, link.previous, position.before), bracket, is_held)


def _refusal(
    link: AnyLink,
    sha256: str,
    fleet_id: str,
    terminal_id: str,
    is_retired: bool,
    position: Position,
) -> tuple[Refusal | None, bool]:
    if link.fleet_id != fleet_id:
        return Refusal.WRONG_FLEET, False
    if link.terminal_id != terminal_id:
        return Refusal.WRONG_TERMINAL, False
    if link.counter > MAX_COUNTER:
        return Refusal.OUT_OF_RANGE, False
    if position.here == sha256:
        return None, True
    if is_retired:
        return Refusal.RETIRED_TERMINAL, False
    if position.here is not None:
        return Refusal.FORK, False
    if position.record_id_sha256 is not None:
        return Refusal.RECORD_ID_REUSED, False
    return None, False
