"""The open interface on a real server: who may do what, what other systems certified, and what bad clients are told."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet.app import Fleet
from fleet.audit.log import entries
from fleet.errors import NotFound, Refused
from fleet.partners.credentials import Issuer, check_key, issue_token
from fleet.partners.registry import change_partner, revoke_partner, roll_key
from fleet.partners.webhooks import signed_headers
from fleet.service import WebServer, make_web
from fleet.store.areas import Area, save_areas
from fleet.store.feed_effects import withdraw_acts
from fleet.store.packs import put_in_force, save_proposal
from fleet.store.partners import PartnerKind, Scope
from fleet.store.subjects import Benefit, lock_subjects, save_benefit
from protocol.documents import check_digit
from protocol.envelope import sign
from protocol.rules.pack import parse_pack
from protocol.shipped_packs import shipped_text

pytestmark = pytest.mark.integration


class Served:
    """A fleet with its open interface on a port."""

    def __init__(self, office: Any, port: int) -> None:
        self.office = office
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        whole = Fleet(office.settings, office.keys, office.database, office.clock)
        app = make_web(whole, broker_state=lambda: "connected", ingest_state=lambda: "ok")
        self._server = WebServer(app, "127.0.0.1", port, proxies=office.settings.api.proxies)
        self._server.start()
        self._clients: list[httpx.Client] = []

    def client(self, key: str | None, **options: Any) -> httpx.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        made = httpx.Client(base_url=self.base, trust_env=False, headers=headers, timeout=20, **options)
        self._clients.append(made)
        return made

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        self._server.stop()


@pytest.fixture
def serve(free_ports: Callable[[], int]) -> Iterator[Callable[[Any], Served]]:
    made: list[Served] = []

    def start(office: Any) -> Served:
        made.append(Served(office, free_ports()))
        return made[-1]

    yield start
    for each in made:
        each.stop()


@pytest.fixture
def peopled(office: Any) -> Any:
    office.import_people(3)
    return office


@pytest.fixture
def served(peopled: Any, serve: Callable[[Any], Served]) -> Served:
    return serve(peopled)


@pytest.fixture
def client(served: Served) -> httpx.Client:
    return served.client(served.office.give_key())


def number(serial: int) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


def person(serial: int = 1) -> dict[str, Any]:
    return {"document": {"kind": "resident_id", "number": number(serial)}}


def certification(**changes: Any) -> dict[str, Any]:
    return {
        "id": "c-1",
        "person": person(),
        "modality": "face",
        "channel": "app",
        "certified_at": "2026-11-20T09:00:00+08:00",
        "liveness": True,
        "comparison": "match",
        **changes,
    }


def put_pack_in_force(office: Any, pack_id: str, *, without: str | None = None) -> None:
    """Put a shipped pack in force, or one like it that does not take a kind of act."""
    written = shipped_text(pack_id)
    if without is not None:
        written = written.replace(f', "{without}"', "", 1)
    pack = parse_pack(written)
    with office.database.begin() as connection:
        save_proposal(connection, pack, written, "0" * 64, now=office.now)
        put_in_force(connection, pack.pack_id, pack.version, b"signed", now=office.now)


def give_benefit(office: Any, scheme: str, region: str, category: str, started: date, subject: int = 0) -> str:
    subject_id = list(office.people)[subject]
    with office.database.begin() as connection:
        save_benefit(connection, subject_id, Benefit(scheme, region, category, started))
    office.rebuild()
    return subject_id


def actions(office: Any) -> list[tuple[str, str, str]]:
    with office.database.begin() as connection:
        return [(entry.action, entry.object_kind, entry.object_id) for entry in entries(connection)]


# Who may do what.


@pytest.mark.parametrize(
    "path",
    [
        "subjects",
        "records",
        "terminals",
        "records/ab/evidence",
        "statistics",
        "webhooks",
        f"certifications/{'0' * 32}",
        "no-such",
    ],
)
@pytest.mark.parametrize("header", [None, "Bearer lck_000000000000_" + "A" * 43, "Bearer x.y.z", "Basic abc", "Bearer"])
def test_without_a_credential_nothing_is_answered(served: Served, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = served.client(None).get(f"/api/v1/{path}", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthorized"


def test_health_and_description_ask_for_no_credential(served: Served) -> None:
    assert served.client(None).get("/healthz").status_code == 200
    assert served.client(None).get("/openapi.json").status_code == 200


def test_a_key_is_worth_what_its_scopes_are(served: Served) -> None:
    key = served.office.give_key(Scope.STATUS_READ)
    client = served.client(key)
    assert client.get("/api/v1/subjects").status_code == 200
    for method, path, body in [
        ("GET", "/api/v1/records", None),
        ("GET", "/api/v1/statistics", None),
        ("POST", "/api/v1/certifications", certification()),
        ("POST", "/api/v1/webhooks", {"url": "https://a.example/", "events": ["status.changed"]}),
    ]:
        answer = client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


def test_other_rights_hold_from_the_next_request_on(served: Served) -> None:
    office = served.office
    client = served.client(office.give_key(Scope.STATUS_READ))
    change_partner(
        office.database, office.keys.cipher, "own-tool", by="tester", now=office.now, scopes=[Scope.STATISTICS_READ]
    )
    assert client.get("/api/v1/subjects").status_code == 403
    assert client.get("/api/v1/statistics").json()["people"] == 3


def test_a_revoked_partner_is_refused_at_once_with_key_and_token(served: Served) -> None:
    office = served.office
    key = office.give_key()
    token = buy(served, key).json()["access_token"]
    for credential in (key, token):
        assert served.client(credential).get("/api/v1/subjects").status_code == 200
    revoke_partner(office.database, office.keys.cipher, "own-tool", by="tester", now=office.now)
    for credential in (key, token):
        assert served.client(credential).get("/api/v1/subjects").status_code == 401
    with pytest.raises(NotFound, match="none of this id in service"):
        revoke_partner(office.database, office.keys.cipher, "own-tool", by="tester", now=office.now)
    assert [action for action, _, _ in actions(office)][-1] == "partner.revoked"


def test_a_partner_ends_with_its_last_day(served: Served) -> None:
    client = served.client(served.office.give_key(valid_until=date(2026, 11, 20)))
    assert client.get("/api/v1/subjects").status_code == 200
    served.office.now += timedelta(days=1)
    assert client.get("/api/v1/subjects").status_code == 401


def test_a_rolled_key_goes_on_for_the_overlap(served: Served) -> None:
    office = served.office
    old = office.give_key()
    new = roll_key(
        office.database, office.keys.cipher, "own-tool", overlap=timedelta(hours=2), by="tester", now=office.now
    )
    office.now += timedelta(hours=1)
    assert served.client(old).get("/api/v1/subjects").status_code == 200
    office.now += timedelta(hours=1)
    assert served.client(old).get("/api/v1/subjects").status_code == 401
    assert served.client(new).get("/api/v1/subjects").status_code == 200


def test_a_key_is_nowhere_in_the_database(peopled: Any) -> None:
    secret = peopled.give_key().rpartition("_")[2]
    (row,) = peopled.rows("SELECT k::text || p::text AS all FROM partner_keys k JOIN partners p USING (partner_id)")
    assert secret not in row.all


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"partner_id": "X"}, "3 to 40"),
        ({"areas": ["mars"]}, "not in the tree of areas: mars"),
        ({"areas": []}, "one area at least"),
        ({"per_minute": 0}, "1 to 100000"),
        ({"partner_id": "taken"}, "there is one of this id"),
    ],
)
def test_a_partner_that_cannot_be_is_refused(office: Any, changes: dict[str, Any], says: str) -> None:
    with office.database.begin() as connection:
        save_areas(connection, [Area("33", None, 1, "north")])
    office.give_key(partner_id="taken")
    with pytest.raises(Refused, match=says):
        office.give_key(**changes)


# Access tokens.


def buy(served: Served, key: str, client_id: str = "own-tool", **form: str) -> httpx.Response:
    basic = base64.b64encode(f"{client_id}:{key}".encode()).decode()
    data = {"grant_type": "client_credentials", **form}
    return served.client(None).post("/api/v1/oauth/token", data=data, headers={"Authorization": f"Basic {basic}"})


def test_a_token_is_bought_by_header_or_form_and_ends_after_minutes(served: Served) -> None:
    key = served.office.give_key()
    by_header = buy(served, key)
    form = {"grant_type": "client_credentials", "client_id": "own-tool", "client_secret": key}
    by_form = served.client(None).post("/api/v1/oauth/token", data=form)
    for answer in (by_header, by_form):
        assert answer.headers["cache-control"] == "no-store"
        token = answer.json()
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 900)
        assert served.client(token["access_token"]).get("/api/v1/subjects").status_code == 200
    served.office.now += timedelta(minutes=15, seconds=1)
    answer = served.client(by_header.json()["access_token"]).get("/api/v1/subjects")
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_may_do_less_than_its_key_and_never_more(served: Served) -> None:
    key = served.office.give_key(Scope.STATUS_READ, Scope.STATISTICS_READ)
    token = buy(served, key, scope="status:read").json()
    assert token["scope"] == "status:read"
    client = served.client(token["access_token"])
    assert client.get("/api/v1/subjects").status_code == 200
    assert client.get("/api/v1/statistics").status_code == 403
    refused = buy(served, key, scope="records:read")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


def test_a_token_of_another_fleet_or_another_kind_is_nobodys(served: Served) -> None:
    office = served.office
    key = office.give_key()
    with office.database.begin() as connection:
        caller = check_key(connection, key, now=office.now, zone=office.settings.zone())
    assert caller is not None
    other = Issuer("south", office.keys.signing, timedelta(minutes=5))
    elsewhere = issue_token(other, caller, caller.scopes, now=office.now)
    claims = json.loads(base64.urlsafe_b64decode(elsewhere.split(".")[1] + "=="))
    slip = sign(json.dumps(claims).encode(), key=office.keys.signing, typ="receipt").decode()
    for token in (elsewhere, slip):
        assert served.client(token).get("/api/v1/subjects").status_code == 401


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_secret": "x"}, 400, "invalid_request"),
        ({"scope": "everything"}, 400, "invalid_scope"),
    ],
)
def test_a_wrong_question_for_a_token_gets_the_answer_of_the_rfc(
    served: Served, form: dict[str, str], status: int, error: str
) -> None:
    answer = buy(served, served.office.give_key(), **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize("secret", [number(1), number(1)[-6:], number(1)[6:14]])
def test_r5_8_no_part_of_an_identity_number_is_a_key_or_buys_one(served: Served, secret: str) -> None:
    served.office.give_key()
    assert served.client(secret).post("/api/v1/status", json=person()).status_code == 401
    for client_id in ("own-tool", number(1)):
        answer = buy(served, secret, client_id)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_wrong_client_gets_no_token(served: Served) -> None:
    key = served.office.give_key()
    served.office.give_key(partner_id="other-tool")
    for answer in (buy(served, key, "other-tool"), buy(served, key[:-1] + "!"), buy(served, "")):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")


# Certifications of other systems.


def test_r4_23_an_identity_result_of_another_app_certifies_where_the_pack_accepts_it(
    served: Served, client: httpx.Client
) -> None:
    office = served.office
    put_pack_in_force(office, "GZ-2018")
    subject_id = give_benefit(office, "pension", "4401", "retired", date(2001, 7, 1))
    give_benefit(office, "其他养老保险", "4401", "retired", date(2001, 7, 1))
    answer = client.post(
        "/api/v1/certifications",
        json=certification(modality="identity_result", channel="app", certified_at="2026-06-19T10:00:00+08:00"),
    )
    assert answer.status_code == 201
    view = answer.json()
    assert (view["subject_id"], view["counts"], view["reason"]) == (subject_id, True, None)
    assert {pack["pack_id"] for pack in view["packs"] if pack["counts"]} >= {"GZ-2018"}
    (act,) = office.rows("SELECT kind, channel, source, source_id FROM acts")
    assert tuple(act) == ("accepted", "app", "partner:own-tool", "c-1")


def test_of_somebody_whose_benefit_has_ended_no_day_is_told(served: Served, client: httpx.Client) -> None:
    office = served.office
    with office.database.begin() as connection:
        connection.exec_driver_sql("UPDATE benefits SET ended = '2026-09-30'")
    office.rebuild()
    told = client.post("/api/v1/status", json=person())
    view = told.json()
    assert "9999" not in told.text
    assert (view["opens"], view["due"], view["certified_until"]) == (None, None, None)
    assert {(pack["due"], pack["reason"]["en"]) for pack in view["packs"]} == {
        (None, "The benefit has ended; nothing is asked any more.")
    }


@pytest.mark.parametrize("channel", ["pc", "app"])
def test_r4_1_r4_2_what_a_page_on_a_computer_or_an_app_certified_counts(
    served: Served, client: httpx.Client, channel: str
) -> None:
    assert client.post("/api/v1/certifications", json=certification(channel=channel)).json()["counts"] is True
    assert client.post("/api/v1/status", json=person()).json()["state"] == "certified"
    assert [row.channel for row in served.office.rows("SELECT channel FROM acts")] == [channel]


def test_r4_3_r4_4_one_telephone_certifies_any_number_of_people_and_may_be_anybodys(
    served: Served, client: httpx.Client
) -> None:
    for serial in (1, 2, 3):
        sent = certification(id=f"c-{serial}", person=person(serial))
        assert client.post("/api/v1/certifications", json=sent).json()["counts"] is True
    certified = served.office.rows("SELECT DISTINCT subject_id FROM acts")
    assert len(certified) == 3


@pytest.mark.parametrize("modality", ["face", "finger_vein", "palm_vein", "fingerprint"])
def test_r4_24_every_modality_of_the_unified_platform_is_taken(client: httpx.Client, modality: str) -> None:
    view = client.post("/api/v1/certifications", json=certification(modality=modality, channel="bank")).json()
    assert view["counts"] is True
    status = client.post("/api/v1/status", json=person()).json()
    assert (status["state"], status["certified_until"]) == ("certified", "2027-11-20")


def test_r8_13_a_pack_that_accepts_no_other_system_leaves_the_person_where_they_were(
    served: Served, client: httpx.Client
) -> None:
    office = served.office
    put_pack_in_force(office, "LZ-2019", without="accepted")
    subject_id = next(iter(office.people))
    with office.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM benefits")
    give_benefit(office, "工伤保险", "6201", "伤残津贴", date(2019, 1, 1))
    view = client.post("/api/v1/certifications", json=certification()).json()
    assert (view["counts"], view["reason"]) == (False, "not_accepted")
    assert client.post("/api/v1/status", json={"subject_id": subject_id}).json()["state"] == "never_certified"


@pytest.mark.parametrize(
    ("changes", "reason"), [({"liveness": False}, "no_liveness"), ({"comparison": "non_match"}, "no_match")]
)
def test_what_does_not_show_somebody_alive_is_kept_and_certifies_nobody(
    served: Served, client: httpx.Client, changes: dict[str, Any], reason: str
) -> None:
    view = client.post("/api/v1/certifications", json=certification(**changes)).json()
    assert (view["counts"], view["reason"]) == (False, reason)
    assert served.office.rows("SELECT * FROM acts") == []
    assert len(served.office.rows("SELECT * FROM partner_certifications")) == 1


def test_an_earlier_one_that_changes_nothing_says_so(client: httpx.Client) -> None:
    client.post("/api/v1/certifications", json=certification())
    late = certification(id="c-0", certified_at="2026-11-01T09:00:00+08:00")
    view = client.post("/api/v1/certifications", json=late).json()
    assert (view["counts"], view["reason"]) == (False, "not_needed")


def test_the_same_id_is_the_same_certification_and_another_content_is_refused(
    served: Served, client: httpx.Client
) -> None:
    first = client.post("/api/v1/certifications", json=certification()).json()
    # The same moment, written otherwise.
    second = client.post("/api/v1/certifications", json=certification(certified_at="2026-11-20T01:00:00Z")).json()
    assert (second["certification_id"], second["repeated"]) == (first["certification_id"], True)
    third = client.post("/api/v1/certifications", json=certification(modality="fingerprint"))
    assert (third.status_code, third.json()["code"]) == (409, "other_content")
    assert len(served.office.rows("SELECT * FROM acts")) == 1


def test_two_partners_may_use_the_same_id(served: Served) -> None:
    for partner in ("city-a", "city-b"):
        key = served.office.give_key(partner_id=partner)
        assert served.client(key).post("/api/v1/certifications", json=certification()).status_code == 201
    assert len(served.office.rows("SELECT * FROM acts")) == 2


def test_r5_7_the_result_can_be_looked_at_afterwards_by_its_partner_alone(served: Served, client: httpx.Client) -> None:
    made = client.post("/api/v1/certifications", json=certification()).json()
    path = f"/api/v1/certifications/{made['certification_id']}"
    seen = client.get(path).json()
    assert {**seen, "repeated": False} == made
    other = served.client(served.office.give_key(partner_id="other-tool"))
    assert other.get(path).status_code == 404
    assert other.delete(path).status_code == 404


def test_a_withdrawn_certification_leaves_the_person_as_without_it(client: httpx.Client) -> None:
    made = client.post("/api/v1/certifications", json=certification()).json()
    path = f"/api/v1/certifications/{made['certification_id']}"
    first, second = client.delete(path).json(), client.delete(path).json()
    assert (first["counts"], first["reason"]) == (False, "withdrawn")
    assert second == first
    assert client.post("/api/v1/status", json=person()).json()["state"] == "never_certified"
    again = client.post("/api/v1/certifications", json=certification()).json()
    assert (again["reason"], again["repeated"]) == ("withdrawn", True)


def test_a_certification_is_withdrawn_by_partner_and_person_at_once(served: Served, client: httpx.Client) -> None:
    made = client.post("/api/v1/certifications", json=certification()).json()
    office = served.office
    (act_id,) = office.rows("SELECT act_id FROM acts WHERE source LIKE 'partner:%'")[0]
    with ThreadPoolExecutor(1) as pool:
        with office.database.begin() as connection:
            lock_subjects(connection, [made["subject_id"]])
            other = pool.submit(client.delete, f"/api/v1/certifications/{made['certification_id']}")
            office.wait_for_somebody_waiting()
            assert withdraw_acts(connection, [act_id], now=office.now) == {made["subject_id"]}
        assert other.result().status_code == 200


def test_a_batch_stores_what_it_can_and_says_why_not_the_rest(served: Served, client: httpx.Client) -> None:
    items = [
        certification(id="a"),
        certification(id="b", person=person(99)),
        certification(id="c", certified_at="2026-11-21T09:00:00+08:00"),
        certification(id="a"),
        certification(id="a", modality="palm_vein"),
        certification(id="d", person=person(2)),
    ]
    found = client.post("/api/v1/certification-batches", json={"certifications": items}).json()
    assert (found["stored"], found["refused"]) == (3, 3)
    assert [one["problem"]["code"] if one["problem"] else one["status"] for one in found["results"]] == [
        "stored",
        "unknown_person",
        "in_the_future",
        "stored",
        "other_content",
        "stored",
    ]
    assert len(served.office.rows("SELECT * FROM acts")) == 2
    audit = [action for action, _, _ in actions(served.office)]
    assert audit.count("certifications.posted") == 1


def test_a_malformed_batch_is_refused_whole_with_all_errors(served: Served, client: httpx.Client) -> None:
    items = [
        certification(id="a"),
        certification(id="b", person={"document": {"number": "12345"}}),
        certification(id="c", liveness="yes", nonsense=1),
    ]
    answer = client.post("/api/v1/certification-batches", json={"certifications": items})
    assert answer.status_code == 422
    where = {error["pointer"] for error in answer.json()["errors"]}
    assert where == {
        "#/certifications/1/person/document",
        "#/certifications/2/liveness",
        "#/certifications/2/nonsense",
    }
    assert "12345" not in answer.text
    assert served.office.rows("SELECT * FROM partner_certifications") == []


def test_an_id_that_says_who_somebody_is_is_refused(client: httpx.Client) -> None:
    answer = client.post("/api/v1/certifications", json=certification(id=f"x-{number(1)}"))
    assert answer.status_code == 422
    assert number(1) not in answer.text


# Where people stand.


def test_r9_4_status_is_asked_by_document_or_id_and_says_why(served: Served, client: httpx.Client) -> None:
    client.post("/api/v1/certifications", json=certification())
    by_document = client.post("/api/v1/status", json=person()).json()
    by_id = client.post("/api/v1/status", json={"subject_id": by_document["subject_id"]}).json()
    assert by_id == by_document
    (pack,) = by_document["packs"]
    assert (pack["state"], pack["last_day"], pack["due"]) == ("certified", "2026-11-20", "2027-11-20")
    assert "2027-11-20" in pack["reason"]["zh"]
    assert "2027-11-20" in pack["reason"]["en"]
    assert pack["title"]["zh"]


def test_r4_11_a_family_page_asks_for_several_people_at_once(served: Served, client: httpx.Client) -> None:
    found = client.post("/api/v1/status-batches", json={"people": [person(2), person(99), person(1)]}).json()["results"]
    ids = list(served.office.people)
    assert [one["standing"]["subject_id"] if one["found"] else None for one in found] == [ids[1], None, ids[0]]
    assert client.post("/api/v1/status-batches", json={"people": [person()] * 101}).status_code == 422


def test_nobody_outside_a_partners_areas_can_be_told_from_nobody(served: Served) -> None:
    office = served.office
    with office.database.begin() as connection:
        save_areas(
            connection,
            [
                Area("33", None, 1, "p"),
                Area("3305", "33", 2, "c"),
                Area("3306", "33", 2, "d"),
                Area("east", "3305", 3, "e"),
            ],
        )
    give = {"kind": PartnerKind.CITY}
    inside = served.client(office.give_key(partner_id="inside", areas=["3305"], **give))
    outside = served.client(office.give_key(partner_id="outside", areas=["3306"], **give))
    assert inside.post("/api/v1/status", json=person()).status_code == 200
    assert len(inside.get("/api/v1/subjects").json()["subjects"]) == 3
    assert inside.get("/api/v1/statistics", params={"area": "33"}).json()["people"] == 3
    unknown = outside.post("/api/v1/status", json=person(99))
    hidden = outside.post("/api/v1/status", json=person())
    assert (hidden.status_code, hidden.json()) == (unknown.status_code, unknown.json())
    assert hidden.status_code == 404
    assert outside.post("/api/v1/certifications", json=certification()).status_code == 404
    assert outside.get("/api/v1/subjects").json() == {"subjects": [], "next": None}
    assert outside.get("/api/v1/statistics").json()["people"] == 0
    assert outside.get("/api/v1/statistics", params={"area": "east"}).json()["people"] == 0


def test_records_and_terminals_outside_a_partners_areas_are_not_shown(
    served: Served, make_fleet_terminal: Callable[..., Any]
) -> None:
    office = served.office
    terminal = make_fleet_terminal()
    office.register(terminal)
    office.hold_references()
    subject_id, token = next(iter(office.people.items()))
    office.send(terminal, terminal.next(subject_id=subject_id, token=token))
    near = served.client(office.give_key(partner_id="near", areas=["east"], kind=PartnerKind.CITY))
    far = served.client(office.give_key(partner_id="far", areas=["west"], kind=PartnerKind.CITY))
    (record,) = near.get("/api/v1/records").json()
    assert [line["terminal_id"] for line in near.get("/api/v1/terminals").json()] == ["t-1"]
    path = f"/api/v1/records/{record['record_id']}/evidence"
    assert near.get(path).status_code == 200
    assert far.get("/api/v1/records").json() == []
    assert far.get("/api/v1/terminals").json() == []
    assert far.get(path).status_code == 404


def test_counts_are_those_of_the_rules_on_every_day(served: Served) -> None:
    client = served.client(served.office.give_key(valid_until=date(2030, 1, 1)))
    client.post("/api/v1/certifications", json=certification(certified_at="2026-01-15T09:00:00+08:00"))
    office = served.office
    for days in range(0, 100, 7):
        office.now += timedelta(days=days)
        lines = client.get("/api/v1/subjects").json()["subjects"]
        states = client.get("/api/v1/statistics").json()["states"]
        assert states == {state: sum(line["state"] == state for line in lines) for state in {x["state"] for x in lines}}


def test_every_look_and_change_is_in_the_audit_log(served: Served, client: httpx.Client) -> None:
    subject_id = client.post("/api/v1/status", json=person()).json()["subject_id"]
    made = client.post("/api/v1/certifications", json=certification()).json()
    client.get(f"/api/v1/certifications/{made['certification_id']}")
    client.delete(f"/api/v1/certifications/{made['certification_id']}")
    client.post("/api/v1/status-batches", json={"people": [person()]})
    client.get("/api/v1/subjects")
    assert actions(served.office)[1:] == [
        ("status.viewed", "subject", subject_id),
        ("certification.posted", "subject", subject_id),
        ("certification.viewed", "subject", subject_id),
        ("certification.withdrawn", "subject", subject_id),
        ("statuses.viewed", "partner", "own-tool"),
        ("subjects.listed", "partner", "own-tool"),
    ]


def test_a_report_is_stored_once_and_is_no_confirmation(served: Served, client: httpx.Client) -> None:
    events = [
        {"id": "d-1", "person": person(), "kind": "hospital", "since": "2026-11-02", "until": "2026-11-09"},
        {"id": "d-2", "person": person(99), "kind": "death", "since": "2026-11-02"},
    ]
    assert client.post("/api/v1/life-events", json={"events": events}).json() == {"new": 1, "unknown": ["d-2"]}
    assert client.post("/api/v1/life-events", json={"events": events}).json() == {"new": 0, "unknown": ["d-2"]}
    (row,) = served.office.rows("SELECT kind, source, source_id, confirmed FROM life_events")
    assert tuple(row) == ("hospital", "partner:own-tool", "d-1", False)


@pytest.mark.parametrize("changes", [{"since": "2026-11-22"}, {"until": "2026-11-01"}, {"kind": "wedding"}])
def test_a_report_that_cannot_be_is_refused(served: Served, client: httpx.Client, changes: dict[str, str]) -> None:
    event = {"id": "d-1", "person": person(), "kind": "hospital", "since": "2026-11-02", **changes}
    answer = client.post("/api/v1/life-events", json={"events": [event]})
    assert answer.status_code == 422
    assert served.office.rows("SELECT * FROM life_events") == []


# Bad clients.


def test_the_same_request_twice_has_one_effect_and_one_answer(served: Served, client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = client.post("/api/v1/certifications", json=certification(), headers=headers)
    client.delete(f"/api/v1/certifications/{first.json()['certification_id']}")
    second = client.post("/api/v1/certifications", json=certification(), headers=headers)
    assert (second.status_code, second.text) == (first.status_code, first.text)
    assert second.headers["idempotency-replayed"] == "true"
    other = client.post("/api/v1/certifications", json=certification(id="c-2"), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(served.office.rows("SELECT * FROM partner_certifications")) == 1
    served.office.now += timedelta(hours=25)
    assert client.post("/api/v1/certifications", json=certification(id="c-2"), headers=headers).status_code == 201


def test_the_same_request_at_the_same_moment_has_one_effect(served: Served, client: httpx.Client) -> None:
    answers: list[httpx.Response] = []
    key = served.office.give_key(partner_id="hasty")

    def send() -> None:
        sender = httpx.Client(base_url=served.base, trust_env=False, timeout=20)
        with sender:
            headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k-1"}
            answers.append(sender.post("/api/v1/certifications", json=certification(), headers=headers))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(served.office.rows("SELECT * FROM acts")) == 1


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b'{"id": "c-1', "application/json", 400, "not_json"),
        (b"\xff\xfe", "application/json", 400, "not_json"),
        (b"[" * 100_000, "application/json", 400, "not_json"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "application/json", 400, "not_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "application/json", 400, "not_json"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{}", "", 415, "unsupported_media_type"),
        (b" " * 300_000, "application/json", 413, "too_large"),
        (b"{}", "application/json", 422, "invalid_request"),
        (b"[]", "application/json", 422, "invalid_request"),
        (b'{"\\ud800": 1, "id": "\\u0000"}', "application/json", 422, "invalid_request"),
        (b"", "application/json", 422, "invalid_request"),
    ],
)
def test_a_body_that_cannot_be_used_gets_one_clear_answer(
    client: httpx.Client, content: bytes, content_type: str, status: int, code: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = client.post("/api/v1/certifications", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_one_null_hides_nothing_else_that_is_wrong(client: httpx.Client) -> None:
    posted = {**certification(), "comparison": None, "modality": "nose", "liveness": "yes", "certified_at": "today"}
    answer = client.post("/api/v1/certifications", json=posted)
    assert answer.status_code == 422
    found = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert found.keys() == {"#/comparison", "#/modality", "#/liveness", "#/certified_at"}
    assert found["#/comparison"] == "null is no value: leave it out, or say what it is"


def raw(served: Served, key: str, head: str, body: bytes, *, stays: bool) -> bytes:
    """Send what no HTTP library would, and return what comes back."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        request = f"POST /api/v1/certifications HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        connection.sendall(f"{request}Content-Type: application/json\r\n{head}\r\n\r\n".encode() + body)
        if not stays:
            connection.shutdown(socket.SHUT_WR)
        found = b""
        while part := connection.recv(65536):
            found += part
        return found


