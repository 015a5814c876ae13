"""Feeds of other bodies: what is expected when, what came, and taking a delivery in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.exchange import taking_up
from fleet.exchange.cycles import month_text, parse_month
from fleet.exchange.definitions import FeedDefinition, catalogue
from fleet.exchange.deliveries import definition_of, no_area_of_level, take_in, zero_report
from fleet.exchange.delivery_csv import Place, read_delivery
from fleet.exchange.lists import FeedStanding, feed_standing, feed_standings
from fleet.store import exchange_pages, feeds
from fleet.store.areas import area_names, areas_of
from fleet.tables.reading import MAX_BYTES
from fleet.web.lists import listing, number_in
from fleet.web.sending import Refusals, said, uploaded
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
_LOOK = Permission.EXCHANGE
_DELIVER = Permission.EXCHANGE_DELIVER


@dataclass(frozen=True, slots=True)
class Line:
    """One feed, as the visitor sees it."""

    name: str
    definition: FeedDefinition
    last: str
    standing: FeedStanding
    missing: tuple[tuple[str, tuple[str, ...]], ...]
    """Months that are late, each with the areas that did not report; without areas where one body reports for all."""


def tabs(visit: Visit, here: str) -> list[tuple[str, str, bool]]:
    """Return the pages of the group that the visitor has."""
    texts = visit.texts["exchange"]["tabs"]
    entries = [
        ("feeds", "/exchange"),
        ("definitions", "/exchange/definitions"),
        ("contradictions", "/exchange/contradictions"),
        ("silent", "/exchange/silent"),
    ]
    entries.append(("lists", "/exchange/lists"))
    if visit.tops(_LOOK) is None:
        entries += [
            ("key_lists", "/exchange/key-lists"),
            ("areas", "/exchange/areas"),
            ("partners", "/exchange/partners"),
        ]
    return [(path, texts[name], name == here) for name, path in entries]


@router.get("/exchange")
def feeds_page(visit: Annotated[Visit, needs(_LOOK)]) -> Response:
    """Show every feed with what is missing of it, the late ones first."""
    return _feeds(visit)


def _feeds(visit: Visit, *, problems: Sequence[str] = (), status: int = 200) -> Response:
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        lines = [_line(each, codes) for each in feed_standings(connection, visit.today)]
    used = {line.name for line in lines}
    return visit.page(
        "exchange/feeds.html",
        status=status,
        tabs=tabs(visit, "feeds"),
        lines=sorted(lines, key=lambda line: (not line.missing, line.name)),
        left=[(name, _title(visit, each)) for name, each in catalogue().feeds.items() if name not in used],
        may_take_up=visit.visitor.may(_DELIVER) and visit.tops(_DELIVER) is None,
        problems=problems,
        typed=visit.sent.fields,
    )


def _line(found: FeedStanding, codes: Sequence[str] | None) -> Line:
    missing = []
    within = None if codes is None else set(codes)
    for month in found.missing:
        areas = found.missing_areas.get(month, ())
        own = areas if within is None else tuple(code for code in areas if code in within)
        if own or not areas:
            missing.append((month_text(month), own))
    last = "" if found.last is None else month_text(found.last)
    return Line(found.name, found.definition, last, found, tuple(missing))


def _title(visit: Visit, definition: FeedDefinition) -> str:
    return definition.title.zh if visit.language == "zh" else definition.title.en


@router.post("/exchange/feeds")
def take_up(visit: Annotated[Visit, sends(_DELIVER)]) -> Response:
    """Take up a feed that comes with the program."""
    visit.whole_fleet(_DELIVER)
    sent = visit.sent
    try:
        definition = taking_up.shipped(sent.text("name") or "-")
        day = sent.text("due_day")
        if day.isdecimal() and 1 <= int(day) <= 28:
            definition = definition.model_copy(update={"due_day": int(day)})
        taking_up.take_up(
            visit.console.database,
            visit.keys,
            sent.text("name"),
            definition,
            first=parse_month(sent.text("first")) if sent.text("first") else None,
            by=visit.visitor.name,
            now=visit.now,
            zone=visit.zone,
        )
    except Refusals as error:
        return _feeds(visit, problems=said(visit, error), status=422)
    return visit.done(f"/exchange/feeds/{sent.text('name')}", "feed_taken_up")


@router.get("/exchange/feeds/{name}")
def feed_page(visit: Annotated[Visit, needs(_LOOK)], name: str, after: str = "", before: str = "") -> Response:
    """Show a feed with its deliveries."""
    return _feed(visit, name, after=after, before=before)


def _feed(
    visit: Visit,
    name: str,
    *,
    after: str = "",
    before: str = "",
    problems: Sequence[str] = (),
    status: int = 200,
    form: str = "",
) -> Response:
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        standing = feed_standing(connection, name, visit.today)
        stored = feeds.find_feed(connection, name)
        if standing is None or stored is None:
            raise not_found()
        shown = listing(
            f"/exchange/feeds/{name}",
            {},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: exchange_pages.deliveries(
                connection, name, codes, below=number_in(behind), above=number_in(ahead), limit=limit
            ),
            key=lambda row: str(row.delivery_id),
        )
        level = standing.definition.area_level
        reporting = _areas(connection, visit, level)
        line = _line(standing, codes)
        named = {code for _, missing in line.missing for code in missing} | {row.area for row in shown.rows}
        names = area_names(connection, named)
    return visit.page(
        "exchange/feed.html",
        status=status,
        tabs=tabs(visit, "feeds"),
        line=line,
        names=names,
        title=_title(visit, standing.definition),
        stored=stored,
        shown=shown,
        areas=reporting,
        may_deliver=visit.visitor.may(_DELIVER) and (visit.tops(_DELIVER) is None or bool(reporting)),
        may_end=visit.visitor.may(_DELIVER) and visit.tops(_DELIVER) is None,
        problems=problems,
        typed=visit.sent.fields,
        form=form,
    )


def _areas(connection: Connection, visit: Visit, level: int | None) -> list[tuple[str, str]]:
    """Return code and name of the areas that report by themselves and for which the visitor may deliver."""
    if level is None or not visit.visitor.may(_DELIVER):
        return []
    codes = visit.codes(connection, _DELIVER)
    return sorted(
        (area.code, f"{area.name} ({area.code})")
        for area in areas_of(connection).values()
        if area.level == level and (codes is None or area.code in codes)
    )


def _demand(visit: Visit, definition: FeedDefinition, area: str) -> None:
    """Refuse an area that is not the visitor's as one that is not there; a feed for all areas is for the whole fleet."""
    if definition.area_level is None:
        visit.whole_fleet(_DELIVER)
        return
    with visit.begin() as connection:
        known = dict(_areas(connection, visit, definition.area_level))
    if area and area not in known:
        raise no_area_of_level(area, definition.area_level)


