"""Terminal events: what happened to a terminal that is no session and no case, as links of its chain.

They are few: something a person saw or that the fleet must know. What heals within a session stands in the log alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from protocol.ids import OperatorId, RecordId
from protocol.records import Link, NetworkUse, SealedReference
from protocol.times import DeviceTime
from protocol.wire import WirePart

EVENT_TYP = "lifecert-event"
"""`typ` in the signed header of a terminal event."""

Detail = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:+-]{0,64}$")]
"""A code, a number as text or the name of a file of ours; never free text, so never anything about a person."""


class EventKind(StrEnum):
    """What happened."""

    STARTED = "started"
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGN_IN_REFUSED = "sign_in_refused"
    """A wrong PIN or an operator code that nobody has, at sign-in or of a witness; `whose` is the operator's number, or `unknown`, and
    `attempts` counts those in a row. Once a minute for each number."""
    SIGN_IN_LOCKED = "sign_in_locked"
    """Too many in a row: that operator, or after many for the whole terminal nobody, can sign in for `seconds`; once for each lock."""
    CAMERA_LOST = "camera_lost"
    CAMERA_BACK = "camera_back"
    LIGHT_LOST = "light_lost"
    READER_GARBAGE = "reader_garbage"
    """A reader gave so many `texts` that are no document within a minute that it is no person's mistake; it is listened to all the same."""
    STICK_EXPORTED = "stick_exported"
    STICK_IMPORTED = "stick_imported"
    """`why`, where not all of it was taken: `stick_part_refused` or `stick_roster_refused`."""
    STICK_FAILED = "stick_failed"
    """`why` says whether it was pulled out, full, damaged or somebody else's."""
    ROSTER_EXPIRED = "roster_expired"
    REFUSED = "refused"
    """Something that came down, by network or stick, was refused: `kind` of topic or, of files on a stick, of bundle, and `why`:
    `signature`, `other_terminal`, `malformed`, `expired` or `incomplete`."""
    VOICE_LINE_MISSING = "voice_line_missing"
    BUTTON_STUCK = "button_stuck"
    SENSOR_FLAPPING = "sensor_flapping"
    SCREEN_LOST = "screen_lost"
    """The page that had asked for the state did not ask again for a while."""
    SCREEN_BACK = "screen_back"
    POWER_FAILING = "power_failing"
    POWER_BACK = "power_back"
    CLOCK_JUMPED = "clock_jumped"
    """The wall clock changed by `seconds` against the monotonic one."""
    OFFLINE_WARNING = "offline_warning"
    OFFLINE_LIMIT = "offline_limit"
    """Too long, or too many records, without the fleet: no new session until it was heard of."""
    UPDATE_ENDED = "update_ended"
    """A bundle proved itself or went back: `kind`, `bundle` (the first 16 characters of its id), `number`, `kept` (yes or no) and `why`,
    as in `protocol.desired.EndedTrial`; `wish` is the number of the desired state that the trial was begun for, which programs of before do
    not say. In the chain, so that a stick brings it home as well."""
    SHADOW_COMPARED = "shadow_compared"
    """A features network that runs beside the one in use was compared with it over `sessions` that certified: `bundle` (the first 16
    characters of its id), `pairs` of samples of one session each, and mean and standard deviation of their cosines with the one in
    use (`old_mean`, `old_sd`) and the new one (`new_mean`, `new_sd`). How many of them gave a reference for the new one (`proposed`), were
    alike with the one that was there (`known`), differed from it or in themselves (`unlike`), or could give none (`no_thresholds`,
    `no_key`, `other_policy`, `not_on_roster`). Never of a few sessions alone."""
    REFERENCE_PROPOSED = "reference_proposed"
    """A session that certified gave a reference for the features network in the shadow: `proposal`."""
    REFERENCES_ERASED = "references_erased"
    """By hand at the terminal: how many `subjects` and `references`, and whether the storage `key` is `destroyed` or was `kept`."""


class ProposedReference(WirePart):
    """A reference for a features network that is not in use yet, made of the very samples that certified somebody with the one that is."""

    session_record: RecordId
    """The certification record of the session, an earlier link of this chain. It says whose the reference is, and what it is worth."""
    network: NetworkUse
    """That made it; the policy that the record names has thresholds for it."""
    reference: SealedReference
    """Of kind `refresh`."""


class TerminalEvent(Link):
    """One event."""

    TYPE: ClassVar[str] = "terminal-event"
    VERSION: ClassVar[int] = 1

    type: Literal["terminal-event"] = "terminal-event"
    version: Literal[1] = 1
    kind: EventKind
    at: DeviceTime
    operator: OperatorId | None = None
    """Who was signed in."""
    detail: dict[Detail, Detail] = Field(default_factory=dict, max_length=16)
    proposal: ProposedReference | None = None
    """With `reference_proposed` alone."""
    software: str
    simulated: bool = False

    @model_validator(mode="after")
    def _proposes(self) -> Self:
        if (self.proposal is not None) != (self.kind is EventKind.REFERENCE_PROPOSED):
            raise ValueError(f"an event of kind {self.kind} with or without a reference")
        if self.proposal is not None and self.proposal.reference.kind != "refresh":
            raise ValueError("a reference that no certified session proposes")
        return self
