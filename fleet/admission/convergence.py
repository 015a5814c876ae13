"""PURE. Is a terminal what it was asked to be, by its own signed word; and what its chain adds to that word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import Field

from protocol.desired import (
    ComingBundle,
    DesiredBundle,
    EndedTrial,
    ReportedState,
    RunningBundle,
    SettingValues,
)
from protocol.wire import WirePart

PREFIX = 16
"""Characters of a bundle's id in a terminal's event (`protocol.events.EventKind.UPDATE_ENDED`)."""

SHADOW: Final = "shadow"
"""The place in `Wanted.because` of what runs beside."""


class Wanted(WirePart):
    """What of a desired state changes; without who it is for and when it was said."""

    door: str | None = None
    bundles: tuple[DesiredBundle, ...] = ()
    shadow: DesiredBundle | None = None
    settings: SettingValues = SettingValues()
    because: dict[str, str] = Field(default_factory=dict)
    """Kind of a bundle, or `shadow`: the roll-out by which it is wanted."""

    def dated(self, before: Wanted | None, number: int) -> Wanted:
        """Return it with what is wanted anew dated: what was wanted before by the same roll-out has its number from there.

        Args:
            before: what was wanted until now.
            number: of the state that this would be.
        """
        known = {} if before is None else _places(before)

        def since(place: str, bundle: DesiredBundle) -> DesiredBundle:
            old = known.get(place)
            is_same = old is not None and old.bundle_id == bundle.bundle_id
            if old is None or before is None or not is_same or before.because.get(place) != self.because.get(place):
                return bundle.model_copy(update={"since": number})
            return bundle.model_copy(update={"since": old.since})

        dated = {place: since(place, bundle) for place, bundle in _places(self).items()}
        shadow = dated.pop(SHADOW, None)
        return self.model_copy(update={"bundles": tuple(dated.values()), "shadow": shadow})

    @property
    def is_nothing(self) -> bool:
        """Whether it asks for nothing."""
        return not self.bundles and self.shadow is None and self.settings == SettingValues()


def _places(wanted: Wanted) -> dict[str, DesiredBundle]:
    found: dict[str, DesiredBundle] = {each.kind.value: each for each in wanted.bundles}
    return found if wanted.shadow is None else {**found, SHADOW: wanted.shadow}


class Match(StrEnum):
    """How something asked for compares with what is reported."""

    SAME = "same"
    COMING = "coming"
    """It is on its way."""
    ON_TRIAL = "on_trial"
    REFUSED = "refused"
    WENT_BACK = "went_back"
    BEHIND = "behind"
    """It was not told yet, or has not begun."""
    UNKNOWN = "unknown"
    """The terminal does not say."""


@dataclass(frozen=True, slots=True)
class BundleLine:
    """One bundle asked for beside what runs."""

    wanted: DesiredBundle
    running: RunningBundle | None
    match: Match
    coming: ComingBundle | None
    why: str | None
    """The code of a refusal or of the way back, or what is waited for."""
    is_shadow: bool = False

    @property
    def percent(self) -> int | None:
        """How much of it is on the terminal, 0..100; None where it does not say."""
        return None if self.coming is None else min(100, 100 * self.coming.received // self.wanted.size)


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One setting asked for beside the value in force."""

    name: str
    wanted: float | bool | None
    reported: float | bool | None
    match: Match


def bundle_line(wanted: DesiredBundle, reported: ReportedState | None) -> BundleLine:
    """Return how far a terminal is with a bundle: of how it ended badly, what came of this wish alone, not of one before."""
    if reported is None:
        return BundleLine(wanted, None, Match.UNKNOWN, None, None)
    running = next((each for each in reported.running if each.kind is wanted.kind), None)
    coming = next((each for each in reported.coming if each.bundle_id == wanted.bundle_id), None)
    ended = next((each for each in reported.ended if each.bundle_id == wanted.bundle_id), None)
    if running is not None and running.bundle_id == wanted.bundle_id:
        match = Match.ON_TRIAL if running.is_on_trial else Match.SAME
        return BundleLine(wanted, running, match, None, None)
    if reported.desired_number < wanted.since:
        # It has not heard of this wish: what went back or was refused was another roll-out's, or was to run in shadow.
        return BundleLine(wanted, running, Match.BEHIND, None, None)
    # One that went back and is asked for anew is on its way once more.
    is_tried_again = coming is not None and coming.state != "refused"
    if ended is not None and not ended.is_kept and not is_tried_again:
        return BundleLine(wanted, running, Match.WENT_BACK, coming, ended.why)
    if coming is None:
        return BundleLine(wanted, running, Match.BEHIND, None, None)
    match = Match.REFUSED if coming.state == "refused" else Match.COMING
    return BundleLine(wanted, running, match, coming, coming.why)


