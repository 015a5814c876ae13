"""What may certify somebody: each act has a day, a kind and a channel; which of them count is the pack's word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class ActKind(StrEnum):
    """In what way somebody showed that they are alive. Source: domain rules R1-1, R4-9 to R4-27, R8-5, R8-13."""

    LIVE = "live"
    """A session at a terminal, or on a home visit."""
    ENROLMENT = "enrolment"
    """The first reference, made live (R1-1)."""
    SPECIAL = "special"
    """Decided by two persons from photographs, a form or a visit (R1-18, R6-5, R6-8)."""
    SILENT = "silent"
    """Data of other bodies say so (R4-27, R8-5)."""
    ACCEPTED = "accepted"
    """Another system certified and the agency accepts its word (R4-23, R8-13)."""


class Channel(StrEnum):
    """The way it came. Source: domain.md part 4."""

    TERMINAL = "terminal"
    HOME_VISIT = "home_visit"
    COUNTER = "counter"
    BANK = "bank"
    UNIT = "unit"
    REMOTE_FORM = "remote_form"
    PHOTOGRAPHS = "photographs"
    DATA = "data"
    APP = "app"
    PC = "pc"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True, order=True)
class Act:
    """One act; ordered by day, then id."""

    act_id: str
    day: date
    kind: ActKind
    channel: Channel
