"""A slip in words, Chinese and English, for paper, terminal and page alike."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from protocol.slip import SlipCheck, SlipFacts

LANGUAGES = ("zh", "en")

Texts = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Group -> id -> language -> text."""


@cache
def slip_texts() -> Texts:
    """Return all texts about slips (`protocol/slip_texts.toml`)."""
    text = files("protocol").joinpath("slip_texts.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text))


def slip_lines(slip: SlipFacts, language: str) -> tuple[str, ...]:
    """Return what a slip says, one thing a line, the title first.

    Args:
        slip: the slip.
        language: `zh` or `en`.

    Raises:
        ValueError: if there are no texts in that language.
    """
    said = _Words(language)
    decided = "decided_on" if slip.clock_certain else "decided_on_uncertain"
    lines = [said("label", "title"), said("label", "outcome", value=said("outcome", slip.outcome))]
    if slip.simulated:
        lines.insert(1, said("label", "simulated"))
    if slip.certified_until is not None:
        lines.append(said("label", "certified_until", value=slip.certified_until.isoformat()))
    kind = said("document", slip.document.kind)
    return (
        *lines,
        said("label", "next_step", value=said("next_step", slip.next_step)),
        said("label", "document", kind=kind, tail=slip.document.tail),
        said("label", decided, value=slip.decided_on.isoformat()),
        said("label", "terminal", fleet=slip.fleet_id, terminal=slip.terminal_id),
        said("label", "record", value=slip.record_digest),
    )


def check_line(check: SlipCheck, language: str) -> str:
    """Return what came of a check, in one sentence.

    Raises:
        ValueError: if there are no texts in that language.
    """
    return _Words(language)("verdict", "genuine" if check.is_valid and not check.is_certified else check.verdict)


def copy_line(language: str) -> str:
    """Return the line that stands above a copy which the agency makes of a record.

    Raises:
        ValueError: if there are no texts in that language.
    """
    return _Words(language)("label", "copy")


def how_to_check(language: str) -> str:
    """Return the line that tells a person what the code is for.

    Raises:
        ValueError: if there are no texts in that language.
    """
    return _Words(language)("label", "how_to_check")


def today_unsure(language: str) -> str:
    """Return the line that tells who checks that the checking terminal may have the wrong date.

    Raises:
        ValueError: if there are no texts in that language.
    """
    return _Words(language)("label", "today_unsure")


class _Words:
    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise ValueError(f"language is {language!r}, expected one of {', '.join(LANGUAGES)}")
        self._language = language

    def __call__(self, group: str, name: str, **values: str) -> str:
        return slip_texts()[group][name][self._language].format(**values)
