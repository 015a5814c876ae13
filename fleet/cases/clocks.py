"""How long an answer may take, and whom one may call: what the packs that hold for a person say (R6-2, R9-3)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from fleet.store.packs import shelf_of
from protocol.rules.pack import PhotoRules, RulePack, Title


@dataclass(frozen=True, slots=True)
class PackOfCase:
    """What the packs of one person say about cases; the strictest of several."""

    pack_id: str
    version: int
    title: Title
    """Of the first of several, as the two before and the help line."""
    review_days: int
    help_line: str
    photos: PhotoRules


def pack_of_case(connection: Connection, subject_id: str | None) -> PackOfCase:
    """Return what holds for a person; for somebody unknown the default pack does."""
    shelf = shelf_of(connection)
    rows = connection.execute(
        text("SELECT DISTINCT pack_id, pack_version FROM obligations WHERE subject_id = :id ORDER BY pack_id"),
        {"id": subject_id},
    ).all()
    held: list[RulePack] = [
        pack for row in rows if (pack := shelf.find(row.pack_id, row.pack_version)) is not None
    ] or [shelf.default]
    photos = [pack.photos for pack in held]
    return PackOfCase(
        pack_id=held[0].pack_id,
        version=held[0].version,
        title=held[0].title,
        review_days=min(pack.clocks.review_days for pack in held),
        help_line=held[0].help_line,
        photos=photos[0].model_copy(
            update={
                "min_width_px": max(each.min_width_px for each in photos),
                "min_height_px": max(each.min_height_px for each in photos),
                "max_bytes": min(each.max_bytes for each in photos),
            }
        ),
    )
