"""Searches for duplicates that pages begin: by face and by number, with how far each is, and what came of it as counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fleet.clock import Clock
from fleet.duplicates import benefits
from fleet.duplicates.combinations import load_combinations
from fleet.keys import FieldCipher
from fleet.settings import Settings
from fleet.store.database import Database

NETWORK = "features_mobilefacenet"
"""The feature network a terminal has unless its settings name another."""
Tell = Callable[[int, int], None]
"""Told how many steps of how many are done; ends the search by raising. What was compared then stays compared."""


def search_faces(
    database: Database, settings: Settings, *, both_sexes: bool, all_ages: bool, tell: Tell, clock: Clock
) -> Mapping[str, Any]:
    """Compare every reference that was not compared yet with all others.

    Raises:
        Refused: if there is nothing to compare.
    """
    # Loaded here, because the commands of duplicates need no numpy.
    from fleet.duplicates.matrix import Blocking
    from fleet.duplicates.search import Wanted, search

    limits = settings.duplicates
    blocking = Blocking(limits.same_sex and not both_sexes, None if all_ages else limits.birth_years)
    wanted = Wanted(NETWORK, blocking, limits.fpir, limits.most_hits)
    done = search(database, wanted, clock=clock, on_progress=tell)
    return {
        "searches": [
            {
                "key_domain": each.key_domain,
                "people": each.people,
                "new": each.new,
                "comparisons": each.comparisons,
                "threshold": each.threshold,
                "expected_false_hits": each.expected_false_hits,
                "hits": each.hits,
            }
            for each in done.searches
        ],
        "left_out": sum(people for _, _, people in done.left_out),
        "hits": sum(each.hits for each in done.searches),
    }


def search_numbers(
    database: Database, cipher: FieldCipher, settings: Settings, *, tell: Tell, clock: Clock
) -> Mapping[str, Any]:
    """Look for benefits that may not stand side by side, and for one person under two numbers."""
    table = load_combinations(settings.duplicates.combinations_file)
    tell(0, 2)
    now, zone = clock(), settings.zone()
    paid = benefits.check_lists(database, table, now=now, zone=zone)
    tell(1, 2)
    documents = benefits.check_documents(database, cipher, now=now)
    tell(2, 2)
    parts = {"benefits": paid, "documents": documents}
    return {
        "parts": [
            {"part": name, "people": each.people, "suspicions": each.suspicions, "hits": each.hits}
            for name, each in parts.items()
        ],
        "hits": paid.hits + documents.hits,
    }
