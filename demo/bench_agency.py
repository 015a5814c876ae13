"""`python -m demo.bench_agency --people 1000000`: how quickly a fleet with so many people answers; prints one JSON object.

Fills a fresh embedded database by COPY with a made population: villages of about 800 people in a tree of areas, one benefit or two each,
statuses and obligations as the projection writes them, and a session for every second
person. Then it asks what the fleet is asked every day. Nothing of it is real, and the folder is removed at the end.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from demo.agency.copying import copy_rows
from demo.bench_names import name_of
from fleet.benefits.standing import status_of_person
from fleet.keys import FieldCipher, load_keys, make_keys
from fleet.reminders.planner import plan_reminders
from fleet.settings import ReminderSettings
from fleet.statistics.counts import Cut, Question, count
from fleet.statistics.snapshots import take_snapshot
from fleet.store.areas import codes_below
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate
from fleet.store.name_index import tokens_of
from fleet.store.standings import counts, pack_standings
from fleet.store.subject_areas import place as place_people
from fleet.store.subjects import find_by_tokens
from fleet.store.unit_lists import to_certify
from protocol.documents import check_digit

_VILLAGE = 800
"""People of one village."""
_BELOW = 12
"""Areas within one of the level above."""
_SEED = 7
_TODAY = date(2026, 11, 20)
_PLACED = 20_000
"""People of one transaction that writes to which areas they belong."""
_SCHEMES = ("enterprise_pension", "resident_pension", "staff_pension")
_PACK = ("BENCH-2026", 1)


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took each time, in milliseconds."""

    p50_ms: float
    p99_ms: float
    worst_ms: float


def main() -> int:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(prog="python -m demo.bench_agency", description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=5_000, help="status queries of one person")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lifecert-bench-"))
    server = EmbeddedDatabase(folder)
    try:
        database = Database(server.start())
        try:
            migrate(database)
            say(f"filling in {arguments.people} people")
            began = time.monotonic()
            make_keys(folder / "keys", key_domain="d1")
            ids = fill(server.url, database, arguments.people, load_keys(folder / "keys").cipher)
            filled_s = time.monotonic() - began
            found = {
                "people": arguments.people,
                "villages": -(-arguments.people // _VILLAGE),
                "cores": os.cpu_count(),
                "load": [round(each, 1) for each in os.getloadavg()],
                "filled_s": round(filled_s, 1),
                **measure(database, folder, ids, arguments.queries),
            }
        finally:
            database.close()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found, indent=2))  # noqa: T201 - the result
    return 0


