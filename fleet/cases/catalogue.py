"""What reviewers may say, what cases need, and the texts for both: data of this package, read once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fleet.cases.machine import Kind, Verdict
from fleet.errors import Refused
from protocol.rules.acts import Channel

LANGUAGES = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a verdict."""

    code: str
    verdict: Verdict
    kinds: frozenset[Kind]
    ways: tuple[str, ...]
    """Other ways that are open to the person afterwards (R6-3, R6-4)."""


@dataclass(frozen=True, slots=True)
class Body:
    """Who may help with a form (R4-8, R4-18 to R4-22)."""

    code: str
    needs: tuple[str, ...]
    channel: Channel
    is_for_injured_only: bool
    """Only for the work-injured and for dependants (R4-21)."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All of it."""

    needs: Mapping[Kind, tuple[str, ...]]
    bodies: Mapping[str, Body]
    injured_words: tuple[str, ...]
    visit_reasons: tuple[str, ...]
    opened_for: Mapping[Kind, tuple[str, ...]]
    reasons: Mapping[str, Reason]

    def reason(self, code: str, kind: Kind, verdict: Verdict) -> Reason:
        """Return a reason that fits.

        Raises:
            Refused: with those that do.
        """
        fitting = [each for each in self.reasons.values() if each.verdict is verdict and kind in each.kinds]
        found = next((each for each in fitting if each.code == code), None)
        if found is None:
            named = ", ".join(each.code for each in fitting)
            raise Refused(
                f"reason: for {verdict} of {kind} one of: {named}" if named else f"{kind}: never {verdict}",
                code="no_reason",
            )
        return found

    def body(self, code: str) -> Body:
        """Return who helped with a form.

        Raises:
            Refused: with those that may.
        """
        if code not in self.bodies:
            raise Refused(f"body: one of {', '.join(self.bodies)} expected")
        return self.bodies[code]

    def is_injured_or_dependant(self, category: str) -> bool:
        """Return whether a category is one for which a unit's certificate is enough (R4-21)."""
        return any(word in category.lower() for word in self.injured_words)


@cache
def catalogue() -> Catalogue:
    """Return the catalogue that comes with the program."""
    found = tomllib.loads(files("fleet.cases").joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return Catalogue(
        needs={Kind(kind): tuple(roles) for kind, roles in found["needs"].items()},
        bodies={
            code: Body(code, tuple(body["needs"]), Channel(body["channel"]), "only" in body)
            for code, body in found["bodies"].items()
        },
        injured_words=tuple(found["injured_or_dependant"]["words"]),
        visit_reasons=tuple(found["visits"]["reasons"]),
        opened_for={Kind(kind): tuple(codes) for kind, codes in found["opened_for"].items()},
        reasons={
            code: Reason(
                code,
                Verdict(reason["verdict"]),
                frozenset(Kind(kind) for kind in reason.get("kinds", Kind)),
                tuple(reason.get("ways", ())),
            )
            for code, reason in found["reasons"].items()
        },
    )


@cache
def texts(language: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the texts of one of `LANGUAGES`; raises KeyError for another."""
    if language not in LANGUAGES:
        raise KeyError(language)
    return tomllib.loads(files("fleet.cases").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8"))
