"""`python -m demo.bench_console --people 1000000`: how quickly lists and pages of the console answer; prints one JSON object.

Fills a fresh embedded database as `demo.bench_agency` does, names sealed and indexed, with cases, stops, reminders and all else that pages
list (`demo.bench_work`). Then it asks what pages about people ask, each in a transaction of its own, with the names of a page opened; and
then the pages themselves, whole, from the real server over HTTP, as somebody who is signed in. Nothing of it is real, and the folder is
removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection

from demo import bench_pages, bench_terminals, bench_work
from demo.bench_agency import fill, ids_of, say, size, token_of, village_of
from demo.bench_names import name_of
from fleet.app import Fleet
from fleet.keys import FleetKeys, load_keys, make_keys
from fleet.people.finding import Count, Page, Search, count_people, find_people, page_of
from fleet.people.person import person_page
from fleet.settings import Settings
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate
from fleet.store.people import Sort, Wanted
from protocol.rules.obligations import CertificationState

_TODAY = date(2026, 11, 20)
_NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
_SEED = 11
BAR_MS = 150.0
"""95 in 100 of each question are to be answered within this."""
BAR_BYTES = 300_000
"""And a page is to be no larger."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long a question took, in milliseconds."""

    p50_ms: float
    p95_ms: float
    worst_ms: float
    people: float
    """Median of how many a page had."""


Ask = Callable[[Connection], Page | Count | None]


def main() -> int:
    """Fill, ask, print; exit with 1 if a question or a list is over the bar."""
    parser = argparse.ArgumentParser(prog="python -m demo.bench_console", description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--terminals", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=100, help="how often each question is asked")
    parser.add_argument(
        "--folder", type=Path, help="where the database is kept, to ask it again; removed at the end if not given"
    )
    parser.add_argument("--pages", nargs="?", const="", help="ask for pages alone, those with this in their name")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="lifecert-bench-"))
    server = EmbeddedDatabase(folder)
    try:
        database = Database(server.start())
        try:
            found = _measured(server.url, database, folder, arguments)
        finally:
            database.close()
    finally:
        server.stop()
        if arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found, indent=2))  # noqa: T201 - the result
    return 1 if found["over_the_bar"] else 0


