"""People who may be listed or paid twice: the queue, and a hit with both sides, for two persons to decide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.duplicates.combinations import Overlap, Paid, load_combinations, overlaps
from fleet.duplicates.queue import Shown, decide, show
from fleet.store import duplicates
from fleet.store.approvals import Approval, approvals_of
from fleet.store.areas import area_names
from fleet.store.duplicates import Hit, HitLine, Verdict
from fleet.store.subject_areas import outside_of
from fleet.store.subjects import find_by_ids
from fleet.web.labels import scheme_word
from fleet.web.lists import listing
from fleet.web.sending import Refusals, said
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.rules.days import age_on

router = APIRouter(include_in_schema=False)
_LOOK = Permission.DUPLICATES
_DECIDE = Permission.DUPLICATES_DECIDE
_STATES: Mapping[str, tuple[tuple[str, ...], bool | None]] = {
    "open": (("open", "unclear"), None),
    "unsaid": (("open",), False),
    "waits": (("open",), True),
    "unclear": (("unclear",), None),
    "decided": (("same_person", "different"), None),
}
"""What the queue is narrowed to: states, and whether a first word was said."""
_KINDS = {"face": ("same_face",), "number": ("same_person", "benefits", "elsewhere")}
_VERDICTS: tuple[Verdict, ...] = ("same_person", "different", "unclear")
_REASON = "queue of duplicates"
"""Why a page of a hit shows names, for the log: nobody is asked for another reason than to decide."""
_PAIR = re.compile(
    r"(?:(?P<source>.+): )?(?P<first>.+) \((?P<one>.+)\) \+ (?P<second>.+) \((?P<two>.+)\):"
    r" (?P<says>not_allowed|not_listed)(?P<move>, or a move)?"
)
"""How `fleet.duplicates` and `fleet.store.duplicates.other_region` write down what a pair of benefits is suspected of."""


@dataclass(frozen=True, slots=True)
class Row:
    """One hit in the queue."""

    line: HitLine
    names: tuple[str, ...]
    """Of those whom the visitor may see: both, one of two, or the only one."""
    is_whole: bool
    """Whether the visitor may see everybody of it; else that there is somebody elsewhere, and no more."""
    what: str


@router.get("/duplicates")
def queue(
    visit: Annotated[Visit, needs(_LOOK)], state: str = "open", kind: str = "", after: str = "", before: str = ""
) -> Response:
    """Show what waits for somebody, the most alike first."""
    chosen = state if state in _STATES else "open"
    states, waits = _STATES[chosen]
    kinds = _KINDS.get(kind, (*_KINDS["face"], *_KINDS["number"]))
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        shown = listing(
            "/duplicates",
            {"state": "" if chosen == "open" else chosen, "kind": kind},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: duplicates.queue_page(
                connection,
                states=states,
                kinds=kinds,
                waits=waits,
                areas=codes,
                behind=_place(behind),
                ahead=_place(ahead),
                limit=limit,
            ),
            key=lambda line: f"{line.likeness!r}|{line.hit.hit_id}",
        )
        regions = _regions(
            connection, [line.hit for line in shown.rows], {a for line in shown.rows for a in line.areas}
        )
        rows = [_row(visit, line, codes, regions) for line in shown.rows]
        if rows:
            visit.note(
                connection,
                "duplicates.listed",
                "duplicate_hit",
                "queue",
                about=_named(shown.rows, codes),
                hits=len(rows),
            )
    texts = visit.texts["duplicates"]
    return visit.page(
        "duplicates/queue.html",
        may_search=visit.tops(_LOOK) is None,
        shown=shown,
        rows=rows,
        regions=regions,
        state=chosen,
        states=[(name, texts["filter"][name]) for name in _STATES],
        kinds=[(name, texts["filter"][name]) for name in _KINDS],
    )


def _named(lines: Sequence[HitLine], codes: Sequence[str] | None) -> set[str]:
    """Return of whom the names are shown."""
    sides = [
        side
        for line in lines
        for side in zip((line.hit.first_subject, line.hit.second_subject), line.areas, strict=True)
    ]
    return {who for who, area in sides if codes is None or area in codes}


def _regions(connection: Connection, hits: Iterable[Hit], codes: Iterable[str]) -> dict[str, str]:
    """Return the names of areas: of these, and of those that hits name."""
    named = [found for hit in hits if (found := _PAIR.fullmatch(hit.what)) is not None]
    return area_names(connection, {*codes, *(found[side] for found in named for side in ("one", "two"))})


def _place(written: str) -> tuple[float, str] | None:
    likeness, _, hit = written.partition("|")
    try:
        return float(likeness), hit
    except ValueError:
        return None


def _row(visit: Visit, line: HitLine, codes: Sequence[str] | None, regions: Mapping[str, str]) -> Row:
    hit = line.hit
    sides = dict(
        zip((hit.first_subject, hit.second_subject), zip(line.areas, line.names_sealed, strict=True), strict=True)
    )
    seen = [who for who, (area, _) in sides.items() if codes is None or area in codes]
    names = tuple(visit.opened(sides[who][1], of=who) for who in seen)
    is_whole = len(seen) == len(sides)
    return Row(line, names, is_whole, told(visit, hit, regions) if is_whole else "")


def told(visit: Visit, hit: Hit, regions: Mapping[str, str]) -> str:
    """Return what a hit rests on, as a sentence in the visitor's language; `regions` has the names of areas by code."""
    texts = visit.texts["duplicates"]
    if hit.kind == "same_face":
        score, threshold = hit.score or 0.0, hit.threshold or 0.0
        return str(texts["told"]["face"]).format(score=f"{score:.3f}", threshold=f"{threshold:.3f}")
    if hit.kind == "same_person":
        return str(texts["told"]["name_and_area" if hit.what == "name and area" else "name_and_birth"])
    found = _PAIR.fullmatch(hit.what)
    if found is None:
        return str(texts["told"]["benefits"])
    facts = {name: value or "" for name, value in found.groupdict().items()}
    facts |= {name: scheme_word(facts[name], visit.texts) for name in ("first", "second")}
    facts |= {name: regions.get(facts[name], facts[name]) for name in ("one", "two")}
    facts["says"] = texts["says"][facts["says"]]
    if facts["move"]:
        return str(texts["told"]["move"]).format(**facts)
    return str(texts["told"]["elsewhere" if facts["source"] else "pair"]).format(**facts)


