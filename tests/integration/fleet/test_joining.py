"""A terminal comes by its claim, over real HTTPS with the fleet's own certificates, and is refused for every reason there is."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from demo.processes import free_port
from fleet.api.provisioning import provisioning_app
from fleet.errors import NotFound, Refused
from fleet.pki.authority import Authority, issue_client, issue_server, serial_of
from fleet.pki.files import ROOT as AUTHORITY_ROOT
from fleet.pki.files import make_authority, write, write_key
from fleet.pki.joining import approve_claim, claim_id_of, make_claim, renew, take_back_claim
from fleet.service import WebServer
from fleet.store.certificates import certificates_of, revoke_certificates, revoked_certificates
from fleet.terminals.changing import TerminalChanges
from protocol.decommissioning import sign_proof
from protocol.desired import BUNDLE_PATH
from protocol.keys import PrivateKey, short_key_id
from protocol.provisioning import JOIN_PATH, ProvisioningClaim, Renewal, shown, sign_renewal, typed
from protocol.trust import client_context, root_fingerprint, root_in
from provisioning.by_hand import by_hand, fetch_claim
from provisioning.cli import app
from provisioning.errors import (
    AlreadyThere,
    FileUnusable,
    FleetUnreachable,
    JoinRefused,
    NotTrusted,
    ProvisioningError,
    StrangeFleet,
)
from provisioning.identity import FLEET, SIGNING
from provisioning.joining import CERTIFICATE, DOOR, KEY, KEYS, ROOT, Outcome, join, read_claim, wait_and_join
from provisioning.joining import renew as renewed
from provisioning.leaving import tell_fleet
from provisioning.words import line_of

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]


@dataclass
class Door:
    """The fleet's door, open, and what the office does."""

    office: Any
    issuing: Authority
    root: str
    port: int
    folder: Path

    def claim(self, terminal_id: str | None = "t-1", **changes: Any) -> ProvisioningClaim:
        given: dict[str, Any] = {
            "area": "east",
            "has_people": True,
            "needs_approval": False,
            "hours": 72,
            "by": "Li Na",
            "now": self.office.now,
        }
        with self.office.database.begin() as connection:
            code, claim = make_claim(
                connection, self.office.keys.cipher, terminal_id=terminal_id, **{**given, **changes}
            )
        return ProvisioningClaim(
            fleet_id="north",
            url=f"https://localhost:{self.port}",
            root=self.root,
            code=code,
            terminal_id=terminal_id,
            expires_at=claim.expires_at,
        )

    def join(self, claim: ProvisioningClaim, folder: str = "t", **changes: Any) -> Outcome:
        given: dict[str, Any] = {"terminal_id": None, "board_serial": None, "now": now()}
        return join(claim, self.folder / folder, **{**given, **changes})

    def status(self, method: str, path: str, body: bytes = b"") -> int:
        context = client_context([root_in(self.root)], now=now())
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=20)
        connection.request(method, path, body)
        found = connection.getresponse().status
        connection.close()
        return found

    def claim_ids(self) -> list[str]:
        return [row.claim_id for row in self.office.rows("SELECT claim_id FROM provisioning_claims ORDER BY made_at")]


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


@pytest.fixture
def door(office: Any, tmp_path: Path) -> Iterator[Door]:
    issuing = make_authority(tmp_path / "pki", "north", now=now())
    key = ec.generate_private_key(ec.SECP256R1())
    write_key(tmp_path / "door.key", key)
    write(tmp_path / "door.pem", issue_server(issuing, ["localhost", "127.0.0.1"], key.public_key(), now=now()).chain)
    port = free_port()
    provisioning = office.settings.provisioning.model_copy(update={"port": port, "names": ("localhost",)})
    settings = office.settings.model_copy(update={"data_dir": tmp_path, "provisioning": provisioning})
    app = provisioning_app(office.database, office.keys, settings, issuing, clock=office.clock)
    server = WebServer(app, "127.0.0.1", port, certificate=(tmp_path / "door.pem", tmp_path / "door.key"))
    server.start()
    yield Door(office, issuing, (tmp_path / "pki" / AUTHORITY_ROOT).read_text(), port, tmp_path)
    server.stop()


