"""PURE. What is wanted of one terminal: the newest roll-out of each kind that has come to it, and its settings, the most particular first.

Nothing of it is kept but the result: a roll-out that was turned back is as one that never was, so what was wanted before is wanted again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fleet.admission.convergence import SHADOW as BESIDE
from fleet.admission.convergence import Wanted, merged
from fleet.store.terminal_settings import Scope, Target
from fleet.updates.rollout import CANARY, SHADOW, State
from protocol.bundle import BundleKind
from protocol.desired import DesiredBundle, SettingValues


@dataclass(frozen=True, slots=True)
class Place:
    """Where a terminal is in a roll-out."""

    phase: int
    is_left_out: bool = False


@dataclass(frozen=True, slots=True)
class InEffect:
    """A roll-out that runs, is paused, or is done, as far as it matters here."""

    state: State
    phase: int
    areas: frozenset[str] | None
    """None for the whole fleet."""
    places: Mapping[str, Place]
    bundle: DesiredBundle | None = None
    target: Target | None = None
    settings: SettingValues | None = None
    rollout_id: str = ""

    def has_come_to(self, terminal_id: str, chain: Sequence[str]) -> bool:
        """Return whether a terminal is asked for it: once it is done, also one that came later."""
        place = self.places.get(terminal_id)
        if place is not None:
            return not place.is_left_out and (self.state is State.DONE or place.phase <= self.phase)
        return self.state is State.DONE and (self.areas is None or not self.areas.isdisjoint(chain))

    def shadows(self, terminal_id: str) -> bool:
        """Return whether a terminal of the canary group is to run it beside what it has."""
        place = self.places.get(terminal_id)
        if place is None or place.is_left_out or self.state not in (State.RUNNING, State.PAUSED):
            return False
        return self.phase == SHADOW and place.phase == CANARY


def wanted_of(
    terminal_id: str,
    chain: Sequence[str],
    rollouts: Sequence[InEffect],
    settings: Mapping[Target, SettingValues],
    *,
    door: str | None,
) -> Wanted:
    """Return what is wanted of a terminal, not dated yet (`Wanted.dated`).

    Args:
        terminal_id: which.
        chain: codes of its area and of those above, from the inside out.
        rollouts: in effect, the newest first.
        settings: that are set for the fleet, areas and terminals.
        door: where bundles are fetched; None where there is none.
    """
    bundles: dict[BundleKind, DesiredBundle] = {}
    shadow: DesiredBundle | None = None
    because: dict[str, str] = {}
    changed: dict[Target, SettingValues] = {}
    for each in rollouts:
        if each.bundle is not None:
            if each.has_come_to(terminal_id, chain):
                bundles.setdefault(each.bundle.kind, each.bundle)
                because.setdefault(each.bundle.kind.value, each.rollout_id)
            elif each.shadows(terminal_id) and shadow is None and each.bundle.kind is BundleKind.NETWORKS:
                shadow = each.bundle
                because[BESIDE] = each.rollout_id
        # Settings of a roll-out that is done stand with all others.
        elif each.target and each.settings and each.state is not State.DONE and each.has_come_to(terminal_id, chain):
            changed.setdefault(each.target, each.settings)
    found = [bundles[kind] for kind in BundleKind if kind in bundles]
    in_force = {**settings, **changed}
    layers = (in_force[target] for target in targets_of(terminal_id, chain) if target in in_force)
    return Wanted(
        door=door if found or shadow else None,
        bundles=tuple(found),
        shadow=shadow,
        settings=merged(layers),
        because=because,
    )


def targets_of(terminal_id: str, chain: Iterable[str]) -> Iterator[Target]:
    """Give whose settings hold for a terminal, the most general first."""
    yield Target(Scope.FLEET)
    for code in reversed(list(chain)):
        yield Target(Scope.AREA, code)
    yield Target(Scope.TERMINAL, terminal_id)


def chain_of(area: str, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return an area and all above it; an area that is in no tree stands alone."""
    found = [area]
    while (above := parents.get(found[-1])) is not None and above not in found:
        found.append(above)
    return tuple(found)
