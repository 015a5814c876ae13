"""The console and the open interface on the real database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

import fleet.web
from fleet.app import Fleet
from fleet.intake.people_table import read_rows
from fleet.intake.subjects import import_rows
from fleet.service import WebServer, make_web
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate
from protocol.envelope import sign
from protocol.outcomes import Outcome, Reason
from protocol.presence import PRESENCE_TYP, OutboxCounts, PictureCounts, Presence
from protocol.topics import Kind

pytestmark = pytest.mark.integration


@pytest.fixture
def open_web(free_ports: Callable[[], int]) -> Iterator[Callable[..., httpx.Client]]:
    """Serve a fleet's pages and give a client for them: `open_web(office, broker_state)`."""
    opened: list[tuple[WebServer, httpx.Client]] = []

    def serve(office: Any, broker: str = "connected") -> httpx.Client:
        port = free_ports()
        whole = Fleet(office.settings, office.keys, office.database, office.clock)
        server = WebServer(make_web(whole, broker_state=lambda: broker, ingest_state=lambda: "ok"), "127.0.0.1", port)
        server.start()
        headers = {"Authorization": f"Bearer {office.give_key()}"}
        opened.append((server, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, headers=headers)))
        return opened[-1][1]

    yield serve
    for server, client in opened:
        client.close()
        server.stop()
        server.stop()


@pytest.fixture
def web(office: Any, open_web: Callable[..., httpx.Client]) -> httpx.Client:
    return open_web(office)


@pytest.fixture
def busy(office: Any, terminal: Any) -> Any:
    """A fleet with people in every state, a gap and a refused message."""
    office.import_people(3, name="王")
    office.hold_references()
    ids = list(office.people.items())
    passed = {"subject_id": ids[0][0], "token": ids[0][1]}
    late = {"subject_id": ids[1][0], "token": ids[1][1]}
    office.send(terminal, terminal.next(**passed))
    office.send(terminal, terminal.next(**late, at=office.now - timedelta(days=400)))
    decision = terminal.record(**late).decision.model_copy(
        update={"outcome": Outcome.PRESENTATION_ATTACK, "reasons": (Reason.EVIDENCE_FAILED,)}
    )
    office.send(terminal, terminal.next(**late, decision=decision))
    terminal.next()
    office.send(terminal, terminal.next(outcome=Outcome.NO_REFERENCE))
    office.send(terminal, b"nonsense")
    presence = Presence(
        fleet_id="north",
        terminal_id="t-1",
        state="online",
        boot_id="b" * 32,
        connection=1,
        said_at=office.now,
        software="1.0",
        policy_version="2026.11.1",
        roster_version=0,
        outbox=OutboxCounts(pending=7, published=9, acknowledged=31, refused=0),
        pictures=PictureCounts(waiting=5, refused=2),
    )
    office.send(terminal, sign(presence.to_bytes(), key=terminal.signing, typ=PRESENCE_TYP), kind=Kind.PRESENCE)
    return office


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "zh",
            ["认证有效", "已逾期", "未认证", "疑似冒用", "活体检测未通过", "在线", "王1", "缺号", "待传照片", "拒收 2"],
        ),
        (
            "en",
            [
                "certified",
                "overdue",
                "never certified",
                "attack suspected",
                "liveness evidence failed",
                "online",
                "王1",
                "Pictures to come",
                "Refused 2",
            ],
        ),
    ],
)
def test_the_page_shows_people_records_and_terminals(
    busy: Any, web: httpx.Client, language: str, words: list[str]
) -> None:
    answer = web.get("/", params={"lang": language})
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    for word in [*words, "2027-11-20", ">16<", "1.0"]:
        assert word in answer.text
    assert "999999194001" not in answer.text, "document numbers are not shown"


def test_an_unknown_language_gets_the_default(web: httpx.Client) -> None:
    assert '<html lang="zh">' in web.get("/?lang=xx").text


def test_an_empty_fleet_says_what_to_do(web: httpx.Client) -> None:
    text = web.get("/?lang=en").text
    assert "import-subjects" in text
    assert "register-terminal" in text


def test_a_script_in_a_name_stays_text(office: Any, web: httpx.Client) -> None:
    office.import_people(1, name="<script>alert(1)</script>")
    for path in ("/", "/fragment"):
        text = web.get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_name_beyond_the_basic_plane_reaches_the_page_unharmed(
    office: Any, web: httpx.Client, tmp_path: Path
) -> None:
    rare = "\U00020bb7\ue863\u845b\U000e0100"
    heading = "document_number,document_kind,name,area,scheme,category,benefit_start"
    (tmp_path / "people.csv").write_text(
        f"{heading}\n12345678,taiwan_permit,{rare},east,pension,retired,2001-07-01\n", encoding="utf-8"
    )
    rows = read_rows(tmp_path / "people.csv", today=office.now.date())
    import_rows(office.database, office.keys, rows, now=office.now, zone=office.settings.zone())
    assert rare in web.get("/").text
    assert "12345678" not in web.get("/").text


def test_the_live_part_is_the_same_as_in_the_page(busy: Any, web: httpx.Client) -> None:
    assert web.get("/fragment?lang=en").text in web.get("/?lang=en").text