def refused(what: Callable[[], object]) -> str:
    with pytest.raises(JoinRefused) as found:
        what()
    return found.value.code


def said_to(what: Callable[[], object]) -> str:
    with pytest.raises(ProvisioningError) as found:
        what()
    return found.value.said


def test_a_terminal_comes_with_its_claim(door: Door) -> None:
    door.office.import_people(2)
    outcome = door.join(door.claim())
    assert (outcome.terminal_id, outcome.is_joined, outcome.broker_port) == ("t-1", True, 8883)
    folder = door.folder / "t"
    made = x509.load_pem_x509_certificates((folder / CERTIFICATE).read_bytes())
    assert made[0].subject.rfc4514_string() == "CN=t-1"
    made[0].verify_directly_issued_by(door.issuing.certificate)
    assert made[1] == door.issuing.certificate
    assert (folder / KEY).stat().st_mode & 0o777 == 0o600
    assert (folder / FLEET).exists()
    assert outcome.fingerprint == short_key_id(PrivateKey.load(folder / SIGNING).key_id)
    assert door.office.rows("SELECT area FROM terminals WHERE terminal_id = 't-1'") == [("east",)]
    assert len(door.office.rows("SELECT 1 FROM roster_entries WHERE terminal_id = 't-1'")) == 2
    actions = [row.action for row in door.office.rows("SELECT action FROM audit_log ORDER BY entry")]
    assert {"terminal.claim_made", "terminal.registered", "terminal.assigned"} <= set(actions)


def test_an_answer_that_was_lost_is_given_again(door: Door) -> None:
    claim = door.claim()
    first = door.join(claim)
    before = (door.folder / "t" / CERTIFICATE).read_bytes()
    (door.folder / "t" / CERTIFICATE).unlink()
    for _ in range(3):
        assert door.join(claim) == first
        door.office.now += timedelta(hours=1)
    # However often it asks, there is one certificate: what it says is the same, whoever read the first answer.
    again = x509.load_pem_x509_certificates((door.folder / "t" / CERTIFICATE).read_bytes())
    assert [each.tbs_certificate_bytes for each in again] == [
        each.tbs_certificate_bytes for each in x509.load_pem_x509_certificates(before)
    ]
    again[0].verify_directly_issued_by(door.issuing.certificate)
    assert [row.serial for row in door.office.rows("SELECT serial FROM certificates")] == [serial_of(again[0])]
    assert len(door.office.rows("SELECT 1 FROM terminal_changes WHERE kind = 'registered'")) == 1
    door.office.now += timedelta(hours=21)
    given = by_hand(shown(claim.code), claim.url, shown(root_fingerprint(root_in(door.root))))
    assert refused(lambda: fetch_claim(given, now=now())) == "claim_used"
    assert door.join(claim) == first
    assert len(door.office.rows("SELECT 1 FROM certificates")) == 2, "by its key, as at each renewal"