def _definition(visit: Visit, name: str) -> FeedDefinition:
    with visit.begin() as connection:
        if feeds.find_feed(connection, name) is None:
            raise not_found()
        return definition_of(connection, name)


@router.post("/exchange/feeds/{name}/deliveries")
def deliver(visit: Annotated[Visit, sends(_DELIVER, files=MAX_BYTES)], name: str) -> Response:
    """Take a delivery in: all of it or nothing, and again without harm."""
    definition, sent = _definition(visit, name), visit.sent
    file = uploaded(visit, "file")
    try:
        _demand(visit, definition, sent.text("area"))
        period, number = parse_month(sent.text("period")), number_in(sent.text("number"))
        corrects = number_in(sent.text("corrects"))
        if file is None or not number or number > _MOST or (sent.text("corrects") and corrects is None):
            word = visit.texts["exchange"]["no_file"] if file is None else visit.texts["exchange"]["no_number"]
            return _feed(visit, name, problems=[word], status=422, form="delivery")
        read = read_delivery(file, name, definition, Place(period, number, corrects, sent.text("area")))
        done = take_in(
            visit.console.database,
            visit.keys,
            read.delivery,
            actor=visit.visitor.name,
            now=visit.now,
            zone=visit.zone,
            unknown_days=visit.console.settings.exchange.unknown_days,
            places=read.places,
            problems=read.problems,
        )
    except Refusals as error:
        return _feed(visit, name, problems=said(visit, error), status=422, form="delivery")
    visit.console.after_reports(visit.now)
    with visit.begin() as connection:
        found = feeds.find_deliveries(connection, name, sent.text("area"), period)[number]
    code = (
        "delivery_repeated" if done.is_repeated else "delivery_awaits" if done.awaits is not None else "delivery_taken"
    )
    return visit.done(f"/exchange/deliveries/{found.delivery_id}", code)


_MOST = 9999
"""Highest number of a delivery. Source: `fleet.exchange.messages.Delivery`."""


@router.post("/exchange/feeds/{name}/zero")
def report_zero(visit: Annotated[Visit, sends(_DELIVER)], name: str) -> Response:
    """Note that there is nothing to report for a month."""
    definition, sent = _definition(visit, name), visit.sent
    try:
        _demand(visit, definition, sent.text("area"))
        is_new = zero_report(
            visit.console.database,
            visit.keys,
            name,
            parse_month(sent.text("period")),
            area=sent.text("area"),
            corrects=number_in(sent.text("corrects")),
            actor=visit.visitor.name,
            now=visit.now,
            zone=visit.zone,
        )
    except Refusals as error:
        return _feed(visit, name, problems=said(visit, error), status=422, form="zero")
    visit.console.after_reports(visit.now)
    return visit.done(f"/exchange/feeds/{name}", "zero_reported" if is_new else "zero_repeated")


@router.post("/exchange/feeds/{name}/end")
def end(visit: Annotated[Visit, sends(_DELIVER)], name: str) -> Response:
    """Want no more months of a feed."""
    visit.whole_fleet(_DELIVER)
    _definition(visit, name)
    try:
        last = parse_month(visit.sent.text("last"))
        taking_up.end(visit.console.database, visit.keys, name, last=last, by=visit.visitor.name, now=visit.now)
    except Refusals as error:
        return _feed(visit, name, problems=said(visit, error), status=422, form="end")
    return visit.done(f"/exchange/feeds/{name}", "feed_ended")


@router.get("/exchange/deliveries/{delivery_id}")
def delivery_page(visit: Annotated[Visit, needs(_LOOK)], delivery_id: str) -> Response:
    """Show a delivery with what became of its rows."""
    number = number_in(delivery_id)
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        found = None if number is None else exchange_pages.find_delivery(connection, number, codes)
        if found is None:
            raise not_found()
        counts = exchange_pages.row_counts(connection, found.delivery_id)
        definition = definition_of(connection, found.feed)
    return visit.page(
        "exchange/delivery.html",
        tabs=tabs(visit, "feeds"),
        found=found,
        month=month_text(found.period),
        title=_title(visit, definition),
        counts=counts,
        differing=sum(each.rows for each in counts if each.state == "name"),
    )
