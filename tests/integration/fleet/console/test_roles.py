"""Every route of the console by every role, against one table: `routes.csv`.

A cell is empty (refused), `yes` (allowed, even to whoever has the role in one area only), or `whole` (for the role in the whole fleet).
What takes no role has one word in all its cells: `any` (for whoever is signed in) or `open` (for everybody, signed in or not).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Match

from fleet.accounts.roles import FLEET_WIDE_ROLES, Role
from fleet.app import Fleet
from fleet.service import console_of

pytestmark = pytest.mark.integration
TABLE = Path(__file__).with_name("routes.csv")
OPEN = {"/static/{digest}/{name}"}
"""Served to everybody."""


def table() -> dict[tuple[str, str], dict[str, str]]:
    with TABLE.open(encoding="utf-8") as lines:
        return {(row.pop("method"), row.pop("path")): row for row in csv.DictReader(lines)}


def in_order(office: Any) -> list[APIRoute]:
    app = console_of(Fleet(office.settings, office.keys, office.database, office.clock))
    return [
        route
        for included in app.routes
        for route in (included, *getattr(getattr(included, "original_router", None), "routes", ()))
        if isinstance(route, APIRoute) and route.path not in OPEN
    ]


def routes(office: Any) -> set[tuple[str, str]]:
    return {(method, route.path) for route in in_order(office) for method in route.methods - {"HEAD"}}


def words(row: dict[str, str]) -> set[str]:
    return set(row.values())


def ask(client: Any, method: str, path: str) -> int:
    address = re.sub(r"\{[^}]*\}", "nobody-here", path)
    answer = client.get(address) if method == "GET" else client.send_form(address)
    assert answer.status_code < 500, (method, path)
    return int(answer.status_code)


def test_the_table_has_every_route_and_no_other(office: Any) -> None:
    assert set(table()) == routes(office)
    for place, row in table().items():
        assert set(row) == set(Role)
        assert words(row) <= {"", "yes", "whole"} or words(row) in ({"any"}, {"open"}), place


def test_no_route_stands_before_another_one_that_is_meant(office: Any) -> None:
    order = in_order(office)
    for route in order:
        for method in route.methods - {"HEAD"}:
            scope = {"type": "http", "method": method, "path": example(route.path)}
            first = next(each for each in order if each.matches(scope)[0] is Match.FULL)
            assert first.path == route.path


def example(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "nobody-here", path)


@pytest.mark.parametrize(
    ("role", "area"),
    [(role, area) for area in (None, "east") for role in Role if area is None or role not in FLEET_WIDE_ROLES],
)
def test_every_route_is_open_to_whom_the_table_says(
    office: Any, sign_in: Callable[..., Any], role: Role, area: str | None
) -> None:
    client = sign_in(role, area=area)
    wrong = []
    for (method, path), row in table().items():
        if words(row) in ({"any"}, {"open"}):
            continue
        status = ask(client, method, path)
        may = row[role] == "yes" or (row[role] == "whole" and area is None)
        if (status != 403) != may:
            wrong.append(f"{method} {path}: {status}")
    assert not wrong, "\n".join(wrong)


def test_somebody_without_a_role_sees_what_takes_none(office: Any, sign_in: Callable[..., Any]) -> None:
    wrong = []
    client = sign_in(name="nobody's")
    for (method, path), row in table().items():
        status = ask(client, method, path)
        if (status not in (401, 403)) != (words(row) == {"any"}) and words(row) != {"open"}:
            wrong.append(f"{method} {path}: {status}")
        if method == "POST" and words(row) in ({"any"}, {"open"}):
            # It may have ended the session.
            client = sign_in(name=f"after {path}")
    assert not wrong, "\n".join(wrong)


def test_nobody_who_is_not_signed_in_gets_past_signing_in(office: Any, web: Any) -> None:
    for (method, path), row in table().items():
        answer = web.request(method, re.sub(r"\{[^}]*\}", "nobody-here", path), headers={"Authorization": ""})
        if words(row) == {"open"}:
            assert answer.status_code in (200, 303, 401), (method, path)
        elif method == "GET":
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in"), path
        else:
            assert answer.status_code == 401, path
            assert 'action="/sign-in"' in answer.text, path
