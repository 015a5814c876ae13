"""Terminals are swapped, suspended, resumed and decommissioned, and no record is lost on the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, text

from fleet.errors import NotFound, Refused
from fleet.pki.authority import Authority
from fleet.pki.files import make_authority
from fleet.pki.joining import Joined, Waits, approve_claim, claim_id_of, join, make_claim, make_claims, renew
from fleet.store.certificates import (
    StoredCertificate,
    add_certificate,
    certificates_of,
    revoke_certificates,
    revoked_certificates,
    terminals_put_out,
)
from fleet.store.claims import newest_claims
from fleet.store.held import HeldCount, held_of
from fleet.store.rosters import assignments_of, held
from fleet.store.terminal_settings import Scope, Target
from fleet.store.terminals import decommission_proof, find_terminals
from fleet.terminals.changing import TerminalChanges, changes_of
from fleet.terminals.life import lives
from fleet.updates.terminal_settings import set_for_terminal, settings_of
from protocol.decommissioning import proof_from_text, proof_to_qr, sign_proof
from protocol.desired import SettingValues
from protocol.envelope import sign
from protocol.presence import PRESENCE_TYP, OutboxCounts, Presence
from protocol.provisioning import JoinRequest, ProvisioningClaim, Renewal, sign_renewal
from protocol.times import ClockSource, DeviceTime
from protocol.topics import Kind

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]
DAY = timedelta(days=1)


@pytest.fixture
def issuing(tmp_path: Path, office: Any) -> Authority:
    return make_authority(tmp_path / "pki", "north", now=office.now)


@pytest.fixture
def person(office: Any) -> dict[str, str]:
    office.import_people(3)
    office.hold_references()
    subject_id, token = next(iter(office.people.items()))
    return {"subject_id": subject_id, "token": token}


def change(office: Any, what: Callable[[TerminalChanges], Any]) -> Any:
    with office.database.begin() as connection:
        return what(
            TerminalChanges(connection, office.keys.cipher, by="Li Na", reason="it looks wrong", now=office.now)
        )


def claim(office: Any, **wanted: Any) -> str:
    given = {"terminal_id": None, "area": "east", "has_people": True, "needs_approval": False, "hours": 72, **wanted}
    with office.database.begin() as connection:
        return make_claim(connection, office.keys.cipher, by="Li Na", now=office.now, **given)[0]


def request_of(key: ec.EllipticCurvePrivateKey) -> str:
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def come(
    office: Any, issuing: Authority, terminal: Any, code: str, key: Any = None, board: str | None = None
) -> Joined | Waits:
    wish = JoinRequest(
        code=code,
        request=request_of(key or ec.generate_private_key(ec.SECP256R1())),
        registration=terminal.registration().decode(),
        board_serial=board,
    )
    with office.database.begin() as connection:
        return join(connection, office.keys.cipher, issuing, wish, fleet_id="north", now=office.now)


def claim_states(office: Any) -> list[str]:
    with office.database.begin() as connection:
        return sorted(each.state(office.now) for each in newest_claims(connection, limit=20))


def known(office: Any, terminal_id: str = "t-1") -> Any:
    with office.database.begin() as connection:
        return find_terminals(connection, [terminal_id])[terminal_id]


def kinds(office: Any, terminal_id: str) -> list[tuple[str, Any]]:
    with office.database.begin() as connection:
        return [
            (change.kind.value, change.detail.get("other"))
            for change in changes_of(connection, office.keys.cipher, terminal_id)
        ]


def waiting(office: Any, terminal_id: str = "t-1") -> HeldCount:
    with office.database.begin() as connection:
        return held_of(connection, terminal_id)


def unsure(at: datetime) -> DeviceTime:
    return DeviceTime(boot_id="b" * 32, monotonic_ns=1, wall_clock=at, source=ClockSource.NONE, not_before=at)


def test_a_broken_terminal_is_swapped_and_its_place_follows(
    office: Any, issuing: Authority, make_fleet_terminal: Callable[..., Any], person: dict[str, str]
) -> None:
    old, new = make_fleet_terminal("north", "t-1"), make_fleet_terminal("north", "t-2")
    assert isinstance(come(office, issuing, old, claim(office, terminal_id="t-1")), Joined)
    change(office, lambda changes: changes.assign("t-1", "subject", person["subject_id"]))
    quiet = SettingValues(voice_volume=0.4)
    with office.database.begin() as connection:
        set_for_terminal(
            connection, office.keys.cipher, "t-1", quiet, by="Li", reason="loud", door=None, now=office.now
        )
    code = claim(office, replaces="t-1", area="")
    # Where it stands when the new one comes is what counts.
    change(office, lambda changes: changes.move("t-1", "west"))
    assert known(office).is_in_service, "until the new one is there the old one serves"
    assert isinstance(come(office, issuing, new, code, board="10000000abcd"), Joined)
    gone, here = known(office, "t-1"), known(office, "t-2")
    assert (gone.retired_at, gone.replaced_by, here.area) == (office.now, "t-2", "west")
    with office.database.begin() as connection:
        orders = {("area", "east"), ("subject", person["subject_id"])}
        assert set(assignments_of(connection, "t-2")) == orders
        assert held(connection, "t-2") == 3
        assert settings_of(connection, Target(Scope.TERMINAL, "t-2")) == quiet
        assert terminals_put_out(connection, now=office.now) == ["t-1"]
        assert not any(each.revoked_at for each in certificates_of(connection, "t-2"))
    assert ("replaces", "t-1") in kinds(office, "t-2")
    assert kinds(office, "t-1")[0] == ("replaced", "t-2")
    with pytest.raises(Refused, match="t-2 has its place"):
        claim(office, replaces="t-1")
    with pytest.raises(NotFound):
        claim(office, replaces="t-9")


def test_two_claims_for_one_place_let_one_terminal_in(
    office: Any, issuing: Authority, terminal: Any, make_fleet_terminal: Callable[..., Any]
) -> None:
    first, second = claim(office, replaces="t-1"), claim(office, replaces="t-1")
    come(office, issuing, make_fleet_terminal("north", "t-2"), first)
    with pytest.raises(Refused, match="t-2 has its place"):
        come(office, issuing, make_fleet_terminal("north", "t-3"), second)
    assert office.rows("SELECT terminal_id FROM terminals ORDER BY 1") == [("t-1",), ("t-2",)]
    assert claim_states(office) == ["taken_back", "used"]
    with office.database.begin() as connection:
        found = [(life.terminal_id, life.replaced_by, life.replaces) for life in lives(connection, now=office.now)]
    assert found == [("t-1", "t-2", None), ("t-2", None, "t-1")]


def test_two_that_come_at_once_for_one_place_do_not_wait_for_each_other(
    office: Any, issuing: Authority, terminal: Any, make_fleet_terminal: Callable[..., Any]
) -> None:
    codes = [claim(office, replaces="t-1") for _ in range(4)]
    at_once = threading.Barrier(4)

    def comes(number: int) -> str:
        at_once.wait()
        try:
            come(office, issuing, make_fleet_terminal("north", f"t-{number + 2}"), codes[number])
        except Refused as error:
            return str(error.code)
        return "joined"

    with ThreadPoolExecutor(4) as pool:
        found = sorted(pool.map(comes, range(4)))
    assert found == ["has_successor"] * 3 + ["joined"]
    assert claim_states(office) == ["taken_back"] * 3 + ["used"]


def answer(what: Callable[[], object]) -> str:
    try:
        what()
    except Refused as error:
        return str(error.code)
    return "done"


def test_two_cards_that_were_mixed_up_do_not_wait_for_each_other(
    office: Any, issuing: Authority, make_fleet_terminal: Callable[..., Any]
) -> None:
    codes = {name: claim(office, terminal_id=name) for name in ("t-1", "t-2")}
    # That one comes first which needs the other's claim, and this one waits for it with its own in hand.
    first, second = "t-2", "t-1"

    def comes(name: str, code: str) -> str:
        return answer(lambda: come(office, issuing, make_fleet_terminal("north", name), code))

    with ThreadPoolExecutor(2) as pool, office.database.begin() as connection:
        hold(connection, codes[first])
        found = [pool.submit(comes, first, codes[second])]
        office.wait_for_somebody_waiting()
        found.append(pool.submit(comes, second, codes[first]))
        office.wait_for_somebody_waiting(2)
    assert [each.result() for each in found] == ["claim_other_terminal"] * 2


def hold(connection: Connection, code: str) -> None:
    connection.execute(
        text("SELECT 1 FROM provisioning_claims WHERE claim_id = :id FOR UPDATE"), {"id": claim_id_of(code)}
    ).all()


def test_a_list_made_again_and_a_terminal_that_comes_meanwhile_do_not_wait_for_each_other(
    office: Any, issuing: Authority, make_fleet_terminal: Callable[..., Any]
) -> None:
    names = ("t-1", "t-2")
    codes = {name: claim(office, terminal_id=name) for name in names}
    comes = make_fleet_terminal("north", "t-2")

    def made_again() -> None:
        with office.database.begin() as connection:
            make_claims(
                connection,
                office.keys.cipher,
                [(name, "east") for name in names],
                has_people=True,
                needs_approval=False,
                hours=72,
                by="Li Na",
                now=office.now,
                again=True,
            )

    with ThreadPoolExecutor(2) as pool, office.database.begin() as connection:
        hold(connection, codes["t-2"])
        here = pool.submit(lambda: answer(lambda: come(office, issuing, comes, codes["t-2"])))
        office.wait_for_somebody_waiting()
        listed = pool.submit(lambda: answer(made_again))
        office.wait_for_somebody_waiting(2)
    assert (here.result(), listed.result()) == ("done", "claim_known")
    assert claim_states(office) == ["open", "used"], "of a list that is refused nothing is taken back"


def test_who_comes_with_a_claim_for_a_name_that_is_taken_is_not_sent_for_another(
    office: Any, issuing: Authority, make_fleet_terminal: Callable[..., Any]
) -> None:
    named, unnamed = claim(office, terminal_id="t-2"), claim(office)
    come(office, issuing, make_fleet_terminal("north", "t-2"), unnamed)
    assert claim_states(office) == ["taken_back", "used"]
    comes = make_fleet_terminal("north", "t-2")
    assert answer(lambda: come(office, issuing, comes, named)) == "claim_known"


def test_a_terminal_has_one_claim_at_a_time(
    office: Any, issuing: Authority, make_fleet_terminal: Callable[..., Any]
) -> None:
    def refused(**wanted: Any) -> str:
        with pytest.raises(Refused) as found:
            claim(office, terminal_id="t-1", **wanted)
        return str(found.value.code)

    first = claim(office, terminal_id="t-1")
    assert refused() == "claim_open"
    second = claim(office, terminal_id="t-1", needs_approval=True, again=True)
    assert claim_states(office) == ["open", "taken_back"]
    t1 = make_fleet_terminal("north", "t-1")
    with pytest.raises(Refused, match="taken back"):
        come(office, issuing, t1, first)
    # Who has come is turned away by nobody unasked; one whose time is over stands in nobody's way.
    assert isinstance(come(office, issuing, t1, second), Waits)
    assert refused() == refused(again=True) == "claim_came"
    claim(office, terminal_id="t-2", hours=1)
    office.now += timedelta(hours=1)
    claim(office, terminal_id="t-2")
    # One that comes by a claim without a name ends the one that was made for it.
    come(office, issuing, make_fleet_terminal("north", "t-2"), claim(office))
    assert claim_states(office) == ["over", "taken_back", "taken_back", "used", "waits"]
    assert office.rows("SELECT count(*) FROM audit_log WHERE action = 'terminal.claim_taken_back'") == [(2,)]


def test_one_board_may_take_the_place_of_itself(
    office: Any, issuing: Authority, make_fleet_terminal: Callable[..., Any]
) -> None:
    come(office, issuing, make_fleet_terminal("north", "t-1"), claim(office), board="10000000abcd")
    again = make_fleet_terminal("north", "t-2")
    assert isinstance(come(office, issuing, again, claim(office, replaces="t-1"), board="10000000abcd"), Joined)
    stranger = make_fleet_terminal("north", "t-3")
    assert isinstance(come(office, issuing, stranger, claim(office), board="10000000abcd"), Waits)


def test_what_the_old_one_decided_before_counts_and_nothing_after(
    office: Any, issuing: Authority, terminal: Any, make_fleet_terminal: Callable[..., Any], person: dict[str, str]
) -> None:
    before = terminal.next(**person, at=office.now - timedelta(hours=2))
    after = terminal.next(**person, at=office.now + timedelta(hours=2))
    come(office, issuing, make_fleet_terminal("north", "t-2"), claim(office, replaces="t-1"))
    # From its stick, three weeks later.
    office.now += 21 * DAY
    assert office.verdicts(office.send(terminal, before)) == [("stored", None)]
    assert office.statuses()[0].last_pass_day is not None
    assert office.verdicts(office.send(terminal, after)) == [("refused", "retired_terminal")]


@pytest.mark.parametrize("take_in", [True, False])
def test_where_nobody_can_say_whether_it_was_before_a_person_does(
    office: Any, terminal: Any, person: dict[str, str], take_in: bool
) -> None:
    moment = unsure(office.now - DAY)
    record = terminal.next(**person, started=moment, decided=moment)
    change(office, lambda changes: changes.retire("t-1"))
    office.now += DAY
    assert office.send(terminal, record) == [], "neither taken nor refused: the terminal keeps it"
    assert office.send(terminal, record) == []
    assert waiting(office).records == 1
    assert office.statuses() == []
    assert change(office, lambda changes: changes.judge_held("t-1", take_in=take_in)) == 1
    office.now += 9 * DAY
    office.handler.take_released()
    assert waiting(office) == HeldCount()
    assert [row.reason for row in office.quarantine()] == ([] if take_in else ["retired_terminal"])
    # As of when it came: nine days later it would be too uncertain to count.
    stored = office.rows("SELECT received_at FROM records")
    assert stored == ([(office.now - 9 * DAY,)] if take_in else [])
    assert kinds(office, "t-1")[0][0] == ("held_taken_in" if take_in else "held_refused")
    with pytest.raises(NotFound, match="nothing"):
        change(office, lambda changes: changes.judge_held("t-1", take_in=True))


def test_a_suspended_terminal_is_believed_nothing_and_loses_nothing(
    office: Any, issuing: Authority, make_fleet_terminal: Callable[..., Any], person: dict[str, str]
) -> None:
    terminal = make_fleet_terminal("north", "t-1")
    key = ec.generate_private_key(ec.SECP256R1())
    come(office, issuing, terminal, claim(office), key)
    change(office, lambda changes: changes.suspend("t-1"))
    with pytest.raises(Refused, match="already"):
        change(office, lambda changes: changes.suspend("t-1"))
    with office.database.begin() as connection:
        assert terminals_put_out(connection, now=office.now) == ["t-1"]
        token = sign_renewal(Renewal(fleet_id="north", terminal_id="t-1", request=request_of(key)), terminal.signing)
        with pytest.raises(Refused, match="in service"):
            renew(connection, issuing, "t-1", token, fleet_id="north", now=office.now)

    picture = b"a.b.c.d.e"
    records = [terminal.next(**person, at=office.now - timedelta(minutes=9 - number)) for number in range(3)]
    assert office.send(terminal, *records) == []
    assert office.send(terminal, picture, kind=Kind.ATTACHMENT) == []
    # Whoever cannot sign for it fills nothing up.
    assert office.verdicts(office.send(terminal, make_fleet_terminal("north", "t-1").next(**person))) == [
        ("refused", "signature")
    ]
    said = Presence(
        fleet_id="north",
        terminal_id="t-1",
        state="online",
        boot_id="b" * 32,
        connection=1,
        said_at=office.now,
        software="test",
        policy_version=None,
        roster_version=0,
        outbox=OutboxCounts(pending=3, published=0, acknowledged=0, refused=0),
    )
    office.send(terminal, sign(said.to_bytes(), key=terminal.signing, typ=PRESENCE_TYP), kind=Kind.PRESENCE)
    assert office.quarantine()[-1][2] == "suspended_terminal"
    assert office.rows("SELECT presence_state FROM terminals") == [(None,)]
    found = waiting(office)
    assert (found.records, found.pictures, found.first_at) == (3, 1, office.now)
    assert office.statuses() == []
    assert office.handler.standing("t-1") == office.handler.push_rosters() == []

    arrived = office.now
    office.now += 2 * DAY
    assert change(office, lambda changes: changes.resume("t-1")) == 4
    answers = office.handler.take_released()
    assert [verdict for verdict, _ in office.verdicts(answers)] == ["stored"] * 4
    assert office.rows("SELECT DISTINCT received_at FROM records") == [(arrived,)]
    assert str(office.statuses()[0].last_pass_day) == "2026-11-20"
    # Its own copies are confirmed when it comes back.
    assert [verdict for verdict, _ in office.verdicts(office.send(terminal, *records))] == ["repeated"] * 3
    with office.database.begin() as connection:
        assert revoked_certificates(connection, now=office.now) == []
        assert renew(connection, issuing, "t-1", token, fleet_id="north", now=office.now).terminal_id == "t-1"
    with pytest.raises(Refused, match="not suspended"):
        change(office, lambda changes: changes.resume("t-1"))
    assert [kind for kind, _ in kinds(office, "t-1")][:2] == ["resumed", "suspended"]


def test_a_suspension_gives_no_certificate_back_that_was_taken_back_for_good(
    office: Any, issuing: Authority, make_fleet_terminal: Callable[..., Any]
) -> None:
    come(office, issuing, make_fleet_terminal("north", "t-1"), claim(office))
    change(office, lambda changes: changes.suspend("t-1"))
    with office.database.begin() as connection:
        assert revoke_certificates(connection, "t-1", now=office.now + DAY) == 1
    change(office, lambda changes: changes.resume("t-1"))
    with office.database.begin() as connection:
        (found,) = revoked_certificates(connection, now=office.now)
    assert (found.since, found.is_on_hold) == (office.now, False)


def test_who_is_retired_while_suspended_leaves_what_was_held_to_be_judged(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    change(office, lambda changes: changes.suspend("t-1"))
    office.send(terminal, terminal.next(**person))
    change(office, lambda changes: changes.retire("t-1"))
    with pytest.raises(NotFound):
        change(office, lambda changes: changes.resume("t-1"))
    assert change(office, lambda changes: changes.judge_held("t-1", take_in=True)) == 1
    office.handler.take_released()
    assert len(office.rows("SELECT 1 FROM records")) == 1


def test_a_fault_in_one_released_message_costs_no_other(office: Any, terminal: Any, person: dict[str, str]) -> None:
    change(office, lambda changes: changes.suspend("t-1"))
    first = terminal.record(**person)
    fork = terminal.record(**person)
    office.send(terminal, terminal.signed(first))
    terminal.counter, terminal.previous = 0, None
    office.send(terminal, terminal.signed(fork))
    change(office, lambda changes: changes.resume("t-1"))
    answers = office.verdicts(office.handler.take_released())
    assert answers == [("stored", None), ("refused", "fork")]
    assert office.handler.take_released() == []


def test_a_terminal_that_has_erased_itself_is_out_for_good(office: Any, terminal: Any) -> None:
    token = sign_proof(terminal.proof(office.now, records_lost=2), terminal.signing)
    assert proof_from_text(proof_to_qr(token).encode() + b"\n") == proof_from_text(token) == token
    for _ in range(2):
        found = change(office, lambda changes: changes.decommission(token, fleet_id="north"))
        assert found.records_lost == 2
    assert (known(office).retired_at, known(office).decommissioned_at) == (office.now, office.now)
    with office.database.begin() as connection:
        assert decommission_proof(connection, "t-1") == (token, office.now)
    assert [kind for kind, _ in kinds(office, "t-1")] == ["decommissioned"]


def test_only_the_terminals_own_word_decommissions_it(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any]
) -> None:
    stranger = make_fleet_terminal("north", "t-2").signing
    for token, code in (
        (sign_proof(terminal.proof(office.now), stranger), "proof_signature"),
        (sign_proof(terminal.proof(office.now, fleet_id="south"), terminal.signing), "foreign_fleet"),
        (b"x", "proof_unreadable"),
        (b"a.b.c", "proof_unreadable"),
        (b"x" * 40_000, "proof_unreadable"),
    ):
        with pytest.raises(Refused) as refused:
            change(office, lambda changes, token=token: changes.decommission(token, fleet_id="north"))
        assert refused.value.code == code
    with pytest.raises(NotFound):
        change(
            office,
            lambda changes: changes.decommission(
                sign_proof(terminal.proof(office.now, terminal_id="t-9"), stranger), fleet_id="north"
            ),
        )
    assert known(office).retired_at is None


def test_who_asked_in_time_waits_for_a_person_however_long_it_takes(
    office: Any, issuing: Authority, make_fleet_terminal: Callable[..., Any]
) -> None:
    terminal, key = make_fleet_terminal("north", "t-1"), ec.generate_private_key(ec.SECP256R1())
    code = claim(office, needs_approval=True, hours=1)
    assert isinstance(come(office, issuing, terminal, code, key), Waits)
    office.now += DAY
    with office.database.begin() as connection:
        (found,) = newest_claims(connection, limit=9, only_waiting=True)
        assert found.state(office.now) == "waits"
        approve_claim(connection, office.keys.cipher, found.claim_id, by="Wang Fang", now=office.now)
        (found,) = newest_claims(connection, limit=9)
        assert found.state(office.now) == "approved"
        assert newest_claims(connection, limit=9, within=["west"]) == []
    office.now += DAY
    assert isinstance(come(office, issuing, terminal, code, key), Joined)


def test_the_command_line_does_all_of_it(
    office: Any, terminal: Any, program_in: Callable[..., Any], tmp_path: Path, database_url: str
) -> None:
    folder = office.settings.data_dir
    make_authority(folder / "pki", "north", now=office.now)
    (tmp_path / "fleet.toml").write_text(
        f'fleet_id = "north"\ndata_dir = "{folder}"\ndatabase = "{database_url}"\n[provisioning]\nport = 8444\n',
        encoding="utf-8",
    )
    run = program_in(tmp_path)

    def done(*arguments: str) -> str:
        found = run("terminals", *arguments)
        assert found.exit_code == 0, found.output
        return str(found.output)

    def states() -> dict[str, str]:
        listed = json.loads(run("terminals", "list", "--json").stdout)["terminals"]
        return {each["terminal"]: each["state"] for each in listed}

    with office.database.begin() as connection:
        end = office.now + 60 * DAY
        add_certificate(connection, StoredCertificate("a1", "t-1", "d1", office.now, end))
    taken_back = run("pki", "revoke", "t-1", "--by", "Li")
    assert taken_back.stderr.splitlines() == [
        "1 certificate of terminal t-1 holds no more",
        "it gets a new one when it renews: at once by `lifecert-provision renew --out /etc/lifecert` on it, else within a month",
        "to keep it out: `terminals suspend t-1`",
    ]
    said = ("--reason", "its case is open", "--by", "Li")
    done("suspend", "t-1", *said)
    assert states() == {"t-1": "suspended"}
    office.send(terminal, terminal.next())
    assert "1 held message of" in done("judge", "t-1", "--refuse", *said)
    assert run("terminals", "judge", "t-1", "--refuse", *said).exit_code == 1
    done("resume", "t-1", *said)
    done("swap", "t-1", "--new", "t-2", "--claim-out", "t-2.claim", "--by", "Li")
    assert ProvisioningClaim.parse((tmp_path / "t-2.claim").read_bytes().strip()).terminal_id == "t-2"
    assert run("terminals", "swap", "t-1", "--claim-out", "t-2.claim", "--by", "Li").exit_code == 1, (
        "no file is replaced"
    )
    assert states() == {"t-1": "in_service", "t-2": "claimed"}
    (tmp_path / "proof").write_text(proof_to_qr(sign_proof(terminal.proof(office.now), terminal.signing)))
    assert "is decommissioned" in done("decommissioned", "proof", "--by", "Li")
    assert "decommissioned" in run("terminals", "list").stdout
    assert states()["t-1"] == "decommissioned"
    assert "is decommissioned and serves nobody" in done(
        "swap", "t-1", "--new", "t-2", "--again", "--claim-out", "t-2-again.claim", "--by", "Li"
    )
    for wrong in ("missing", "t-2.claim"):
        assert run("terminals", "decommissioned", wrong, "--by", "Li").exit_code == 1