@pytest.fixture
def impatient(database: Any, make_office: Callable[..., Any], serve: Callable[[Any], Served]) -> Served:
    office = make_office(database, api={"body_wait_s": 3.0, "failures_per_minute": 3, "concurrent": 2})
    office.import_people(1)
    return serve(office)


def test_half_a_body_holds_nobody_up_and_does_nothing(impatient: Served) -> None:
    key = impatient.office.give_key()
    whole = json.dumps(certification()).encode()
    half = whole[: len(whole) // 2]
    assert b" 408 " in raw(impatient, key, f"Content-Length: {len(whole)}", half, stays=True).split(b"\r\n")[0]
    raw(impatient, key, f"Content-Length: {len(whole)}", half, stays=False)
    raw(impatient, key, "Transfer-Encoding: chunked", b'5\r\n{"id"\r\n', stays=False)
    assert impatient.office.rows("SELECT * FROM partner_certifications") == []
    # None of them still counts as being worked on.
    client = impatient.client(key)
    assert client.post("/api/v1/certifications", json=certification()).status_code == 201


def test_a_body_without_end_is_cut_off(impatient: Served) -> None:
    key = impatient.office.give_key()
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = raw(impatient, key, "Transfer-Encoding: chunked", chunk * 5, stays=True)
    assert b" 413 " in answer.split(b"\r\n")[0]


def test_a_flood_is_told_to_wait_and_others_are_served(served: Served) -> None:
    office = served.office
    flooding = served.client(office.give_key(partner_id="flood", per_minute=20))
    calm = served.client(office.give_key(partner_id="calm"))
    answers = [flooding.get("/api/v1/statistics") for _ in range(30)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 10
    assert answers[0].headers["ratelimit-policy"] == '"partner";q=20;w=60'
    assert answers[0].headers["ratelimit"].startswith('"partner";r=19;t=')
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json()["code"] == "too_many_requests"
    # A flood is not even looked up in the database.
    with office.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE partner_keys RENAME TO elsewhere")
    assert flooding.get("/api/v1/statistics").status_code == 429
    with office.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO partner_keys")
    ended = threading.Event()

    def flood() -> None:
        with httpx.Client(base_url=served.base, trust_env=False, headers=flooding.headers, timeout=60) as sender:
            while not ended.is_set():
                sender.get("/api/v1/statistics")

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        begun = time.monotonic()
        assert [calm.get("/api/v1/statistics").status_code for _ in range(10)] == [200] * 10
        assert time.monotonic() - begun < 60
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_an_address_that_guesses_waits(impatient: Served) -> None:
    guessing = impatient.client("lck_000000000000_" + "A" * 43)
    assert [guessing.get("/api/v1/subjects").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    # Behind a proxy each caller has an address of its own.
    other = impatient.client(impatient.office.give_key())
    assert other.get("/api/v1/subjects", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 200


def test_a_token_is_not_guessed_either(impatient: Served) -> None:
    answers = [buy(impatient, "wrong") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]


def test_an_unknown_address_and_method_are_problems_too(client: httpx.Client) -> None:
    assert client.get("/api/v1/nothing").json()["code"] == "not_found"
    wrong = client.put("/api/v1/webhooks", json={})
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST")


def test_a_public_name_leads_to_the_open_interface_alone(
    database: Any, make_office: Callable[..., Any], serve: Callable[[Any], Served]
) -> None:
    served = serve(make_office(database, api={"public_names": ["fleet.example.org"]}))
    client = served.client(served.office.give_key())
    for headers in ({"Host": "fleet.example.org"}, {"X-Forwarded-For": "192.0.2.7"}, {"Host": "fleet.example.org:443"}):
        assert client.get("/api/v1/subjects", headers=headers).status_code == 200
        assert client.get("/", headers=headers).status_code == 404
        assert client.get("/people", headers=headers).status_code == 404
    assert client.get("/").headers["location"] == "/sign-in"
    assert client.get("/api/v1/subjects", headers={"Host": "other.example.org"}).status_code == 400


def test_the_console_comes_through_a_proxy_under_its_own_name_only(
    database: Any, make_office: Callable[..., Any], serve: Callable[[Any], Served]
) -> None:
    office = make_office(
        database, api={"public_names": ["fleet.example.org"]}, accounts={"url": "https://console.example.org"}
    )
    client = serve(office).client("none")
    proxied = {"X-Forwarded-For": "192.0.2.7"}
    assert client.get("/", headers={"Host": "console.example.org", **proxied}).headers["location"] == "/sign-in"
    assert client.get("/", headers={"Host": "fleet.example.org", **proxied}).status_code == 404


def test_webhooks_are_added_listed_and_ended_by_their_partner(served: Served) -> None:
    client = served.client(served.office.give_key())
    url = f"{served.base}/hook"
    made = client.post("/api/v1/webhooks", json={"url": url, "events": ["status.changed"]})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    (line,) = client.get("/api/v1/webhooks").json()["webhooks"]
    assert (line["url"], line["events"], line["waiting"]) == (url, ["status.changed"], 0)
    assert made.json()["secret"] not in json.dumps(line)
    other = served.client(served.office.give_key(partner_id="other-tool", kind=PartnerKind.CITY))
    path = f"/api/v1/webhooks/{made.json()['webhook_id']}"
    assert other.delete(path).status_code == 404
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    # This machine is for the agency's own programs.
    refused = other.post("/api/v1/webhooks", json={"url": url, "events": ["status.changed"]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/url")


def test_a_partner_has_few_webhooks(client: httpx.Client) -> None:
    form = {"url": "http://127.0.0.1:9/", "events": ["status.changed"]}
    answers = [client.post("/api/v1/webhooks", json=form).status_code for _ in range(11)]
    assert answers == [201] * 10 + [409]


def snippets() -> list[str]:
    page = Path(__file__).parents[3] / "docs" / "interface.md"
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_client_on_the_page_works_as_it_stands_there(served: Served) -> None:
    key = served.office.give_key(Scope.CERTIFICATIONS_WRITE, Scope.STATUS_READ, partner_id="city-b")
    found: dict[str, Any] = {}
    exec(snippets()[0], found)
    client = found["Fleet"](served.base, "city-b", key)
    assert client.status(number(1))["state"] == "never_certified"
    assert client.certified("2026-000123", number(1), "2026-11-20T09:00:00+08:00")["counts"] is True
    assert client.status(number(1))["state"] == "certified"
    client._http.close()


def test_the_check_of_messages_on_the_page_works_as_it_stands_there() -> None:
    found: dict[str, Any] = {}
    exec(snippets()[1], found)
    secret = "whsec_" + base64.b64encode(b"s" * 32).decode()
    sent = datetime(2026, 11, 20, 9, tzinfo=UTC)
    headers = signed_headers(secret, "msg_1", '{"type":"x"}', now=sent)
    at = sent.timestamp()
    assert found["is_genuine"](secret, headers, b'{"type":"x"}', at)
    assert not found["is_genuine"](secret, headers, b'{"type":"y"}', at)
    assert not found["is_genuine"](secret, headers, b'{"type":"x"}', at + 301)


def test_the_description_in_the_documents_is_the_one_that_is_served(served: Served) -> None:
    written = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert served.client(None).get("/openapi.json").json() == written, "run docs/build_openapi.py"
    operations = [one for path in written["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    open_ones = {one["operationId"] for one in operations if not any(one.get("security", [{}]))}
    assert open_ones == {"issue_token", "get_health"}
