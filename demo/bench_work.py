"""What people, programs and other bodies did, for `demo.bench_console`: cases, stops, feeds, reminders, the audit log and the rest of it.

Written by statements over series of numbers, so that a million lines take seconds; only what pages open with a key is sealed here. Rows fit
together as far as lists read them: of a stop there is what follows from its events and not every event, and the audit log is not linked by
digests. Numbers are those of a fleet with a million people, and of a smaller one as many fewer.
"""

# ruff: noqa: E501, S608 - statements of our own, a table of columns each

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

from sqlalchemy import Connection, text

from demo.bench_names import name_of
from demo.bench_terminals import BUSY
from fleet.accounts.naming import name_digest, seal_name
from fleet.accounts.roles import Role
from fleet.audit.log import note
from fleet.exchange.definitions import catalogue
from fleet.keys import FieldCipher
from fleet.status.doubts import keep_doubts
from fleet.store.database import Database

ACTORS = tuple(f"Officer {number:02d}" for number in range(40))
"""Who did what stands in the audit log."""
FEEDS = ("deaths", "village_deaths", "travel", "sentences")
"""Feeds in use; the second is reported by every village, every month."""
_ACCOUNTS = 500
_ZONE = timezone(timedelta(hours=8))
_MILLION = 1_000_000


def add_work(database: Database, cipher: FieldCipher, people: int, *, now: datetime) -> None:
    """Add all of it.

    Args:
        database: filled by `demo.bench_agency` and `demo.bench_terminals`.
        cipher: the fleet's.
        people: how many there are.
        now: when the pages are asked.
    """
    values = {"people": people, "now": now, "busy": BUSY}
    with database.begin() as connection:
        for actor in ACTORS:
            note(
                connection, cipher, actor=actor, action="subject.viewed", object_kind="subject", object_id="0", now=now
            )
        for feed in FEEDS:
            _add_feed(connection, feed, now)
        _add_accounts(connection, cipher, now)
        _add_commands(connection, cipher, now)
    for statement in _STATEMENTS:
        with database.begin() as connection:
            # Nothing here refers to what is not there, and looking each up takes longer than writing it.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(_scaled(statement, people)), values)
    with database.begin() as connection:
        told = "SELECT subject_id FROM life_events UNION SELECT subject_id FROM feed_rows WHERE subject_id IS NOT NULL"
        keep_doubts(connection, list(connection.execute(text(told)).scalars()), zone=_ZONE)


def counted(database: Database) -> dict[str, int]:
    """Return how many rows each table has."""
    with database.begin() as connection:
        return {table: int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()) for table in _TABLES}


