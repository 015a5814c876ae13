"""Rule packs: which hold, are coming, proposed or past; one of them rule by rule, against its other versions, and proposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.audit.log import Question, newest, open_actor
from fleet.errors import ImportRefused, Refused
from fleet.rules import publishing
from fleet.rules.publishing import draft_of
from fleet.rules.wording import changed_lines, differences, rules_of
from fleet.store import packs
from fleet.store.approvals import approvals_of
from fleet.store.areas import area_names
from fleet.store.packs import StoredPack
from fleet.store.rule_pages import people_by_pack, terminals_not_heard
from fleet.store.trials import trials_of
from fleet.web.pages.rules_words import PackFault, faults_of, told_rules
from fleet.web.saying import filled, said
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.errors import Problem
from protocol.rules.pack import MAX_PACK_BYTES
from protocol.shipped_packs import SHIPPED, default_pack, shipped_pack, shipped_text

router = APIRouter(include_in_schema=False)
_MOST_TERMINALS = 50
_MOST_FILE = 2 * MAX_PACK_BYTES
"""Bytes of a file that are read at all; one that is longer than a pack may be is told so."""
HOLDS, COMING, PROPOSED, PAST = STATES = ("holds", "coming", "proposed", "past")


@dataclass(frozen=True, slots=True)
class Row:
    """One pack in the list."""

    stored: StoredPack
    state: str
    region: str
    title: str


@router.get("/rules")
def rules(visit: Annotated[Visit, needs(Permission.RULES)]) -> HTMLResponse:
    """Show all packs, those that hold today first."""
    with visit.begin() as connection:
        stored = packs.packs(connection)
        held = {(pack.pack_id, pack.version) for pack in packs.shelf_of(connection).on(visit.today)}
        names = area_names(connection, {each.pack.region for each in stored})
    rows = [
        Row(each, state_of(each, held, visit.today), names.get(each.pack.region, each.pack.region), _title(visit, each))
        for each in stored
    ]
    known = {each.pack.pack_id for each in stored}
    unused = [shipped_pack(pack_id) for pack_id in SHIPPED if pack_id not in known]
    return visit.page(
        "rules/packs.html",
        groups=[(state, [row for row in rows if row.state == state]) for state in STATES],
        unused=unused,
        default=default_pack(),
    )


@router.get("/rules/people")
def people(visit: Annotated[Visit, needs(Permission.RULES)]) -> HTMLResponse:
    """Show how many people of the visitor's areas each pack asks something of: counted beside the list, which does not wait for it."""
    with visit.begin() as connection:
        counts = people_by_pack(connection, visit.codes(connection, Permission.RULES))
        stored = {(each.pack.pack_id, each.pack.version): each for each in packs.packs(connection)}
    default = default_pack()
    rows = [
        (f"{pack_id}/{version}", stored[pack_id, version].pack if (pack_id, version) in stored else default, count)
        for (pack_id, version), count in sorted(counts.items())
    ]
    return visit.part("rules/people.html", rows=rows)


@router.get("/rules/packs/{pack_id}/{version}")
def pack(visit: Annotated[Visit, needs(Permission.RULES)], pack_id: str, version: str) -> HTMLResponse:
    """Show one version of a pack."""
    with visit.begin() as connection:
        stored = find(connection, pack_id, version)
        everything = [each for each in packs.packs(connection) if each.pack.pack_id == pack_id]
        held = {(each.pack_id, each.version) for each in packs.shelf_of(connection).on(visit.today)}
        region = area_names(connection, {stored.pack.region}).get(stored.pack.region, stored.pack.region)
        name = publishing.name_of(stored.pack)
        approved = approvals_of(connection, visit.cipher, publishing.OBJECT, name)
        within = visit.codes(connection, Permission.TERMINALS)
        lagging = (
            []
            if stored.in_force_at is None
            else terminals_not_heard(connection, stored.in_force_at, within, limit=_MOST_TERMINALS + 1)
        )
        areas = area_names(connection, {each.area for each in lagging})
        asked = Question(action="rule_pack.proposed", object_kind=publishing.OBJECT, object_id=name)
        proposed = newest(connection, visit.cipher, asked, limit=1)
        tries = trials_of(connection, stored.pack.pack_id, stored.pack.version)
    warning = publishing.warning_of(stored.pack, visit.today) if stored.in_force_at is None else None
    return visit.page(
        "rules/pack.html",
        stored=stored,
        pack=stored.pack,
        name=name,
        state=state_of(stored, held, visit.today),
        region=region,
        title=_title(visit, stored),
        rules=told_rules(visit, rules_of(stored.pack)),
        versions=[each for each in everything if each.pack.version != stored.pack.version],
        approved=approved,
        proposed_by=open_actor(visit.cipher, proposed[0]) if proposed else "",
        lagging=lagging[:_MOST_TERMINALS],
        areas=areas,
        has_more=len(lagging) > _MOST_TERMINALS,
        last_trial=next((each for each in tries if each.sha256 == stored.sha256), None),
        warning=None if warning is None else said(visit.texts["rules"], warning),
        is_whole_fleet=visit.tops(Permission.RULES) is None,
    )


