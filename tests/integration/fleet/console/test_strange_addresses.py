"""Addresses that nobody's page has: every part of every address with values that trip up days, numbers and databases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text

from fleet.accounts.roles import Role
from fleet.app import Fleet
from fleet.audit.log import note
from fleet.service import console_of

pytestmark = pytest.mark.integration
TEMPLATES = Path(__file__).parents[4] / "fleet/web/templates"
STRANGE = (
    "%00",
    "a%00b",
    "9999-12-31",
    "0001-01-01",
    "%ED%A0%80",
    "%F0%9F%98%80",
    "9" * 18,
    "9" * 30,
    "²",
    "٣",
    "x" * 1_500,
    "9999-12-31T23:59:59-14:00|a",
    "0001-01-01T00:00:00+14:00|a",
    ">3652059-a",
    "nan",
)


def addresses(office: Any) -> Iterator[str]:
    app = console_of(Fleet(office.settings, office.keys, office.database, office.clock))
    for included in app.routes:
        for route in (included, *getattr(getattr(included, "original_router", None), "routes", ())):
            if not isinstance(route, APIRoute) or "GET" not in route.methods:
                continue
            plain = re.sub(r"\{[^}]*\}", "nobody-here", route.path)
            for value in STRANGE:
                yield from (f"{plain}?{each.alias}={value}" for each in route.dependant.query_params)
                for name in re.findall(r"\{[^}]*\}", route.path):
                    yield re.sub(r"\{[^}]*\}", "nobody-here", route.path.replace(name, value))


def test_no_part_of_an_address_breaks_a_page(office: Any, sign_in: Callable[..., Any]) -> None:
    office.import_people(3)
    client = sign_in(*Role)
    asked = list(addresses(office))
    assert len(asked) > 1_000
    broken = {address for address in asked if client.get(address).status_code >= 500}
    assert broken == set()


def test_a_name_that_does_not_open_leaves_the_rest_of_the_log_to_be_read(
    office: Any, sign_in: Callable[..., Any]
) -> None:
    with office.database.begin() as connection:
        note(
            connection,
            office.keys.cipher,
            actor="甲",
            action="case.decided",
            object_kind="case",
            object_id="c-1",
            detail={},
            now=office.now,
        )
        # A log that only grows lets nobody alter an entry; a restored database may hold one of another key.
        connection.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE audit_log SET actor_sealed = decode('00', 'hex')"))
        connection.execute(text("ALTER TABLE audit_log ENABLE TRIGGER USER"))
    assert ">c-1<" in sign_in("auditor").get("/audit").text


def test_whoever_asks_for_a_long_name_finds_nobody(office: Any, sign_in: Callable[..., Any]) -> None:
    answer = sign_in("auditor").get("/audit", params={"who": "甲" * 150})
    assert answer.status_code == 200


def test_what_a_page_asks_for_by_itself_keeps_no_session_alive(office: Any, sign_in: Callable[..., Any]) -> None:
    asking = [
        found
        for page in sorted(TEMPLATES.rglob("*.html"))
        for found in re.findall(r'<[^>]*hx-trigger="every[^>]*>', page.read_text(encoding="utf-8"))
    ]
    assert len(asking) >= 3
    assert [each for each in asking if "poll=1" not in each] == []
    client = sign_in("auditor")
    for _ in range(4):
        office.now += timedelta(minutes=20)
        # Counting now is what a person asks for, and keeps it.
        assert client.get("/figures?live=1").status_code == 200
    for _ in range(2):
        office.now += timedelta(minutes=20)
        last = client.get("/figures?poll=1").status_code
    assert last == 401
    assert client.get("/figures?live=1").status_code == 303
