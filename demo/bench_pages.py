"""The pages that `demo.bench_console` asks for: lists whole and of an area of each level, narrowed, and far from their beginning."""

# ruff: noqa: E501 - rows of a table

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
from sqlalchemy import Connection, text

from demo import bench_terminals
from demo.accounts import STAFF, add_staff, link_for
from demo.bench_agency import say
from demo.bench_work import ACTORS
from demo.processes import free_port
from fleet.accounts.passwords import Passwords
from fleet.accounts.roles import Grant, Role
from fleet.accounts.signing_in import SignedIn, SignIn
from fleet.app import Fleet, account_rules
from fleet.service import WebServer, leave_alone, make_web
from fleet.settings import Settings, WebSettings
from fleet.status.contradictions import ContradictionKind
from fleet.store.areas import areas_of
from fleet.store.statistics import add_snapshot
from fleet.store.stops import Stage
from fleet.web.cookies import SESSION_COOKIE

_FLEET, _AUDITOR, _REVIEWER = STAFF[0][0], STAFF[4][0], STAFF[1][0]
_LISTS: Mapping[str, Sequence[str]] = {
    _FLEET: (
        *(
            "/",
            "/overview/live",
            "/people",
            "/people?state=overdue",
            "/terminals",
            "/rules",
            "/rules/policy",
            "/rules/calendar",
        ),
        *(f"/figures?by={cut}" for cut in ("area", "scheme", "state", "device", "day")),
        *("/figures", "/figures?area=00-00-00", "/figures/calibrations"),
        *(
            "/reminders",
            "/reminders/failed",
            "/reminders/failed?step=call",
            "/reminders/failed?step=visit",
            "/reminders/lists",
        ),
        *(
            "/exchange",
            "/exchange/feeds/deaths",
            "/exchange/feeds/village_deaths",
            "/exchange/silent",
            "/exchange/lists",
        ),
        *("/exchange/key-lists", "/exchange/areas", "/exchange/partners", "/exchange/partners/partner-1"),
        *("/accounts", "/accounts?role=reviewer", "/accounts?name=秀"),
    ),
    _AUDITOR: (
        *("/audit", "/audit?action=audit.exported", "/audit?action=case", "/audit?kind=case", "/audit?kind=audit"),
        *(f"/audit?who={quote(ACTORS[3])}", "/audit?who=Nobody", "/audit?since=2026-06-01&until=2026-06-01"),
        *(f"/audit?kind=subject&object_id={13 * 7919 + 1:032x}", "/audit?object_id=queue", "/audit?until=2025-12-31"),
        *(
            "/privacy",
            "/privacy/consents",
            "/privacy/erasures",
            "/privacy/register",
            f"/privacy/looks?subject={7920:032x}",
        ),
    ),
    _REVIEWER: (
        *(
            "/cases",
            "/cases?clock=late",
            "/cases?clock=over",
            "/cases?kind=appeal",
            "/cases?state=opened",
            "/cases?state=refused",
        ),
        *(
            "/cases?duty=mine",
            "/cases?duty=begun",
            "/cases?kind=attack_alarm&clock=over",
            "/cases/alarms",
            "/cases/alarms?days=3650",
        ),
        *("/cases?area=00-00-00", "/stops", "/stops?reason=death", "/stops?reason=register_cancelled"),
        *(f"/stops?stage={stage}" for stage in Stage),
        *(f"/duplicates?state={state}" for state in ("open", "unsaid", "waits", "unclear", "decided")),
        *("/duplicates?kind=number", "/exchange/contradictions"),
        *(f"/exchange/contradictions?kind={kind}" for kind in ContradictionKind),
    ),
}
"""Pages that are lists or lead to them, by who in the whole fleet asks for them."""
_BESIDE: Mapping[str, Sequence[str]] = {
    _FLEET: (
        "/reminders/reach",
        "/reminders/sent",
        "/rules/people",
        "/rules/calendar/ahead",
        "/figures/fairness",
        "/figures/models",
    ),
    _REVIEWER: ("/stops/stages",),
}
"""What a page loads beside itself, and pages that are no lists: measured, and held to no bar."""
_OF_AN_AREA: Mapping[Role, Sequence[str]] = {
    Role.AREA_ADMINISTRATOR: (
        *(
            "/",
            "/overview/live",
            "/people",
            "/people?state=overdue",
            "/terminals",
            "/terminals?state=silent",
            "/figures",
            "/reminders",
        ),
        *(
            "/reminders/failed",
            "/reminders/failed?step=call",
            "/reminders/lists",
            "/exchange",
            "/exchange/feeds/village_deaths",
        ),
        *("/exchange/silent", "/exchange/lists", "/accounts", "/rules/calendar"),
    ),
    Role.REVIEWER: (
        *(
            "/cases",
            "/cases?clock=over",
            "/cases?kind=appeal",
            "/cases?duty=mine",
            "/stops",
            "/stops?stage=proposed",
            "/stops?reason=death",
        ),
        *(
            "/stops?stage=in_force",
            "/stops?stage=restored",
            "/duplicates",
            "/duplicates?state=decided",
            "/exchange/contradictions",
        ),
        *("/cases/alarms",),
    ),
}
_BESIDE_OF_AN_AREA: Mapping[Role, Sequence[str]] = {
    Role.AREA_ADMINISTRATOR: ("/reminders/sent", "/rules/people", "/rules/calendar/ahead"),
    Role.REVIEWER: ("/stops/stages",),
}
_AREAS = {
    "province": "00",
    "county": "00-00-00",
    "county that pays elsewhere": "00-00-08",
    "township": "00-00-00-00",
    "village": "00-00-00-00-02",
}
"""The city is the province: a million people are no more than that. One county's office pays people who live in others."""
# The place of a row in the middle of a list, as its address has it.
_DEEP: Mapping[str, tuple[str, str, str]] = {
    "/cases": (_REVIEWER, "due_on || '|' || case_id", "cases WHERE state NOT IN ('passed', 'refused', 'closed') ORDER BY due_on, case_id"),
    "/cases?clock=over": (_REVIEWER, "due_on || '|' || case_id", "cases WHERE state IN ('passed', 'refused', 'closed') ORDER BY due_on, case_id"),
    "/stops": (_REVIEWER, "proposed_on || '|' || subject_id || '|' || scheme", "benefit_files WHERE state <> 'paying' ORDER BY proposed_on, subject_id"),
    "/stops?stage=restored": (_REVIEWER, "day || '|' || subject_id || '|' || scheme", "benefit_events WHERE kind = 'restored' ORDER BY day, subject_id"),
    "/duplicates": (_REVIEWER, "score || '|' || hit_id", "duplicate_hits WHERE state = 'open' AND score IS NOT NULL ORDER BY score DESC, hit_id"),
    "/exchange/contradictions": (_REVIEWER, "since || '|' || contradiction_id", "open_contradictions ORDER BY since, contradiction_id"),
    "/reminders/failed": (_FLEET, "to_char(settled_at, :moment) || '|' || reminder_id", "reminders WHERE state = 'failed' ORDER BY settled_at"),
    "/reminders/lists": (_FLEET, "to_char(sent_at, :moment) || '|' || reminder_id", "reminders WHERE state = 'sent' AND step <> 'message' ORDER BY sent_at"),
    "/exchange/silent": (_FLEET, "to_char(recorded_at, :moment) || '|' || act_id", "acts WHERE kind = 'silent' ORDER BY recorded_at"),
    "/exchange/lists": (_FLEET, "to_char(taken_at, :moment) || '|' || list_id", "unit_lists ORDER BY taken_at"),
    "/exchange/feeds/village_deaths": (_FLEET, "delivery_id || ''", "feed_deliveries WHERE feed = 'village_deaths' ORDER BY delivery_id"),
    "/exchange/areas": (_FLEET, "code", "areas ORDER BY code"),
    "/terminals/-/quarantine": (_FLEET, "quarantine_id || ''", "quarantine ORDER BY quarantine_id"),
    "/audit": (_AUDITOR, "entry || ''", "audit_log ORDER BY entry"),
    "/privacy/consents": (_AUDITOR, "to_char(recorded_at, :moment) || '|' || consent_id", "consents ORDER BY recorded_at"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PageTimes:
    """How long a page took over HTTP, in milliseconds, and how large it was."""

    status: int
    p50_ms: float
    p95_ms: float
    worst_ms: float
    cpu_ms: float
    """Of the server and its database, and of whoever asked, for one page: what it takes however many programs share the machine."""
    bytes: int
    is_list: bool
    """Whether the bar holds for it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    who: str
    path: str
    name: str
    is_list: bool = True


def add_visitors(fleet: Fleet) -> None:
    """Add who asks for pages: one of each role in the whole fleet, and in one area of each level."""
    add_staff(fleet)
    with fleet.database.begin() as connection:
        levels = _levels(connection)
    add_staff(fleet, [(f"{role} {level}", Grant(role, code)) for role in _OF_AN_AREA for level, code in levels.items()])


def measure_pages(
    fleet: Fleet, folder: Path, ids: Sequence[str], queries: int, *, only: str = ""
) -> dict[str, PageTimes]:
    """Ask the real server for every page so many times, each as somebody who may see it.

    Args:
        fleet: filled, at the moment at which the pages are asked.
        folder: of the fleet.
        ids: of its people.
        queries: how often each is asked.
        only: only pages with this in their name.
    """
    now = fleet.clock()
    with fleet.database.begin() as connection:
        add_snapshot(connection, now.date(), keep_from=date(now.year, 1, 1), now=now)
        asked = [each for each in (*_everything(ids, _levels(connection)), *_deep(connection)) if only in each.name]
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        postgres = Path(f"/proc/{backend}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
    port = free_port()
    settings = Settings(fleet_id=fleet.settings.fleet_id, data_dir=folder, web=WebSettings(port=port))
    served = Fleet(settings, fleet.keys, fleet.database, fleet.clock)
    server = WebServer(make_web(served, broker_state=lambda: "", ingest_state=lambda: ""), "127.0.0.1", port)
    server.start()
    # As a service does that has started.
    leave_alone()
    try:
        found: dict[str, PageTimes] = {}
        for who in dict.fromkeys(each.who for each in asked):
            cookies = {SESSION_COOKIE: _signed_in(served, who)}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=cookies, trust_env=False) as client:
                for each in asked:
                    if each.who == who:
                        found[each.name] = _times(client, each, queries, postgres)
        return found
    finally:
        server.stop()


def _levels(connection: Connection) -> dict[str, str]:
    """Return the areas whose visitors ask, as far as there are so many people that there are so many areas."""
    known = areas_of(connection)
    return {level: code for level, code in _AREAS.items() if code in known}


def _everything(ids: Sequence[str], levels: Iterable[str]) -> Iterator[_Asked]:
    own = (f"/people/{ids[0]}", f"/people/{ids[(3 * 7919 + 1) % len(ids)]}", *bench_terminals.PAGES)
    for who, paths in {**_LISTS, _FLEET: (*_LISTS[_FLEET], *own)}.items():
        yield from (_Asked(who, path, path) for path in paths)
    for who, paths in _BESIDE.items():
        yield from (_Asked(who, path, path, is_list=False) for path in paths)
    for level in levels:
        for is_list, pages in ((True, _OF_AN_AREA), (False, _BESIDE_OF_AN_AREA)):
            for role, paths in pages.items():
                yield from (_Asked(f"{role} {level}", path, f"{path} of a {level}", is_list) for path in paths)


def _deep(connection: Connection) -> Iterator[_Asked]:
    values = {"moment": 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'}
    for path, (who, place, rows) in _DEEP.items():
        middle = f"OFFSET (SELECT count(*) / 2 FROM (SELECT 1 FROM {rows}) x) LIMIT 1"  # noqa: S608 - our own text
        found = connection.execute(
            text(f"SELECT {place} FROM {rows} {middle}"),  # noqa: S608 - our own text
            {name: value for name, value in values.items() if f":{name}" in place},
        ).scalar_one_or_none()
        if found is not None:
            for way in ("after", "before"):
                yield _Asked(
                    who, f"{path}{'&' if '?' in path else '?'}{urlencode({way: found})}", f"{path}, deep, {way}"
                )


def _signed_in(fleet: Fleet, name: str) -> str:
    """Return the cookie of somebody of the staff."""
    entered = SignIn(fleet.database, fleet.keys.cipher, Passwords(), account_rules(fleet.settings)).link(
        link_for(fleet, name).rpartition("/")[2], address="127.0.0.1", now=fleet.clock()
    )
    if not isinstance(entered, SignedIn):
        raise TypeError(f"not signed in: {entered.why}")
    return entered.session.cookie


def _times(client: httpx.Client, asked: _Asked, queries: int, postgres: str) -> PageTimes:
    # A page that is refused is quick, and says nothing. The first answer fills what is kept.
    answer = client.get(asked.path, timeout=_PATIENCE_S).raise_for_status()
    took: list[float] = []
    used = _cpu_s(postgres)
    while len(took) < queries and sum(took) < _LONGEST_MS:
        began = time.perf_counter()
        answer = client.get(asked.path, timeout=_PATIENCE_S)
        took.append((time.perf_counter() - began) * 1000)
    used = _cpu_s(postgres) - used
    took.sort()
    found = PageTimes(
        answer.status_code,
        round(statistics.median(took), 1),
        round(took[min(len(took) - 1, int(len(took) * 0.95))], 1),
        round(took[-1], 1),
        round(used * 1000 / len(took), 1),
        len(answer.content),
        asked.is_list,
    )
    say(f"{asked.name}: {found.p50_ms} / {found.p95_ms} ms, cpu {found.cpu_ms} ms, {found.bytes} bytes")
    return found


def _cpu_s(postgres: str) -> float:
    """Return the seconds of processors that this process and the database server, by its id, have used.

    Source: proc(5): fields 14 to 17 of a process's `stat` are its clock ticks, and those of its children that have ended.
    """
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            # It ended meanwhile.
            continue
        if postgres in (stat.parent.name, fields[1]):
            ticks += sum(int(each) for each in fields[11:15])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


_PATIENCE_S = 60
_LONGEST_MS = 10_000
"""What takes so long in all is not asked any more."""
