"""The command line `lifecert-fleet`: parses, calls, prints. Exit 0 done, 1 failed, 2 usage, 78 settings."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from fleet.admission import ROSTER_VALIDITY
from fleet.app import Fleet, make_handler, settling
from fleet.benefits.files import rebuild_files
from fleet.clock import day_of
from fleet.commands import (
    areas,
    audit,
    benefit_cases,
    benefits,
    cases,
    duplicates,
    feeds,
    life,
    lists,
    operators,
    partners,
    photos,
    places,
    privacy,
    reminders,
    rules,
    statistics,
)
from fleet.commands.events import events
from fleet.commands.history import history
from fleet.commands.name_list import name_list
from fleet.commands.people import import_subjects
from fleet.commands.shared import CONFIG as _CONFIG
from fleet.commands.shared import EXIT_FAILED, EXIT_USAGE, AsJson, Config
from fleet.commands.shared import fail as _fail
from fleet.commands.shared import opened as _open
from fleet.commands.shared import print_json as _print_json
from fleet.commands.shared import reporting as _reporting
from fleet.commands.shared import say as _say
from fleet.commands.shared import stderr as _stderr
from fleet.commands.simulate import simulate
from fleet.errors import NotFound, Refused, SettingsInvalid
from fleet.ingest.courier import FleetCourier
from fleet.keys import load_keys, make_keys
from fleet.references import cards
from fleet.references import enrol as enrolment
from fleet.settings import Settings, load_settings
from fleet.status import projection
from fleet.store import cards as card_store
from fleet.store import lives, policies, quarantine, rosters, terminals
from fleet.store.database import notify
from fleet.updates import policy as policy_updates
from protocol.courier_files import ProblemKind
from protocol.references import CaptureKind, LegalBasis
from protocol.registration import FleetIdentity, read_registration

app = typer.Typer(
    name="lifecert-fleet",
    help="The fleet server of Lifecert.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
courier = typer.Typer(help="Carry data on a stick to and from terminals.", no_args_is_help=True)
app.add_typer(courier, name="courier")
card_app = typer.Typer(
    help="Reference cards: a QR code that a person carries, with which a terminal needs neither roster nor network.",
    no_args_is_help=True,
)
app.add_typer(card_app, name="card")
references_app = typer.Typer(
    help="What becomes of references: new keys, and refreshed ones with a way back.", no_args_is_help=True
)
app.add_typer(references_app, name="references")
app.add_typer(operators.app, name="operator")
app.add_typer(cases.app, name="cases")
app.add_typer(feeds.app, name="feeds")
app.add_typer(places.app, name="places")
app.add_typer(rules.app, name="rules")
app.add_typer(audit.app, name="audit")
app.command("simulate")(simulate)
app.command("what-if")(rules.run_what_if)
app.command("verify-audit")(audit.verify_audit)
benefits.app.command("i-am-here")(benefit_cases.decide)
benefits.app.command("recover")(benefit_cases.recover)
benefits.app.command("settle")(benefit_cases.settle)
app.add_typer(benefits.app, name="benefits")
app.add_typer(life.app, name="life")
app.add_typer(areas.app, name="areas")
app.add_typer(lists.app, name="lists")
app.add_typer(photos.app, name="photos")
app.add_typer(partners.app, name="partners")
app.add_typer(duplicates.app, name="duplicates")
app.add_typer(privacy.app, name="privacy")
app.add_typer(reminders.app, name="reminders")
app.add_typer(statistics.app, name="statistics")
app.command("name-list")(name_list)
app.command("import-subjects")(import_subjects)
app.command("events")(events)
app.command("history")(history)


class Only(StrEnum):
    """Parts of the service that can run alone."""

    INGEST = "ingest"
    WEB = "web"


class Kind(StrEnum):
    """Kinds of picture, as typed; a live reference comes from a terminal's own session, never from a file."""

    PHOTO = "photo"
    PHOTO_CONFIRMED = "photo-confirmed"


Stick = Annotated[Path, typer.Argument(metavar="DIR", help="Where the stick is mounted.")]
_MOST_LISTED = 1000
_FEATURES = "features_mobilefacenet"
"""The feature network a terminal has unless its settings name another."""


