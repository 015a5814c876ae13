"""What a terminal is told of a person so that it works out their obligations with the rules' own evaluator. Pure.

Of all that the fleet knows, the evaluator needs little: whether an act counts depends on the act that counted last and on nothing before
it (`protocol.rules.obligations`). So the fleet sends, for each pack that holds for a benefit, that act and the first day of the benefit;
with the person's later acts the terminal then gets the obligation that the fleet gets from all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import Field

from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.obligations import Entitled, Obligation, obligation, strictest
from protocol.rules.pack import BirthMonth, PackId, RulePack
from protocol.rules.shelf import Shelf
from protocol.wire import WirePart

MOST_ENTITLEMENTS = 16
"""Of one person. An assumption: two schemes in two regions, with two packs over each, are eight."""
_TOLD = "told"
"""Stands for the id of an act that only the fleet knows by id."""


class CountedAct(WirePart):
    """The act that counted last."""

    day: date
    kind: ActKind


class Entitlement(WirePart):
    """What one pack's rules ask about one benefit: no scheme, no sum, and no birth date where the pack does not go by it."""

    pack_id: PackId
    pack_version: int = Field(ge=1, le=9999)
    started: date
    """The first day of the benefit."""
    listed: date | None = None
    """Since when the lists have the person; said only as long as nothing has counted, for later it changes nothing."""
    birth_date: date | None = Field(default=None, repr=False)
    last: CountedAct | None = None
    """None where nothing has counted yet."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pack over one benefit of one person, with what has counted so far."""

    pack: RulePack
    entitled: Entitled
    acts: tuple[Act, ...] = ()

    def obligation(self, *later: Act) -> Obligation:
        """Return what the pack asks next, given acts that the fleet did not know of."""
        return obligation(self.pack, self.entitled, (*self.acts, *later))


def entitlement(pack: RulePack, entitled: Entitled, last: Act | None) -> Entitlement:
    """Return what a terminal is told.

    Args:
        pack: a pack that holds for the benefit.
        entitled: the benefit.
        last: the act that counted last by that pack.
    """
    return Entitlement(
        pack_id=pack.pack_id,
        pack_version=pack.version,
        started=entitled.started,
        listed=entitled.listed if last is None else None,
        birth_date=entitled.birth_date if isinstance(pack.cycle, BirthMonth) else None,
        last=None if last is None else CountedAct(day=last.day, kind=last.kind),
    )


def rules_of(told: Sequence[Entitlement], shelf: Shelf, *, today: date) -> tuple[Rule, ...]:
    """Return the rules that hold for somebody, one at least.

    A pack that the shelf does not have is stood in for by the default one; so is everything for somebody of whom nothing was told.

    Args:
        told: what the fleet said of the person.
        shelf: the packs.
        today: stands for the first day of the benefit of somebody of whom nothing was told.
    """
    if not told:
        return (Rule(shelf.default, Entitled(today)),)
    found = []
    for each in told:
        pack = shelf.find(each.pack_id, each.pack_version) or shelf.default
        acts: tuple[Act, ...] = ()
        if each.last is not None:
            # It counted, so its channel was one that the pack takes.
            channel = pack.channels[0] if pack.channels else Channel.TERMINAL
            acts = (Act(_TOLD, each.last.day, each.last.kind, channel),)
        found.append(Rule(pack, Entitled(each.started, each.birth_date, each.listed), acts))
    return tuple(found)


def strictest_of(rules: Iterable[Rule], *later: Act) -> Obligation | None:
    """Return the strictest obligation, given acts that the fleet did not know of; None without rules."""
    return strictest(rule.obligation(*later) for rule in rules)