@router.get("/duplicates/{hit_id}")
def hit(visit: Annotated[Visit, needs(_LOOK)], hit_id: str) -> Response:
    """Show both sides; who looks is written down."""
    return _hit(visit, hit_id)


def _hit(visit: Visit, hit_id: str, *, problems: Sequence[str] = (), status: int = 200) -> Response:
    with visit.begin() as connection:
        found = duplicates.find_hit(connection, hit_id)
        if found is None or not _sees(visit, connection, found, _LOOK):
            raise not_found()
        may_decide = visit.visitor.may(_DECIDE) and _sees(visit, connection, found, _DECIDE)
    shown = show(
        visit.console.database,
        visit.keys,
        hit_id,
        reader=visit.visitor.name,
        reason=_REASON,
        with_names=True,
        now=visit.now,
    )
    codes = {
        str(code) for side in shown.sides for code in (side["area"], *(paid["region"] for paid in side["benefits"]))
    }
    with visit.begin() as connection:
        regions = _regions(connection, [shown.hit], codes)
    table = load_combinations(visit.console.settings.duplicates.combinations_file)
    paid = [[_paid(each) for each in side["benefits"]] for side in shown.sides]
    pairs = overlaps(paid[0], paid[1] if len(paid) > 1 else None, table)
    return visit.page(
        "duplicates/hit.html",
        status=status,
        hit=shown.hit,
        what=told(visit, shown.hit, regions),
        regions=regions,
        sides=[_side(visit, side) for side in shown.sides],
        pairs=sorted(pairs, key=_weight),
        words=[(word, _is_told(visit, shown, word)) for word in shown.words],
        first_word=shown.hit.first_word if shown.words else None,
        has_said=any(word.name == visit.visitor.name for word in shown.words) and shown.hit.state == "open",
        may_decide=may_decide and shown.hit.state in ("open", "unclear"),
        verdicts=[(verdict, visit.texts["duplicates"]["verdicts"][verdict]) for verdict in _VERDICTS],
        version=_version(shown),
        problems=problems,
        typed=visit.sent.fields,
    )


def _is_told(visit: Visit, shown: Shown, word: Approval) -> bool:
    """Return whether somebody's word is shown: until it is decided, two persons are two opinions."""
    return shown.hit.state != "open" or word.name == visit.visitor.name


def _sees(visit: Visit, connection: Any, hit: Hit, permission: Permission) -> bool:
    """Return whether both people belong where the visitor has a permission."""
    codes = visit.codes(connection, permission)
    sides = {hit.first_subject, hit.second_subject}
    people = find_by_ids(connection, sides)
    return len(people) == len(sides) and (codes is None or not outside_of(connection, sorted(sides), codes))


def _version(shown: Shown) -> str:
    return f"{shown.hit.state}:{len(shown.words)}"


def _weight(pair: Overlap) -> tuple[bool, bool]:
    """What may not be and is paid at once comes first."""
    return (pair.says == "allowed", pair.since is None)


def _paid(found: Mapping[str, Any]) -> Paid:
    ended = found["ended"]
    return Paid(
        found["scheme"],
        found["region"],
        date.fromisoformat(found["started"]),
        None if ended is None else date.fromisoformat(ended),
    )


def _side(visit: Visit, side: Mapping[str, Any]) -> dict[str, Any]:
    """Return one side's facts with the age, which tells more than a day of birth."""
    born = side["born"]
    return {**side, "age": None if born is None else age_on(date.fromisoformat(born), visit.today)}


@router.post("/duplicates/{hit_id}")
def say(visit: Annotated[Visit, sends(_DECIDE)], hit_id: str) -> Response:
    """Take one person's word; the second person's decides."""
    sent = visit.sent
    verdict = next((each for each in _VERDICTS if each == sent.text("verdict")), None)
    problem = ""
    try:
        with visit.begin() as connection:
            found = duplicates.find_hit(connection, hit_id, lock=True)
            if found is None or not _sees(visit, connection, found, _DECIDE):
                raise not_found()
            words = approvals_of(connection, visit.cipher, duplicates.APPROVED, hit_id)
            if sent.text("version") != f"{found.state}:{len(words)}":
                problem = visit.texts["duplicates"]["said_meanwhile"]
            elif verdict is not None:
                done = decide(
                    connection,
                    visit.cipher,
                    hit_id,
                    verdict,
                    by=visit.visitor.name,
                    reason=sent.text("reason"),
                    now=visit.now,
                )
    except Refusals as error:
        return _hit(visit, hit_id, problems=said(visit, error), status=409 if sent.text("reason") else 422)
    if problem:
        return _hit(visit, hit_id, problems=[problem], status=409)
    if verdict is None:
        return _hit(visit, hit_id, problems=[visit.texts["duplicates"]["choose"]], status=422)
    code = {"open": "hit_first_word", "unclear": "hit_unclear"}.get(done.state, "hit_decided")
    return visit.done(f"/duplicates/{hit_id}", code)