def _scaled(statement: str, people: int) -> str:
    """Return a statement with the numbers of so many people in place of those of a million."""
    return re.sub(r"(\d+) %many", lambda found: str(max(1, int(found[1]) * people // _MILLION)), statement)


def _add_feed(connection: Connection, name: str, now: datetime) -> None:
    definition = json.dumps(catalogue().feeds[name].model_dump(mode="json"), ensure_ascii=False)
    connection.execute(
        text("INSERT INTO feeds (name, definition, first_period, added_at) VALUES (:name, :what, :first, :now)"),
        {"name": name, "what": definition, "first": date(2024, 12, 1), "now": now},
    )


def _add_accounts(connection: Connection, cipher: FieldCipher, now: datetime) -> None:
    """Add an account for each of some counties' and townships' staff, with a name that one may look for."""
    areas = list(connection.execute(text("SELECT code FROM areas WHERE level IN (3, 4) ORDER BY code")).scalars())
    roles = [role for role in Role if role is not Role.FLEET_ADMINISTRATOR]
    accounts: list[Mapping[str, Any]] = []
    for place in range(_ACCOUNTS):
        name, account_id = f"{name_of(place)} {place}", f"a-bench{place:06d}"
        accounts.append(
            {
                "id": account_id,
                "hash": name_digest(cipher, name),
                "name": seal_name(cipher, name, account_id=account_id),
                "now": now,
                "role": roles[place % len(roles)].value,
                "area": areas[place % len(areas)],
            }
        )
    connection.execute(
        text("INSERT INTO accounts (account_id, name_hash, name_sealed, added_at) VALUES (:id, :hash, :name, :now)"),
        accounts,
    )
    connection.execute(
        text("INSERT INTO account_grants (account_id, role, area, given_at) VALUES (:id, :role, :area, :now)"), accounts
    )


def _add_commands(connection: Connection, cipher: FieldCipher, now: datetime) -> None:
    """Add ten commands to the terminal whose page is asked for."""

    def rows() -> Iterator[Mapping[str, Any]]:
        for number in range(1, 11):
            command_id = f"busy-{number}"
            by, why = (
                cipher.encrypt(said, subject_id=command_id, field_name=field)
                for said, field in ((ACTORS[0], "asked_by"), ("It stands still.", "reason"))
            )
            yield {"id": command_id, "busy": BUSY, "number": number, "by": by, "why": why, "now": now}

    connection.execute(
        text(
            "INSERT INTO terminal_commands (command_id, terminal_id, number, kind, asked_by_sealed, reason_sealed, asked_at, expires_at)"
            " VALUES (:id, :busy, :number, 'diagnose', :by, :why, :now, CAST(:now AS timestamptz) + interval '1 day')"
        ),
        list(rows()),
    )


# 7919 is a prime: the people of consecutive numbers live far from each other, and nobody is taken twice. `place` counts from zero, and
# is `n` where a statement says nothing else.
def _who(place: str = "n") -> str:
    return f"lpad(to_hex(({place} * CAST(7919 AS bigint) + 1) % :people), 32, '0')"


_NOW = "CAST(:now AS timestamptz)"
_TODAY = "CAST(CAST(:now AS timestamptz) AS date)"
_EMPTY = "CAST('\\x00' AS bytea)"
_TABLES = (
    *(
        "cases",
        "case_events",
        "benefit_files",
        "benefit_events",
        "duplicate_hits",
        "life_events",
        "feed_rows",
        "feed_deliveries",
    ),
    *("acts", "unit_lists", "unit_list_members", "lists", "reminders", "reminder_deliveries", "audit_log", "accounts"),
    *(
        "terminal_commands",
        "consents",
        "withdrawals",
        "erasures",
        "partners",
        "webhook_messages",
        "special_persons",
        "quarantine",
    ),
)
_STATEMENTS = (
    # Three in four cases are over. One in fifty is about nobody known, and lies where its terminal stands.
    f"""
INSERT INTO cases (year, serial, case_id, kind, subject_id, state, opened_at, asked_at, due_on, record_id, decided_at, reason, closed_at)
SELECT CAST(extract(year FROM at) AS integer), row_number() OVER (PARTITION BY extract(year FROM at) ORDER BY at, n), md5('case ' || n), CASE WHEN n % 50 = 6 THEN 'attack_alarm' ELSE kind END, CASE WHEN n % 50 = 6 THEN NULL ELSE who END, state, at, at,
    CAST(at AS date) + 30, CASE WHEN n % 50 = 6 THEN who END,
    CASE WHEN state IN ('passed', 'refused') THEN at + interval '9 days' END, CASE WHEN state IN ('passed', 'refused') THEN 'seen' END,
    CASE WHEN state = 'closed' THEN at + interval '20 days' END
FROM (SELECT n, {_who("2 * n")} AS who,
        (ARRAY['appeal', 'special', 'remote_form', 'proxy', 'photo_enrolment', 'wrong_data', 'recovery'])[n % 7 + 1] AS kind,
        (ARRAY['opened', 'evidence_complete', 'in_review', 'passed', 'passed', 'passed', 'refused', 'closed', 'passed', 'passed',
            'closed', 'evidence_complete'])[n % 12 + 1] AS state,
        {_NOW} - make_interval(hours => CASE WHEN n % 12 IN (0, 1, 2, 11) THEN n % 900 ELSE 900 + n % 15000 END) AS at
    FROM generate_series(1, 20000 %many) AS n) c
""",
    """
INSERT INTO case_years SELECT year, max(serial) FROM cases GROUP BY year ON CONFLICT (year) DO UPDATE SET last = excluded.last
""",
    """
INSERT INTO case_events (case_id, number, step, at, data)
SELECT case_id, 1, 'opened', opened_at, jsonb_strip_nulls(jsonb_build_object('kind', kind, 'subject_id', subject_id, 'asked_at',
    to_char(asked_at, 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'), 'due_on', due_on, 'needs',
    CASE WHEN state = 'opened' THEN jsonb_build_array('front') END, 'facts', jsonb_build_object('reason', 'unclear')
    || CASE WHEN subject_id IS NULL THEN jsonb_build_object('terminal_id', 'more-' || CAST(right(hashtext(case_id)::text, 4) AS integer) + 1)
        ELSE '{}' END)) FROM cases
""",
    """
INSERT INTO case_events (case_id, number, step, at, actor_hash, actor_sealed, data)
SELECT c.case_id, s.number, s.step, c.opened_at + make_interval(days => s.number), sha256(convert_to(s.who || c.case_id, 'UTF8')),
    CAST('\\x00' AS bytea), CASE WHEN s.step = 'verdict' THEN jsonb_build_object('verdict', c.state, 'reason', 'seen') ELSE '{}' END
FROM cases c, (VALUES (2, 'taken_up', 'a'), (3, 'verdict', 'a'), (4, 'taken_up', 'b'), (5, 'verdict', 'b')) AS s (number, step, who)
WHERE c.state IN ('passed', 'refused') OR (c.state = 'in_review' AND s.number = 2)
""",
    """
INSERT INTO case_events (case_id, number, step, at, data) SELECT case_id, 2, 'closed', closed_at, '{"reason": "too_late"}' FROM cases
WHERE state = 'closed'
""",
    # Of a hundred stops 36 are on their way, 54 in force, one is held up and nine were lifted again.
    f"""
INSERT INTO benefit_files (subject_id, scheme, state, standing, stopped_from, stop_id, reason, effect, basis, from_month, proposed_on, steps,
    missing, approvals, frozen_by, answered, recoveries, open_recoveries, events)
SELECT subject_id, scheme, CASE WHEN part < 36 THEN effect || '_proposed' WHEN part < 90 THEN CASE effect WHEN 'pause' THEN 'paused' ELSE 'ended' END
        WHEN part = 90 THEN 'pause_proposed' ELSE 'paying' END,
    CASE WHEN part < 36 OR part >= 90 THEN 'paying' WHEN effect = 'pause' THEN 'paused' ELSE 'ended' END,
    CASE WHEN part BETWEEN 36 AND 89 THEN CAST(date_trunc('month', day) AS date) END, CASE WHEN part <= 90 THEN md5('stop ' || n) END,
    CASE WHEN part <= 90 THEN reason END, CASE WHEN part <= 90 THEN effect END, CASE WHEN part <= 90 THEN 'BENCH-2026/1/2026-06-01' END,
    CASE WHEN part <= 90 THEN CAST(date_trunc('month', day) AS date) END, CASE WHEN part <= 90 THEN day END,
    CASE WHEN part < 6 THEN 0 WHEN part < 12 THEN 1 WHEN part < 18 THEN 2 ELSE 3 END,
    CASE WHEN part < 6 THEN ARRAY['message', 'call', 'visit'] WHEN part < 12 THEN ARRAY['call', 'visit'] WHEN part < 18 THEN ARRAY['visit']
        WHEN part < 21 THEN ARRAY['comparison'] ELSE '{{}}' END,
    CASE WHEN part < 27 THEN 0 WHEN part < 32 THEN 1 WHEN part < 90 THEN 2 ELSE 0 END, CASE WHEN part = 90 THEN ARRAY['case'] ELSE '{{}}' END,
    '{{}}', 0, '{{}}', 1
FROM (SELECT n, b.subject_id, b.scheme, n % 100 AS part, {_TODAY} - CAST(n % 100 * 3 + n / 100 % 90 AS integer) AS day,
        CASE WHEN n % 3 = 0 THEN 'end' ELSE 'pause' END AS effect,
        CASE WHEN n % 3 = 0 THEN (ARRAY['death', 'register_cancelled'])[n % 2 + 1] ELSE (ARRAY['overdue', 'overdue', 'missing'])[n % 3 + 1]
        END AS reason
    FROM generate_series(1, 100000 %many) AS n CROSS JOIN LATERAL
        (SELECT subject_id, scheme FROM benefits WHERE subject_id = {_who("3 * n")} ORDER BY scheme LIMIT 1) b) s
""",
    f"""
INSERT INTO benefit_events (subject_id, scheme, number, kind, day, body, at)
SELECT subject_id, scheme, 1, 'restored', {_TODAY} - CAST(row_number() OVER () % 300 AS integer), '{{}}', {_NOW}
FROM benefit_files WHERE state = 'paying'
""",
    f"""
INSERT INTO duplicate_hits (hit_id, kind, first_subject, second_subject, what, score, threshold, found_at, state, first_word, decided_at)
SELECT md5('hit ' || n), kind, least(one, two), greatest(one, two), CASE kind WHEN 'same_face' THEN '' WHEN 'same_person' THEN 'name and area' ELSE
        'enterprise_pension (00) + resident_pension (00-00): not_allowed' END,
    CASE WHEN kind = 'same_face' THEN 0.4 + random() / 2 END, CASE WHEN kind = 'same_face' THEN 0.4 END, {_NOW}, state,
    CASE WHEN state <> 'open' OR n % 4 = 0 THEN 'different' END, CASE WHEN state <> 'open' THEN {_NOW} END
FROM (SELECT n, (ARRAY['same_face', 'same_face', 'same_person', 'benefits'])[n % 4 + 1] AS kind, {_who("5 * n")} AS one,
        {_who("5 * n + 1")} AS two, (ARRAY['open', 'open', 'different', 'same_person', 'unclear'])[n % 5 + 1] AS state
    FROM generate_series(1, 5000 %many) AS n) h
""",
    # One county's office pays people who live in others.
    f"""
UPDATE benefits b SET region = p.code FROM (SELECT max(code) AS code FROM areas WHERE level = 3 HAVING count(*) > 1) p
WHERE b.subject_id IN (SELECT {_who("19 * n")} FROM generate_series(1, 50000 %many) AS n) AND b.region NOT LIKE p.code || '%'
""",
    """
INSERT INTO subject_areas SELECT DISTINCT b.subject_id, b.region, false, a.certified, a.asked, a.expiring, a.overdue
FROM benefits b JOIN subject_areas a ON a.subject_id = b.subject_id AND a.is_home WHERE b.region <> a.area ON CONFLICT DO NOTHING
""",
    # What other bodies report of people: most of it is so, of one in seven deaths there are two days.
    f"""
INSERT INTO life_events (event_id, subject_id, kind, since, source, source_id, confirmed, received_at)
SELECT md5('event ' || n || source), {_who("7 * n")}, kind, {_TODAY} - CAST(n % 600 + extra AS integer), source, 'row ' || n, true,
    {_NOW} - make_interval(days => CAST(n % 600 AS integer))
FROM (SELECT n, 'feed:deaths' AS source, 0 AS extra, CASE WHEN n % 10 = 0 THEN 'sentence' ELSE 'death' END AS kind
        FROM generate_series(1, 20000 %many) AS n
    UNION ALL SELECT n, 'feed:village_deaths', 3, 'death' FROM generate_series(7, 20000 %many, 7) AS n WHERE n % 10 <> 0
    UNION ALL SELECT n, 'feed:travel', -9, 'travel' FROM generate_series(1, 100000 %many) AS n WHERE n % 20 = 0) e
""",
    f"""
INSERT INTO feed_rows (row_key, feed, claim_token, subject_id, name_state, kind, since, detail, makes_event, stands, event_id, times, received_at)
SELECT md5('row ' || n), (ARRAY['deaths', 'travel'])[n % 2 + 1], 't' || {_who("7 * n")}, CASE WHEN n % 30 <> 1 THEN {_who("7 * n")} END,
    CASE WHEN n % 100 = 2 THEN 'differs' ELSE 'same' END, (ARRAY['death', 'travel'])[n % 2 + 1], {_TODAY} - CAST(n % 600 AS integer), '{{}}',
    true, true, md5('event ' || n || 'feed:deaths'), 1, {_NOW} - make_interval(days => CAST(n % 600 AS integer))
FROM generate_series(1, 200000 %many) AS n
""",
    # Every village reports every month, most of them that nobody died; in some of those somebody did.
    f"""
INSERT INTO feed_deliveries (feed, area, period, number, sha256, rows, received_at)
SELECT 'village_deaths', code, CAST({_TODAY} - make_interval(months => m) - interval '19 days' AS date), 1, md5(code || m),
    CASE WHEN (place + m) % 20 = 0 THEN 0 ELSE 1 END, {_NOW} - make_interval(months => m)
FROM (SELECT code, row_number() OVER (ORDER BY code) AS place FROM areas WHERE level = 5) a, generate_series(1, 23) AS m
WHERE (place + m) % 23 > 0
UNION ALL SELECT feed, '', CAST({_TODAY} - make_interval(months => m) - interval '19 days' AS date), 1, md5(feed || m), 4000,
    {_NOW} - make_interval(months => m) FROM unnest(ARRAY['deaths', 'travel', 'sentences']) AS feed, generate_series(1, 23) AS m
""",
    """
INSERT INTO feed_delivery_rows (row_key, delivery_id)
SELECT r.row_key, d.ids[CAST(row_number() OVER () % cardinality(d.ids) + 1 AS integer)]
FROM feed_rows r JOIN (SELECT feed, array_agg(delivery_id) AS ids FROM feed_deliveries WHERE area = '' GROUP BY feed) d USING (feed)
""",
    f"""
INSERT INTO acts (act_id, subject_id, kind, channel, acted_at, source, source_id, recorded_at)
SELECT md5('act ' || n), {_who("11 * n")}, 'silent', 'data', at, 'feed:travel', 'row ' || n, at + interval '3 days'
FROM generate_series(1, 100000 %many) AS n, LATERAL (SELECT {_NOW} - make_interval(hours => CAST(n % 9000 AS integer)) AS at) a
""",
    f"""
INSERT INTO unit_lists (list_id, body, unit, evidence, is_sealed, matches_originals, register_copies, verified_on, handler_sealed,
    handler_token, sha256, taken_at, taken_by_sealed, decided_at)
SELECT md5('list ' || n), 'village', 'village ' || n, 'list', true, true, 0, {_TODAY} - CAST(n % 700 AS integer), {_EMPTY}, 't', md5('sum ' || n),
    {_NOW} - make_interval(hours => CAST(n AS integer)), {_EMPTY}, CASE WHEN n > 200 THEN {_NOW} END
FROM generate_series(1, 5000 %many) AS n
""",
    # Everybody of a list lives in one village: 40 neighbours.
    """
INSERT INTO unit_list_members (list_id, subject_id, line, result)
SELECT md5('list ' || n), lpad(to_hex((n * 800 + line) % :people), 32, '0'), line, 'verified'
FROM generate_series(1, 5000 %many) AS n, generate_series(1, 40) AS line
""",
    f"""
INSERT INTO lists (list_id, name, as_of, sha256, rows, taken_at, taken_by_sealed)
SELECT md5('key list ' || n), 'list', {_TODAY} - CAST(n * 30 AS integer), md5('x' || n), 1000, {_NOW}, {_EMPTY} FROM generate_series(1, 60) AS n
""",
    # Of a hundred steps 30 wait, 8 reached nobody, 6 calls and visits stand on a list, and the rest is done.
    f"""
INSERT INTO reminders (reminder_id, subject_id, kind, occasion, step, state, priority, not_before, tries, planned_at, sent_at, settled_at,
    outcome, code)
SELECT md5('reminder ' || n), {_who()}, (ARRAY['due', 'expiring', 'failed'])[n % 3 + 1], {_TODAY}, step, state, 5, at, 1, at,
    CASE WHEN state <> 'pending' THEN at END, CASE WHEN state IN ('delivered', 'failed') THEN at + interval '1 hour' END,
    CASE state WHEN 'delivered' THEN 'reached' WHEN 'failed' THEN 'not_reached' END, CASE WHEN state = 'failed' THEN 'no_answer' END
FROM (SELECT n, {_NOW} - make_interval(mins => CAST(n % 260000 AS integer)) AS at,
        CASE WHEN n % 100 < 30 THEN (ARRAY['message', 'message', 'call', 'visit'])[n % 4 + 1] WHEN n % 100 BETWEEN 38 AND 43 THEN
            (ARRAY['call', 'visit'])[n % 2 + 1] WHEN n % 100 < 38 THEN (ARRAY['message', 'call'])[n % 2 + 1] ELSE 'message' END AS step,
        CASE WHEN n % 100 < 30 THEN 'pending' WHEN n % 100 < 38 THEN 'failed' WHEN n % 100 < 50 THEN 'sent' ELSE 'delivered' END AS state
    FROM generate_series(1, 300000 %many) AS n) r
""",
    """
INSERT INTO reminder_deliveries (message_id, reminder_id, channel, state, parts, cost, begun_at, accepted_at, settled_at)
SELECT md5('message ' || reminder_id), reminder_id, CASE WHEN right(reminder_id, 1) < '3' THEN 'wechat' ELSE 'sms' END,
    CASE state WHEN 'delivered' THEN 'delivered' WHEN 'failed' THEN 'failed' ELSE 'accepted' END, 1, 5, sent_at, sent_at, settled_at
FROM reminders WHERE state <> 'pending' AND step = 'message'
""",
    # The digest of the last entry is what the next real one names.
    f"""
INSERT INTO audit_log (entry, at, action, actor_sealed, actor_hash, object_kind, object_id, detail, previous, sha256)
SELECT n + {len(ACTORS)}, {_NOW} - make_interval(secs => 30 * CAST(1000000 %many - n AS integer)), w.action, a.actor_sealed, a.actor_hash, w.kind,
    CASE w.kind WHEN 'subject' THEN {_who("13 * n")} WHEN 'case' THEN md5('case ' || n % 20000) ELSE 'queue' END, '{{"rows": 50}}', '',
    encode(sha256(convert_to('entry ' || n, 'UTF8')), 'hex')
FROM generate_series(1, 1000000 %many) AS n JOIN audit_log a ON a.entry = n % {len(ACTORS)} + 1 CROSS JOIN LATERAL (SELECT
    CASE WHEN n % 50000 = 49999 THEN 'audit.exported' WHEN n % 5 = 0 THEN 'subjects.listed' WHEN n % 10 = 1 THEN 'case.decided'
        WHEN n % 10 = 2 THEN 'picture.viewed' WHEN n % 10 = 3 THEN 'subject.named' ELSE 'subject.viewed' END,
    CASE WHEN n % 50000 = 49999 THEN 'audit' WHEN n % 5 = 0 THEN 'subjects' WHEN n % 10 IN (1, 2) THEN 'case' ELSE 'subject' END) w (action, kind)
""",
    f"""
INSERT INTO terminal_commands (command_id, terminal_id, number, kind, asked_by_sealed, reason_sealed, asked_at, expires_at, sent_at, answered_at,
    verdict)
SELECT md5('command ' || terminal_id), terminal_id, 1, 'diagnose', {_EMPTY}, {_EMPTY}, {_NOW}, {_NOW}, {_NOW}, {_NOW}, 'done'
FROM terminals WHERE terminal_id <> :busy
""",
    f"""
INSERT INTO consents (consent_id, subject_id, text_version, text_sha256, language, way, given_at, witness_sealed, recorded_at, withdrawn_at)
SELECT md5('consent ' || n), {_who("17 * n")}, '1', 'x', 'zh', 'terminal', at, {_EMPTY}, at, CASE WHEN n % 60 = 0 THEN {_NOW} END
FROM generate_series(1, 300000 %many) AS n, LATERAL (SELECT {_NOW} - make_interval(mins => CAST(n AS integer)) AS at) a
""",
    f"""
INSERT INTO withdrawals (withdrawal_id, subject_id, withdrawn_at, other_way, references_erased, cards_revoked, officer_sealed)
SELECT md5(consent_id), subject_id, withdrawn_at, 'home_visit', 1, 0, {_EMPTY} FROM consents WHERE withdrawn_at IS NOT NULL
""",
    f"""
INSERT INTO partners (partner_id, name, kind, scopes, per_minute, valid_until, added_at)
SELECT 'partner-' || n, 'Partner ' || n, 'city', ARRAY['status:read', 'webhooks:manage'], 60, {_TODAY} + 300, {_NOW} FROM generate_series(1, 60) AS n
""",
    f"""
INSERT INTO webhooks (webhook_id, partner_id, url, events, secret_sealed, added_at)
SELECT 'hook-' || n, 'partner-' || n, 'https://partner.example/' || n, ARRAY['status.changed'], {_EMPTY}, {_NOW}
FROM generate_series(1, 60) AS n
""",
    f"""
INSERT INTO webhook_messages (message_id, webhook_id, subject_id, event, payload, delivered_at, dead_at, tries)
SELECT md5('hook message ' || n), 'hook-' || n % 60 + 1, {_who("19 * n")}, 'status.changed', '{{}}', CASE WHEN n % 50 > 1 THEN {_NOW} END,
    CASE WHEN n % 50 = 1 THEN {_NOW} END, 1 FROM generate_series(1, 200000 %many) AS n
""",
    f"""
INSERT INTO special_persons (subject_id, reason, review_on, marked_at)
SELECT {_who("23 * n")}, 'disabled', {_TODAY} + CAST(n % 300 AS integer), {_NOW} FROM generate_series(1, 20000 %many) AS n
""",
)
