"""The made-up agency has what it promises, the same for the same seed, as the real programs would have left it."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from demo.agency import __main__ as command
from demo.agency.build import build, settings_for
from demo.agency.conditions import Condition
from demo.agency.index import Index
from demo.agency.show import clock_from, shown
from demo.agency.world import ZONE
from fleet.app import settling
from fleet.audit.log import entries
from fleet.benefits.files import rebuild_files
from fleet.cases.history import reproject
from fleet.cases.machine import Kind
from fleet.cases.pictures import open_picture
from fleet.exchange.resolving import open_contradictions
from fleet.keys import load_keys, make_keys
from fleet.rules.publishing import verify_stored
from fleet.status.projection import rebuild
from fleet.store.database import Database
from fleet.store.links import gaps
from protocol.documents import parse_document

pytestmark = pytest.mark.integration

PROMISED = {
    "five levels of areas": "SELECT count(DISTINCT level) = 5 FROM areas",
    "names that are not sealed": "SELECT count(*) = 0 FROM subjects WHERE octet_length(name_sealed) < 28",
    "from 55 years": "SELECT min(age(date '2026-11-20', birth_date)) >= interval '55 years' FROM subjects",
    "to more than 100 years": "SELECT max(age(date '2026-11-20', birth_date)) > interval '100 years' FROM subjects",
    "no older than 104": "SELECT max(age(date '2026-11-20', birth_date)) < interval '105 years' FROM subjects",
    "several schemes": "SELECT count(DISTINCT scheme) >= 5 FROM benefits",
    "units": "SELECT count(*) > 0 FROM benefits WHERE unit IS NOT NULL",
    "people of the street": "SELECT count(*) > 0 FROM benefits WHERE managed_by = 'socialised'",
    "some without telephone": "SELECT count(*) > 0 FROM subjects WHERE phone_sealed IS NULL",
    "packs in force": "SELECT count(*) = 5 FROM rule_packs WHERE in_force_at IS NOT NULL",
    "a proposal": "SELECT count(*) = 1 FROM rule_packs WHERE in_force_at IS NULL",
    "tried on everybody": (
        "SELECT count(*) = 1 FROM audit_log WHERE action = 'rule_pack.what_if' AND object_id = 'GZ-2018/2'"
        " AND (detail ->> 'covered')::int > 0"
    ),
    "a policy": "SELECT count(*) = 1 FROM policies",
    "gaps": "SELECT count(*) > 0 FROM links WHERE chain = 'gap'",
    "no broken chain": "SELECT count(*) = 0 FROM links WHERE chain = 'broken'",
    "quarantined messages": "SELECT count(DISTINCT terminal_id) >= 2 FROM quarantine WHERE known",
    "an unknown sender": "SELECT count(*) > 0 FROM quarantine WHERE NOT known",
    "sixty days of records": "SELECT count(DISTINCT event_at::date) >= 55 FROM records",
    "records of today": "SELECT count(DISTINCT extract(hour FROM event_at)) >= 5 FROM records WHERE event_at >= '2026-11-19T16:00Z'",
    "every outcome": "SELECT count(DISTINCT outcome) = 8 FROM records",
    "passes that count": (
        "SELECT count(*) = 0 FROM records WHERE outcome = 'certified' AND pass_at IS NULL AND flags = '[]'"
    ),
    "evidence with scores": "SELECT bool_and(jsonb_array_length(payload -> 'evidence') = 6) FROM records",
    "nothing from the future": "SELECT max(received_at) <= '2026-11-20T09:00Z' FROM links",
    "terminal events": "SELECT count(DISTINCT kind) >= 5 FROM terminal_events",
    "presence": "SELECT count(DISTINCT presence_state) = 2 FROM terminals",
    "alarms of the two that have changed": (
        "SELECT array_agg(DISTINCT advice ORDER BY advice) = '{clean_the_lens,lamp_moved}' AND count(DISTINCT terminal_id) = 2"
        " FROM terminal_alarms WHERE ended_on IS NULL"
    ),
    "a week of hours": "SELECT count(DISTINCT hour) >= 7 * 24 FROM terminal_health",
    "warm, empty and unsure ones": (
        "SELECT bool_or(temperature_c > 75) AND bool_or(battery_percent < 20) AND bool_or(clock_uncertainty_s IS NULL) FROM terminals"
        " WHERE health_at IS NOT NULL"
    ),
    "one that comes by stick": "SELECT count(*) > 0 FROM terminals WHERE last_stick_at IS NOT NULL",
    "commands with answers": "SELECT count(*) = 3 AND count(answered_at) = 2 FROM terminal_commands",
    "old outboxes": "SELECT count(*) > 0 FROM terminals WHERE outbox_pending > 30",
    "rosters": "SELECT count(*) > 0 FROM roster_entries",
    "overdue stops": "SELECT count(*) > 0 FROM benefit_files WHERE state = 'pause_proposed' AND reason = 'overdue'",
    "back-pay": "SELECT count(*) > 0 FROM benefit_events WHERE kind = 'restored' AND body ->> 'because' = 'certified'",
    "one alive who was decided": "SELECT count(*) > 0 FROM i_am_here WHERE resolution = 'alive'",
    "sealed pictures": "SELECT count(*) >= 6 FROM attachments",
    "sealed files": "SELECT count(*) >= 10 FROM case_files WHERE sealed IS NOT NULL",
    "looks at pictures": "SELECT count(*) > 0 FROM picture_views",
    "planned visits": "SELECT count(*) > 0 FROM cases WHERE planned_on > '2026-11-20'",
    "special persons": "SELECT count(*) > 0 FROM special_persons",
    "deliveries": "SELECT count(DISTINCT feed) >= 4 FROM feed_deliveries",
    "a corrected delivery": "SELECT count(*) > 0 FROM feed_deliveries WHERE corrects IS NOT NULL",
    "zero reports": "SELECT count(*) > 0 FROM feed_deliveries WHERE rows = 0",
    "nothing of a refused delivery": "SELECT count(*) = 0 FROM feed_deliveries WHERE feed = 'sentences'",
    "silent certifications": "SELECT count(*) > 0 FROM acts WHERE kind = 'silent'",
    "duplicates of every state": "SELECT count(DISTINCT state) = 4 FROM duplicate_hits",
    "a first word": "SELECT count(*) > 0 FROM duplicate_hits WHERE state = 'open' AND first_word IS NOT NULL",
    "partners": "SELECT count(*) = 3 FROM partners WHERE revoked_at IS NULL",
    "a partner that is gone": "SELECT count(*) = 1 FROM partners WHERE revoked_at IS NOT NULL",
    "keys that were rolled": "SELECT max(n) > 1 FROM (SELECT count(*) AS n FROM partner_keys GROUP BY partner_id) k",
    "webhooks that failed": "SELECT count(*) > 0 FROM webhook_messages WHERE dead_at IS NOT NULL",
    "webhooks that did not": "SELECT count(*) > 0 FROM webhook_messages WHERE delivered_at IS NOT NULL",
    "messages that wait": "SELECT count(*) > 0 FROM webhook_messages WHERE delivered_at IS NULL AND dead_at IS NULL",
    "reminders of every state": "SELECT count(DISTINCT state) = 5 FROM reminders",
    "receipts": "SELECT count(DISTINCT state) >= 3 FROM reminder_deliveries",
    "snapshots": "SELECT count(*) >= 14 AND min(day) <= '2026-09-25' FROM statistics_snapshots",
    "consents": "SELECT count(DISTINCT way) = 4 FROM consents",
    "withdrawn consents": "SELECT count(*) > 0 FROM withdrawals",
    "an erasure with its proof": "SELECT count(*) = 1 FROM erasures",
    "an erasure that waits": "SELECT count(*) > 0 FROM audit_log WHERE action = 'subject.erasure_asked'",
    "hundreds of entries": "SELECT count(*) > 300 FROM audit_log",
    "by several people": "SELECT count(DISTINCT actor_hash) >= 6 FROM audit_log",
}
STATUSES = "SELECT * FROM statuses ORDER BY subject_id"
OBLIGATIONS = "SELECT * FROM obligations ORDER BY subject_id, scheme, pack_id"
SAME = {
    "areas": "SELECT * FROM areas ORDER BY code",
    "people": "SELECT subject_id, area, birth_date, sex, phone_sealed IS NULL, created_at FROM subjects ORDER BY 1",
    "benefits": "SELECT * FROM benefits ORDER BY subject_id, scheme",
    "records": (
        "SELECT record_id, terminal_id, counter, subject_id, outcome, event_at, pass_at, payload -> 'evidence', payload -> 'quality'"
        " FROM records ORDER BY 1"
    ),
    "states": "SELECT subject_id, asked, expiring, due, overdue, stop_from, last_act IS NULL, last_act_kind FROM statuses ORDER BY 1",
    "benefit files": "SELECT subject_id, scheme, state, steps, approvals, events FROM benefit_files ORDER BY 1, 2",
    "cases": "SELECT kind, state, subject_id, opened_at, decided_at, closed_at FROM cases ORDER BY 4, 3, 1",
    "life events": "SELECT subject_id, kind, since, source FROM life_events ORDER BY 1, 2, 3",
    "audit": "SELECT at, action, object_kind FROM audit_log ORDER BY at, action, object_kind, entry",
    # Which of a day's messages go out first hangs on the random ids of the outbox.
    "reminders": "SELECT subject_id, kind, occasion, step FROM reminders WHERE planned_at < '2026-11-10' ORDER BY 1, 2, 3, 4",
    "snapshots": "SELECT * FROM statistics_snapshot_rows ORDER BY day, area, scheme NULLS FIRST, state",
}


@pytest.mark.parametrize("promise", PROMISED)
def test_the_agency_has(module_agency: Any, promise: str) -> None:
    assert module_agency.rows(PROMISED[promise]) == [(True,)]


def test_there_is_somebody_and_something_of_every_kind(module_agency: Any) -> None:
    has_every_kind(module_agency.index)


def has_every_kind(index: Index) -> None:
    assert set(index.people) >= {
        *("certified", "due", "expiring", "overdue", "never_certified", "pause_proposed", "notified", "approved_once"),
        *("paused", "restored", "end_proposed", "ended", "frozen", "i_am_here", "rare_name", "dotted_name"),
        *("without_phone", "two_benefits", "withdrawn_consent", "reported_dead"),
    }
    assert {name.partition(".")[0] for name in index.cases if "." in name} == set(Kind)
    states = {name.partition(".")[2] for name in index.cases if "." in name}
    assert states >= {
        "opened",
        "evidence_complete",
        "in_review",
        "disagreed",
        "more_evidence",
        "passed",
        "refused",
        "closed",
    }
    assert set(index.cases) >= {"late", "reviewed_once", "with_picture", "with_file", "planned_visit"}
    assert set(index.terminals) == set(Condition)
    assert set(index.others) == {
        *("area", "proposal", "feed", "partner", "webhook", "open_duplicate", "decided_duplicate", "unclear_duplicate"),
        *(
            "record",
            "stop",
            "erasure",
            "reminder_failed",
            "trial",
            "calibration",
            "list",
            "photo_run",
            "policy",
            "search",
            "run",
            "export",
            "rollout",
        ),
    }


def test_names_and_numbers_open_and_are_nobodys(module_agency: Any) -> None:
    cipher = module_agency.keys.cipher
    names = set()
    for row in module_agency.rows("SELECT subject_id, name_sealed, document_sealed FROM subjects ORDER BY 1 LIMIT 500"):
        document = cipher.decrypt(bytes(row.document_sealed), subject_id=row.subject_id, field_name="document")
        assert parse_document(document).number.startswith("999999")
        names.add(cipher.decrypt(bytes(row.name_sealed), subject_id=row.subject_id, field_name="name"))
    assert len(names) > 400


def test_a_picture_opens(agency: Any) -> None:
    case_id = agency.index.cases["with_picture"]
    found = open_picture(
        agency.database, agency.keys, case_id, "with_newspaper", reader="Li Na", reason="Review", now=agency.now
    )
    assert found.startswith(b"\xff\xd8\xff")


def test_two_terminals_drift(module_agency: Any) -> None:
    def mean(condition: Condition, component: str, since: str, until: str) -> float:
        ((found,),) = module_agency.rows(
            "SELECT avg((payload -> 'quality' ->> :component)::float) FROM records WHERE terminal_id = :id"
            " AND outcome = 'certified' AND event_at >= CAST(:since AS timestamptz) AND event_at < CAST(:until AS timestamptz)",
            component=component,
            id=module_agency.index.terminals[condition][0],
            since=since,
            until=until,
        )
        return float(found)

    early, late = ("2026-09-22", "2026-11-05"), ("2026-11-17", "2026-11-21")
    assert mean(Condition.DULL, "sharpness", *late) < mean(Condition.DULL, "sharpness", *early) - 15
    light = "over_exposure_prevention"
    assert mean(Condition.GLARING, light, *late) < mean(Condition.GLARING, light, *early) - 10
    assert abs(mean(Condition.DULL, light, *late) - mean(Condition.DULL, light, *early)) < 10


def test_what_was_filled_is_what_a_rebuild_gives(agency: Any) -> None:
    before = {name: agency.rows(name) for name in (STATUSES, OBLIGATIONS)}
    judging = partial(settling(agency.fleet).judge_anew, now=agency.now)
    passes = agency.rows("SELECT record_id, pass_at, flags FROM records ORDER BY 1")
    rebuild(agency.database, judging=judging, zone=ZONE, clock=agency.clock)
    assert {name: agency.rows(name) for name in before} == before
    assert agency.rows("SELECT record_id, pass_at, flags FROM records ORDER BY 1") == passes


def test_everything_that_follows_from_events_is_what_a_rebuild_gives(agency: Any) -> None:
    files = "SELECT * FROM benefit_files ORDER BY subject_id, scheme"
    before = agency.rows(files)
    rebuild_files(agency.database)
    assert agency.rows(files) == before
    with agency.database.begin() as connection:
        _, changed = reproject(connection)
    assert changed == 0


def test_chains_packs_and_log_are_in_order(module_agency: Any) -> None:
    with module_agency.database.begin() as connection:
        assert {gap.terminal_id for gap in gaps(connection)} <= set(module_agency.index.terminals[Condition.GAPS])
        assert gaps(connection)
        assert verify_stored(connection, module_agency.keys.signing.public()) == []
        lines = list(entries(connection))
        assert [line.entry for line in lines] == list(range(1, len(lines) + 1))
        assert [line.at for line in lines] == sorted(line.at for line in lines)
        kinds = {each.kind for each in open_contradictions(connection)}
    assert {"alive_after_death", "name_differs"} <= kinds


def test_the_same_seed_makes_the_same_agency(database_url: str, other_database_url: str, tmp_path: Path) -> None:
    built = []
    for place, url in enumerate((database_url, other_database_url)):
        folder = tmp_path / str(place)
        make_keys(folder / "keys", key_domain="d1")
        settings = settings_for(data_dir=folder)
        keys = load_keys(folder / "keys")
        built.append(build(url, keys, settings, today=date(2026, 11, 20), people=2_000, terminals=40))
    has_every_kind(built[0].index)
    assert built[0].index.people == built[1].index.people
    assert built[0].index.terminals == built[1].index.terminals
    with closing(Database(database_url)) as first, closing(Database(other_database_url)) as second:
        for what, statement in SAME.items():
            assert rows(first, statement) == rows(second, statement), what


def test_it_is_made_on_the_first_days_of_a_year_too(database_url: str, tmp_path: Path) -> None:
    make_keys(tmp_path / "keys", key_domain="d1")
    keys, settings = load_keys(tmp_path / "keys"), settings_for(data_dir=tmp_path)
    built = build(database_url, keys, settings, today=date(2027, 1, 3), people=2_000, terminals=40)
    assert built.now == datetime(2027, 1, 3, 9, tzinfo=UTC)
    assert {"certified", "overdue", "never_certified", "paused", "restored", "ended", "i_am_here"} <= set(
        built.index.people
    )


@pytest.mark.parametrize("now", [datetime(2026, 11, 20, 1, 5, tzinfo=ZONE), datetime(2026, 11, 21, 0, 40, tzinfo=ZONE)])
def test_it_is_made_at_any_hour_with_nothing_from_the_future(database_url: str, tmp_path: Path, now: datetime) -> None:
    make_keys(tmp_path / "keys", key_domain="d1")
    keys, settings = load_keys(tmp_path / "keys"), settings_for(data_dir=tmp_path)
    built = build(database_url, keys, settings, today=date(2026, 11, 20), now=now, people=2_000, terminals=40)
    assert built.now == now
    with closing(Database(database_url)) as database:
        latest = {
            "audit_log": "at",
            "links": "received_at",
            "records": "event_at",
            "terminals": "greatest(presence_received_at, last_word_at)",
            "terminal_commands": "greatest(asked_at, answered_at)",
            "case_events": "at",
        }
        for table, column in latest.items():
            assert rows(database, f"SELECT max({column}) FROM {table}")[0][0] <= now, table
        (came,) = rows(database, "SELECT count(*) FROM records WHERE event_at >= '2026-11-19T16:00Z'")
        assert came[0] > 10, "the day has begun"


def rows(database: Database, statement: str) -> list[Any]:
    with database.begin() as connection:
        return list(connection.execute(text(statement)).all())


def test_another_fleet_is_not_filled(database_url: str, tmp_path: Path) -> None:
    make_keys(tmp_path / "keys", key_domain="d1")
    settings = settings_for(data_dir=tmp_path).model_copy(update={"fleet_id": "north"})
    with pytest.raises(ValueError, match="'made' expected"):
        build(database_url, load_keys(tmp_path / "keys"), settings, today=date(2026, 11, 20))


@pytest.mark.parametrize("wrong", [["--people", "10"], ["--terminals", "3"], ["--today", "yesterday"]])
def test_the_command_says_what_it_cannot_make(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["agency", *wrong])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_the_fleet_serves_it(module_agency: Any, free_ports: Callable[[], int]) -> None:
    built = module_agency
    with shown(built, port=free_ports(), clock=built.clock) as (address, _):
        page = urllib.request.urlopen(f"{address}healthz", timeout=30).read().decode()
    assert '"database":"ok"' in page


def test_a_clock_goes_on_from_a_moment() -> None:
    times = iter([datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, 0, 0, 5, tzinfo=UTC)])
    clock = clock_from(datetime(2026, 11, 20, 9, tzinfo=UTC), clock=lambda: next(times))
    assert clock() == datetime(2026, 11, 20, 9, 0, 5, tzinfo=UTC)
