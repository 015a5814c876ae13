"""What happened to a person, and where they stand, in words. Pure: texts and facts in, sentences out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from fleet.benefits.timeline import Entry
from fleet.web.labels import category_word, feed_word, scheme_word
from fleet.web.rendering import NOTHING
from fleet.web.texts import Texts
from protocol.outcomes import Outcome

TABLES: Mapping[str, Mapping[str, str]] = {
    "record": {"purpose": "purposes", "outcome": "outcomes"},
    "act": {"kind": "acts", "channel": "channels"},
    "act_withdrawn": {"kind": "acts"},
    "life_event": {"kind": "life", "source": "sources"},
    "life_event_withdrawn": {"kind": "life", "source": "sources"},
    "benefit.stop_proposed": {"reason": "stop_reasons", "effect": "effects"},
    "benefit.step_taken": {"step": "steps", "outcome": "came"},
    "benefit.frozen": {"because": "frozen_because"},
    "benefit.restored": {"because": "restore_reasons"},
    "benefit.recovery_opened": {"reason": "recovery_reasons"},
    "benefit.recovery_closed": {"outcome": "recovery_outcomes"},
    "case_taken_in": {"kind": "case_kinds"},
    "case.": {"kind": "case_kinds", "verdict": "verdicts"},
    "reminder.": {"kind": "reminder_kinds", "state": "reminder_states", "outcome": "came"},
    "changed.": {"told_by": "told_by", "addresses": "way_names", "opted_out": "way_names", "what": "import_changes"},
    "i_am_here_decided": {"resolution": "resolutions"},
    "reference_made": {"capture": "captures", "legal_basis": "bases"},
}
"""By kind of entry, or by how it begins: which table of words says a code that stands under a name."""
_SCHEME = "scheme"
_CATEGORY = "category"
_MONTHS = frozenset({"from_month", "first_unpaid_month", "first_paid_month"})


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of a history as it reads."""

    when: datetime | date | None
    has_hour: bool
    sentence: str
    notes: tuple[str, ...]
    written: str
    """What a person wrote with it; empty where nobody did, or where the one who is still to give their word must not read it."""
    record_id: str | None
    """Of a session, whose evidence can be opened."""
    case_id: str | None
    case_number: str | None
    is_about_here: bool
    """Whether it is about a pass against a report."""


def told(entry: Entry, texts: Texts, *, settled: Collection[tuple[str, str]]) -> Told:
    """Return how an entry reads.

    Args:
        entry: what happened.
        texts: of one language.
        settled: kind and id of what has been decided, so that each of two persons' reasons may be read by everybody.
    """
    group = texts["people"]
    detail = dict(entry.detail)
    facts: dict[str, str] = defaultdict(lambda: NOTHING)
    facts |= {
        name: _fact(texts, entry.kind, name, value) for name, value in detail.items() if value not in (None, "", [])
    }
    facts["id"] = entry.entry_id
    key = entry.kind
    if key.startswith("approval."):
        key = "approval"
        facts["what"] = _approved(group, entry.kind.removeprefix("approval."))
    sentences = group["timeline"]
    sentence = (sentences[key] if key in sentences else sentences["other"]).format_with(
        defaultdict(lambda: NOTHING, {"kind_of_entry": key, **facts})
    )
    is_open = (
        entry.kind.startswith("approval.") and (entry.kind.removeprefix("approval."), entry.entry_id) not in settled
    )
    return Told(
        entry.at if entry.at is not None else entry.day,
        entry.at is not None,
        sentence,
        tuple(_notes(group, texts, entry.kind, detail, facts)),
        "" if is_open else str(detail.get("written", "")),
        entry.entry_id if entry.kind == "record" else None,
        str(detail["case"]) if "case" in detail else None,
        str(detail["number"]) if "case" in detail and "number" in detail else None,
        entry.kind.startswith("i_am_here"),
    )


def _approved(group: Texts, kind: str) -> str:
    """Return what somebody gave their word on; ends of reports have their day in the kind."""
    table = group["approved"]
    if kind.startswith("life_event.end."):
        return str(table["life_event_end"]).format(day=kind.rpartition(".")[2])
    return _word(table, kind.replace(".", "_"), kind)


def _notes(group: Texts, texts: Texts, kind: str, detail: Mapping[str, Any], facts: Mapping[str, str]) -> list[str]:
    notes = group["notes"]
    found = []
    if kind == "record":
        if detail.get("outcome") == Outcome.CERTIFIED and not detail.get("counts") and not detail.get("flags"):
            found.append(str(notes["not_counted"]))
        found += [_word(texts["words"]["flags"], flag, flag) for flag in detail.get("flags") or ()]
    if kind == "life_event":
        found.append(str(notes["confirmed" if detail.get("confirmed") else "unconfirmed"]))
        found += [str(notes[name]).format(value=detail[name]) for name in ("until", "reported_on") if detail.get(name)]
        for name in ("family_late_days", "unit_late_days"):
            if detail.get(name) not in (None, "", "0"):
                found.append(str(notes[name]).format(value=detail[name]))
    if kind.startswith("reminder."):
        found += [facts[name] for name in ("state",) if not detail.get("outcome")]
        found += [facts["outcome"]] if detail.get("outcome") else []
        found += [str(notes["proof_day"]).format(value=detail["proof_day"])] if detail.get("proof_day") else []
    if kind == "case.verdict" and detail.get("verdict"):
        found.append(facts["verdict"])
    return found


def _fact(texts: Texts, kind: str, name: str, value: object) -> str:
    group = texts["people"]
    if name == _SCHEME:
        return scheme_word(str(value), texts)
    if name == _CATEGORY:
        return category_word(str(value), texts)
    if name in _MONTHS:
        return str(value)[:7]
    table = next((found for begins, found in TABLES.items() if _is_of(kind, begins)), {}).get(name)
    if table == "outcomes":
        return _word(texts["words"]["outcomes"], str(value), str(value))
    if table == "sources" and str(value).startswith("feed:"):
        return str(group["feed"]).format(name=feed_word(str(value).removeprefix("feed:"), texts))
    if isinstance(value, bool):
        return str(texts["console"]["yes" if value else "no"])
    if isinstance(value, list):
        return str(group["and"]).join(
            map(str, value) if table is None else (_word(group[table], str(each), str(each)) for each in value)
        )
    return _word(group[table], str(value), str(value)) if table is not None else str(value)


def _is_of(kind: str, begins: str) -> bool:
    return kind.startswith(begins) if begins.endswith(".") else kind == begins


def _word(table: Texts, code: str, otherwise: str) -> str:
    return str(table[code]) if code in table else otherwise
