"""Words of the agency's own that its rule packs and feeds give in both languages, as SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from fleet.store.packs import parsed
from protocol.rules.pack import Title


@dataclass(frozen=True, slots=True)
class OwnWords:
    """What an agency calls what is its own."""

    named: Mapping[str, Title] = field(default_factory=dict)
    """Schemes and categories, by the names that lists have for them."""
    feeds: Mapping[str, Title] = field(default_factory=dict)


def own_words(connection: Connection) -> OwnWords:
    """Return the words of the packs in force and of the feeds; of two packs that name the same the newer one's."""
    written = connection.execute(
        text(
            "SELECT text FROM rule_packs WHERE in_force_at IS NOT NULL AND position('words' IN text) > 0 ORDER BY in_force_at"
        )
    ).scalars()
    titles = connection.execute(text("SELECT name, definition -> 'title' FROM feeds"))
    return OwnWords(
        {word: title for each in written for word, title in parsed(each).words.items()},
        {name: Title.model_validate(title) for name, title in titles if title is not None},
    )