def say(line: str) -> None:
    """Tell whoever waits."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress


def measure(database: Database, folder: Path, ids: Sequence[str], queries: int) -> dict[str, Any]:
    """Ask everything, each in a transaction of its own as a program would."""
    drawn = random.Random(_SEED)  # noqa: S311 - which people are asked about
    asked = drawn.choices(ids, k=queries)
    villages = [village_of(place) for place in drawn.choices(range(len(ids)), k=50)]
    counties = [village.rsplit("-", 2)[0] for village in villages[:5]]
    say("status of one person")
    by_id = times(database, lambda connection, subject_id: status_of_person(connection, subject_id, _TODAY), asked)
    by_token = times(database, _standing_by_token, [token_of(subject_id) for subject_id in asked])
    say("who is due")
    one = times(database, _due_below, villages)
    county = times(database, _due_below, counties)
    every = times(database, lambda connection, today: counts(connection, within=None, today=today), [_TODAY] * 3)
    say("statistics")
    questions = [Question(by=cut, level=3, as_of=_TODAY, since=date(2026, 1, 1)) for cut in Cut]
    figures = {
        question.by.value: round(
            times(database, lambda connection, asked: count(connection, asked, zone=UTC), [question] * 2).worst_ms
        )
        for question in questions
    }
    return {
        "status_by_id": asdict(by_id),
        "status_by_token": asdict(by_token),
        "due_one_village": asdict(one),
        "due_one_county": asdict(county),
        "due_all_villages": asdict(every),
        "statistics_ms": figures,
        **jobs(database, folder),
        "database_mib": round(size(database) / 1024 / 1024),
    }


def _standing_by_token(connection: Connection, token: str) -> object:
    """Ask as the open interface does of whoever is named by a document."""
    return pack_standings(connection, [each.subject_id for each in find_by_tokens(connection, [token]).values()])


def _due_below(connection: Connection, code: str) -> object:
    """Ask as `lists make` does for an area."""
    return to_certify(connection, unit=None, areas=codes_below(connection, code), today=_TODAY)


def jobs(database: Database, folder: Path) -> dict[str, Any]:
    """Take a snapshot and plan reminders for everybody."""
    say("snapshot and reminders")
    began = time.monotonic()
    take_snapshot(database, keep_days=400, zone=UTC, now=datetime(2026, 11, 20, 1, tzinfo=UTC))
    snapshot_s = time.monotonic() - began
    now = datetime(2026, 11, 20, 9, tzinfo=UTC)
    began = time.monotonic()
    planned = plan_reminders(database, load_keys(folder / "keys"), ReminderSettings(), zone=UTC, now=now)
    return {
        "snapshot_s": round(snapshot_s, 2),
        "reminders_planned": planned.planned,
        "reminders_plan_s": round(time.monotonic() - began, 1),
    }


def times(database: Database, ask: Callable[[Any, Any], object], about: Sequence[Any]) -> Times:
    """Return how long it took to ask about each, with its transaction."""
    took = []
    for each in about:
        began = time.perf_counter()
        with database.begin() as connection:
            ask(connection, each)
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    return Times(round(statistics.median(took), 2), round(p99, 2), round(took[-1], 2))


def size(database: Database) -> int:
    """Return the bytes of the database on the disk, indexes with it."""
    with database.begin() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def fill(url: str, database: Database, people: int, cipher: FieldCipher) -> list[str]:
    """Copy a made population in, with names sealed and indexed; return the ids of its people."""
    villages = -(-people // _VILLAGE)
    ids = ids_of(people)
    tables = {
        "areas": _areas(villages),
        "subjects": _subjects(ids, cipher),
        "benefits": _benefits(ids),
        "terminals": _terminals(villages),
        "links": _links(ids),
        "records": _records(ids),
        "obligations": _obligations(ids),
        "statuses": _statuses(ids),
    }
    copy_rows(url, tables)
    for start in range(0, people, _PLACED):
        with database.begin() as connected:
            place_people(connected, ids[start : start + _PLACED])
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return ids


def ids_of(people: int) -> list[str]:
    """Return the ids of so many people."""
    return [f"{place:032x}" for place in range(people)]


def token_of(subject_id: str) -> str:
    """Return the claim token of somebody made."""
    return f"t{subject_id}"


def village_of(place: int) -> str:
    """Return the code of the village of the person at a place; its code has those of all above."""
    number = place // _VILLAGE
    parts = [number % _BELOW]
    for _ in range(3):
        number //= _BELOW
        parts.append(number % _BELOW)
    parts.append(number // _BELOW)
    return "-".join(f"{part:02d}" for part in reversed(parts))


def _areas(villages: int) -> Iterator[Sequence[Any]]:
    seen: set[str] = set()
    for village in range(villages):
        parts = village_of(village * _VILLAGE).split("-")
        for level in range(1, len(parts) + 1):
            code = "-".join(parts[:level])
            if code not in seen:
                seen.add(code)
                yield code, "-".join(parts[: level - 1]) or None, level, f"area {code}"


def _subjects(ids: Sequence[str], cipher: FieldCipher) -> Iterator[Sequence[Any]]:
    drawn = random.Random(_SEED)  # noqa: S311 - a made population
    made = datetime(2020, 1, 1, tzinfo=UTC)
    for place, subject_id in enumerate(ids):
        born = date(1966, 1, 1) - timedelta(days=int(drawn.expovariate(1 / 3650)) % 16000)
        sex = "female" if drawn.random() < 0.54 else "male"
        name = name_of(place)
        sealed = cipher.encrypt(name, subject_id=subject_id, field_name="name")
        number = f"999999{born:%Y%m%d}{place % 1000:03d}"
        document = cipher.encrypt(number + check_digit(number), subject_id=subject_id, field_name="document")
        tokens = tokens_of(cipher, name)
        yield subject_id, token_of(subject_id), village_of(place), sealed, document, made, born, sex, None, tokens


def _benefits(ids: Sequence[str]) -> Iterator[Sequence[Any]]:
    for place, subject_id in enumerate(ids):
        for scheme in _schemes(place):
            yield subject_id, scheme, village_of(place), "retired", date(2015, 7, 1), None, None


def _schemes(place: int) -> tuple[str, ...]:
    return (_SCHEMES[place % 3], _SCHEMES[(place + 1) % 3]) if place % 10 == 0 else (_SCHEMES[place % 3],)


def _terminals(villages: int) -> Iterator[Sequence[Any]]:
    for number in range(-(-villages // _BELOW)):
        yield f"t-{number}", village_of(number * _BELOW * _VILLAGE), "{}", "{}", datetime(2025, 1, 1, tzinfo=UTC)


def _session(place: int) -> tuple[str, str, int, datetime, str] | None:
    """Return record id, terminal, counter, moment and outcome of somebody's session; None of every second person."""
    if place % 2:
        return None
    terminal = place // (_BELOW * _VILLAGE)
    counter = place % (_BELOW * _VILLAGE) // 2 + 1
    moment = datetime(2026, 1, 1, 8, tzinfo=UTC) + timedelta(minutes=(place * 7919) % 465_000)
    outcome = ("certified",) * 17 + ("not_certified", "cancelled", "poor_sample")
    return f"{place:032x}", f"t-{terminal}", counter, moment, outcome[place // 2 % 20]


def _links(ids: Sequence[str]) -> Iterator[Sequence[Any]]:
    for place in range(len(ids)):
        found = _session(place)
        if found is not None:
            record, terminal, counter, moment, _ = found
            # About as long as an envelope is; what is in it is never read here.
            yield record, f"{place:064x}", terminal, counter, None, "linked", "record", b"e" * 200, moment


def _records(ids: Sequence[str]) -> Iterator[Sequence[Any]]:
    for place, subject_id in enumerate(ids):
        found = _session(place)
        if found is not None:
            record, terminal, counter, moment, outcome = found
            payload = {"purpose": "certification", "visit": {"worker": "w"} if place % 40 == 0 else None}
            passed = moment if outcome == "certified" else None
            token = token_of(subject_id)
            yield (
                record, terminal, counter, record, subject_id, token, outcome, json.dumps(payload), moment, None, moment,
                moment, passed, "[]",
            )  # fmt: skip


def _days(place: int) -> tuple[date | None, Sequence[date]]:
    """Return the day of the last act and the days of the obligation: of somebody certified, due, expiring, overdue or new."""
    found = _session(place)
    last = found[3].date() if found is not None and found[4] == "certified" else None
    if last is None and place % 4 != 1:
        last = _TODAY - timedelta(days=(place * 31) % 430)
    start = last or date(2025, 12, 1) + timedelta(days=place % 300)
    due = start + timedelta(days=365)
    expiring = due - timedelta(days=30)
    return last, (start, expiring, expiring, due, due + timedelta(days=1), due + timedelta(days=31))


def _obligations(ids: Sequence[str]) -> Iterator[Sequence[Any]]:
    for place, subject_id in enumerate(ids):
        last, days = _days(place)
        for scheme in _schemes(place):
            yield subject_id, scheme, *_PACK, last, None if last is None else f"{place:032x}", *days


def _statuses(ids: Sequence[str]) -> Iterator[Sequence[Any]]:
    for place, subject_id in enumerate(ids):
        last, days = _days(place)
        found = _session(place)
        passed = found is not None and found[4] == "certified"
        record = f"{place:032x}"
        yield (
            subject_id,
            found[3] if found and passed else None,
            record if passed else None,
            last if passed else None,
            days[3] if last else None,
            _PACK[0],
            record if found else None,
            found[4] if found else None,
            found[3] if found else None,
            1 if found else 0,
            record if last else None,
            ("live" if passed else "special") if last else None,
            *days,
        )


if __name__ == "__main__":
    sys.exit(main())
