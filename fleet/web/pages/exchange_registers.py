"""Lists as of key dates, and the tree of areas: what belongs to no area, for whoever may see all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Response

from fleet.accounts.roles import Permission
from fleet.exchange.cycles import month_text, parse_month
from fleet.exchange.results_csv import results_of
from fleet.intake.area_tree import SEPARATOR, AreaTree
from fleet.intake.areas import import_areas, read_areas
from fleet.intake.key_lists import compare_lists, take_list
from fleet.intake.people_table import read_people
from fleet.store import key_lists
from fleet.store.areas import areas_of
from fleet.tables.reading import MAX_BYTES
from fleet.web.beside import Job, packed
from fleet.web.forms import day_in
from fleet.web.lists import listing
from fleet.web.pages.exchange import tabs
from fleet.web.pages.runs import begin, lately
from fleet.web.sending import CSV, Refusals, download, said, uploaded
from fleet.web.visits import Visit, needs, sends

router = APIRouter(include_in_schema=False)
_LOOK = Permission.EXCHANGE
_TAKE = Permission.EXCHANGE_DELIVER
_LISTS = "/exchange/key-lists"
_AREAS = "/exchange/areas"
_SHOWN = 200
"""Of each kind of change, how many are named."""


@router.get(_LISTS)
def lists(visit: Annotated[Visit, needs(_LOOK)], earlier: str = "", later: str = "") -> Response:
    """Show the lists as of key dates, and what changed between two of them."""
    visit.whole_fleet(_LOOK)
    return _key_lists(visit, earlier=earlier, later=later)


def _key_lists(
    visit: Visit, *, earlier: str = "", later: str = "", problems: Sequence[str] = (), status: int = 200, form: str = ""
) -> Response:
    compared = None
    with visit.begin() as connection:
        rows = [
            (found, visit.opened(found.taken_by_sealed, of=found.list_id, field_name="taken_by"))
            for found in key_lists.lists(connection)
        ]
        if earlier and later:
            try:
                compared = compare_lists(connection, earlier, later)
            except Refusals as error:
                problems, status = said(visit, error), 404
    return visit.page(
        "exchange/key_lists.html",
        status=status,
        tabs=tabs(visit, "key_lists"),
        rows=rows,
        options=[(found.list_id, f"{found.name} ({found.as_of.isoformat()})") for found, _ in rows],
        compared=compared,
        shown=_SHOWN,
        earlier=earlier,
        later=later,
        may_take=visit.visitor.may(_TAKE) and visit.tops(_TAKE) is None,
        lately=lately(visit, "key_list"),
        problems=problems,
        typed=visit.sent.fields,
        form=form,
    )


@router.post(_LISTS)
def take(visit: Annotated[Visit, sends(_TAKE, files=MAX_BYTES)]) -> Response:
    """Import a list and keep who was on it on its key date."""
    visit.whole_fleet(_TAKE)
    sent, file, texts = visit.sent, uploaded(visit, "file"), visit.texts["exchange"]
    day = day_in(sent.text("as_of"))
    if day is None:
        return _key_lists(visit, problems=[texts["no_day"]], status=422, form="take")
    if file is None or not sent.text("name"):
        word = texts["no_file"] if file is None else texts["needed"].format(what=texts["key"]["name"])
        return _key_lists(visit, problems=[word], status=422, form="take")

    def work(job: Job) -> Mapping[str, Any]:
        with visit.begin() as connection:
            tree = AreaTree(areas_of(connection))
        people = read_people(file, today=visit.today, areas=tree)
        job.tell(0, len(people.rows))
        take_list(
            visit.console.database,
            visit.keys,
            people,
            name=sent.text("name"),
            as_of=day,
            by=visit.visitor.name,
            now=visit.now,
            zone=visit.zone,
            progress=job.tell,
        )
        return {
            "rows": len(people.rows),
            "more": ["left_out"] if people.left_out else [],
            "left_out": [packed(each) for each in people.left_out],
        }

    try:
        return begin(visit, "key_list", work)
    except Refusals as error:
        return _key_lists(visit, problems=said(visit, error), status=409, form="take")


@router.post("/exchange/results")
def results(visit: Annotated[Visit, sends(_TAKE)]) -> Response:
    """Give the certifications of a month for other bodies."""
    visit.whole_fleet(_TAKE)
    try:
        period = parse_month(visit.sent.text("period"))
        content, _ = results_of(
            visit.console.database, visit.keys, period, actor=visit.visitor.name, now=visit.now, zone=visit.zone
        )
    except Refusals as error:
        return _key_lists(visit, problems=said(visit, error), status=422, form="results")
    return download(content, f"results-{month_text(period)}.csv", CSV)


@router.get(_AREAS)
def areas(visit: Annotated[Visit, needs(_LOOK)], after: str = "", before: str = "") -> Response:
    """Show the tree of areas."""
    visit.whole_fleet(_LOOK)
    return _areas(visit, after=after, before=before)


def _areas(
    visit: Visit, *, after: str = "", before: str = "", problems: Sequence[str] = (), status: int = 200
) -> Response:
    with visit.begin() as connection:
        found = areas_of(connection)
    tree = AreaTree(found)
    codes = sorted(found)

    def page(behind: str, ahead: str, limit: int) -> list[str]:
        return [code for code in codes if code < ahead][-limit:] if ahead else [c for c in codes if c > behind][:limit]

    shown = listing(_AREAS, {}, after=after, before=before, fetch=page, key=str)
    return visit.page(
        "exchange/areas.html",
        status=status,
        tabs=tabs(visit, "areas"),
        shown=shown,
        count=len(found),
        areas=[(found[code], SEPARATOR.join(tree.names_down_to(code))) for code in shown.rows],
        may_take=visit.visitor.may(_TAKE) and visit.tops(_TAKE) is None,
        problems=problems,
    )


@router.post(_AREAS)
def take_areas(visit: Annotated[Visit, sends(_TAKE, files=MAX_BYTES)]) -> Response:
    """Take areas in, beside or in place of those of the same code: all or nothing."""
    visit.whole_fleet(_TAKE)
    file = uploaded(visit, "file")
    if file is None:
        return _areas(visit, problems=[visit.texts["exchange"]["no_file"]], status=422)
    try:
        with visit.begin() as connection:
            known = areas_of(connection)
        import_areas(
            visit.console.database,
            visit.keys,
            read_areas(file, known),
            by=visit.visitor.name,
            now=visit.now,
            zone=visit.zone,
        )
    except Refusals as error:
        return _areas(visit, problems=said(visit, error), status=422)
    return visit.done(_AREAS, "areas_taken")
