#!/usr/bin/env python3
"""Write `docs/rules.md` and `docs/rule-pack.schema.json` from `protocol.rules`; with `--check`, say whether they are current."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.obligations import Entitled, obligation
from protocol.rules.pack import AnnualWindow, BirthMonth, HalfYears, Rolling, RulePack
from protocol.shipped_packs import DEFAULT, SHIPPED, shipped_pack

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER / "rules.md"
SCHEMA = FOLDER / "rule-pack.schema.json"
_EXAMPLE_YEAR = 2027

_INTRO = """# Rule packs

<!-- Made by docs/build_rules.py from protocol/rules; change those. -->

A rule pack is what one region's rules say, as a TOML file: [rule-pack.schema.json](rule-pack.schema.json) describes every key,
the shipped ones are in `protocol/rules/packs`. Two persons put one in force (`lifecert-fleet rules`), after somebody has seen whom it
would change (`lifecert-fleet what-if`); it is signed then, and never changed: another rule is another version, which begins where the
one before it ends. Several packs can hold for one benefit; the strictest (due first) makes the status, and each says what it asks.

An **act** certifies: a pass at a terminal (`live`), an enrolment, a special certification, a match of data (`silent`), a result of
another system (`accepted`). Which kinds and channels count is the pack's word. An act counts for one period. Acts are looked at in the
order of their days, whatever the order they arrived in: each counts if its period is not served yet and the gap since the act that
counted last is kept. From the last act that counted follow, for the next one: the first day on which it counts, the day from which the
person is asked, the day from which it is called expiring, the last day, the first day that is too late, and the day from which a stop
may be *proposed*. No pack stops anything: people do ([operations.md](operations.md)).

Somebody who is on the lists only after the key date (without one: after the period has begun) is asked in the next period, and nobody is
overdue for what was before these lists had them. Where no pack in force holds for somebody, {default} does, the mildest of them.
"""

_WORDS = """
## Whom each holds for

A pack holds for a benefit whose area lies in its region, whose scheme is one of these words and whose category is one of these, letter by
letter as the lists of people write them. Lists with other words: copy the file, write the words of your lists into `schemes` and
`categories`, and propose the copy. `what-if` says which words the lists have where a pack would hold for nobody. What your words are
called in each language, where the console does not know them, stands under `[words]`:
`"自办补助" = { zh = "自办补助", en = "own allowance" }`.

| pack | region | schemes | categories |
|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    parts = [_INTRO.format(default=DEFAULT), "\n## Shipped\n\n"]
    parts.append(
        "| pack | region | cycle | asks who | counts | stop may be proposed | sources |\n|---|---|---|---|---|---|---|\n"
    )
    parts += [_row(shipped_pack(pack_id)) for pack_id in SHIPPED]
    parts.append(_WORDS)
    parts += [_words(shipped_pack(pack_id)) for pack_id in SHIPPED]
    parts.append(
        f"\n## An example of each\n\nSomebody paid since 2015 who came on 15 June {_EXAMPLE_YEAR}, and somebody who never came:\n\n"
    )
    parts.append(
        "| pack | came | next counts from | last day | too late from | stop may be proposed from |\n|---|---|---|---|---|---|\n"
    )
    for pack_id in SHIPPED:
        pack = shipped_pack(pack_id)
        for days in ((), (date(_EXAMPLE_YEAR, 6, 15),)):
            acts = [Act(str(day), day, ActKind.LIVE, Channel.TERMINAL) for day in days]
            found = obligation(pack, Entitled(date(2015, 3, 1)), acts)
            came = str(days[0]) if days else "never"
            parts.append(
                f"| {pack_id} | {came} | {found.opens} | {found.due} | {found.overdue} | {found.stop_from} |\n"
            )
    return "".join(parts)


def schema() -> str:
    """Return the JSON Schema of a pack."""
    found = RulePack.model_json_schema()
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _row(pack: RulePack) -> str:
    asks = "all schemes" if "*" in pack.schemes else f"{len(pack.schemes)} scheme words"
    asks += f", {len(pack.categories)} categories" if pack.categories else ", all categories"
    if pack.key_date is not None:
        asks += f" on the lists by {pack.key_date.day} ({pack.key_date.basis.replace('_', ' ')})"
    return (
        f"| {pack.pack_id}: {pack.title.en} | {pack.region} | {_cycle(pack)} | {asks} | {', '.join(pack.counts)} | {_stop(pack)} |"
        f" {', '.join(pack.sources)} |\n"
    )


def _words(pack: RulePack) -> str:
    schemes = "any" if "*" in pack.schemes else ", ".join(f"`{scheme}`" for scheme in pack.schemes)
    categories = ", ".join(f"`{category}`" for category in pack.categories) or "any"
    return f"| {pack.pack_id} | `{pack.region}` | {schemes} | {categories} |\n"


def _cycle(pack: RulePack) -> str:
    cycle = pack.cycle
    if isinstance(cycle, HalfYears):
        return f"once each half of the year, {cycle.gap_months} months apart (by {cycle.gap_reading})"
    if isinstance(cycle, Rolling):
        return f"within {cycle.months} months of the last"
    if isinstance(cycle, AnnualWindow):
        return f"yearly, {cycle.opens} to {cycle.closes}"
    if isinstance(cycle, BirthMonth):
        return "yearly, in the month of birth"
    raise TypeError(cycle)


def _stop(pack: RulePack) -> str:
    stop = pack.stop
    when = (
        f"from {stop.from_day}"
        if stop.from_day is not None
        else f"from the first of month {stop.months_after_due} after the last day"
    )
    whom = ", who did not come all year" if stop.missed == "calendar_year" else ""
    after = ", after data were compared" if stop.after == "data_comparison" else ""
    return f"{when}{whom}{after}"


def main() -> None:
    """Write or check."""
    made = {PAGE: page(), SCHEMA: schema()}
    if "--check" in sys.argv:
        stale = [
            path.name for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text
        ]
        if stale:
            sys.exit(f"{', '.join(stale)}: not current; run docs/build_rules.py")
        return
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
