"""A rule pack rule by rule: what each says as a code with facts, for texts in every language, and its source rules. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from protocol.rules.pack import AnnualWindow, BirthMonth, HalfYears, Rolling, RulePack

Fact = str | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a pack."""

    part: str
    """Which question it answers; the same in every pack, so that versions can be compared."""
    code: str
    """Of the sentence."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    """Ids of the source rules that it says."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One question that two versions answer differently."""

    part: str
    before: Rule | None
    after: Rule | None


def rules_of(pack: RulePack) -> list[Rule]:
    """Return everything that a pack says, in the order in which people ask; what it leaves to its defaults included."""
    named = set(pack.sources)
    found = [
        Rule(part, code, facts, tuple(source for source in _SOURCES.get(part, ()) if source in named))
        for part, code, facts in _said(pack)
    ]
    told = {source for rule in found for source in rule.sources}
    if others := tuple(source for source in pack.sources if source not in told):
        found.append(Rule("other_sources", "other_sources", {}, others))
    return found


def differences(before: RulePack, after: RulePack) -> list[Difference]:
    """Return which questions a version answers differently from another one."""
    old, new = ({rule.part: rule for rule in rules_of(pack)} for pack in (before, after))
    parts = [*old, *(part for part in new if part not in old)]
    return [
        Difference(part, old.get(part), new.get(part))
        for part in parts
        if part not in old or part not in new or (old[part].code, old[part].facts) != (new[part].code, new[part].facts)
    ]


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    """Return the lines that are in one text only, with three around them: `-`, `+`, a space or `@` and the line."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3))
    return [(line[0], line[1:] if line[0] != "@" else line) for line in lines[2:]]


Saying = tuple[str, str, Mapping[str, Fact]]


def _said(pack: RulePack) -> Iterator[Saying]:
    yield "region", "region", {"region": pack.region}
    if "*" in pack.schemes:
        yield "schemes", "all_schemes", {}
    else:
        yield "schemes", "schemes", {"schemes": pack.schemes}
    yield (
        "categories",
        *(("categories", {"categories": pack.categories}) if pack.categories else ("all_categories", {})),
    )
    yield "validity", *_validity(pack)
    yield from _cycle(pack)
    if pack.key_date is not None:
        yield "key_date", f"key_date_{pack.key_date.basis}", {"day": str(pack.key_date.day)}
    yield "counts", "counts", {"kinds": tuple(pack.counts)}
    yield "channels", *(("channels", {"channels": tuple(pack.channels)}) if pack.channels else ("all_channels", {}))
    if pack.advice:
        yield "advice", "advice", {"advice": tuple(f"{who} → {channel}" for who, channel in pack.advice.items())}
    if pack.forbids:
        yield "forbids", "forbids", {"forbidden": tuple(pack.forbids)}
    yield from _stop(pack)
    yield from _clocks(pack)
    yield from _photos(pack)
    yield "first_at", "first_at", {"channels": tuple(pack.enrolment.first_at)}
    yield "photo_may_enrol", "photo_may_enrol" if pack.enrolment.photo_may_enrol else "photo_may_not_enrol", {}
    yield "photo_never_certifies", "photo_never_certifies", {}
    if pack.silent is not None:
        yield "silent", "silent", {"needed": pack.silent.needed}
        for points in sorted(set(pack.silent.points.values()), reverse=True):
            scenes = tuple(kind.value for kind, worth in pack.silent.points.items() if worth == points)
            yield f"silent_{points}", "silent_points", {"scenes": scenes, "points": points}
    yield "no_trace", "no_trace", {"months": pack.recovery.no_trace_months}
    yield "fine", "fine", {"least": pack.recovery.fine_from_times, "most": pack.recovery.fine_to_times}
    yield "help_line", "help_line", {"number": pack.help_line}


def _validity(pack: RulePack) -> tuple[str, Mapping[str, Fact]]:
    if pack.valid_until is None:
        return "valid_from", {"begins": str(pack.valid_from)}
    return "valid_between", {"begins": str(pack.valid_from), "ends": str(pack.valid_until)}


def _cycle(pack: RulePack) -> Iterator[Saying]:
    cycle = pack.cycle
    if isinstance(cycle, HalfYears):
        yield "cycle", "half_years", {}
        yield "gap", f"gap_by_{cycle.gap_reading}", {"months": cycle.gap_months}
    elif isinstance(cycle, Rolling):
        yield "cycle", "rolling", {"months": cycle.months}
    elif isinstance(cycle, AnnualWindow):
        code = "annual_window" if cycle.closes >= cycle.opens else "annual_window_over_new_year"
        yield "cycle", code, {"opens": str(cycle.opens), "closes": str(cycle.closes)}
    elif isinstance(cycle, BirthMonth):
        code = "birth_month_and_after" if cycle.months_after else "birth_month"
        yield "cycle", code, {"months": cycle.months_after}
        yield "early", "early", {"age": cycle.early_from_age, "months": cycle.early_months}


def _stop(pack: RulePack) -> Iterator[Saying]:
    stop = pack.stop
    if stop.from_day is not None:
        missed = "stop_from_day" if stop.missed == "period" else "stop_from_day_whole_year"
        yield "stop", missed, {"day": str(stop.from_day)}
    else:
        yield "stop", "stop_months_after", {"months": stop.months_after_due or 0}
    yield "stop_effect", f"stop_effect_{stop.effect}", {}
    yield "stop_after", f"stop_after_{stop.after}", {}


def _clocks(pack: RulePack) -> Iterator[Saying]:
    clocks = pack.clocks
    yield "review", "review", {"days": clocks.review_days}
    yield "family_report", "family_report", {"days": clocks.family_report_days}
    yield "unit_report", "unit_report", {"days": clocks.unit_report_days}
    yield "expiring", "expiring", {"days": clocks.expiring_days}
    yield "grace", "grace" if clocks.grace_days else "no_grace", {"days": clocks.grace_days}


def _photos(pack: RulePack) -> Iterator[Saying]:
    photos = pack.photos
    facts: dict[str, Fact] = {"width": photos.min_width_px, "height": photos.min_height_px}
    yield "photo_size", "photo_size", {**facts, "kib": photos.max_bytes // 1024}
    yield "photo_ground", f"photo_ground_{photos.ground}", {}
    if photos.size_inches is not None:
        yield "photo_format", "photo_format", {"inches": photos.size_inches}
    yield "special_photos", "special_photos", {"count": photos.special_photographs}


_SOURCES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "schemes": ("R3-5", "R3-6", "R3-7", "R3-8", "R3-9", "R3-10", "R3-13", "R8-11"),
        "categories": ("R3-1", "R3-2", "R3-3", "R3-4", "R3-10", "R3-11", "R4-21"),
        "cycle": ("R2-1", "R2-2", "R2-5", "R2-6", "R2-7", "R2-8"),
        "gap": ("R2-3", "R2-4"),
        "key_date": ("R2-9", "R2-10"),
        "counts": ("R1-1", "R6-1", "R6-5", "R6-8", "R7-2", "R7-5", "R8-13"),
        "channels": (
            *(f"R4-{number}" for number in (1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)),
            *("R4-22", "R4-23", "R4-24", "R4-25", "R4-26", "R6-3", "R6-4", "R6-6", "R6-7", "R6-9", "R2-12", "R2-13"),
        ),
        "advice": ("R3-12",),
        "forbids": ("R2-11",),
        "stop": ("R7-1", "R7-3", "R7-4", "R7-9"),
        "stop_effect": ("R7-7", "R7-8", "R7-19"),
        "stop_after": ("R4-28", "R7-11"),
        "review": ("R6-2",),
        "family_report": ("R8-1",),
        "unit_report": ("R8-2",),
        "photo_size": ("R1-14", "R1-17"),
        "photo_ground": ("R1-13",),
        "photo_format": ("R1-10", "R1-13"),
        "special_photos": ("R1-18",),
        "first_at": ("R1-2", "R1-3", "R1-4", "R1-6", "R1-7", "R1-8", "R1-9", "R1-11"),
        "photo_may_enrol": ("R1-12", "R1-15", "R1-16"),
        "photo_never_certifies": ("R1-19", "R1-20"),
        "silent": ("R4-27", "R8-3", "R8-4", "R8-5"),
        "no_trace": ("R7-14",),
        "fine": ("R7-17", "R7-18"),
        "help_line": ("R9-3",),
    }
)
"""Which rules of domain.md each part says, of those that a pack names as its sources."""
