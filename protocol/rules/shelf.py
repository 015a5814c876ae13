"""All packs in force together: which of them hold for a benefit, and whether a new one fits among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from protocol.errors import Problem
from protocol.rules.pack import RulePack

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The packs in force, every version of each."""

    packs: tuple[RulePack, ...]
    default: RulePack
    """Holds for whom none of them covers."""

    def packs_for(self, scheme: str, category: str, regions: frozenset[str], day: date) -> tuple[RulePack, ...]:
        """Return the packs that hold for a benefit on a day, by id: one at least.

        Args:
            scheme: of the benefit.
            category: of the benefit.
            regions: code of the area that pays it, and of every area above.
            day: the day.
        """
        found = tuple(pack for pack in self.on(day) if pack.covers(scheme, category, regions))
        return found or (self.default,)

    def on(self, day: date) -> tuple[RulePack, ...]:
        """Return the packs that hold on a day: of each id the newest version that has begun, unless its time is over."""
        newest: dict[str, RulePack] = {}
        for pack in sorted(self.packs, key=lambda pack: pack.valid_from):
            if pack.valid_from <= day:
                newest[pack.pack_id] = pack
        return tuple(newest[name] for name in sorted(newest) if newest[name].holds_on(day))

    def find(self, pack_id: str, version: int) -> RulePack | None:
        """Return one version of a pack."""
        return next((p for p in (*self.packs, self.default) if (p.pack_id, p.version) == (pack_id, version)), None)


Ancestors = Callable[[str], frozenset[str]]
"""Gives an area's code with those of all areas above it."""


def ancestors_in(parents: Mapping[str, str | None]) -> Ancestors:
    """Return what finds the areas above one; an area that is not in the tree stands alone.

    Args:
        parents: the area above each.
    """

    def above(code: str) -> frozenset[str]:
        found = [code]
        while (parent := parents.get(found[-1])) is not None and parent not in found:
            found.append(parent)
        return frozenset(found)

    return above


def problems_of(pack: RulePack, shelf: Shelf, above: Ancestors) -> list[Problem]:
    """Return everything for which a pack cannot come into force beside those that are, a sentence each.

    Versions of one pack follow each other without a gap and without an overlap; nothing contradicts what a pack above it forbids; and no
    two packs say the same kind of thing about the same people differently.
    """
    found: list[Problem] = []
    name = f"{pack.pack_id} version {pack.version}"
    own = sorted((p for p in shelf.packs if p.pack_id == pack.pack_id), key=lambda p: p.version)
    if own:
        found += _beside_versions(pack, own[-1], name)
    for other in shelf.packs:
        if other.pack_id == pack.pack_id or not _meet(pack, other):
            continue
        for upper, lower in ((other, pack), (pack, other)):
            if (
                "fixed_window" in upper.forbids
                and lower.cycle.kind in ("annual_window", "birth_month")
                and upper.region in above(lower.region)
            ):
                found.append(
                    Problem(
                        f"{lower.pack_id}: has a fixed window, which {upper.pack_id} forbids for region {upper.region}",
                        "window_forbidden",
                        pack=lower.pack_id,
                        other=upper.pack_id,
                        region=upper.region,
                    )
                )
        if other.region == pack.region and other.cycle.kind == pack.cycle.kind:
            found.append(
                Problem(
                    f"{name}: says of the same people what {other.pack_id} says ({pack.cycle.kind}); end that one first",
                    "said_already",
                    other=other.pack_id,
                )
            )
    return found


def _beside_versions(pack: RulePack, last: RulePack, name: str) -> list[Problem]:
    """Return what is wrong with a version that is to follow the last one in force."""
    found: list[Problem] = []
    if pack.version != last.version + 1:
        found.append(
            Problem(
                f"{name}: version {last.version} is in force; the next one is {last.version + 1}",
                "not_next_version",
                key="version",
                next=last.version + 1,
                version=last.version,
            )
        )
    elif pack.valid_from <= last.valid_from:
        found.append(
            Problem(
                f"{name}: begins on {pack.valid_from}, where version {last.version} begins on {last.valid_from}: it would never hold;"
                " let it begin later",
                "begins_too_early",
                key="valid_from",
                other_begins=last.valid_from,
                version=last.version,
                begins=pack.valid_from,
            )
        )
    elif last.valid_until is not None and pack.valid_from <= last.valid_until:
        found.append(
            Problem(
                f"{name}: begins on {pack.valid_from}, overlaps version {last.version}, which holds until {last.valid_until}",
                "overlaps",
                key="valid_from",
                until=last.valid_until,
                version=last.version,
                begins=pack.valid_from,
            )
        )
    elif last.valid_until is not None and pack.valid_from > last.valid_until + _DAY:
        found.append(
            Problem(
                f"{name}: leaves a gap from {last.valid_until + _DAY} to {pack.valid_from - _DAY}",
                "leaves_gap",
                key="valid_from",
                first=last.valid_until + _DAY,
                last=pack.valid_from - _DAY,
            )
        )
    if pack.region != last.region:
        found.append(
            Problem(
                f"{name}: is for region {pack.region}, version {last.version} for {last.region}; give it another id",
                "other_region",
                key="region",
                region=last.region,
                version=last.version,
            )
        )
    return found


def _meet(a: RulePack, b: RulePack) -> bool:
    """Return whether there can be a benefit and a day for which both hold."""
    is_scheme_shared = "*" in a.schemes or "*" in b.schemes or bool(set(a.schemes) & set(b.schemes))
    is_category_shared = not a.categories or not b.categories or bool(set(a.categories) & set(b.categories))
    last = min(pack.valid_until or date.max for pack in (a, b))
    return is_scheme_shared and is_category_shared and max(a.valid_from, b.valid_from) <= last
