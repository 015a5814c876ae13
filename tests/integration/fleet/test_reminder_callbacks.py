"""Gateways that call back over HTTP."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from fleet.api.receipts import receipts_router
from fleet.errors import Refused
from fleet.reminders.webhook import verify_callback
from fleet.store import reminder_deliveries, reminders
from fleet.store.reminders import NewReminder, steps_proven

pytestmark = pytest.mark.integration

KEY = b"a secret of the gateway"
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
MESSAGE = "ab" * 16


def signed(body: bytes, *, key: bytes = KEY, at: datetime = NOW) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    found = hmac.new(key, stamp.encode() + b"." + body, "sha256").hexdigest()
    return {"X-Lifecert-Timestamp": stamp, "X-Lifecert-Signature": f"sha256={found}"}


class Caller:
    """A gateway that calls back."""

    def __init__(self, office: Any, channel: str) -> None:
        self._app = FastAPI()
        self._app.include_router(
            receipts_router(office.database, {channel: KEY}, zone=office.settings.zone(), clock=office.clock)
        )

    def post(self, path: str, *, content: bytes, headers: dict[str, str]) -> Response:
        async def call() -> Response:
            async with AsyncClient(transport=ASGITransport(self._app), base_url="http://fleet") as client:
                return await client.post(path, content=content, headers=headers)

        return asyncio.run(call())


@pytest.fixture
def client(office: Any) -> Caller:
    return Caller(office, "sms")


@pytest.fixture
def subject(office: Any) -> str:
    """Somebody with a message that a gateway has."""
    office.import_people(1)
    (found,) = office.people
    with office.database.begin() as connection:
        new = NewReminder(found, "due", date(2026, 12, 1), "message", 1, NOW)
        reminders.add_reminders(connection, [new], now=NOW)
        ((reminder_id,),) = connection.exec_driver_sql("SELECT reminder_id FROM reminders").all()
        reminder_deliveries.begin(connection, MESSAGE, reminder_id, "sms", now=NOW)
        reminder_deliveries.accepted(connection, MESSAGE, gateway_id=None, parts=1, cost=0, now=NOW)
        reminders.mark_sent(connection, [reminder_id], now=NOW)
    return str(found)


@pytest.fixture
def post(client: Caller) -> Callable[..., Response]:
    def call(receipts: Any, *, channel: str = "sms", headers: dict[str, str] | None = None) -> Response:
        body = json.dumps({"receipts": receipts}).encode()
        return client.post(f"/hooks/reminders/{channel}", content=body, headers=headers or signed(body))

    return call


def test_feature_81_a_signed_callback_proves_a_delivery(
    office: Any, subject: str, post: Callable[..., Response]
) -> None:
    receipts = [{"message_id": MESSAGE, "state": "delivered"}, {"message_id": "0" * 32, "state": "failed", "code": "x"}]
    answer = post(receipts)
    assert (answer.status_code, answer.json()) == (200, {"delivered": 1, "failed": 0, "repeated": 0, "unknown": 1})
    with office.database.begin() as connection:
        (step,) = steps_proven(connection, subject, date(2026, 11, 20))
        assert (step.step, step.outcome) == ("message", "reached")
        assert steps_proven(connection, subject, date(2026, 11, 21)) == [], "not of before"


def test_a_callback_that_anybody_could_have_sent_is_refused(office: Any, subject: str, client: Caller) -> None:
    body = json.dumps({"receipts": [{"message_id": MESSAGE, "state": "delivered"}]}).encode()
    wrong = [
        {},
        signed(body, key=b"another secret, as long"),
        signed(body + b" "),
        signed(body, at=NOW - timedelta(minutes=6)),
        signed(body, at=NOW + timedelta(minutes=6)),
        {**signed(body), "X-Lifecert-Timestamp": "now"},
    ]
    for headers in wrong:
        assert client.post("/hooks/reminders/sms", content=body, headers=headers).status_code == 401
    assert client.post("/hooks/reminders/wechat", content=body, headers=signed(body)).status_code == 404
    assert office.rows("SELECT state FROM reminders") == [("sent",)]


def test_a_callback_nobody_can_read_is_refused_with_what_is_wrong(client: Caller) -> None:
    for body, problem in (
        (b"{", "Invalid JSON"),
        (b"{}", "receipts"),
        (b'{"receipts": []}', "receipts"),
        (b'{"receipts": [{"message_id": "secret", "state": "lost"}]}', "receipts.0.state"),
    ):
        answer = client.post("/hooks/reminders/sms", content=body, headers=signed(body))
        assert answer.status_code == 422
        assert problem in answer.json()["detail"]
        assert "secret" not in answer.text
    large = b" " * (1024 * 1024 + 1)
    assert client.post("/hooks/reminders/sms", content=large, headers=signed(large)).status_code == 413


def test_another_channels_messages_are_out_of_reach(office: Any, subject: str) -> None:
    body = json.dumps({"receipts": [{"message_id": MESSAGE, "state": "delivered"}]}).encode()
    answer = Caller(office, "wechat").post("/hooks/reminders/wechat", content=body, headers=signed(body))
    assert answer.json()["unknown"] == 1
    assert office.rows("SELECT state FROM reminders") == [("sent",)]


def test_digits_of_other_scripts_are_no_time() -> None:
    with pytest.raises(Refused, match="no time"):
        verify_callback(KEY, "١٢٣", "", b"", now=NOW)
