"""Which rule packs hold for somebody today, by all their benefits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection

from fleet.status.projection import UNLISTED
from fleet.store import subjects
from fleet.store.areas import parents_above
from fleet.store.packs import shelf_of
from fleet.store.subjects import Benefit
from protocol.rules.pack import RulePack
from protocol.rules.shelf import ancestors_in


def held_packs(connection: Connection, subject_ids: Sequence[str], *, today: date) -> dict[str, tuple[RulePack, ...]]:
    """Return the packs of these subjects, one at least for each: benefits that have ended ask for nothing.

    Args:
        connection: where to read benefits, areas and packs.
        subject_ids: whom; who is not stored is left out.
        today: decides which version of a pack holds.
    """
    people = {subject.subject_id: subject.area for subject in subjects.find_by_ids(connection, subject_ids)}
    benefits = subjects.benefits_of(connection, list(people))
    regions = {benefit.region for owned in benefits.values() for benefit in owned.values()}
    above = ancestors_in(parents_above(connection, regions | set(people.values())))
    shelf = shelf_of(connection)
    found: dict[str, tuple[RulePack, ...]] = {}
    for subject_id, area in people.items():
        paid = [benefit for benefit in benefits.get(subject_id, {}).values() if _is_paid(benefit, today)]
        asked = [(each.scheme, each.category, each.region) for each in paid] or [(UNLISTED, "", area)]
        packs = [pack for scheme, kind, where in asked for pack in shelf.packs_for(scheme, kind, above(where), today)]
        found[subject_id] = tuple({(pack.pack_id, pack.version): pack for pack in packs}.values())
    return found


def advised(packs: Sequence[RulePack], schemes: Sequence[str], categories: Sequence[str]) -> str:
    """Return the channels that rules advise to somebody, in words of the region, empty where they advise none (R3-12). Pure.

    Args:
        packs: that hold for them.
        schemes: of their benefits.
        categories: of their benefits.
    """
    words = [pack.advice[name] for pack in packs for name in (*categories, *schemes) if name in pack.advice]
    return "、".join(dict.fromkeys(words))


def _is_paid(benefit: Benefit, today: date) -> bool:
    return benefit.ended is None or benefit.ended >= today
