"""Finds areas by code or by the names on the way down to them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.store.areas import Area
from protocol.errors import Problem

SEPARATOR = "/"


class AreaTree:
    """All areas, by code and by name.

    Args:
        areas: by code.
    """

    def __init__(self, areas: Mapping[str, Area]) -> None:
        self._areas = dict(areas)
        self._named: dict[str, list[str]] = {}
        for code, area in self._areas.items():
            self._named.setdefault(area.name, []).append(code)

    def __bool__(self) -> bool:
        return bool(self._areas)

    def code_of(self, written: str) -> tuple[str | None, Problem | None]:
        """Return the code of an area, or what is wrong.

        Args:
            written: its code; or its name, with as many names above it, from above, as it takes to tell it from others:
                `山西省/太原市/小店区`.
        """
        if written in self._areas:
            return written, None
        names = [name.strip() for name in written.split(SEPARATOR)]
        found = [code for code in self._named.get(names[-1], ()) if self.names_down_to(code)[-len(names) :] == names]
        if len(found) == 1:
            return found[0], None
        if found:
            sentence = f"{len(found)} areas are called so; write the names of those above it, too, or its code"
            return None, Problem(sentence, "many_areas", count=len(found))
        return None, Problem(
            "no area of this code or name; import it first (`lifecert-fleet areas import`)", "area_not_known"
        )

    def names_down_to(self, code: str) -> list[str]:
        """Return the names of the areas above one, from the province on, and its own; of an unknown code nothing."""
        names: list[str] = []
        seen: set[str] = set()
        at: str | None = code
        while at is not None and at in self._areas and at not in seen:
            seen.add(at)
            names.append(self._areas[at].name)
            at = self._areas[at].parent
        return names[::-1]