@pytest.mark.parametrize("path", ["/", "/fragment", "/static/console.js", "/api/v1/subjects", "/healthz"])
def test_every_answer_carries_a_strict_policy(web: httpx.Client, path: str) -> None:
    answer = web.get(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_comes_from_another_host_and_no_script_or_style_stands_in_the_page(web: httpx.Client) -> None:
    here = Path(fleet.web.__file__).parent
    for file in [*here.glob("templates/*"), *here.glob("static/*")]:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text
        assert "https:" not in text
        assert " style=" not in text
        assert not re.search(r" on[a-z]+=", text)
    page = web.get("/").text
    for source in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert web.get(source).status_code == 200


def test_another_host_name_is_refused(web: httpx.Client) -> None:
    assert web.get("/", headers={"host": "evil.example"}).status_code == 400


def test_subjects_are_served_by_pages_without_names(busy: Any, web: httpx.Client) -> None:
    first = web.get("/api/v1/subjects", params={"limit": 2}).json()
    second = web.get("/api/v1/subjects", params={"limit": 2, "after": first["next"]}).json()
    subjects = first["subjects"] + second["subjects"]
    assert second["next"] is None
    assert {subject["subject_id"] for subject in subjects} == set(busy.people)
    assert sorted(subject["state"] for subject in subjects) == ["certified", "never_certified", "overdue"]
    assert "王" not in json.dumps(subjects, ensure_ascii=False)


@pytest.mark.parametrize("name", ["after", "area"])
def test_what_the_database_cannot_take_is_answered_as_wrong(web: httpx.Client, name: str) -> None:
    assert web.get("/api/v1/subjects?" + name + "=%00").status_code == 422


def test_a_name_that_does_not_open_takes_no_page_away(busy: Any, web: httpx.Client) -> None:
    with busy.database.begin() as connection:
        connection.execute(
            text("UPDATE subjects SET name_sealed = 'x' WHERE subject_id = (SELECT min(subject_id) FROM subjects)")
        )
    page = web.get("/")
    assert page.status_code == 200
    assert "\N{REPLACEMENT CHARACTER}" in page.text


def test_a_fault_of_our_own_has_the_headers_too(office: Any, web: httpx.Client) -> None:
    with office.database.begin() as connection:
        connection.execute(text("DROP TABLE statuses"))
    answer = web.get("/")
    assert answer.status_code == 500
    assert "Content-Security-Policy" in answer.headers


def test_a_fragment_is_the_same_as_long_as_nothing_happened(busy: Any, web: httpx.Client) -> None:
    first = web.get("/fragment")
    busy.now += timedelta(seconds=5)
    second = web.get("/fragment")
    assert first.text == second.text
    assert first.headers["Lifecert-Time"]


def test_records_and_terminals_are_served(busy: Any, web: httpx.Client) -> None:
    records = web.get("/api/v1/records", params={"terminal_id": "t-1"}).json()
    assert [record["counter"] for record in records] == [5, 3, 2, 1]
    assert [record["counts"] for record in records] == [False, False, True, True]
    assert records[1]["reasons"] == ["evidence_failed"]
    (terminal,) = web.get("/api/v1/terminals").json()
    assert terminal["gaps"] == [[4, 4]]
    assert (terminal["outbox_pending"], terminal["quarantined"], terminal["state"]) == (7, 1, "online")
    assert (terminal["pictures_waiting"], terminal["pictures_refused"]) == (5, 2)
    person = next(iter(busy.people))
    assert len(web.get("/api/v1/records", params={"subject_id": person}).json()) == 1


def test_the_evidence_of_a_record_is_served_in_words(busy: Any, web: httpx.Client) -> None:
    record_id = web.get("/api/v1/records", params={"terminal_id": "t-1"}).json()[-1]["record_id"]
    found = web.get(f"/api/v1/records/{record_id}/evidence", params={"language": "en"}).json()
    depth = next(one for one in found if one["kind"] == "planarity")
    assert (depth["status"], depth["score"]) == ("passed", depth["threshold"])
    assert "all_right" in depth["sentence"]
    assert depth["measures"][0] == "frames turned far enough: 3"
    in_chinese = web.get(f"/api/v1/records/{record_id}/evidence").json()
    assert in_chinese[0]["kind"] == found[0]["kind"]
    assert web.get(f"/api/v1/records/{'0' * 32}/evidence").status_code == 404
    assert web.get(f"/api/v1/records/{record_id}/evidence", params={"language": "fr"}).status_code == 422


@pytest.mark.parametrize("query", ["limit=0", "limit=100000", "subject_id=%27;DROP"])
def test_unusable_questions_are_refused(web: httpx.Client, query: str) -> None:
    assert web.get(f"/api/v1/records?{query}").status_code == 422


@pytest.mark.parametrize(("broker", "status"), [("connected", 200), ("not run here", 200), ("disconnected", 503)])
def test_health_tells_of_the_broker(office: Any, open_web: Any, broker: str, status: int) -> None:
    answer = open_web(office, broker).get("/healthz")
    assert answer.status_code == status
    assert answer.json() == {"database": "ok", "broker": broker, "ingest": "ok"}


def test_without_a_database_there_is_a_page_that_says_so_once_in_the_log(
    make_data_dir: Callable[[], Path], make_office: Any, open_web: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = EmbeddedDatabase(make_data_dir())
    database = Database(server.start())
    migrate(database)
    office = make_office(database)
    client = open_web(office)
    assert client.get("/").status_code == 200
    server.stop()
    for _ in range(2):
        answer = client.get("/?lang=en")
        assert answer.status_code == 503
        assert "nothing is lost" in answer.text
    assert client.get("/fragment").status_code == 503
    assert client.get("/api/v1/records").json()["detail"] == "database unavailable"
    assert client.get("/healthz").status_code == 503
    server.start()
    assert client.get("/").status_code == 200
    assert caplog.text.count("database for the console lost") == 1
    assert caplog.text.count("database for the console is back") == 1
    database.close()
    server.stop()