def shadow_line(wanted: DesiredBundle, reported: ReportedState | None) -> BundleLine:
    """Return how far a terminal is with a bundle that is to run beside the present one."""
    coming = None if reported is None else _coming(wanted, reported.coming)
    if reported is None:
        match = Match.UNKNOWN
    elif coming is None:
        match = Match.BEHIND
    else:
        match = {"ready": Match.SAME, "refused": Match.REFUSED}.get(coming.state, Match.COMING)
    return BundleLine(wanted, None, match, coming, None if coming is None else coming.why, is_shadow=True)


def setting_lines(wanted: SettingValues, reported: ReportedState | None) -> list[SettingLine]:
    """Return the settings that are asked for beside those in force."""
    found = []
    for name, value in named(wanted):
        if reported is None:
            found.append(SettingLine(name, value, None, Match.UNKNOWN))
            continue
        held = getattr(reported.settings, name)
        found.append(SettingLine(name, value, held, Match.SAME if held == value else Match.BEHIND))
    return found


def is_converged(wanted: Wanted, reported: ReportedState | None) -> bool:
    """Return whether a terminal is all that it was asked to be, whichever way it heard of it."""
    found = [bundle_line(each, reported).match for each in wanted.bundles]
    if wanted.shadow is not None:
        found.append(shadow_line(wanted.shadow, reported).match)
    found += [each.match for each in setting_lines(wanted.settings, reported)]
    return all(each is Match.SAME for each in found)


def named(settings: SettingValues) -> Iterator[tuple[str, float | bool]]:
    """Give the settings that have a value, by name."""
    for name in SettingValues.model_fields:
        value = getattr(settings, name)
        if value is not None:
            yield name, value


def merged(layers: Iterable[SettingValues]) -> SettingValues:
    """Return what holds of several layers, the most general first: each later one's values take the place of those before."""
    found: dict[str, float | bool] = {}
    for layer in layers:
        found |= dict(named(layer))
    return SettingValues.model_validate(found)


def with_ending(
    reported: ReportedState, bundle: DesiredBundle, *, is_kept: bool, why: str, heard: int = 0
) -> ReportedState:
    """Return a terminal's word with what an event of its chain says of a bundle since.

    Args:
        reported: its word before.
        bundle: which one.
        is_kept: whether it was proven.
        why: as the terminal says.
        heard: number of a desired state that it must have taken to have come so far; 0 where that is not certain.

    Raises:
        ValueError: if the reason is not one that a terminal gives.
    """
    kind, bundle_id = bundle.kind, bundle.bundle_id
    ended = EndedTrial(kind=kind, bundle_id=bundle_id, is_kept=is_kept, why=why)
    running = list(reported.running)
    if is_kept:
        running = [each for each in running if each.kind is not kind]
        running.append(RunningBundle(kind=kind, bundle_id=bundle_id, number=bundle.number, label=bundle.label))
    return reported.model_copy(
        update={
            "desired_number": max(reported.desired_number, heard),
            "running": tuple(running),
            "coming": tuple(each for each in reported.coming if each.bundle_id != bundle_id),
            "ended": (*(each for each in reported.ended if each.kind is not kind), ended),
        }
    )


def _coming(wanted: DesiredBundle, coming: Iterable[ComingBundle]) -> ComingBundle | None:
    return next((each for each in coming if each.bundle_id == wanted.bundle_id), None)