def test_where_nothing_can_be_issued_a_terminal_is_told_to_come_again_and_its_claim_still_serves(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    today = door.office.now
    # Nothing that is issued then would hold.
    door.office.now = door.issuing.certificate.not_valid_after_utc
    claim = door.claim()
    with pytest.raises(FleetUnreachable, match="503") as found:
        door.join(claim)
    assert line_of(found.value.said, "x").startswith("机构服务暂时不可用，会继续询问")
    assert "renew-issuing" in caplog.text, "who sees to the fleet is told what to do"
    assert "Traceback" not in caplog.text
    assert not door.office.rows("SELECT 1 FROM certificates")
    assert not door.office.rows("SELECT 1 FROM terminals")

    def mended(_seconds: float) -> None:
        door.office.now = today

    clock = time.monotonic
    assert wait_and_join(lambda: door.join(claim), every_s=1, most_s=60, sleep=mended, clock=clock).is_joined


@pytest.mark.parametrize("how", ["retire", "suspend", "swap"])
def test_a_terminal_that_was_taken_out_of_service_gets_nothing_by_the_claim_it_came_with(door: Door, how: str) -> None:
    claim = door.claim()
    door.join(claim)
    if how == "swap":
        door.join(door.claim("t-2", replaces="t-1"), "two")
    else:
        with door.office.database.begin() as connection:
            changes = TerminalChanges(
                connection, door.office.keys.cipher, by="Li Na", reason="stolen", now=door.office.now
            )
            (changes.retire if how == "retire" else changes.suspend)("t-1")
    assert refused(lambda: door.join(claim)) == "out_of_service"
    with door.office.database.begin() as connection:
        revoked = {each.serial for each in revoked_certificates(connection, now=door.office.now)}
        assert {each.serial for each in certificates_of(connection, "t-1")} == revoked
    if how == "suspend":
        with door.office.database.begin() as connection:
            TerminalChanges(
                connection, door.office.keys.cipher, by="Li Na", reason="found", now=door.office.now
            ).resume("t-1")
        assert door.join(claim).is_joined
        assert len(door.office.rows("SELECT 1 FROM certificates")) == 1


def test_a_certificate_that_was_taken_back_is_not_given_again(door: Door) -> None:
    claim = door.claim()
    door.join(claim)
    with door.office.database.begin() as connection:
        revoke_certificates(connection, "t-1", now=door.office.now)
    assert door.join(claim).is_joined
    given = x509.load_pem_x509_certificates((door.folder / "t" / CERTIFICATE).read_bytes())[0]
    with door.office.database.begin() as connection:
        assert serial_of(given) not in {each.serial for each in revoked_certificates(connection, now=door.office.now)}
        assert len(certificates_of(connection, "t-1")) == 2


def test_joining_can_be_cut_off_at_any_change_and_run_again(door: Door, tmp_path: Path) -> None:
    claims = [door.claim(f"t-{number}") for number in range(60)]
    (tmp_path / "cuts").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.fleet.cut_joins", str(tmp_path / "cuts")],
        input=b"\n".join(claim.to_bytes() for claim in claims),
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["cuts"] > 25
    # Whoever was cut off has come once, by keys that it has, and got one certificate.
    assert door.office.rows("SELECT 1 FROM certificates GROUP BY terminal_id HAVING count(*) > 1") == []


def test_a_terminal_whose_answer_was_lost_for_more_than_a_day_still_comes(door: Door) -> None:
    claim = door.claim()
    door.join(claim)
    # The power went before anything of the answer was kept, and somebody comes by a week later.
    for name in (CERTIFICATE, DOOR, FLEET, ROOT):
        (door.folder / "t" / name).unlink()
    door.office.now += timedelta(days=7)
    outcome = door.join(claim)
    assert (outcome.is_joined, outcome.broker_port) == (True, 8883)
    assert {each.name for each in (door.folder / "t").iterdir()} == {*KEYS, CERTIFICATE, DOOR, FLEET, ROOT}
    with door.office.database.begin() as connection:
        TerminalChanges(connection, door.office.keys.cipher, by="Li Na", reason="stolen", now=door.office.now).retire(
            "t-1"
        )
    assert refused(lambda: door.join(claim)) == "claim_used"


def test_a_claim_is_for_one_terminal(door: Door) -> None:
    claim = door.claim(None)
    assert door.join(claim, terminal_id="t-1").is_joined
    assert refused(lambda: door.join(claim, "other", terminal_id="t-2")) == "claim_used"
    assert refused(lambda: door.join(claim, "another", terminal_id="t-1")) == "claim_used"


def test_a_claim_names_whose_it_is(door: Door) -> None:
    claim = door.claim("t-7").model_copy(update={"terminal_id": None})
    assert refused(lambda: door.join(claim, terminal_id="t-8")) == "claim_other_terminal"
    with pytest.raises(FileUnusable, match="--terminal"):
        door.join(claim, "unnamed")


def test_a_claim_ends(door: Door) -> None:
    claim = door.claim(hours=1)
    door.office.now += timedelta(hours=1)
    assert refused(lambda: door.join(claim)) == "claim_expired"
    assert door.office.rows("SELECT 1 FROM terminals") == []


def test_a_claim_is_taken_back(door: Door) -> None:
    claim = door.claim()
    (claim_id,) = door.claim_ids()
    with door.office.database.begin() as connection:
        take_back_claim(connection, door.office.keys.cipher, claim_id, by="Li Na", now=door.office.now)
    assert refused(lambda: door.join(claim)) == "claim_revoked"
    with door.office.database.begin() as connection, pytest.raises(NotFound):
        take_back_claim(connection, door.office.keys.cipher, claim_id, by="Li Na", now=door.office.now)


def test_a_foreign_or_guessed_claim_is_refused_and_guessing_is_slow(door: Door) -> None:
    claim = door.claim()
    guessed = claim.model_copy(update={"code": "0" * 16})
    assert refused(lambda: door.join(guessed)) == "claim_unknown"
    said = [said_to(lambda: door.join(guessed)) for _ in range(25)]
    assert set(said) == {"claim_unknown", "too_many_failures"}
    # Whoever has a good one waits, and is not refused.
    with pytest.raises(FleetUnreachable, match=r"\(429\): too many wrong codes from this address; try again"):
        door.join(claim)
    # Terminals of this address that have come before fetch their bundles all the same.
    assert door.status("GET", f"{BUNDLE_PATH}/{'f0' * 32}") == 404


def test_who_must_be_let_in_waits_for_a_person(door: Door) -> None:
    claim = door.claim(needs_approval=True)
    assert not door.join(claim).is_joined
    assert not door.join(claim).is_joined
    assert door.office.rows("SELECT 1 FROM terminals") == []
    (claim_id,) = door.claim_ids()

    def somebody_approves(_seconds: float) -> None:
        with door.office.database.begin() as connection:
            approve_claim(connection, door.office.keys.cipher, claim_id, by="Wang Fang", now=door.office.now)

    assert wait_and_join(
        lambda: door.join(claim), every_s=5, most_s=600, sleep=somebody_approves, clock=time.monotonic
    ).is_joined


def test_one_board_under_two_names_waits_for_a_person(door: Door) -> None:
    assert door.join(door.claim("t-1"), "one", board_serial="10000000abcd").is_joined
    assert not door.join(door.claim("t-2"), "two", board_serial="10000000abcd").is_joined
    assert door.office.rows("SELECT waits_for FROM provisioning_claims WHERE asked_as = 't-2'") == [("same_board",)]
    # One that was retired stands in nobody's way.
    door.office.rows("UPDATE terminals SET retired_at = now() RETURNING 1")
    assert door.join(door.claim("t-3"), "three", board_serial="10000000abcd").is_joined


def test_a_name_that_is_taken_is_refused(door: Door) -> None:
    with_name, open_one = door.claim("t-1"), door.claim(None)
    assert door.join(with_name).is_joined
    assert refused(lambda: door.join(open_one, "other", terminal_id="t-1")) == "other_keys"
    with door.office.database.begin() as connection, pytest.raises(Refused, match="already"):
        make_claim(
            connection,
            door.office.keys.cipher,
            terminal_id="t-1",
            area="east",
            has_people=False,
            needs_approval=False,
            hours=1,
            by="Li Na",
            now=door.office.now,
        )
    # It has keys for the name that was refused. With those that are named out of the way it comes under another one.
    folder, away, second = door.folder / "other", door.folder / "away", door.claim("t-2")
    with pytest.raises(AlreadyThere) as found:
        door.join(second, "other")
    away.mkdir()
    for name in KEYS:
        assert name in str(found.value)
        (folder / name).rename(away / name)
    assert door.join(second, "other").is_joined


def test_keys_that_another_terminal_has_are_not_certified(door: Door) -> None:
    door.join(door.claim("t-1"), "one")
    (door.folder / "two").mkdir()
    (door.folder / "two" / KEY).write_bytes((door.folder / "one" / KEY).read_bytes())
    assert refused(lambda: door.join(door.claim("t-2"), "two")) == "request_key_known"
    with pytest.raises(AlreadyThere, match="t-1"):
        door.join(door.claim("t-3"), "one")


def test_a_clock_that_nothing_keeps_shuts_nobody_out(door: Door, tmp_path: Path) -> None:
    def shakes(server: ssl.SSLContext, moment: datetime, *, kept: bool, root: str = door.root) -> bool:
        return handshake(server, client_context([root_in(root)], now=moment, clock_is_kept=kept))

    long_ago, present = datetime(1970, 1, 1, tzinfo=UTC), now()
    # The door's certificate is made when the fleet starts. What a clock at the moment of the last shutdown, or of the image, sees of it:
    # a certificate of the future. A clock is no less wrong for standing after the root was made.
    future = server_of(door.issuing, tmp_path / "future", made=present + timedelta(days=300))
    assert shakes(future, present, kept=False)
    assert shakes(future, long_ago, kept=False)
    # One that stands before the root is wrong, whatever is said of it; any other that is kept is believed.
    assert shakes(future, long_ago, kept=True)
    assert not shakes(future, present, kept=True)
    # What has ended has ended, as far as the clock goes.
    old = make_authority(tmp_path / "old", "north", now=present - timedelta(days=900))
    old_root = (tmp_path / "old" / AUTHORITY_ROOT).read_text()
    ended = server_of(old, tmp_path / "ended", made=present - timedelta(days=400))
    for kept in (True, False):
        assert not shakes(ended, present, kept=kept, root=old_root)
    assert shakes(ended, present - timedelta(days=100), kept=False, root=old_root)
    # So is one of another fleet, for another name, or for another use.
    strange = make_authority(tmp_path / "stranger", "north", now=present)
    assert not shakes(server_of(strange, tmp_path / "strange", made=present), present, kept=False)
    assert not shakes(server_of(door.issuing, tmp_path / "named", made=present, host="other"), present, kept=False)
    key = ec.generate_private_key(ec.SECP256R1())
    client = issue_client(door.issuing, "localhost", key.public_key(), now=present)
    assert not shakes(context_of(tmp_path / "client", key, client.chain), present, kept=False)


@pytest.mark.parametrize("kept", [True, False])
def test_a_terminal_joins_and_renews_at_a_door_of_the_future_where_nothing_keeps_its_clock(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    door.office.now = now().replace(microsecond=0)
    server_of(door.issuing, tmp_path / "future", made=now() + timedelta(days=300))
    settings = door.office.settings.model_copy(update={"data_dir": tmp_path})
    app = provisioning_app(door.office.database, door.office.keys, settings, door.issuing, clock=door.office.clock)
    port = free_port()
    server = WebServer(app, "127.0.0.1", port, certificate=(tmp_path / "future.pem", tmp_path / "future.key"))
    server.start()
    try:
        claim = door.claim().model_copy(update={"url": f"https://localhost:{port}"})
        monkeypatch.setattr("protocol.trust.is_kept", lambda: kept)
        if kept:
            with pytest.raises(NotTrusted, match="not yet valid"):
                door.join(claim)
        else:
            assert door.join(claim).is_joined
            assert renewed(door.folder / "t", now=now()) > now()
    finally:
        server.stop()


def server_of(issuing: Authority, path: Path, *, made: datetime, host: str = "localhost") -> ssl.SSLContext:
    """Return what answers with a certificate that was made at some moment; its files are `path` with .key and .pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    return context_of(path, key, issue_server(issuing, [host], key.public_key(), now=made).chain)


def context_of(path: Path, key: ec.EllipticCurvePrivateKey, chain: bytes) -> ssl.SSLContext:
    """Return what answers with a key and a chain of certificates."""
    write_key(path.with_suffix(".key"), key)
    write(path.with_suffix(".pem"), chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path.with_suffix(".pem"), path.with_suffix(".key"))
    return context


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Let two contexts meet over memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        done = 0
        for side in (ours, theirs):
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
        if done == 2:
            return True
    raise AssertionError("the handshake does not end")


def test_another_fleets_door_is_not_trusted(door: Door, tmp_path: Path) -> None:
    make_authority(tmp_path / "stranger", "north", now=now())
    stranger = (tmp_path / "stranger" / AUTHORITY_ROOT).read_text()
    claim = door.claim().model_copy(update={"root": stranger})
    with pytest.raises(FleetUnreachable):
        door.join(claim)
    with pytest.raises(FleetUnreachable):
        door.join(claim, now=datetime(1970, 1, 1, tzinfo=UTC))
    with pytest.raises(FileUnusable, match="root certificate"):
        door.join(claim.model_copy(update={"root": "none"}))


def test_a_fleet_that_is_down_is_asked_again(door: Door) -> None:
    claim = door.claim().model_copy(update={"url": "https://localhost:9"})
    waits: list[float] = []
    with pytest.raises(FleetUnreachable, match="loses nothing"):
        wait_and_join(lambda: door.join(claim), every_s=5, most_s=10, sleep=waits.append, clock=lambda: sum(waits))
    assert waits == [5, 5]


def test_a_claim_travels_as_file_as_code_and_typed(door: Door, tmp_path: Path) -> None:
    claim = door.claim()
    (tmp_path / "claim").write_bytes(claim.to_bytes() + b"\n")
    (tmp_path / "code").write_text(claim.to_qr())
    assert read_claim(tmp_path / "claim") == read_claim(tmp_path / "code") == claim
    assert typed(shown(claim.code).lower().replace("0", "o").replace("1", "l")) == claim.code
    given = by_hand(shown(claim.code), claim.url, shown(root_fingerprint(root_in(door.root))))
    assert fetch_claim(given, now=now()) == claim
    assert claim.code not in repr(given)
    (tmp_path / "other").write_text("LIFECERT:???")
    for wrong in ("other", "missing"):
        with pytest.raises(FileUnusable):
            read_claim(tmp_path / wrong)
    # Whoever spoilt its root is not found out when the labels are drawn, and a second root goes no further.
    make_authority(tmp_path / "stranger", "north", now=now())
    second = (tmp_path / "stranger" / AUTHORITY_ROOT).read_text()
    for root in ("none", door.root + second):
        (tmp_path / "claim").write_bytes(claim.model_copy(update={"root": root}).to_bytes())
        with pytest.raises(FileUnusable, match=r"claim: not a claim: root certificate"):
            read_claim(tmp_path / "claim")
    behind = claim.model_copy(update={"root": f"{door.root}{'x' * 253}-{second}"})
    (tmp_path / "claim").write_bytes(behind.to_bytes())
    assert read_claim(tmp_path / "claim") == claim
    assert door.join(behind).is_joined
    assert (tmp_path / "t" / ROOT).read_text() == door.root


def test_the_code_alone_is_not_given_to_whoever_answers(door: Door, tmp_path: Path) -> None:
    claim = door.claim()
    right = shown(root_fingerprint(root_in(door.root)))
    make_authority(tmp_path / "stranger", "north", now=now())
    strange = shown(root_fingerprint(root_in((tmp_path / "stranger" / AUTHORITY_ROOT).read_text())))
    with pytest.raises(StrangeFleet, match=f"has the root {right}, typed was {strange}; the code was not given away"):
        fetch_claim(by_hand(shown(claim.code), claim.url, strange), now=now())
    # Somebody in between gives the right root, which is no secret, and cannot answer by it.
    asked: list[bytes] = []
    # Nor if OpenSSL would find their own root behind it, in a line that other readers take for nothing.
    for number, behind in enumerate((None, f"{'x' * 253}-")):
        with in_between(tmp_path / str(number), door.root, asked, behind=behind) as port:
            given = by_hand(shown(claim.code), f"localhost:{port}", right)
            with pytest.raises(FleetUnreachable, match="certificate verify failed"):
                fetch_claim(given, now=now())
    assert len(asked) == 2
    assert claim.code.encode() not in b"".join(asked)
    with pytest.raises(FleetUnreachable, match="no answer"):
        fetch_claim(by_hand(shown(claim.code), "https://localhost:9", right), now=now())


def test_a_claim_that_was_typed_is_refused_as_one_that_was_brought(door: Door) -> None:
    root = shown(root_fingerprint(root_in(door.root)))

    def ask(code: str) -> ProvisioningClaim:
        return fetch_claim(by_hand(shown(code), f"https://localhost:{door.port}/", root), now=now())

    assert refused(lambda: ask("0" * 16)) == "claim_unknown"
    claim = door.claim()
    door.join(claim)
    assert ask(claim.code) == claim  # An answer may have been lost.
    door.office.now += timedelta(hours=24)
    assert refused(lambda: ask(claim.code)) == "claim_used"
    other = door.claim("t-2", hours=1)
    door.office.now += timedelta(hours=1)
    assert refused(lambda: ask(other.code)) == "claim_expired"
    third = door.claim("t-3")
    with door.office.database.begin() as connection:
        take_back_claim(connection, door.office.keys.cipher, claim_id_of(third.code), by="Li", now=door.office.now)
    assert refused(lambda: ask(third.code)) == "claim_revoked"
    for _ in range(door.office.settings.provisioning.wrong_codes_per_minute):
        said_to(lambda: ask("1" * 16))
    assert said_to(lambda: ask(claim.code)) == "too_many_failures"


def test_what_was_mistyped_is_told_before_anybody_is_asked(door: Door) -> None:
    code, root = shown(door.claim().code), shown(root_fingerprint(root_in(door.root)))
    swapped = code[1] + code[0] + code[2:] if code[0] != code[1] else ("1" if code[0] == "0" else "0") + code[1:]
    with pytest.raises(FileUnusable) as found:
        by_hand(swapped, "http://fleet.example", root[:-3])
    lines = str(found.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["--code", "--root", "--door"]
    for line, told in zip(lines, ("mistyped", "5 groups", "begins with https://"), strict=True):
        assert told in line
    assert swapped not in str(found.value)
    for wrong in ("https://", "https://fleet.example/join", "https://fleet.example:x", "https://a@fleet.example"):
        with pytest.raises(FileUnusable, match="--door"):
            by_hand(code, wrong, root)


@pytest.mark.parametrize("asked_for", [True, False])
def test_the_commands_take_a_claim_that_was_typed(door: Door, tmp_path: Path, asked_for: bool) -> None:
    door.office.now = now().replace(microsecond=0)  # That of the computer at which cards are written.
    claim = door.claim(None)
    typed_in = ["--door", claim.url, "--root", shown(root_fingerprint(root_in(door.root))), "--terminal", "t-1"]
    code = shown(claim.code)
    more, said = ([], f"{code[:-1]}\n{code}\n") if asked_for else (["--code", code], "")
    card = CliRunner().invoke(app, ["card", str(tmp_path / "bootfs"), *typed_in, *more], input=said)
    assert card.exit_code == 0, card.stderr
    assert ProvisioningClaim.parse((tmp_path / "bootfs/lifecert/claim.json").read_bytes()) == claim
    status, part = tmp_path / "status.txt", tmp_path / "part.toml"
    status.write_bytes("安装".encode() + b"\xff\n")  # After a power cut.
    part.write_text("")
    to_join = ["join", "--out", str(tmp_path / "t"), *typed_in, *more, "--status", str(status)]
    joined = CliRunner().invoke(app, [*to_join, "--settings-part", str(part)], input=said)
    assert joined.exit_code == 0, joined.stderr
    assert "terminal t-1 has joined fleet north" in joined.stdout
    assert (tmp_path / "t" / CERTIFICATE).exists()
    # What goes onto its label comes from the terminal itself, also if the power went before it was said.
    line = line_of("fingerprint", short_key_id(PrivateKey.load(tmp_path / "t" / SIGNING).key_id))
    assert status.read_bytes().splitlines()[1:] == [line.encode()]
    for _ in range(2):
        status.write_text("")
        assert CliRunner().invoke(app, [*to_join, "--settings-part", str(part)], input=said).exit_code == 0
        assert status.read_text() == f"{line}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "a claim is needed"),
        (("--root", "x"), "--code, --door and --root belong together"),
        (("--code", "x"), "--code, --door and --root belong together"),
        (("--code", "x", "--door", "x", "--root", "x"), "--root: fingerprint of the root"),
        (("--code", "x", "--door", "x", "--root", "x"), "--code: 4 groups"),
        (("--code", "x", "--door", "http://x", "--root", "x"), "--door: an address that begins with https:// expected"),
    ],
)
def test_a_claim_that_is_half_typed_is_told(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    for command in (("join", "--out", str(tmp_path / "t")), ("card", str(tmp_path / "bootfs"))):
        done = CliRunner().invoke(app, [*command, *arguments])
        assert (done.exit_code, told in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def in_between(folder: Path, root: str, asked: list[bytes], *, behind: str | None) -> Iterator[int]:
    """Have somebody answer in the fleet's name, with the fleet's root, and theirs behind this text, and a certificate of their own."""
    own = make_authority(folder / "between", "north", now=now())
    key = ec.generate_private_key(ec.SECP256R1())
    write_key(folder / "between.key", key)
    write(folder / "between.pem", issue_server(own, ["localhost"], key.public_key(), now=now()).chain)
    told = root if behind is None else f"{root}{behind}{(folder / 'between' / AUTHORITY_ROOT).read_text()}"

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(told.encode())

        def do_POST(self) -> None:
            self.answer(b"{}")

        def answer(self, body: bytes) -> None:
            asked.append(self.path.encode() + self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "between.pem", folder / "between.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            serving.join()


def test_a_terminal_renews_and_one_that_is_out_does_not(door: Door) -> None:
    door.join(door.claim())
    signing = PrivateKey.load(door.folder / "t" / SIGNING)
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, SHA256())
    renewal = Renewal(fleet_id="north", terminal_id="t-1", request=request.public_bytes(Encoding.PEM).decode())

    def ask(token: bytes, name: str = "t-1") -> Any:
        with door.office.database.begin() as connection:
            return renew(connection, door.issuing, name, token, fleet_id="north", now=door.office.now)

    good = sign_renewal(renewal, signing)
    assert ask(good).certificate.certificate.public_key() == key.public_key()
    other_name = sign_renewal(renewal.model_copy(update={"terminal_id": "t-2"}), signing)
    other_fleet = sign_renewal(renewal.model_copy(update={"fleet_id": "south"}), signing)
    for wrong in (sign_renewal(renewal, PrivateKey.generate()), other_name, other_fleet, b"x", b""):
        with pytest.raises(Refused, match="renewal"):
            ask(wrong)
    with pytest.raises(Refused, match="renewal"):
        ask(good, "t-2")
    with door.office.database.begin() as connection:
        count = revoke_certificates(connection, "t-1", now=door.office.now)
        assert count == len(certificates_of(connection, "t-1")) == 2
        revoked = revoked_certificates(connection, now=door.office.now)
        assert {each.serial for each in revoked} == {each.serial for each in certificates_of(connection, "t-1")}
        assert revoked_certificates(connection, now=door.office.now + timedelta(days=90)) == []
    door.office.rows("UPDATE terminals SET retired_at = now() RETURNING 1")
    with pytest.raises(Refused, match="renewal"):
        ask(good)


def test_renewing_makes_no_key(door: Door) -> None:
    door.join(door.claim())
    folder = door.folder / "t"
    for spoilt, told in ((None, "there is none"), (b"x", "cannot be read as a key")):
        (folder / KEY).unlink(missing_ok=True)
        if spoilt:
            (folder / KEY).write_bytes(spoilt)
        before = {each.name: each.read_bytes() for each in folder.iterdir()}
        with pytest.raises(FileUnusable, match=f"{told}.*terminals swap"):
            renewed(folder, now=now())
        assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_a_terminal_that_has_erased_itself_says_so_at_the_door(
    door: Door, make_fleet_terminal: Callable[..., Any]
) -> None:
    door.join(door.claim())
    folder, at = door.folder / "t", door.office.now
    proof = make_fleet_terminal("north", "t-1").proof(at)
    token = sign_proof(proof, PrivateKey.load(folder / SIGNING))
    with pytest.raises(JoinRefused) as refused:
        tell_fleet(sign_proof(proof, PrivateKey.generate()), folder, now=now())
    assert refused.value.code == "proof_signature"
    (folder / SIGNING).unlink()
    for _ in range(2):
        assert tell_fleet(token, folder, now=now()) == proof
    assert door.office.rows("SELECT decommissioned_at FROM terminals") == [(at,)]
    (folder / DOOR).unlink()
    with pytest.raises(FileUnusable, match="take the file"):
        tell_fleet(token, folder, now=now())


def test_the_door_answers_nothing_else(door: Door) -> None:
    assert door.status("GET", "/") == 404
    assert door.status("GET", "/docs") == 404
    assert door.status("GET", JOIN_PATH) == 405
    assert door.status("POST", JOIN_PATH, b"{}") == 422
    assert door.status("POST", JOIN_PATH, b"x" * 40_000) == 413