@router.get("/rules/packs/{pack_id}/{version}/text")
def written(visit: Annotated[Visit, needs(Permission.RULES)], pack_id: str, version: str) -> Response:
    """Give a pack as it was written."""
    with visit.begin() as connection:
        stored = find(connection, pack_id, version)
    name = f"{stored.pack.pack_id}-{stored.pack.version}.toml"
    return PlainTextResponse(stored.text, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get("/rules/packs/{pack_id}/{version}/changes")
def changes(
    visit: Annotated[Visit, needs(Permission.RULES)], pack_id: str, version: str, since: str = ""
) -> HTMLResponse:
    """Show what a version says differently from another one of the same pack: in words, and line by line."""
    with visit.begin() as connection:
        after = find(connection, pack_id, version)
        before = find(connection, pack_id, since)
    told = [
        (each.part, *(told_rules(visit, [rule])[0] if rule else None for rule in (each.before, each.after)))
        for each in differences(before.pack, after.pack)
    ]
    lines = changed_lines(before.text, after.text)
    return visit.page("rules/changes.html", before=before.pack, after=after.pack, told=told, lines=lines)


@router.get("/rules/propose")
def propose_form(visit: Annotated[Visit, needs(Permission.RULES_PROPOSE)], shipped: str = "") -> HTMLResponse:
    """Show the form by which a pack is proposed."""
    visit.whole_fleet(Permission.RULES_PROPOSE)
    return _propose_page(visit, {"text": shipped_text(shipped) if shipped in SHIPPED else ""})


@router.post("/rules/propose")
def propose(visit: Annotated[Visit, sends(Permission.RULES_PROPOSE, files=_MOST_FILE)]) -> Response:
    """Propose a pack: it is stored, and holds for nobody yet."""
    visit.whole_fleet(Permission.RULES_PROPOSE)
    files = visit.sent.files.get("file", ())
    raw = files[0].file.read(_MOST_FILE + 1) if files else visit.sent.fields.get("text", "").encode()
    # A browser sends every line end as two characters; the digest is of the text as it was written.
    raw = raw.replace(b"\r\n", b"\n")
    typed = {"text": raw.decode("utf-8", "replace")[:MAX_PACK_BYTES]}
    try:
        if not raw.strip():
            raise ImportRefused([Problem("nothing was sent", "nothing_sent")])  # noqa: TRY301 - as every other fault of the text
        draft = draft_of(raw)
        name = publishing.propose(
            visit.console.database,
            visit.keys,
            draft,
            by=visit.visitor.name,
            now=visit.now,
            replaces=visit.sent.text("replaces"),
        )
    except ImportRefused as error:
        return _propose_page(visit, typed, faults=faults_of(visit, typed["text"], error.problems), status=422)
    except Refused as error:
        with visit.begin() as connection:
            other = packs.find_pack(connection, draft.pack.pack_id, draft.pack.version)
        return _propose_page(visit, typed, problem=said(visit.texts["rules"], error), other=other, status=409)
    return visit.done(f"/rules/packs/{name}", "pack_proposed")


def state_of(stored: StoredPack, held: set[tuple[str, int]], today: date) -> str:
    """Return where a version stands: one of `STATES`."""
    if stored.in_force_at is None:
        return PROPOSED
    if (stored.pack.pack_id, stored.pack.version) in held:
        return HOLDS
    return COMING if stored.pack.valid_from > today else PAST


def find(connection: Connection, pack_id: str, version: str) -> StoredPack:
    """Return a version of a pack; answers that there is nothing where there is none."""
    is_number = version.isascii() and version.isdigit() and len(version) < 6
    stored = packs.find_pack(connection, pack_id, int(version)) if is_number else None
    if stored is None:
        raise not_found()
    return stored


def _title(visit: Visit, stored: StoredPack) -> str:
    return str(getattr(stored.pack.title, visit.language))


def _propose_page(
    visit: Visit,
    typed: Mapping[str, str],
    *,
    faults: list[PackFault] | None = None,
    problem: str = "",
    other: StoredPack | None = None,
    status: int = 200,
) -> HTMLResponse:
    contents: dict[str, Any] = {
        "typed": typed,
        "faults": faults or [],
        "problems": [problem] if problem else [],
        "other": other,
        "shipped": [(pack_id, shipped_pack(pack_id).title) for pack_id in SHIPPED],
        "most": MAX_PACK_BYTES,
    }
    if faults:
        counted = filled(visit.texts["rules"], str(visit.texts["rules"]["faults_found"]), {"count": len(faults)})
        contents["problems"] = [counted]
    return visit.page("rules/propose.html", status=status, **contents)
