"""Composes what somebody is told, from texts as data. Pure but for reading the texts once."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from fleet.errors import Refused
from fleet.reminders.planning import Kind
from fleet.tables.words import written_day
from protocol.rules.days import FOREVER

LANGUAGES = ("zh", "en")
Language = Literal["zh", "en", "both"]
_LINK = re.compile(r"://|\bwww\.|\bhttps?\b", re.IGNORECASE)
_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet. Source: 3GPP TS 23.038, 6.2.1."""
_SINGLE_7, _EACH_7, _SINGLE_16, _EACH_16 = 160, 153, 70, 67
"""Characters of a short message, and of each of several. Source: 3GPP TS 23.038, TS 23.040, 9.2.3.24.1."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reminder says."""

    kind: Kind
    due: date
    stop_from: date
    help_line: str
    """The official number (R9-3)."""
    name: str | None = field(default=None, repr=False)
    """None where names are not told."""
    place: str | None = None
    """Name of the area where the person lives; nobody is bound to it (R2-11)."""


@dataclass(frozen=True, slots=True)
class Text:
    """A composed reminder."""

    title: str
    body: str = field(repr=False)


@cache
def load_texts(language: str) -> Mapping[str, Any]:
    """Return the texts of one language, `zh` or `en`."""
    return tomllib.loads(files("fleet.reminders.texts").joinpath(f"{language}.toml").read_text(encoding="utf-8"))


def compose(facts: Facts, language: Language) -> Text:
    """Return what somebody is told, in one language or both.

    Raises:
        Refused: if a link got into it by a name or a place: nobody is to learn that the agency sends links.
    """
    wanted = LANGUAGES if language == "both" else (language,)
    parts = [_composed(facts, load_texts(name)) for name in wanted]
    found = Text(" / ".join(part.title for part in parts), "\n".join(part.body for part in parts))
    if _LINK.search(found.body) or _LINK.search(found.title):
        raise Refused(
            "reminder: a name or a place has a link in it; put it right in the list of people or areas",
            code="link_in_reminder",
        )
    return found


def sms_parts(text: str) -> int:
    """Return as how many short messages a text is sent and paid."""
    if set(text) <= _GSM_7:
        return 1 if len(text) <= _SINGLE_7 else math.ceil(len(text) / _EACH_7)
    units = len(text.encode("utf-16-be")) // 2
    return 1 if units <= _SINGLE_16 else math.ceil(units / _EACH_16)


def _composed(facts: Facts, texts: Mapping[str, Any]) -> Text:
    frame = texts["frame"]
    key = facts.kind.value
    if facts.kind is Kind.STOP_PROPOSED and facts.stop_from == FOREVER:
        key = "stop_noted"
    says = texts["kinds"][key]
    values = {
        "name": facts.name or "",
        "due": written_day(facts.due, frame),
        "stop_from": written_day(facts.stop_from, frame),
        "place": facts.place or "",
        "help_line": facts.help_line,
    }
    lines = (
        frame["name"] if facts.name else frame["no_name"],
        says["body"],
        frame["place"] if facts.place else frame["no_place"],
        frame["official"],
    )
    body = "".join(lines).format(**values)
    return Text(says["title"], body[:1].upper() + body[1:])
