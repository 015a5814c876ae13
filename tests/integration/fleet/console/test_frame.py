"""What all pages of the console have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

import fleet.web
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate

pytestmark = pytest.mark.integration
HERE = Path(fleet.web.__file__).parent


def test_a_language_asked_for_is_kept_and_an_unknown_one_gets_the_browsers(sign_in: Callable[..., Any]) -> None:
    client = sign_in("auditor", language="en-GB,zh;q=0.5")
    assert '<html lang="en">' in client.get("/audit").text
    assert '<html lang="en">' in client.get("/audit?lang=xx").text
    assert '<html lang="zh">' in client.get("/audit?lang=zh").text
    assert '<html lang="zh">' in client.get("/audit").text


def test_a_page_in_the_other_language_shows_the_same_and_a_refused_form_leads_to_where_it_stood(
    sign_in: Callable[..., Any],
) -> None:
    client = sign_in("fleet_administrator")
    assert 'href="/audit?action=case&amp;lang=zh"' in client.get("/audit?action=case").text
    answer = client.send_form(
        "/accounts/new", {}, headers={"Referer": f"{str(client.base_url).rstrip('/')}/accounts/new?x=1"}
    )
    assert answer.status_code == 422
    assert 'href="/accounts/new?x=1&amp;lang=zh"' in answer.text
    elsewhere = client.send_form("/accounts/new", {}, headers={"Referer": "https://evil.example/accounts/new"})
    assert 'href="/?lang=zh"' in elsewhere.text


@pytest.mark.parametrize("path", ["/audit", "/nothing-here", "/api/v1/subjects", "/healthz", "/slip"])
def test_every_answer_carries_a_strict_policy(
    office: Any, open_web: Callable[..., Any], sign_in: Callable[..., Any], path: str
) -> None:
    client = open_web(office) if path.startswith(("/api", "/healthz", "/slip")) else sign_in("auditor")
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_comes_from_another_host_and_no_script_or_style_stands_in_a_page() -> None:
    for file in [*HERE.glob("templates/**/*.html"), *HERE.glob("static/**/*.*")]:
        found = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in found, file.name
        assert "https:" not in found, file.name
        assert " style=" not in found, file.name
        assert not re.search(r" on[a-z]+=| hx-on", found), file.name


def test_links_inherit_nothing_of_the_part_that_they_stand_in() -> None:
    parts = [
        found
        for file in HERE.glob("templates/**/*.html")
        for found in re.findall(
            r"<(?:div|nav|section|tbody|ul|p|span)\b[^>]* hx-get=[^>]*>", file.read_text(encoding="utf-8")
        )
    ]
    assert len(parts) >= 5
    assert [found for found in parts if 'hx-disinherit="hx-target hx-swap hx-push-url"' not in found] == []


def test_what_a_page_loads_is_there_and_kept(sign_in: Callable[..., Any]) -> None:
    client = sign_in("auditor")
    sources = re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/audit").text)
    assert {source.rsplit("/", 1)[1] for source in sources} == {
        "icon.svg",
        "console.css",
        "console.js",
        "htmx-2.min.js",
    }
    for source in sources:
        answer = client.get(source)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/000000000000/console.css").status_code == 404
    assert client.get("/audit").headers["cache-control"] == "no-store"


def test_another_host_name_is_refused(web: httpx.Client) -> None:
    assert web.get("/", headers={"host": "evil.example"}).status_code == 400


def test_what_is_not_there_has_a_page_that_says_so(sign_in: Callable[..., Any]) -> None:
    answer = sign_in("auditor").get("/nothing-here")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


def test_a_fault_of_our_own_has_a_page_that_says_so(
    office: Any, sign_in: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    client = sign_in("auditor")
    with office.database.begin() as connection:
        connection.execute(text("DROP TABLE audit_log CASCADE"))
    answer = client.get("/audit", params={"who": "甲"})
    assert answer.status_code == 500
    assert "A fault of ours" in answer.text
    assert "Content-Security-Policy" in answer.headers
    assert "甲" not in caplog.text


def test_without_a_database_there_is_a_page_that_says_so_once_in_the_log(
    make_data_dir: Callable[[], Path], make_office: Any, open_web: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = EmbeddedDatabase(make_data_dir())
    database = Database(server.start())
    migrate(database)
    office = make_office(database)
    client = open_web(office)
    assert client.get("/api/v1/records").status_code == 200
    server.stop()
    for _ in range(2):
        answer = client.get("/audit?lang=en")
        assert answer.status_code == 503
        assert "nothing is lost" in answer.text
    assert client.get("/api/v1/records").json()["detail"] == "database unavailable"
    assert client.get("/healthz").status_code == 503
    server.start()
    assert client.get("/api/v1/records").status_code == 200
    assert caplog.text.count("database for the console lost") == 1
    assert caplog.text.count("database for the open interface lost") == 1
    assert caplog.text.count("database for the open interface is back") == 1
    database.close()
    server.stop()
