"""Desired and reported: what the office wants a terminal to be, as one signed message, and what the terminal says that it is.

The office says the whole of it each time: which bundles run, and which settings are other than the terminal's own file has them. A
terminal works towards the newest it has seen, whichever way it came, and says in its signed presence how far it is. Nothing counts as
done because it was sent.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.bundle import MAX_BUNDLE_BYTES, BundleKind, Label
from protocol.ids import FleetId, Sha256, TerminalId
from protocol.wire import UtcTime, WireMessage, WirePart

DESIRED_TYP = "lifecert-desired"
BUNDLE_PATH = "/provisioning/v1/bundles"
"""Behind the fleet's door: `<door>/provisioning/v1/bundles/<bundle id>`, with ranges. There is no list: who was told the digest may ask."""
MOST_BUNDLE_FILE_BYTES = MAX_BUNDLE_BYTES + 1024 * 1024
"""Largest file of a bundle: its files, and its head."""
_Url = Annotated[str, StringConstraints(pattern=r"^https://[^\s/?#@]+(:[0-9]+)?/?$", max_length=200)]
_Word = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}$")]


class SettingValues(WirePart):
    """Settings that the office may set from afar, each by the name it has in the terminal's file; None: as that file has it.

    None of them can weaken evidence: thresholds and paths are the policy's, and who may be trusted is the card's.
    """

    voice_volume: float | None = Field(default=None, ge=0, le=1)
    voice_slow: bool | None = None
    uplink_window: int | None = Field(default=None, ge=1, le=1000)
    uplink_presence_s: float | None = Field(default=None, ge=1, le=3600)
    uplink_health_s: float | None = Field(default=None, ge=1, le=86400)
    uplink_roster_refresh_s: float | None = Field(default=None, ge=1, le=86400)
    updates_bytes_per_s: int | None = Field(default=None, ge=1024, le=1024**3)
    """Most bytes of bundles that are fetched in a second, so that records are not held up on a thin link."""
    updates_from_hour: int | None = Field(default=None, ge=0, le=23)
    """Bundles are fetched and put on trial from this hour of the terminal's day on, until `updates_until_hour`; None: at any time."""
    updates_until_hour: int | None = Field(default=None, ge=0, le=23)


class DesiredBundle(WirePart):
    """One bundle that is to run."""

    kind: BundleKind
    bundle_id: Sha256
    number: int = Field(ge=1)
    label: Label
    size: int = Field(ge=1, le=MOST_BUNDLE_FILE_BYTES)
    """Bytes of the whole file."""
    since: int = Field(default=1, ge=1)
    """Number of the desired state since which it is wanted; more each time the office says so anew, which tries again one that failed."""


class DesiredState(WireMessage):
    """All that the office wants of one terminal."""

    TYPE: ClassVar[str] = "desired"
    VERSION: ClassVar[int] = 1

    type: Literal["desired"] = "desired"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    number: int = Field(ge=1)
    """One more with each change: one that is not above the last one taken is a repetition or an old one."""
    issued_at: UtcTime
    door: _Url | None = None
    """Where bundles are fetched; None: they come by stick alone."""
    bundles: tuple[DesiredBundle, ...] = Field(default=(), max_length=len(BundleKind))
    """At most one of each kind; of a kind that is not named, what runs goes on."""
    shadow: DesiredBundle | None = None
    """A bundle of networks that is fetched and runs beside the present one, for comparison, and decides nothing."""
    settings: SettingValues = SettingValues()

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if len({each.kind for each in self.bundles}) < len(self.bundles):
            raise ValueError("bundles: one kind twice")
        if self.shadow is not None and self.shadow.kind is not BundleKind.NETWORKS:
            raise ValueError("shadow: not a bundle of networks")
        if any(each is not None and each.since > self.number for each in (*self.bundles, self.shadow)):
            raise ValueError("bundles: wanted since a later state")
        if (self.settings.updates_from_hour is None) != (self.settings.updates_until_hour is None):
            raise ValueError("settings: an hour without the other")
        return self


class RunningBundle(WirePart):
    """What runs of one kind."""

    kind: BundleKind
    bundle_id: Sha256 | None = None
    """None of what came with the card."""
    number: int = Field(default=0, ge=0)
    label: Annotated[str, StringConstraints(max_length=64)] = ""
    is_on_trial: bool = False


class ComingBundle(WirePart):
    """A bundle that is wanted and does not run yet."""

    kind: BundleKind
    bundle_id: Sha256
    received: int = Field(ge=0)
    """Bytes of it that are on the terminal."""
    state: Literal["waiting", "fetching", "fetched", "ready", "refused"]
    """`waiting`: for a link, an hour or room; `fetched`: whole, not checked; `ready`: in its slot, runs from the next start on, which
    comes when nobody is served; `refused`: `why` says for what."""
    why: _Word | None = None
    """The code of the refusal (`protocol.bundle`), or what is waited for."""


class EndedTrial(WirePart):
    """How the last trial of a kind ended."""

    kind: BundleKind
    bundle_id: Sha256
    is_kept: bool
    why: _Word
    """`proven`, or why it went back: `unhealthy`, `crash_loop`, `no_contact`, `not_examined`, `not_switched`."""


class ReportedState(WirePart):
    """What a terminal is, beside what it was asked to be; a part of presence."""

    desired_number: int = Field(default=0, ge=0)
    """Of the newest desired state it has taken; 0 for none."""
    running: tuple[RunningBundle, ...] = Field(default=(), max_length=len(BundleKind))
    coming: tuple[ComingBundle, ...] = Field(default=(), max_length=len(BundleKind) + 1)
    ended: tuple[EndedTrial, ...] = Field(default=(), max_length=len(BundleKind))
    settings: SettingValues = SettingValues()
    """As they are in force, each with its value; None for an hour that is not set."""
