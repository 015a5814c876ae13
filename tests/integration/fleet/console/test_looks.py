"""Who looked at a person: every kind of look is found by the person, with what was seen and the reason given."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from fleet.audit.log import entries, note, verify
from fleet.benefits.acts import take_acts
from fleet.cases.catalogue import catalogue
from fleet.cases.desk import Request, open_request
from fleet.cases.files import Role, add_file, check_content, rules_of_case
from fleet.cases.machine import Kind
from fleet.cases.opening import Registry
from fleet.store.acts import NewAct
from fleet.store.duplicates import NewHit, add_hits
from fleet.store.life_events import NewLifeEvent, add_life_events
from protocol.documents import check_digit
from protocol.rules.acts import ActKind, Channel
from protocol.rules.life import LifeEventKind

pytestmark = pytest.mark.integration


def number(serial: int) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


@pytest.fixture
def office(database: Any, make_office: Callable[..., Any], feature_program: tuple[str, ...]) -> Any:
    """Two people in the east; the first has a case with a picture, a death reported, and may be the second, too."""
    made = make_office(database, references={"command": feature_program})
    made.import_people(2)
    made.list_since("2020-01-01")
    made.rebuild()
    one, other = made.people
    with database.begin() as connection:
        hit = NewHit(
            "same_face", tuple(sorted((one, other))), score=0.9, threshold=0.75, model_sha256="d" * 64, key_domain="d1"
        )  # type: ignore[arg-type]
        add_hits(connection, [hit], now=made.now)
        event = NewLifeEvent(one, LifeEventKind.DEATH, date(2026, 11, 1), None, "family", "a", False)
        add_life_events(connection, [event], now=made.now)
        act = NewAct(one, ActKind.SPECIAL, Channel.COUNTER, datetime(2026, 11, 2, 4, tzinfo=UTC), "case", "c-1")
        take_acts(connection, [act], now=made.now, zone=made.settings.zone())
    return made


@pytest.fixture
def case_id(office: Any) -> str:
    desk = Registry(office.keys.cipher, office.settings.zone())
    asked = Request(
        Kind.SPECIAL, next(iter(office.people)), catalogue().opened_for[Kind.SPECIAL][0], seen_on=office.now.date()
    )
    with office.database.begin() as connection:
        made = open_request(connection, desk, asked, by="Wu", now=office.now)
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 800, 3), dtype=np.uint8)).save(out, "JPEG")
    for role in (Role.IDENTITY_CARD, Role.WITH_NEWSPAPER):
        checked = check_content(role, out.getvalue(), role, rules_of_case(office.database, made), None)
        add_file(office.database, office.keys, desk, made, role, checked, by="Wu", now=office.now)
    return made


def rows(client: Any, serial: int = 1) -> list[str]:
    """Return the rows of who looked, without markup."""
    page = client.send_form("/privacy/looks", {"who": number(serial)})
    assert page.status_code == 200
    body = page.text.partition("<tbody")[2].partition("</tbody>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in body.split("</tr>")[:-1]]


def test_a_picture_of_a_case_is_a_look_at_its_person_with_which_and_why(
    office: Any, case_id: str, sign_in: Callable[..., Any]
) -> None:
    an = sign_in("reviewer", area="east", name="An")
    typed = {"why": "compare", "words": "the ears"}
    assert an.send_form(f"/cases/{case_id}/pictures/identity_card", typed).status_code == 200
    found = [row for row in rows(sign_in("auditor")) if "opened a picture" in row]
    assert len(found) == 1
    assert "An" in found[0]
    assert "identity card" in found[0].lower()
    assert "to compare the face: the ears" in found[0]
    assert [row for row in rows(sign_in("auditor"), 2) if "picture" in row] == []


def test_why_a_whole_number_was_shown_is_told(office: Any, sign_in: Callable[..., Any]) -> None:
    path = f"/people/{next(iter(office.people))}"
    assert number(1) in sign_in("operator", name="Look").send_form(path, {"reason": "correct_data"}).text
    (found,) = [row for row in rows(sign_in("auditor")) if "saw the whole document number" in row]
    assert "to correct data" in found


def _look_at_case(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    assert sign_in("operator", name="Look").get(f"/cases/{case_id}").status_code == 200


def _look_at_queue(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    assert "甲1" in sign_in("operator", name="Look").get("/cases").text


def _look_at_hit(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    hit = office.rows("SELECT hit_id FROM duplicate_hits")[0].hit_id
    assert sign_in("reviewer", name="Look").get(f"/duplicates/{hit}").status_code == 200


def _look_at_hits(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    assert "甲1" in sign_in("reviewer", name="Look").get("/duplicates").text


def _look_at_person(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    assert sign_in("operator", name="Look").get(f"/people/{next(iter(office.people))}").status_code == 200


def _look_at_people(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    assert "甲1" in sign_in("operator", name="Look").get("/people").text


def _look_at_report(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    event = office.rows("SELECT event_id FROM life_events")[0].event_id
    path = f"/people/{next(iter(office.people))}/reports/{event}"
    assert sign_in("operator", name="Look").get(path).status_code == 200


def _read_letter(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    assert sign_in("operator", name="Look").send_form(f"/cases/{case_id}/letter").status_code == 200


def _look_at_contradiction(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    # The list that leads there is somebody else's look.
    page = sign_in("reviewer", name="Other").get("/exchange/contradictions").text
    path = re.findall(r"/exchange/contradictions/[0-9a-f]{32}", page)[0]
    assert sign_in("reviewer", name="Look").get(path).status_code == 200


def _look_at_contradictions(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    assert "甲1" in sign_in("reviewer", name="Look").get("/exchange/contradictions").text


def _look_at_here(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    assert sign_in("reviewer", name="Look").get(f"/people/{next(iter(office.people))}/here").status_code == 200


def _export(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    typed = {"scope": "area", "whose": "east", "format": "csv"}
    answer = sign_in("fleet_administrator", name="Look").send_form("/exchange/lists-out", typed)
    # Who certified since is not to come.
    assert number(2) in answer.text
    assert number(1) not in answer.text


def _ask_as_partner(office: Any, sign_in: Callable[..., Any], case_id: str) -> None:
    with office.database.begin() as connection:
        detail = {"subjects": sorted(office.people), "asked": 2}
        note(
            connection,
            office.keys.cipher,
            actor="Look",
            action="statuses.viewed",
            object_kind="partner",
            object_id="p",
            detail=detail,
            now=office.now,
        )


@pytest.mark.parametrize(
    ("look", "told"),
    [
        (_look_at_person, "looked at the person"),
        (_look_at_people, "saw the name in a list"),
        (_look_at_case, "looked at the case"),
        (_look_at_queue, "saw the name in the list of cases"),
        (_look_at_hit, "looked at a suspected duplicate"),
        (_look_at_hits, "saw the name in the list of duplicates"),
        (_look_at_report, "opened a form about the person"),
        (_look_at_here, "opened a form about the person"),
        (_look_at_contradiction, "looked at a contradiction"),
        (_look_at_contradictions, "saw the name in the list of contradictions"),
        (_read_letter, "read the letter to the person"),
        (_ask_as_partner, "another system asked where many stand"),
    ],
)
def test_every_kind_of_look_is_found_by_the_person(
    office: Any, case_id: str, sign_in: Callable[..., Any], look: Callable[..., None], told: str
) -> None:
    auditor = sign_in("auditor", name="Asks")
    assert [row for row in rows(auditor) if "Look" in row] == []
    look(office, sign_in, case_id)
    found = [row for row in rows(auditor) if "Look" in row]
    assert found
    assert all(told in row for row in found)


def test_who_took_a_list_away_that_names_somebody_is_told(
    office: Any, case_id: str, sign_in: Callable[..., Any]
) -> None:
    auditor = sign_in("auditor", name="Asks")
    _export(office, sign_in, case_id)
    (found,) = [row for row in rows(auditor, 2) if "Look" in row]
    assert "took a list of who is to certify" in found
    # Who was on the list at all is whoever is told.
    assert [row for row in rows(auditor, 1) if "Look" in row] == []


def test_every_action_of_the_log_about_a_person_has_a_word_in_both_languages(
    office: Any, case_id: str, sign_in: Callable[..., Any]
) -> None:
    for look in (_look_at_person, _look_at_people, _look_at_case, _look_at_queue, _look_at_hit, _look_at_hits, _export):
        look(office, sign_in, case_id)
    with office.database.begin() as connection:
        actions = {each.action for each in entries(connection)} - {"policy.published"}
    for language in ("zh", "en"):
        client = sign_in("auditor", language=language)
        shown = " ".join([*rows(client), *rows(client, 2)])
        assert not [action for action in actions if action in shown]


def test_whom_an_entry_is_about_is_no_part_of_its_digest_and_goes_with_the_person(office: Any) -> None:
    one, other = office.people
    with office.database.begin() as connection:
        note(
            connection,
            office.keys.cipher,
            actor="Look",
            action="list.made",
            object_kind="list",
            object_id="x",
            about=[one, other, "nobody"],
            reason="why",
            now=office.now,
        )
        assert verify(connection)[0] >= 1
        told = connection.execute(text("SELECT subject_id, reason_sealed FROM audit_about ORDER BY subject_id")).all()
    assert [row.subject_id for row in told] == sorted([one, other])
    assert all(b"why" not in row.reason_sealed for row in told)