_PROBLEMS = {
    ProblemKind.DAMAGED: "damaged; left out, its records are still on the terminal and come with the next stick",
    ProblemKind.FOREIGN: "sealed to another fleet's key, or from another folder; left out",
    ProblemKind.FORGED: "not signed by this terminal; left out",
    ProblemKind.UNSUPPORTED: "of a newer version; update the fleet and import the stick again",
    ProblemKind.INVALID: "carries what is not for the fleet; left out",
    ProblemKind.MISSING: "listed and not there, taken in before or lost; what was lost is still on the terminal",
    ProblemKind.UNFINISHED: "the stick was pulled out of the terminal too early; what is whole counts, the rest comes with the next stick",
}


def main() -> None:
    """Entry point of the console script."""
    app()


@app.callback(invoke_without_command=True)
def root(
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """The fleet server of Lifecert."""
    if version:
        typer.echo(f"lifecert-fleet {package_version('lifecert')}")
        raise typer.Exit
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    # It logs every request of its client and every migration step at INFO.
    for name in ("alembic", "uvicorn", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


@app.command()
def init(
    config: Config = _CONFIG,
    fleet_id: Annotated[str | None, typer.Option("--fleet-id", help="Write a settings file for a new fleet.")] = None,
    identity: Annotated[Path | None, typer.Option("--identity", help="Write the fleet identity here.")] = None,
) -> None:
    """Make the fleet's keys, and print the identity that terminals are provisioned with.

    Keys that exist are kept, so that this can be run again. With --fleet-id a missing settings file is written first.
    """
    with _reporting():
        if fleet_id is not None and not config.exists():
            _write_settings(config, fleet_id)
        settings = load_settings(config)
        if fleet_id not in (None, settings.fleet_id):
            raise Refused(f"{config}: is for fleet {settings.fleet_id}, not {fleet_id}")
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        folder = settings.data_dir / "keys"
        make_keys(folder, key_domain=settings.references.key_domain)
        keys = load_keys(folder)
        message = FleetIdentity(
            fleet_id=settings.fleet_id, signing_key=keys.signing.public(), sealing_key=keys.sealing_key().public()
        )
        if identity is None:
            typer.echo(message.to_bytes().decode())
        else:
            identity.write_bytes(message.to_bytes() + b"\n")
            _say(f"fleet identity written to {identity}")
        _say(f"fingerprint {message.signing_key.key_id}")
        _say(f"back this folder up, the fleet's keys are in it: {folder}")


@app.command("write-slip-page")
def write_slip_page(
    file: Annotated[Path, typer.Argument(help="Where to write it; - writes it to standard output.")],
    config: Config = _CONFIG,
) -> None:
    """Write the page that checks result slips, one file, for the agency's web site or for a computer without a network."""
    from fleet.web.slip_page import slip_page

    with _reporting():
        settings = load_settings(config)
        keys = load_keys(settings.data_dir / "keys")
        page = slip_page(settings.fleet_id, keys.signing.public())
        if str(file) == "-":
            typer.echo(page.html, nl=False)
            return
        try:
            file.write_text(page.html, encoding="utf-8")
        except OSError as error:
            raise Refused(f"{file}: cannot be written: {error.strerror}") from error
        _say(f"{file}: checks slips of fleet {settings.fleet_id}; serve it over https, or open it from disk")


@app.command()
def serve(
    config: Config = _CONFIG,
    only: Annotated[Only | None, typer.Option("--only", help="Run one part alone.")] = None,
) -> None:
    """Run database (if embedded), broker (if embedded), ingest and console until Ctrl-C or SIGTERM."""
    # Loaded here, because web and MQTT libraries take longer to load than the other commands to run.
    from fleet.service import Part, Service

    part: Part = "all" if only is None else "ingest" if only is Only.INGEST else "web"
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with _open(config) as fleet:
        with fleet.database.begin() as connection:
            if policies.newest_policy(connection) is None:
                _say("no policy is in force: terminals certify nobody until `lifecert-fleet publish-policy`")
        service = Service(fleet, part)
        service.start()
        try:
            web = fleet.settings.web
            if part != "ingest":
                typer.echo(f"console on http://{web.host}:{web.port} (this machine only: there is no sign-in yet)")
            else:
                typer.echo("ingest runs")
            sys.stdout.flush()
            stopped.wait()
        finally:
            service.stop()


@app.command()
def migrate(config: Config = _CONFIG) -> None:
    """Bring the database to the newest schema."""
    with _open(config):
        _say("the database has the newest schema")


@app.command("register-terminal")
def register_terminal(
    file: Annotated[Path, typer.Argument(help="Registration the terminal printed.")],
    area: Annotated[str, typer.Option("--area", help="Area the terminal serves.")],
    config: Config = _CONFIG,
) -> None:
    """Register a terminal by its self-signed registration; once more only changes its area."""
    with _open(config) as fleet:
        try:
            token = file.read_bytes().strip()
        except OSError as error:
            raise Refused(f"{file}: cannot be read: {error.strerror}") from error
        registration = read_registration(token)
        if registration.fleet_id != fleet.settings.fleet_id:
            raise Refused(f"{file}: made for fleet {registration.fleet_id}, this is {fleet.settings.fleet_id}")
        # A key that is no point on the curve would fail at the first record instead of here.
        registration.sealing_key.key()
        with fleet.database.begin() as connection:
            _register(connection, fleet, registration.terminal_id, area, registration)
            rosters.refresh(connection, [registration.terminal_id])
            # Whoever hears this sends all that the broker keeps for a terminal.
            notify(connection, policies.POLICY_CHANNEL, registration.terminal_id)
        _say(f"terminal {registration.terminal_id} is registered in area {area}")
        _say(f"fingerprint {registration.signing_key.key_id}")


@app.command("retire-terminal")
def retire_terminal(terminal: Annotated[str, typer.Argument()], config: Config = _CONFIG) -> None:
    """Take a terminal out of service: what it sends from now on has no effect, and it gets nothing more."""
    with _open(config) as fleet:
        with fleet.database.begin() as connection:
            if not terminals.retire(connection, terminal, now=fleet.clock()):
                raise NotFound(f"terminal {terminal}: none of this name is in service")
        _say(f"terminal {terminal} is retired; its roster expires within {ROSTER_VALIDITY.days} days")


@app.command()
def assign(
    terminal: Annotated[str, typer.Option("--terminal", help="Whose roster.")],
    everybody: Annotated[bool, typer.Option("--all", help="Everybody, now and later.")] = False,
    area: Annotated[str | None, typer.Option("--area", help="Everybody of an area, now and later.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="One subject, by id or document number; - reads it from input.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the assignment back.")] = False,
    config: Config = _CONFIG,
) -> None:
    """Assign subjects to a terminal: they come on its roster, and stay as people and areas change."""
    if (everybody, area is not None, subject is not None).count(True) != 1:
        _fail("give exactly one of --all, --area and --subject", EXIT_USAGE)
    with _open(config) as fleet:
        with fleet.database.begin() as connection:
            if terminal not in terminals.find_terminals(connection, [terminal], lock=True):
                raise NotFound(f"terminal {terminal}: not registered")
            kind: rosters.AssignmentKind = "all" if everybody else "area" if area is not None else "subject"
            value = area or ""
            if subject is not None:
                value = enrolment.find_subject(connection, _named(subject), fleet.keys)
            with rosters.renewing(connection, terminal):
                if not remove:
                    rosters.assign(connection, terminal, kind, value)
                elif not rosters.unassign(connection, terminal, kind, value):
                    raise NotFound(f"terminal {terminal}: has no such assignment")
            changed = rosters.refresh(connection, [terminal])
        _say(f"{changed} roster entries of terminal {terminal} changed")


@app.command()
def enrol(
    picture: Annotated[
        Path,
        typer.Argument(
            help="Picture file with one face; in a fleet that accepts simulated records, a clip description."
        ),
    ],
    subject: Annotated[str, typer.Option("--subject", help="Subject id or document number; - reads it from input.")],
    kind: Annotated[Kind, typer.Option("--kind", help="How the picture was made.")],
    legal_basis: Annotated[LegalBasis, typer.Option("--legal-basis", help="Why the reference may be kept.")],
    officer: Annotated[
        str | None, typer.Option("--officer", help="Who confirmed the photo; with --kind photo-confirmed.")
    ] = None,
    config: Config = _CONFIG,
    as_json: AsJson = False,
) -> None:
    """Make a reference of a subject from a picture; the picture itself is not kept."""
    with _open(config) as fleet:
        what = enrolment.Enrolment(CaptureKind(kind.value.replace("-", "_")), legal_basis, officer)
        who = _named(subject)
        with fleet.database.begin() as connection:
            subject_id = enrolment.find_subject(connection, who, fleet.keys)
        made = fleet.settings.references
        report = enrolment.features_of_file(picture, fleet.settings)
        done = enrolment.enrol(
            fleet.database,
            fleet.keys,
            subject_id,
            report,
            what,
            key_domain=made.key_domain,
            validity_months=made.validity_months,
            now=fleet.clock(),
            zone=fleet.settings.zone(),
        )
        if as_json:
            _print_json(
                {
                    "subject_id": done.subject_id,
                    "reference_id": done.reference_id,
                    "quality": done.quality,
                    "terminals": done.terminals,
                }
            )
        else:
            _say(f"reference {done.reference_id} stored, quality {done.quality:.0f}, on {done.terminals} rosters")


@app.command()
def withdraw(
    reference: Annotated[str, typer.Argument(help="Reference id.")],
    config: Config = _CONFIG,
) -> None:
    """Erase a reference and take it from the terminals."""
    with _open(config) as fleet:
        subject_id = enrolment.withdraw(fleet.database, reference, now=fleet.clock())
        _say(f"reference {reference} of subject {subject_id} is withdrawn")


@card_app.command("issue")
def issue_card(
    subject: Annotated[str, typer.Argument(help="Subject id or document number; - reads it from input.")],
    png: Annotated[Path | None, typer.Option("--png", help="Write the QR code as a picture.")] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the text of the QR code.")] = False,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Make it of a confirmed photo; neither photo nor features are kept."),
    ] = None,
    legal_basis: Annotated[
        LegalBasis, typer.Option("--legal-basis", help="With --picture: why the card may be made.")
    ] = LegalBasis.CONSENT,
    officer: Annotated[str | None, typer.Option("--officer", help="With --picture: who confirmed the photo.")] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Erase the stored references: only the card has one.")
    ] = False,
    config: Config = _CONFIG,
    as_json: AsJson = False,
) -> None:
    """Make a reference card of a stored reference, or of a confirmed photo. The card is nowhere but in what this command gives."""
    if png is None and not text:
        _fail("say where the card goes: --png FILE, --text or both", EXIT_USAGE)
    if picture is not None and (officer is None or forget):
        _fail("--picture needs --officer NAME and does not go with --forget: nothing is stored", EXIT_USAGE)
    if png is not None and png.exists():
        _fail(f"{png}: exists already; a card is never written over another file", EXIT_USAGE)
    # The QR library is loaded here, because the other commands need none.
    from fleet.references.card_picture import card_code, save_code

    with _open(config) as fleet:
        who, now, made = _named(subject), fleet.clock(), fleet.settings.references
        if picture is None:
            issued = cards.issue_from_store(
                fleet.database,
                fleet.keys,
                who,
                fleet_id=fleet.settings.fleet_id,
                forget=forget,
                now=now,
                zone=fleet.settings.zone(),
            )
        else:
            issued = cards.issue_from_picture(
                fleet.database,
                fleet.keys,
                who,
                enrolment.features_of_file(picture, fleet.settings),
                enrolment.Enrolment(CaptureKind.PHOTO_CONFIRMED, legal_basis, officer),
                fleet_id=fleet.settings.fleet_id,
                validity_months=made.validity_months,
                now=now,
                zone=fleet.settings.zone(),
            )
        code = card_code(issued.text)
        if png is not None:
            save_code(code, png)
        until = issued.card.reference.valid_until
        if as_json:
            _print_json(
                {
                    "card_id": issued.card.card_id,
                    "subject_id": issued.card.subject_id,
                    "key_id": issued.key_id,
                    "valid_until": until.isoformat(),
                    "qr_version": code.version,
                    "forgotten": issued.forgotten,
                    **({"text": issued.text} if text else {}),
                }
            )
            return
        if text:
            typer.echo(issued.text)
        _say(
            f"card {issued.card.card_id} of subject {issued.card.subject_id}, valid until {until}, QR {code.designator}"
        )
        if forget:
            _say(f"{issued.forgotten} stored references erased")


@card_app.command("revoke")
def revoke_card(card: Annotated[str, typer.Argument(help="Card id.")], config: Config = _CONFIG) -> None:
    """Have a card refused by every terminal that hears of it: a lost one, or at the person's wish."""
    with _open(config) as fleet:
        subject_id = cards.revoke(fleet.database, card, now=fleet.clock(), zone=fleet.settings.zone())
        _say(f"card {card} of subject {subject_id} is revoked")


@card_app.command("list")
def list_cards(
    subject: Annotated[
        str | None, typer.Option("--subject", help="Only those of one subject, by id or document number; - reads it.")
    ] = None,
    config: Config = _CONFIG,
    as_json: AsJson = False,
) -> None:
    """List the ledger of cards and the card keys, newest first."""
    with _open(config) as fleet:
        with fleet.database.begin() as connection:
            who = None if subject is None else enrolment.find_subject(connection, _named(subject), fleet.keys)
            found = card_store.find_cards(connection, who, limit=_MOST_LISTED)
            keys = card_store.keys_in_use(connection)
        if as_json:
            typer.echo(
                json.dumps(
                    {
                        "cards": [asdict(card) for card in found],
                        "keys": [{"key_id": key.key_id, "made_at": key.made_at} for key in keys],
                    },
                    default=lambda moment: moment.isoformat(),
                )
            )
            return
        table = Table("card", "subject", "made of", "issued", "valid until", "card key", "state")
        today = day_of(fleet.clock(), fleet.settings.zone())
        used = {key.key_id for key in keys}
        for card in found:
            is_revoked = card.revoked_at is not None or card.subject_id is None
            state = "revoked" if is_revoked else "expired" if card.valid_until < today else "in use"
            table.add_row(
                card.card_id,
                card.subject_id or "",
                card.capture,
                f"{card.issued_at.astimezone(fleet.settings.zone()):%Y-%m-%d}",
                card.valid_until.isoformat(),
                card.key_id,
                state if card.key_id in used else "key given up",
            )
        Terminal().print(table)


@card_app.command("rotate-key")
def rotate_card_key(config: Config = _CONFIG) -> None:
    """Make new card keys and send them to every terminal; the first time, too. Cards of older ones stay good."""
    with _open(config) as fleet:
        _say(f"card key {cards.rotate_key(fleet.database, fleet.keys, now=fleet.clock())} is in use")


@card_app.command("retire-key")
def retire_card_key(
    key: Annotated[str, typer.Argument(help="Id of the card key.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = _CONFIG,
) -> None:
    """Give card keys up and erase their secret: no card made with them can be opened any more."""
    with _open(config) as fleet:
        with fleet.database.begin() as connection:
            number = card_store.count_valid(connection, key, today=day_of(fleet.clock(), fleet.settings.zone()))
        if not yes:
            typer.confirm(
                f"{number} cards of key {key} are in use and will not be taken any more. Go on?", abort=True, err=True
            )
        cards.retire_key(fleet.database, key, now=fleet.clock())
        _say(f"card key {key} is given up")


@references_app.command("rotate")
def rotate_references(
    domain: Annotated[str | None, typer.Option("--domain", help="Key domain; by default the one in use.")] = None,
    config: Config = _CONFIG,
    as_json: AsJson = False,
) -> None:
    """Bring every reference to a new key domain, without new pictures; run again it goes on where it was cut off."""
    # Loaded here, because the other commands need no numpy.
    from fleet.references import domains

    with _open(config) as fleet:
        if domain is None:
            with fleet.database.begin() as connection:
                domain = domains.current_domain(connection, fleet.settings.references.key_domain)
        done = domains.rotate(fleet.database, fleet.keys, domain, now=fleet.clock())
        if as_json:
            _print_json(asdict(done))
            return
        _say(f"{done.moved} references moved from key domain {domain} to {done.domain}")
        if done.left:
            _say(f"{done.left} were moved too often before and stay; enrol these people anew")


@references_app.command("proposals")
def list_proposals(config: Config = _CONFIG, as_json: AsJson = False) -> None:
    """List what waits for somebody's approval, oldest first: refreshed references, and enrolments that could not be used at once."""
    with _open(config) as fleet:
        with fleet.database.begin() as connection:
            found = lives.proposals(connection, limit=_MOST_LISTED)
        rows = [
            {
                "reference_id": kept.reference.reference_id,
                "subject_id": kept.subject_id,
                "record_id": kept.proposed_record or kept.made_by_record,
                "waits_for": kept.waits_for or "",
                "captured_at": kept.reference.captured_at.isoformat(),
                "quality": kept.reference.quality,
                "likeness": kept.likeness,
            }
            for kept in found
        ]
        if as_json:
            typer.echo(json.dumps(rows))
            return
        table = Table("reference", "subject", "record", "waits for", "captured", "quality", "likeness")
        for row in rows:
            table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
        Terminal().print(table)


@references_app.command("approve")
def approve_reference(
    reference: Annotated[str, typer.Argument(help="Reference id.")],
    by: Annotated[str, typer.Option("--as", help="Your name, recorded as you give it.")],
    config: Config = _CONFIG,
) -> None:
    """Put a proposed reference in use; the one it displaces is set aside, as the way back."""
    from fleet.references import refresh

    with _open(config) as fleet:
        subject_id = refresh.approve(
            fleet.database, fleet.keys, reference, by=by, most=refresh.MOST_IN_USE, now=fleet.clock()
        )
        _say(f"reference {reference} of subject {subject_id} is in use")


@references_app.command("reject")
def reject_reference(
    reference: Annotated[str, typer.Argument(help="Reference id.")],
    by: Annotated[str, typer.Option("--as", help="Your name, recorded as you give it.")],
    config: Config = _CONFIG,
) -> None:
    """Erase a proposed reference."""
    from fleet.references import refresh

    with _open(config) as fleet:
        subject_id = refresh.reject(fleet.database, fleet.keys, reference, by=by, now=fleet.clock())
        _say(f"reference {reference} of subject {subject_id} is rejected")


@references_app.command("revert")
def revert_reference(
    subject: Annotated[str, typer.Argument(help="Subject id or document number; - reads it from input.")],
    by: Annotated[str, typer.Option("--as", help="Your name, recorded as you give it.")],
    config: Config = _CONFIG,
) -> None:
    """Take the newest refreshed reference of a subject out of use, and what it displaced back in."""
    from fleet.references import refresh

    with _open(config) as fleet:
        with fleet.database.begin() as connection:
            who = enrolment.find_subject(connection, _named(subject), fleet.keys)
        out, back = refresh.revert(fleet.database, fleet.keys, who, by=by, now=fleet.clock())
        _say(f"reference {out} of subject {who} is out of use" + (f", {back} is back" if back else ""))


@app.command("publish-policy")
def publish_policy(
    file: Annotated[Path | None, typer.Argument(help="Policy as TOML; without it the one a new fleet has.")] = None,
    approved_by: Annotated[
        list[str] | None,
        typer.Option("--approved-by", help="Who answers for lower comparison thresholds; given twice, two persons."),
    ] = None,
    config: Config = _CONFIG,
) -> None:
    """Sign a policy and put it in force on every terminal."""
    with _open(config) as fleet:
        policy = policy_updates.read_policy(file)
        new = policy_updates.publish_policy(
            fleet.database, fleet.keys, policy, now=fleet.clock(), approved_by=approved_by or ()
        )
        _say(f"policy {policy.policy_version} is in force" + ("" if new else " (it was issued before)"))


@app.command()
def calibrate(
    by: Annotated[str, typer.Option("--as", help="Your name, recorded as you give it.")],
    network: Annotated[
        str, typer.Option("--network", help="Under which name the policy has the thresholds.")
    ] = _FEATURES,
    fmr: Annotated[float, typer.Option("--fmr", help="False match rate that a match is to keep.")] = 1e-3,
    grey_fmr: Annotated[
        float, typer.Option("--grey-fmr", help="False match rate down to which a person looks at it.")
    ] = 1e-2,
    area: Annotated[str | None, typer.Option("--area", help="Only the people of this area.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Beginning of the network's SHA-256, where there are several.")
    ] = None,
    config: Config = _CONFIG,
    as_json: AsJson = False,
) -> None:
    """Propose comparison thresholds from scores between different people of the fleet; two persons approve them."""
    # Loaded here, because the other commands need no numpy.
    from fleet.updates import calibration

    with _open(config) as fleet:
        now = fleet.clock()
        wanted = calibration.Wanted(network, fmr, grey_fmr, area, model)
        found = calibration.propose(
            fleet.database, fleet.keys, wanted, by=by, now=now, today=day_of(now, fleet.settings.zone())
        )
        if as_json:
            typer.echo(found.model_dump_json())
            return
        table = Table("scores", "match", "estimate", "95 % interval", "grey", "highest", "tail shape")
        for kind, figures in (("raw", found.raw), ("normalised", found.normalised)):
            if figures is not None:
                low, high = figures.match_interval
                table.add_row(
                    kind,
                    f"{figures.match:.3f}",
                    f"{figures.match_estimate:.3f}",
                    f"{low:.3f} to {high:.3f}",
                    f"{figures.grey:.3f}",
                    f"{figures.highest:.3f}",
                    f"{figures.tail.shape:+.2f}",
                )
        Terminal().print(table)
        _say(
            f"{found.population}: {found.people} people, {found.pairs} pairs, false match rate {fmr:g}, grey {grey_fmr:g}"
        )
        _say(f"in force: match {found.before.match:g}, grey {found.before.grey:g}")
        if found.why_not_normalised is not None:
            _say(f"no normalised thresholds: {found.why_not_normalised}")
        if found.people_left_out:
            _say(f"{found.people_left_out} people have references of another network or key domain only")
        if found.doubles:
            _say(f"{found.doubles} pairs are alike enough to be one person enrolled twice: look at them first")
        _say(f"two persons approve: lifecert-fleet approve-calibration {found.calibration_id[:12]} --as NAME")


@app.command("approve-calibration")
def approve_calibration(
    calibration_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the proposal, or its beginning.")],
    by: Annotated[str, typer.Option("--as", help="Your name, recorded as you give it.")],
    config: Config = _CONFIG,
    as_json: AsJson = False,
) -> None:
    """Approve proposed thresholds; the second person's approval signs them into a new policy for every terminal."""
    from fleet.updates import calibration

    with _open(config) as fleet:
        done = calibration.approve(fleet.database, fleet.keys, calibration_id, by=by, now=fleet.clock())
        if as_json:
            _print_json(asdict(done))
        elif done.policy_version is None:
            _say(f"calibration {done.calibration_id}: approved by one, another person must approve it")
        else:
            _say(f"policy {done.policy_version} is in force")


@app.command("rebuild-status")
def rebuild_status(config: Config = _CONFIG, as_json: AsJson = False) -> None:
    """Work out every certification status anew from the records, and every benefit's file from its events."""
    with _open(config) as fleet:
        total = projection.rebuild(
            fleet.database,
            judging=partial(settling(fleet).judge_anew, now=fleet.clock()),
            zone=fleet.settings.zone(),
            clock=fleet.clock,
        )
        files = rebuild_files(fleet.database)
        if as_json:
            _print_json({"statuses": total, "benefit_files": files})
        else:
            _say(f"{total} statuses, {files} benefit files")


@app.command("quarantine")
def show_quarantine(config: Config = _CONFIG, as_json: AsJson = False) -> None:
    """List what was refused and kept, by sender, kind and reason."""
    with _open(config) as fleet:
        with fleet.database.begin() as connection:
            found = quarantine.counts(connection)
        if as_json:
            # The JSON writer knows no datetime; ISO 8601 is what it writes in its place.
            typer.echo(json.dumps([asdict(line) for line in found], default=lambda moment: moment.isoformat()))
            return
        table = Table("terminal", "registered", "kind", "reason", "messages", "arrivals", "first", "last")
        for line in found:
            first, last = (
                f"{at.astimezone(fleet.settings.zone()):%Y-%m-%d %H:%M}" for at in (line.first_at, line.last_at)
            )
            registered = "yes" if line.known else "no"
            # Senders choose their names: shown as they are, never as markup.
            table.add_row(
                escape(line.terminal_id),
                registered,
                line.kind,
                line.reason,
                str(line.messages),
                str(line.times),
                first,
                last,
            )
        Terminal().print(table)


@courier.command("import")
def import_stick(stick: Stick, config: Config = _CONFIG, as_json: AsJson = False) -> None:
    """Take in what terminals put onto a stick, and write receipts, rosters and policy for them onto it."""
    with _open(config) as fleet, _courier(fleet) as (work, bar):
        done = work.take_in(stick, on_progress=bar)
    if as_json:
        _print_json({"terminals": [asdict(taken) for taken in done]})
    for taken in done:
        name = f"terminal {taken.terminal_id}"
        if not as_json:
            records = f"{taken.stored} records stored, {taken.repeated} were here, {taken.refused} refused"
            _say(f"{name}: {records}; {taken.pages} roster pages written")
        if taken.set_aside:
            _say(f"{name}: {taken.set_aside} messages set aside in quarantine: the fleet's own programs fail on them")
        for failure in taken.failures:
            _say(f"{name}: {failure}")
        for problem in taken.problems:
            _say(f"{name}: {problem.name}: {_PROBLEMS[problem.kind]}")
    if not all(taken.is_in_order for taken in done):
        raise typer.Exit(EXIT_FAILED)


@courier.command("export")
def export_stick(
    stick: Stick,
    terminal: Annotated[str, typer.Option("--terminal", help="For whom.")],
    config: Config = _CONFIG,
    as_json: AsJson = False,
) -> None:
    """Write a terminal's whole roster and the policy in force onto a stick."""
    with _open(config) as fleet, _courier(fleet) as (work, _):
        pages = work.hand_out(stick, terminal)
    if as_json:
        _print_json({"terminal_id": terminal, "pages": pages})
    else:
        _say(f"terminal {terminal}: {pages} roster pages and the policy are on the stick")


@contextmanager
def _courier(fleet: Fleet) -> Iterator[tuple[FleetCourier, Callable[[str, int, int], None]]]:
    """Give a courier and what shows its progress; on no terminal the bar is not drawn."""
    work = FleetCourier(
        fleet.database,
        fleet.keys,
        make_handler(fleet),
        fleet_id=fleet.settings.fleet_id,
        clock=fleet.clock,
        batch_messages=fleet.settings.broker.batch_messages,
    )
    with Progress(console=_stderr, transient=True, disable=not _stderr.is_terminal) as progress:
        bars: dict[str, TaskID] = {}

        def show(terminal_id: str, done: int, total: int) -> None:
            if terminal_id not in bars:
                bars[terminal_id] = progress.add_task(terminal_id)
            progress.update(bars[terminal_id], completed=done, total=total)

        yield work, show


def _register(connection: Any, fleet: Fleet, terminal_id: str, area: str, registration: Any) -> None:
    added = terminals.add_terminal(
        connection,
        terminal_id,
        area=area,
        signing_key=registration.signing_key,
        sealing_key=registration.sealing_key,
        now=fleet.clock(),
    )
    if added:
        return
    known = terminals.find_terminals(connection, [terminal_id], lock=True)[terminal_id]
    if (known.signing_key, known.sealing_key) != (registration.signing_key, registration.sealing_key):
        raise Refused(
            f"terminal {terminal_id}: registered with other keys; retire it and give the new one another name"
        )
    if known.retired_at is not None:
        raise Refused(f"terminal {terminal_id}: was retired; give it new keys and another name")
    terminals.set_area(connection, terminal_id, area, now=fleet.clock())


def _write_settings(path: Path, fleet_id: str) -> None:
    # Checked before anything is written.
    try:
        Settings.model_validate({"fleet_id": fleet_id, "data_dir": "fleet-data"})
    except ValueError as error:
        raise SettingsInvalid([f"--fleet-id {fleet_id}: lower-case letters, digits and dashes expected"]) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'fleet_id = "{fleet_id}"\ndata_dir = "fleet-data"\n', encoding="utf-8")
    _say(f"settings written to {path}")


def _named(subject: str) -> str:
    """Return whom an option names; a number given by input stands in no list of processes."""
    return sys.stdin.readline().strip() if subject == "-" else subject
