"""Evidence in words, for reviewers and for the person it is about: one sentence for each result, one line for each measure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from protocol.evidence import EvidenceKind, EvidenceResult

LANGUAGES = ("zh", "en")
_ANY = "any"
_MEASURE = "measure"
_PLACE = re.compile(r"\{(\w+)(:%)?\}")
"""Where a number goes; with `:%` a part of 1, as a percentage."""
_ASIDE = re.compile(r"\s*[(（][^()（）]*[)）]")


def explain(result: EvidenceResult, language: str) -> str:
    """Return a sentence that says what came of a kind of evidence.

    Args:
        result: as it stands in a record.
        language: `zh` or `en`.

    Returns:
        The sentence, with numbers where the result has them; a bracket whose numbers are missing is left out. A reason that this
        program does not know, from a newer terminal, is named as it is.

    Raises:
        ValueError: if there are no explanations in that language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}, expected one of {', '.join(LANGUAGES)}")
    sentence = sentence_of(result.kind, result.reason, language)
    if sentence is None:
        return f"{result.kind}: {result.status}, {result.reason}"
    numbers = dict(result.measures)
    if result.score is not None:
        numbers["score"] = result.score
    if result.threshold is not None:
        numbers["threshold"] = result.threshold
    return _filled(sentence, numbers)


def explain_measures(result: EvidenceResult, language: str) -> tuple[str, ...]:
    """Return a line for each measure behind the result, in its order; unknown ones are named as they are.

    Raises:
        ValueError: if there are no explanations in that language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}, expected one of {', '.join(LANGUAGES)}")
    known = _texts()[_MEASURE]
    return tuple(
        _filled(known[name][language], {"value": value}) if name in known else f"{name}: {_number(value)}"
        for name, value in result.measures.items()
    )


def sentence_of(kind: EvidenceKind, reason: str, language: str) -> str | None:
    """Return the sentence for a reason, with its places not filled in; None if there is none."""
    texts = _texts()
    own: Mapping[str, Mapping[str, str]] = texts.get(kind.value, {})
    entry = own.get(reason) or texts[_ANY].get(reason)
    return entry[language] if entry else None


def _filled(sentence: str, numbers: Mapping[str, float]) -> str:
    """Fill in the numbers; first drop the brackets that miss one."""

    def keep(aside: re.Match[str]) -> str:
        return aside[0] if all(place[1] in numbers for place in _PLACE.finditer(aside[0])) else ""

    return _PLACE.sub(
        lambda place: f"{_number(100 * numbers[place[1]])}%" if place[2] else _number(numbers[place[1]]),
        _ASIDE.sub(keep, sentence),
    )


def _number(value: float) -> str:
    """Return a number with as many digits as tell something."""
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


@cache
def _texts() -> Mapping[str, Any]:
    text = files("protocol").joinpath("explanations.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
