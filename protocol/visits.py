"""A visit: the terminal is brought to the person. Who came, why, where, and how the place is known."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from protocol.ids import OperatorId, PlaceCode
from protocol.wire import WirePart


class VisitReason(StrEnum):
    """Why the person does not come to the terminal. Source: R4-7, R4-14, R6-5, R6-7, R6-9."""

    AGE = "age"
    BEDRIDDEN = "bedridden"
    DISABILITY = "disability"
    MENTAL_ILLNESS = "mental_illness"
    HOSPITAL = "hospital"
    DISTANCE = "distance"
    """Lives far away or without a way to get there."""
    ROUND = "round"
    """A round or a visit of condolence that serves as the occasion (R6-9)."""


class Place(WirePart):
    """Where it was, and how that is known."""

    code: PlaceCode | None = None
    """The place the worker chose from the list that came with the staff list."""
    latitude_deg: float | None = Field(default=None, ge=-90, le=90)
    longitude_deg: float | None = Field(default=None, ge=-180, le=180)
    accuracy_m: float | None = Field(default=None, ge=0)
    """Bound on the position's error as the receiver states it (68 %)."""
    source: Literal["chosen", "receiver", "both"]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        position = (self.latitude_deg, self.longitude_deg, self.accuracy_m)
        if (self.source != "receiver") != (self.code is not None):
            raise ValueError(f"a place by {self.source} and its code do not fit")
        if {part is None for part in position} != {self.source == "chosen"}:
            raise ValueError(f"a place by {self.source} and its position do not fit")
        return self


class Visit(WirePart):
    """One visit; the witness, where there is one, stands in the record; the worker's own id there says that nobody else was."""

    worker: OperatorId
    reason: VisitReason
    place: Place | None = None
    """None where it was no place of the terminal's list and no position receiver answered."""