def _measured(url: str, database: Database, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    is_new = not (folder / "filled").exists()
    migrate(database)
    if is_new:
        make_keys(folder / "keys", key_domain="d1")
    keys = load_keys(folder / "keys")
    fleet = Fleet(Settings(fleet_id="bench", data_dir=folder), keys, database, lambda: _NOW)
    began = time.monotonic()
    if is_new:
        say(f"filling in {arguments.people} people")
        fill(url, database, arguments.people, keys.cipher)
        bench_terminals.add_terminals(database, arguments.terminals, now=_NOW)
        bench_work.add_work(database, keys.cipher, arguments.people, now=_NOW)
        bench_pages.add_visitors(fleet)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            # As the database does by itself after a while.
            connection.execute("VACUUM ANALYZE")
        (folder / "filled").touch()
    filled_s = time.monotonic() - began
    ids = ids_of(arguments.people)
    rows = bench_work.counted(database)
    asked = {} if arguments.pages is not None else measure(database, keys, ids, arguments.queries)
    pages = bench_pages.measure_pages(fleet, folder, ids, arguments.queries, only=arguments.pages or "")
    return {
        "people": arguments.people,
        "terminals": arguments.terminals,
        "rows": rows,
        "cores": os.cpu_count(),
        "load": [round(each, 1) for each in os.getloadavg()],
        "filled_s": round(filled_s, 1),
        "questions": {name: asdict(each) for name, each in asked.items()},
        "pages": {path: asdict(each) for path, each in pages.items()},
        "over_the_bar": [
            *(name for name, each in asked.items() if each.p95_ms > BAR_MS),
            *(
                name
                for name, each in pages.items()
                if each.is_list and (each.p95_ms > BAR_MS or each.bytes > BAR_BYTES)
            ),
        ],
        "database_mib": round(size(database) / 1024 / 1024),
    }


def measure(database: Database, keys: FleetKeys, ids: Sequence[str], queries: int) -> dict[str, Times]:
    """Ask everything so many times."""
    found = {}
    for name, make in questions(keys, ids).items():
        drawn = random.Random(f"{_SEED} {name}")  # noqa: S311 - what is asked about
        took, counted = [], []
        for _ in range(queries):
            ask = make(drawn)
            began = time.perf_counter()
            with database.begin() as connection:
                answer = ask(connection)
            took.append((time.perf_counter() - began) * 1000)
            counted.append(len(answer.people) if isinstance(answer, Page) else answer.people if answer else 1)
        took.sort()
        p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
        found[name] = Times(
            round(statistics.median(took), 1), round(p95, 1), round(took[-1], 1), statistics.median(counted)
        )
        say(f"{name}: {found[name]}")
    return found


def questions(keys: FleetKeys, ids: Sequence[str]) -> dict[str, Callable[[random.Random], Ask]]:
    """Return what is asked, by name; each makes one question of those that are drawn."""

    def listed(search: Search, tops: frozenset[str] | None = None) -> Ask:
        return lambda connection: find_people(connection, keys, search, tops=tops, today=_TODAY)

    def counted(search: Search, tops: frozenset[str] | None = None) -> Ask:
        return lambda connection: count_people(connection, keys, search, tops=tops, today=_TODAY)

    def name(drawn: random.Random) -> str:
        return name_of(drawn.randrange(len(ids)))

    def top(drawn: random.Random, levels: int) -> frozenset[str]:
        return frozenset({_top(drawn, len(ids), levels)})

    def document(drawn: random.Random) -> Ask:
        wanted = Wanted(today=_TODAY, claim_token=token_of(drawn.choice(ids)))
        return lambda connection: page_of(connection, keys, wanted, Sort.DAYS, "")

    def person(drawn: random.Random) -> Ask:
        who = drawn.choice(ids)

        def ask(connection: Connection) -> None:
            person_page(connection, keys.cipher, who, tops=None, by="bench", now=_NOW, zone=UTC)

        return ask

    villages = frozenset(village_of(place) for place in range(0, len(ids), 800))
    many = frozenset(sorted(villages)[:1500])
    made: dict[str, Callable[[random.Random], Ask]] = {
        "whole name": lambda drawn: listed(Search(typed=name(drawn))),
        "count of a whole name": lambda drawn: counted(Search(typed=name(drawn))),
        "two common characters": lambda drawn: listed(Search(typed=drawn.choice(("王秀", "秀英", "李玉", "兰英")))),
        "two common characters in a county": lambda drawn: listed(Search(typed="秀英"), top(drawn, 3)),
        "two common characters in 1,500 areas": lambda _: listed(Search(typed="秀英"), many),
        "count of two common characters": lambda _: counted(Search(typed="王秀")),
        "surname and last character": lambda drawn: listed(Search(typed=name(drawn)[0] + "?" + name(drawn)[-1])),
        "document": document,
        "subject id": lambda drawn: listed(Search(typed=drawn.choice(ids))),
        "everybody": lambda _: listed(Search()),
        "everybody by id": lambda _: listed(Search(sort=Sort.ID)),
        "everybody, a deep page": lambda drawn: listed(Search(at=_deep(drawn, ids))),
        "everybody, a deep page back": lambda drawn: listed(Search(at="<" + _deep(drawn, ids)[1:])),
        "count of everybody": lambda _: counted(Search()),
        "everybody in 1,500 areas": lambda _: listed(Search(), many),
        "count in 1,500 areas": lambda _: counted(Search(), many),
        "scheme": lambda _: listed(Search(scheme="resident_pension")),
        "scheme in a county": lambda drawn: listed(Search(scheme="resident_pension"), top(drawn, 3)),
        "person page": person,
    }
    for state in CertificationState:
        made |= _by_state(Search(state=state), len(ids), many, listed, counted)
    return made


def _by_state(
    search: Search,
    people: int,
    many: frozenset[str],
    listed: Callable[[Search, frozenset[str] | None], Ask],
    counted: Callable[[Search, frozenset[str] | None], Ask],
) -> dict[str, Callable[[random.Random], Ask]]:
    def below(levels: int) -> Callable[[random.Random], Ask]:
        return lambda drawn: listed(search, frozenset({_top(drawn, people, levels)}))

    state = search.state
    return {
        f"{state}, whole fleet": lambda _: listed(search, None),
        f"{state}, 1,500 areas": lambda _: listed(search, many),
        f"{state}, village": below(5),
        f"{state}, township": below(4),
        f"{state}, county": below(3),
        f"{state}, city": below(2),
        f"count of {state}, whole fleet": lambda _: counted(search, None),
        f"count of {state}, county": lambda drawn: counted(search, frozenset({_top(drawn, people, 3)})),
    }


def _top(drawn: random.Random, people: int, levels: int) -> str:
    return "-".join(village_of(drawn.randrange(people)).split("-")[:levels])


def _deep(drawn: random.Random, ids: Sequence[str]) -> str:
    """Return the address of some page in the middle."""
    return f">{(_TODAY + timedelta(days=drawn.randrange(-60, 300))).toordinal()}-{drawn.choice(ids)}"


if __name__ == "__main__":
    sys.exit(main())
