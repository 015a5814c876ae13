"""New terminals are let in, broken ones swapped, doubtful ones suspended and judged, from the browser."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fleet.pki.files import make_authority
from fleet.pki.joining import claim_id_of
from fleet.store.areas import Area, save_areas
from fleet.store.certificates import StoredCertificate, add_certificate
from fleet.store.claims import note_asked
from fleet.store.terminals import find_terminals
from protocol.decommissioning import sign_proof
from protocol.provisioning import ProvisioningClaim, shown, typed
from protocol.trust import root_fingerprint, root_in

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]
CLAIMS = "/terminals/-/claims"


@pytest.fixture
def office(office: Any) -> Any:
    """A fleet with two areas, an authority and a door."""
    with office.database.begin() as connection:
        save_areas(
            connection, [Area("all", None, 1, "全省"), Area("east", "all", 2, "东区"), Area("west", "all", 2, "西区")]
        )
    make_authority(office.settings.data_dir / "pki", "north", now=office.now)
    settings = office.settings.model_copy(
        update={"provisioning": office.settings.provisioning.model_copy(update={"port": 8444})}
    )
    office.settings = settings
    return office


@pytest.fixture
def t1(office: Any, terminal: Any) -> Any:
    """A terminal of the east with a certificate."""
    with office.database.begin() as connection:
        certificate = StoredCertificate("ab12", "t-1", "f" * 64, office.now, office.now + timedelta(days=60))
        add_certificate(connection, certificate)
    return terminal


def sure(client: Any, path: str, **fields: str) -> Any:
    """Send a form that asks before, and say yes."""
    asked = client.send_form(path, {**fields, "meant": ""})
    assert asked.status_code == 200, asked.text
    assert 'name="meant" value="yes"' in asked.text
    return client.send_form(path, {**fields, "meant": "yes"})


def claim_in(page: str) -> ProvisioningClaim:
    found = re.search(r"data:application/json;base64,([A-Za-z0-9+/=]+)", page)
    assert found, page
    return ProvisioningClaim.parse(base64.b64decode(found[1]).strip())


def known(office: Any, terminal_id: str = "t-1") -> Any:
    with office.database.begin() as connection:
        return find_terminals(connection, [terminal_id])[terminal_id]


def come(office: Any, claim: ProvisioningClaim, terminal_id: str, board: str | None = None) -> str:
    claim_id = claim_id_of(claim.code)
    with office.database.begin() as connection:
        note_asked(
            connection,
            claim_id,
            terminal_id=terminal_id,
            keys="a" * 64,
            board_serial=board,
            waits_for="approval",
            now=office.now,
        )
    return claim_id


def test_a_claim_is_made_shown_once_and_taken_back(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("area_administrator", area="east", name="Qiao")
    made = client.send_form(CLAIMS, {"area": "东区", "terminal_id": "hall-1", "hours": "5", "people": "yes"})
    assert made.status_code == 200
    claim = claim_in(made.text)
    assert (claim.terminal_id, claim.url, claim.expires_at) == (
        "hall-1",
        f"https://{office.settings.provisioning.names[0]}:8444",
        office.now + timedelta(hours=5),
    )
    assert shown(claim.code) in made.text
    assert typed(shown(claim.code)) == claim.code
    assert claim.url in made.text
    assert shown(root_fingerprint(root_in(claim.root))) in made.text
    assert 'download="hall-1.claim"' in made.text
    listed = client.get(CLAIMS).text
    assert "hall-1" in listed
    assert claim.code not in listed
    assert shown(claim.code) not in listed
    second = client.send_form(CLAIMS, {"area": "东区", "terminal_id": "hall-1"})
    assert (second.status_code, "has an open claim already" in second.text) == (409, True)
    path = f"{CLAIMS}/{claim_id_of(claim.code)}/take-back"
    assert sure(client, path).status_code == 303
    assert "taken back" in client.get(CLAIMS).text
    assert sure(client, path).status_code == 409


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"area": "west"}, "none of yours"),
        ({"area": "east", "terminal_id": "Hall 1"}, "small letters"),
        ({"area": "east", "hours": "many"}, "1 to 720 hours"),
        ({"area": "east", "hours": "9999"}, "1 to 720 hours"),
        ({"area": "east", "terminal_id": "t-1"}, "registered already"),
    ],
)
def test_a_claim_that_cannot_be_is_refused_and_what_was_typed_stays(
    office: Any, t1: Any, sign_in: Callable[..., Any], fields: dict[str, str], said: str
) -> None:
    client = sign_in("area_administrator", area="east")
    answer = client.send_form(CLAIMS, fields)
    assert answer.status_code in (409, 422)
    assert said in answer.text
    assert f'value="{fields["area"]}"' in answer.text
    assert office.rows("SELECT 1 FROM provisioning_claims") == []


def test_who_waits_is_let_in_by_somebody_of_the_area(office: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator", name="Qiao")
    first = come(office, claim_in(client.send_form(CLAIMS, {"area": "east"}).text), "t-1", "10000000abcd")
    office.rows("UPDATE provisioning_claims SET used_at = asked_at, approved_at = asked_at RETURNING 1")
    second = come(
        office, claim_in(client.send_form(CLAIMS, {"area": "east", "wait": "yes"}).text), "t-2", "10000000abcd"
    )
    page = client.get(CLAIMS).text
    assert "t-2" in page
    assert "already serves as terminal t-1" in page
    west = sign_in("area_administrator", area="west")
    assert "t-2" not in west.get(CLAIMS).text
    assert west.send_form(f"{CLAIMS}/{second}/approve", {"meant": "yes"}).status_code == 404
    assert sure(client, f"{CLAIMS}/{second}/approve").status_code == 303
    office.now += timedelta(days=9)
    client = sign_in("fleet_administrator", name="Qiao")
    assert "approved" in client.get(CLAIMS).text
    assert sure(client, f"{CLAIMS}/{first}/approve").status_code == 409


def test_a_terminal_is_swapped_by_a_claim(office: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("area_administrator", area="east", name="Qiao")
    made = client.send_form("/terminals/t-1/swap", {"terminal_id": "t-2"})
    assert made.status_code == 200
    assert "roster of t-1" in made.text
    claim = claim_in(made.text)
    assert office.rows("SELECT replaces, area FROM provisioning_claims") == [("t-1", "east")]
    assert claim.terminal_id == "t-2"
    assert known(office).is_in_service
    assert re.search(r'>t-2</th>(?:(?!</tr>).)*"In place of">t-1</td>', client.get(CLAIMS).text, re.DOTALL)
    office.rows("UPDATE terminals SET retired_at = :now, replaced_by = 't-1' RETURNING 1", now=office.now)
    refused = client.send_form("/terminals/t-1/swap", {"terminal_id": "t-3"})
    assert (refused.status_code, "has the place" in refused.text) == (409, True)
    west = sign_in("area_administrator", area="west")
    assert west.send_form("/terminals/t-1/swap", {"terminal_id": "t-3"}).status_code == 404


def test_a_terminal_is_suspended_judged_and_resumed(office: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("area_administrator", area="east", name="Qiao")
    path = "/terminals/t-1"
    assert client.send_form(f"{path}/suspend", {"version": "0", "reason": ""}).status_code == 422
    form = {"version": "0", "reason": "Its case is open"}
    assert client.send_form(f"{path}/suspend", form).status_code == 303
    assert client.send_form(f"{path}/suspend", form).status_code == 303, "the same form twice"
    assert known(office).suspended_at == office.now
    page = client.get(path).text
    assert "suspended" in page
    assert "on hold" in page
    office.send(t1, t1.next(), t1.next())
    page = client.get(path).text
    assert "2 records and 0 pictures of this terminal are held" in page
    judged = {"version": "1", "reason": "Nobody was near it", "verdict": "take_in"}
    assert client.send_form(f"{path}/judge", {**judged, "verdict": ""}).status_code == 422
    assert sure(client, f"{path}/judge", **judged).status_code == 303
    office.handler.take_released()
    assert len(office.rows("SELECT 1 FROM records")) == 2
    office.send(t1, t1.next())
    assert sure(client, f"{path}/judge", **judged | {"version": "2", "verdict": "refuse"}).status_code == 303
    assert [row[2] for row in office.quarantine()] == ["suspended_terminal"]
    late = client.send_form(f"{path}/resume", {"version": "1", "reason": "In order"})
    assert (late.status_code, "Somebody changed this terminal" in late.text) == (409, True)
    assert sure(client, f"{path}/resume", version="3", reason="In order").status_code == 303
    assert known(office).is_in_service
    page = client.get(path).text
    assert "on hold" not in page
    assert sure(client, f"{path}/revoke", version="4", reason="Copied").status_code == 303
    assert "taken back" in client.get(path).text
    actions = [row.action for row in office.rows("SELECT action FROM audit_log ORDER BY entry")]
    assert [each.partition(".")[2] for each in actions if each.startswith("terminal.")] == [
        *("suspended", "held_taken_in", "held_refused", "resumed", "certificates_revoked")
    ]


def test_the_proof_of_its_end_is_taken_in(
    office: Any, t1: Any, make_fleet_terminal: Callable[..., Any], sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", name="Qiao")
    proof = t1.proof(office.now, traces=None)
    path, form = "/terminals/t-1/decommissioned", {"version": "0", "reason": "Worn out"}
    other = make_fleet_terminal("north", "t-2")
    office.register(other)
    foreign = sign_proof(proof.model_copy(update={"terminal_id": "t-2"}), other.signing)
    for token, said in ((b"", "Choose the file"), (b"x", "no proof"), (foreign, "proof of terminal t-2")):
        refused = client.send_form(path, form, files={"file": ("proof", token)})
        assert (refused.status_code, said in refused.text) == (422, True), refused.text
    assert known(office, "t-2").is_in_service, "a proof on the wrong page does nothing"
    token = sign_proof(proof, t1.signing)
    assert client.send_form(path, form, files={"file": ("proof", token)}).status_code == 303
    page = client.get("/terminals/t-1").text
    assert "sealing.pem" in page
    assert "has erased itself" in page
    assert "nothing was looked for" in page, "no zero that nobody counted"
    assert "decommissioned" in client.get("/terminals?state=decommissioned").text


def test_whoever_runs_the_server_is_named_where_there_is_no_door(office: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator")
    (office.settings.data_dir / "pki" / "root.pem").unlink()
    refused = client.send_form(CLAIMS, {"area": "east"})
    assert (refused.status_code, "no certificate authority" in refused.text) == (422, True)
    office.settings.provisioning.__dict__["port"] = None
    assert "no door for new terminals" in client.get(CLAIMS).text
    refused = client.send_form(CLAIMS, {"area": "east"})
    assert (refused.status_code, "no door for new terminals" in refused.text) == (422, True)
    assert office.rows("SELECT 1 FROM provisioning_claims") == [], "a claim that nobody could use is none"
