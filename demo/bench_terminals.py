"""Twenty thousand terminals for `demo.bench_console`: in every area, in every state, with a week of hours, days that drift, and gaps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from fleet.store.database import Database
from protocol.keys import PrivateKey

BUSY = "t-0"
"""The terminal whose page is asked for; it has records of sessions as well, from `demo.bench_agency`."""
STANDINGS = ("online", "silent", "offline", "never_seen", "suspended", "retired", "decommissioned")
PAGES = (
    *(f"/terminals?state={name}" for name in (*STANDINGS, "wants_somebody", "low_battery", "drift")),
    *(
        "/terminals?area=00",
        "/terminals?area=00-00-00&state=silent",
        "/terminals?part=99",
        "/terminals?after=more-15000",
    ),
    *("/terminals?before=more-15000", f"/terminals/{BUSY}", f"/terminals/{BUSY}/drift", f"/terminals/{BUSY}/people"),
    "/terminals/-/quarantine",
)
"""What is asked about terminals, besides the first page of all of them."""


def add_terminals(database: Database, wanted: int, *, now: datetime) -> None:
    """Add terminals until there are so many, and say of all of them how they are.

    Args:
        database: filled by `demo.bench_agency`.
        wanted: how many there are to be.
        now: when the lists are asked.
    """
    values = {"wanted": wanted, "now": now, "busy": BUSY, "key": PrivateKey.generate().public().model_dump_json()}
    with database.begin() as connection:
        for statement in _STATEMENTS:
            connection.execute(text(statement), values)
        connection.execute(text("ANALYZE"))


_STATEMENTS = (
    """
INSERT INTO terminals (terminal_id, area, signing_key, sealing_key, registered_at)
SELECT 'more-' || number, a.area, '{}', '{}', :now
FROM generate_series(1, :wanted - (SELECT count(*) FROM terminals)) AS number
JOIN (SELECT code AS area, row_number() OVER (ORDER BY code) AS place, count(*) OVER () AS areas FROM areas WHERE level = 5) a
    ON a.place = number % a.areas + 1
""",
    # One in twenty-five is silent, one in fifty each was never seen, is retired, warm, low, or has an old outbox.
    """
UPDATE terminals t SET signing_key = CAST(:key AS jsonb), sealing_key = CAST(:key AS jsonb), software = '0.1.0', roster_have = 1,
    retired_at = CASE WHEN n % 50 = 7 THEN CAST(:now AS timestamptz) END,
    presence_state = CASE WHEN n % 50 = 8 THEN NULL WHEN n % 20 = 3 THEN 'offline' ELSE 'online' END,
    last_record_at = CASE WHEN n % 50 <> 8 THEN CAST(:now AS timestamptz) - interval '1 hour' END,
    last_word_at = CASE WHEN n % 50 <> 8 THEN CAST(:now AS timestamptz) - make_interval(mins => CASE n % 25 WHEN 9 THEN 900 ELSE 0 END)
        END,
    offline_at = CASE WHEN n % 20 = 3 THEN CAST(:now AS timestamptz) - interval '5 hours' END,
    presence_s = 60, keep_alive_s = 30, health_at = :now, temperature_c = CASE WHEN n % 50 = 11 THEN 81 ELSE 50 END, throttled = 0,
    battery_percent = CASE WHEN n % 50 = 12 THEN 9 ELSE 90 END, is_charging = n % 50 <> 12, disk_free_bytes = 9000000000,
    clock_uncertainty_s = 0.4, is_mains_lost = false, outbox_pending = n % 3, outbox_published = 0, outbox_refused = 0,
    oldest_unconfirmed_at = CASE WHEN n % 50 = 13 THEN CAST(:now AS timestamptz) - interval '9 days' END,
    alarms = CASE WHEN n % 100 = 14 THEN 1 ELSE 0 END
FROM (SELECT terminal_id, row_number() OVER (ORDER BY terminal_id) AS n FROM terminals) p WHERE p.terminal_id = t.terminal_id
""",
    """
INSERT INTO terminal_health SELECT :busy, CAST(:now AS timestamptz) - make_interval(hours => number), 6, 50 + number % 9, 0,
    90 - number % 30, 9000000000, 400000000, number * 60, number % 40, 0.4, 14 + number % 3
FROM generate_series(1, 170) AS number
""",
    """
INSERT INTO terminal_days
SELECT :busy, CAST(CAST(:now AS timestamptz) AS date) - number, jsonb_object_agg(name, jsonb_build_array(12, 12 * value))
FROM generate_series(1, 190) AS number, LATERAL (VALUES ('pass_rate', 0.9), ('sharpness', 60 + number % 7),
    ('illumination_uniformity', 50 + number % 5), ('under_exposure_prevention', 80), ('over_exposure_prevention', 70 - number % 9),
    ('dynamic_range', 66), ('light_gain', 0.3), ('capture_s', 31)) AS m (name, value) GROUP BY number
""",
    """
INSERT INTO quarantine (terminal_id, known, kind, reason, sha256, envelope, size, first_at, last_at)
SELECT 'more-' || number / 5, true, 'record', 'malformed', lpad(to_hex(number), 64, '0'), '\\x00', 1, :now, :now
FROM generate_series(1, 100000) AS number
""",
)
