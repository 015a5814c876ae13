"""The condition of terminals, as SQL: the latest on the terminal's row, and the worst of each hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from protocol.presence import Presence


@dataclass(frozen=True, slots=True)
class HealthHour:
    """The worst of one hour, and the camera's last rate."""

    hour: datetime
    messages: int
    temperature_c: float | None
    throttled: int | None
    """All bits of the hour together (`protocol.health`)."""
    battery_percent: int | None
    disk_free_bytes: int | None
    memory_available_bytes: int | None
    oldest_unconfirmed_s: int | None
    waiting: int
    """Records that the fleet had not answered for."""
    clock_uncertainty_s: float | None
    """None where nothing bounded it in any message of the hour."""
    camera_rate_hz: float | None


def save_health(connection: Connection, presence: Presence, *, now: datetime) -> None:
    """Store what a presence says of its terminal's condition; one that says nothing of it changes nothing."""
    health = presence.health
    if health is None:
        return
    board, running = health.board, health.running
    values = {
        "id": presence.terminal_id,
        "now": now,
        "health": health.model_dump_json(),
        "presence_s": health.link.presence_s,
        "keep_alive_s": health.link.keep_alive_s,
        "temperature_c": board.temperature_c,
        "throttled": board.throttled,
        "battery": board.battery_percent,
        "charging": board.is_charging,
        "disk": board.disk_free_bytes,
        "memory": board.memory_available_bytes,
        "uncertainty_s": health.clock.uncertainty_s,
        "mains_lost": None if running is None else running.is_mains_lost,
        "oldest_s": health.oldest_unconfirmed_s,
        "waiting": presence.outbox.pending + presence.outbox.published,
        "rate": None if running is None else running.camera_rate_hz,
    }
    connection.execute(text(_LATEST), values)
    connection.execute(text(_HOUR), values)


def health_hours(connection: Connection, terminal_id: str, *, since: datetime) -> list[HealthHour]:
    """Return the hours of one terminal from a moment on, the oldest first."""
    rows = connection.execute(
        text(
            "SELECT hour, messages, temperature_c, throttled, battery_percent, disk_free_bytes, memory_available_bytes,"
            " oldest_unconfirmed_s, waiting, clock_uncertainty_s, camera_rate_hz FROM terminal_health"
            " WHERE terminal_id = :id AND hour >= :since ORDER BY hour"
        ),
        {"id": terminal_id, "since": since},
    )
    return [HealthHour(*row) for row in rows]


def forget_hours(connection: Connection, *, before: datetime) -> int:
    """Delete the hours before a moment; return how many."""
    return connection.execute(text("DELETE FROM terminal_health WHERE hour < :before"), {"before": before}).rowcount


_LATEST = """
UPDATE terminals SET health = CAST(:health AS jsonb), health_at = :now, presence_s = :presence_s, keep_alive_s = :keep_alive_s,
    temperature_c = :temperature_c, throttled = :throttled, battery_percent = :battery, is_charging = :charging,
    disk_free_bytes = :disk, clock_uncertainty_s = :uncertainty_s, is_mains_lost = :mains_lost,
    oldest_unconfirmed_at = CAST(:now AS timestamptz) - make_interval(secs => CAST(:oldest_s AS double precision))
WHERE terminal_id = :id
"""
_HOUR = """
INSERT INTO terminal_health AS h (terminal_id, hour, messages, temperature_c, throttled, battery_percent, disk_free_bytes,
    memory_available_bytes, oldest_unconfirmed_s, waiting, clock_uncertainty_s, camera_rate_hz)
VALUES (:id, date_trunc('hour', CAST(:now AS timestamptz)), 1, :temperature_c, :throttled, :battery, :disk, :memory, :oldest_s,
    :waiting, :uncertainty_s, :rate)
ON CONFLICT (terminal_id, hour) DO UPDATE SET messages = h.messages + 1,
    temperature_c = greatest(h.temperature_c, EXCLUDED.temperature_c),
    throttled = coalesce(h.throttled | EXCLUDED.throttled, h.throttled, EXCLUDED.throttled),
    battery_percent = least(h.battery_percent, EXCLUDED.battery_percent),
    disk_free_bytes = least(h.disk_free_bytes, EXCLUDED.disk_free_bytes),
    memory_available_bytes = least(h.memory_available_bytes, EXCLUDED.memory_available_bytes),
    oldest_unconfirmed_s = greatest(h.oldest_unconfirmed_s, EXCLUDED.oldest_unconfirmed_s),
    waiting = greatest(h.waiting, EXCLUDED.waiting),
    clock_uncertainty_s = greatest(h.clock_uncertainty_s, EXCLUDED.clock_uncertainty_s),
    camera_rate_hz = coalesce(EXCLUDED.camera_rate_hz, h.camera_rate_hz)
"""
